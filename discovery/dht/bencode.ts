/**
 * Bencode (BEP 3), strict. npm bencode is the coder; this file judges what it is given, and is the only one to import it.
 *
 * The coder alone is lenient: it takes trailing bytes, unsorted and repeated keys and `i007e`, rounds large integers, and
 * makes properties of keys, `__proto__` among them. So a text is judged first as a whole: one value, nothing behind it,
 * canonical throughout, within bounds of size, depth and count. Strings and integers are decoded when they are asked
 * for; a dictionary is read by key and never becomes an object, so what nobody asks for is harmless. The bytes of every
 * value can be had as they came, which signatures need (BEP 44).
 *
 * `judge` never throws. It does not look into strings, and knows nothing of KRPC.
 */
import bencode from 'bencode'

/** A KRPC message is a tenth of this; what holds an oversized item is still to be read, to be refused with a reason. */
export const MAX_BENCODE_BYTES = 4096
/** How deep values may lie in each other. A KRPC message without an item is 3 deep. */
export const MAX_BENCODE_DEPTH = 16
/** Values in all, keys included. A reply with 100 peers has some 130. */
export const MAX_BENCODE_COUNT = 512
/** Enough for 64 bits. */
const MAX_INTEGER_DIGITS = 19

const DIGIT_0 = 0x30
const DIGIT_9 = 0x39
const COLON = 0x3a
const MINUS = 0x2d
const LETTER_D = 0x64
const LETTER_E = 0x65
const LETTER_I = 0x69
const LETTER_L = 0x6c

/** A judged value, with its place in the text. Views the text it was judged in until its contents are asked for. */
export class Bencoded {
  readonly #text: Uint8Array
  readonly #start: number
  readonly #end: number
  /** Where the contents of a string begin. */
  readonly #contents: number
  /** The items of a list; the keys and values of a dictionary in turn. */
  readonly #children: readonly Bencoded[]

  constructor(text: Uint8Array, start: number, end: number, contents: number, children: readonly Bencoded[]) {
    this.#text = text
    this.#start = start
    this.#end = end
    this.#contents = contents
    this.#children = children
  }

  /** How long the value is in bencoded form. */
  get sizeBytes(): number {
    return this.#end - this.#start
  }

  get isDictionary(): boolean {
    return this.#text[this.#start] === LETTER_D
  }

  /** How long a string is; undefined if this is none. */
  get stringBytes(): number | undefined {
    return this.#isString ? this.#end - this.#contents : undefined
  }

