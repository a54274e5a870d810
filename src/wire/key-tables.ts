/**
 * Keys of objects and names in heads that both ends of a connection know by number: two bytes each instead of all of it.
 *
 * The sender announces a text on the control lane when it comes for the second time, and uses its number once the other
 * side has said that it knows it. So no lane waits for another, frames may change lanes as they like, and nothing has to
 * be undone when an encode fails (QPACK does it so, RFC 9204 2.1). A table only grows, to MAX_KNOWN_TEXTS, and ends with
 * its connection. What it does not do: choose well where a program has more keys than that; the first ones stay.
 */
import { SkeinError } from '../../certs/errors.ts'
import { ByteReader, ByteWriter } from './bytes.ts'

/** Numbers are one byte, and the table has to be cheap to hold for a thousand connections. */
export const MAX_KNOWN_TEXTS = 128
/** Shorter ones gain nothing, longer ones are not keys that repeat. */
const MIN_LENGTH = 3
const MAX_LENGTH = 64
/** UTF-8 of the longest. */
const MAX_TEXT_BYTES = 3 * MAX_LENGTH
/** A power of two. */
const PLACES = 256
/** Above every number. */
const NOT_ANNOUNCED = 255
/** Objects with more keys than this are tables rather than records: their keys are data and do not repeat. */
export const MAX_RECORD_KEYS = 16

/** The sending half: one per connection. */
export class SentKeys {
  readonly #tell: (texts: readonly string[]) => void
  /** Those announced stay in their places; any other is only the latest that fell there, and is announced if it comes again. */
  readonly #texts: string[] = new Array<string>(PLACES).fill('')
  readonly #numbers = new Uint8Array(PLACES).fill(NOT_ANNOUNCED)
  #announced = 0
  #known = 0
  #news: string[] = []

  /** `tell` announces texts; their numbers go on from those before. */
  constructor(tell: (texts: readonly string[]) => void) {
    this.#tell = tell
  }

  /** -1: it has none, or the other side does not know it yet. */
  numberOf(text: string): number {
    const length = text.length
    // Before it is kept: a program, or a peer whose words it repeats, may have keys of megabytes.
    if (length < MIN_LENGTH || length > MAX_LENGTH) return -1
    const mixed = length * 31 + text.charCodeAt(0) * 7 + text.charCodeAt(1) * 13 + text.charCodeAt(length - 1) * 67
    const place = mixed & (PLACES - 1)
    const number = this.#numbers[place]!
    if (this.#texts[place] !== text) {
      if (number === NOT_ANNOUNCED && this.#announced < MAX_KNOWN_TEXTS) this.#texts[place] = text
      return -1
    }
    if (number === NOT_ANNOUNCED) this.#announce(text, place)
    return number < this.#known ? number : -1
  }

  /** Announces what was met anew. Not while encoding: that may fail, or be interrupted by another. */
  tellNews(): void {
    if (this.#news.length > 0) this.#tell(this.#news.splice(0))
  }

  /** The other side knows so many. Throws ERR_SKEIN_PROTOCOL if that cannot be. */
  acknowledge(count: number): void {
    if (count < this.#known || count > this.#announced - this.#news.length) throw broken(`knows ${count} keys`)
    this.#known = count
  }

  #announce(text: string, place: number): void {
    if (this.#announced === MAX_KNOWN_TEXTS) return
    this.#numbers[place] = this.#announced++
    this.#news.push(text)
  }
}

/** The receiving half: texts by number. */
export type KnownKeys = readonly string[]

export const encodeKeys = (texts: readonly string[]): Uint8Array => {
  const writer = new ByteWriter().u16(texts.length)
  for (const text of texts) writer.text(text)
  return writer.done()
}

/** Adds what was announced. Throws ERR_SKEIN_PROTOCOL. */
export const learnKeys = (known: string[], body: Uint8Array): void => {
  const reader = new ByteReader(body)
  const count = reader.u16()
  if (count === 0 || known.length + count > MAX_KNOWN_TEXTS) throw broken(`announced ${count} keys`)
  for (let i = 0; i < count; i++) {
    // Also __proto__, which is a name like any other: the decoder sees to it that it becomes no key.
    known.push(reader.text(MAX_TEXT_BYTES))
  }
  reader.end()
}

const broken = (what: string): SkeinError => new SkeinError('ERR_SKEIN_PROTOCOL', `The peer ${what}.`)
