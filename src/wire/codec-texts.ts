/**
 * Short texts that came lately: keys, tags and names come again and again, and looking one up is several times cheaper
 * than making it anew (measured: 8 to 15 ns against 65 for the call into the engine).
 *
 * Invariants: of fixed size whatever a peer sends; a text that is looked up equals the one that would be made. Each place
 * holds the latest text that fell on it, so a peer that never repeats itself costs only misses.
 */
import type { Buffer } from 'node:buffer'

/** A power of two. A table of so many takes some 16 KB. */
const PLACES = 512
const MAX_KEPT_BYTES = 24
/** Bytes in a word. The first and the last word of a text overlap if it is shorter than two. */
const WORD = 4
const MIDDLE_BYTES = MAX_KEPT_BYTES - 2 * WORD
/** Up to here characters handed over one by one beat the call into the engine (measured). */
const MAX_CHARACTERS_ONE_BY_ONE = 12

export class RecentTexts {
  readonly #texts: string[] = new Array<string>(PLACES).fill('')
  // What each consists of, as words: its characters would have to be asked for one by one.
  readonly #firsts = new Int32Array(PLACES)
  readonly #lasts = new Int32Array(PLACES)
  readonly #middles = new Uint8Array(PLACES * MIDDLE_BYTES)
  /** For each length a list that is filled with characters. */
  readonly #characters: number[][] = Array.from({ length: MAX_CHARACTERS_ONE_BY_ONE + 1 }, (_, length) =>
    new Array<number>(length).fill(0),
  )

  /** The UTF-8 in bytes[start..start + length), which must be there. Whatever is no UTF-8 in it becomes U+FFFD. */
  read(bytes: Buffer, start: number, length: number): string {
    if (length > MAX_KEPT_BYTES) return bytes.toString('utf8', start, start + length)
    if (length === 0) return ''
    let first = bytes[start]!
    let last = length
    if (length >= WORD) {
      const at = start + length - WORD
      first |= (bytes[start + 1]! << 8) | (bytes[start + 2]! << 16) | (bytes[start + 3]! << 24)
      last = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    } else if (length > 1) first |= (bytes[start + 1]! << 8) | (bytes[start + length - 1]! << 16)
    // Multiplicative hashing (Knuth, The Art of Computer Programming, 6.4): two odd numbers without a pattern.
    const place = ((Math.imul(first, 0x9e3779b1) ^ Math.imul(last + length, 0x85ebca6b)) >>> 12) & (PLACES - 1)
    if (this.#firsts[place] === first && this.#lasts[place] === last) {
      const known = this.#texts[place]!
      if (known.length === length && (length <= 2 * WORD || this.#sameMiddle(bytes, start, length, place))) return known
    }
    if (!isAscii(bytes, start, length)) return bytes.toString('utf8', start, start + length)
    this.#firsts[place] = first
    this.#lasts[place] = last
    for (let i = WORD; i < length - WORD; i++) this.#middles[place * MIDDLE_BYTES + i - WORD] = bytes[start + i]!
    const text = this.#make(bytes, start, length)
    this.#texts[place] = text
    return text
  }

  #sameMiddle(bytes: Buffer, start: number, length: number, place: number): boolean {
    const middles = this.#middles
    const offset = place * MIDDLE_BYTES - WORD
    for (let i = WORD; i < length - WORD; i++) if (middles[offset + i] !== bytes[start + i]) return false
    return true
  }

  #make(bytes: Buffer, start: number, length: number): string {
    if (length > MAX_CHARACTERS_ONE_BY_ONE) return bytes.toString('latin1', start, start + length)
    const characters = this.#characters[length]!
    for (let i = 0; i < length; i++) characters[i] = bytes[start + i]!
    return String.fromCharCode.apply(String, characters)
  }
}

const isAscii = (bytes: Buffer, start: number, length: number): boolean => {
  let all = 0
  for (let i = start; i < start + length; i++) all |= bytes[i]!
  return all < 0x80
}