  get #isString(): boolean {
    return this.#text[this.#start]! <= DIGIT_9
  }

  /** The value of a key (ASCII) of a dictionary; undefined where there is none, or this is no dictionary. */
  get(key: string): Bencoded | undefined {
    if (!this.isDictionary) return undefined
    const children = this.#children
    for (let i = 0; i < children.length; i += 2) if (children[i]!.is(key)) return children[i + 1]
    return undefined
  }

  /** Whether this is the string with these contents (ASCII). */
  is(text: string): boolean {
    const contents = this.#contents
    if (this.#end - contents !== text.length || !this.#isString) return false
    for (let i = 0; i < text.length; i++) if (this.#text[contents + i] !== text.charCodeAt(i)) return false
    return true
  }

  /** The contents of a string as a copy, undefined if this is none. */
  bytes(): Uint8Array | undefined {
    return this.#isString ? (bencode.decode(this.#span()) as Uint8Array) : undefined
  }

  /** An integer, undefined if this is none or one that a number cannot hold exactly. */
  integer(): number | undefined {
    if (this.#text[this.#start] !== LETTER_I) return undefined
    const value = bencode.decode(this.#span()) as number
    return Number.isSafeInteger(value) ? value : undefined
  }

  /** The items of a list, undefined if this is none. */
  items(): readonly Bencoded[] | undefined {
    return this.#text[this.#start] === LETTER_L ? this.#children : undefined
  }

  /** The bencoded form as it came, as a copy. */
  raw(): Uint8Array {
    return Uint8Array.from(this.#span())
  }

  #span(): Uint8Array {
    return this.#text.subarray(this.#start, this.#end)
  }
}

const NO_CHILDREN: readonly Bencoded[] = []

/** The value that this text is, undefined if it is not exactly one value in canonical form within the bounds. */
export const judge = (text: Uint8Array): Bencoded | undefined => {
  if (text.length === 0 || text.length > MAX_BENCODE_BYTES) return undefined
  const reader = new Reader(text)
  const value = reader.value(1)
  return reader.position === text.length ? value : undefined
}

/** Reads values one after the other; undefined stands for a breach of the rules, after which nothing more is read. */
class Reader {
  readonly #text: Uint8Array
  #count = 0
  position = 0

  constructor(text: Uint8Array) {
    this.#text = text
  }

  value(depth: number): Bencoded | undefined {
    switch (this.#text[this.position]) {
      case LETTER_I:
        return this.#integer()
      case LETTER_L:
        return this.#list(depth)
      case LETTER_D:
        return this.#dictionary(depth)
      default:
        return this.#string()
    }
  }

  #string(): Bencoded | undefined {
    const start = this.position
    const lengthEnd = this.#digits(start)
    if (lengthEnd === start || this.#text[lengthEnd] !== COLON) return undefined
    let length = 0
    for (let i = start; i < lengthEnd; i++) length = length * 10 + this.#text[i]! - DIGIT_0
    return this.#take(start, lengthEnd + 1 + length, lengthEnd + 1, NO_CHILDREN)
  }

  #integer(): Bencoded | undefined {
    const start = this.position
    const negative = this.#text[start + 1] === MINUS
    const digits = start + (negative ? 2 : 1)
    const end = this.#digits(digits)
    if (end === digits || this.#text[end] !== LETTER_E) return undefined
    if (negative && this.#text[digits] === DIGIT_0) return undefined
    return this.#take(start, end + 1, end + 1, NO_CHILDREN)
  }

  #list(depth: number): Bencoded | undefined {
    const start = this.position
    if (depth > MAX_BENCODE_DEPTH) return undefined
    const items: Bencoded[] = []
    this.position++
    while (this.#text[this.position] !== LETTER_E) {
      const item = this.value(depth + 1)
      if (item === undefined) return undefined
      items.push(item)
    }
    return this.#take(start, this.position + 1, start, items)
  }

  #dictionary(depth: number): Bencoded | undefined {
    const start = this.position
    if (depth > MAX_BENCODE_DEPTH) return undefined
    const children: Bencoded[] = []
    let lastStart = 0
    let lastEnd = -1
    this.position++
    while (this.#text[this.position] !== LETTER_E) {
      const key = this.#string()
      if (key === undefined) return undefined
      const keyEnd = this.position
      const keyStart = keyEnd - key.stringBytes!
      if (lastEnd >= 0 && !this.#isBefore(lastStart, lastEnd, keyStart, keyEnd)) return undefined
      lastStart = keyStart
      lastEnd = keyEnd
      const value = this.value(depth + 1)
      if (value === undefined) return undefined
      children.push(key, value)
    }
    return this.#take(start, this.position + 1, start, children)
  }

  /** Where the digits from here on end. None at all and a leading zero end at once: they are not canonical. */
  #digits(from: number): number {
    if (this.#text[from] === DIGIT_0) return from + 1
    let end = from
    while (end < from + MAX_INTEGER_DIGITS && isDigit(this.#text[end])) end++
    return end
  }

  /** Whether the first span of bytes sorts strictly before the second. */
  #isBefore(aStart: number, aEnd: number, bStart: number, bEnd: number): boolean {
    const shorter = Math.min(aEnd - aStart, bEnd - bStart)
    for (let i = 0; i < shorter; i++) {
      const difference = this.#text[aStart + i]! - this.#text[bStart + i]!
      if (difference !== 0) return difference < 0
    }
    return aEnd - aStart < bEnd - bStart
  }

  #take(start: number, end: number, contents: number, children: readonly Bencoded[]): Bencoded | undefined {
    if (end > this.#text.length || ++this.#count > MAX_BENCODE_COUNT) return undefined
    this.position = end
    return new Bencoded(this.#text, start, end, contents, children)
  }
}

const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= DIGIT_0 && byte <= DIGIT_9

/** Bytes that are bencoded already and go out as they are, such as the value of an item. */
export class Verbatim {
  readonly bytes: Uint8Array

  constructor(bytes: Uint8Array) {
    this.bytes = bytes
  }
}

/** What can be encoded. Texts are UTF-8; entries that are undefined are left out. */
export type Encodable =
  | number
  | string
  | Uint8Array
  | Verbatim
  | readonly Encodable[]
  | { readonly [key: string]: Encodable | undefined }

/** The canonical form of a value. Throws RangeError for a number that is not a safe integer. */
export const encode = (value: Encodable): Uint8Array => {
  const parts: Uint8Array[] = []
  write(parts, value)
  return Buffer.concat(parts)
}

const START_DICTIONARY = Uint8Array.of(LETTER_D)
const START_LIST = Uint8Array.of(LETTER_L)
const END = Uint8Array.of(LETTER_E)

/** The coder sorts keys by UTF-16 units, drops what it does not know and cannot pass bytes on as they are: it gets the leaves. */
const write = (parts: Uint8Array[], value: Encodable): void => {
  if (typeof value === 'number' && !Number.isSafeInteger(value)) throw new RangeError(`${value} is not a safe integer`)
  if (typeof value !== 'object' || value instanceof Uint8Array) parts.push(bencode.encode(value))
  else if (value instanceof Verbatim) parts.push(value.bytes)
  else if (isList(value)) {
    parts.push(START_LIST)
    for (const item of value) write(parts, item)
    parts.push(END)
  } else {
    parts.push(START_DICTIONARY)
    for (const key of sortedKeys(value)) {
      const entry = value[key]
      if (entry === undefined) continue
      parts.push(bencode.encode(key))
      write(parts, entry)
    }
    parts.push(END)
  }
}

const isList = (value: readonly Encodable[] | object): value is readonly Encodable[] => Array.isArray(value)

/** Keys in the order of their bytes. UTF-16 units have the same order only below the surrogates. */
const sortedKeys = (dictionary: object): string[] => {
  const keys = Object.keys(dictionary)
  return keys.some((key) => /[\ud800-\uffff]/.test(key))
    ? keys.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    : keys.sort()
}
