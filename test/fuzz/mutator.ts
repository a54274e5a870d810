/**
 * One input from another: bits and numbers changed, pieces taken out, doubled, moved or put in, words of the format, lengths
 * that lie, and halves of two inputs put together.
 */
import type { Chance } from './chance.ts'

/** Where decoders have their limits. */
const EDGES: readonly number[] = [0, 1, 2, 0x7f, 0x80, 0xc1, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x10000, 2 ** 31 - 1]
const LARGE_EDGES: readonly number[] = [2 ** 31, 2 ** 32 - 1, 2 ** 24 - 1, 2 ** 24, 2 ** 30]
const NUMBERS: readonly string[] = [
  '0',
  '1',
  '-1',
  '00',
  '65535',
  '65536',
  '4294967296',
  '9007199254740993',
  '99999999',
]
const DIGIT_0 = 0x30
const DIGIT_9 = 0x39

export class Mutator {
  readonly #chance: Chance
  readonly #words: readonly Uint8Array[]
  readonly #maxBytes: number
  /** The input being made. */
  readonly #bytes: Buffer
  #length = 0

  constructor(chance: Chance, dictionary: readonly (string | Uint8Array)[], maxBytes: number) {
    this.#chance = chance
    this.#words = dictionary.map((word) => (typeof word === 'string' ? Buffer.from(word, 'latin1') : word))
    this.#maxBytes = maxBytes
    this.#bytes = Buffer.alloc(maxBytes)
  }

  /** Valid until the next call. */
  mutate(base: Uint8Array, other: Uint8Array): Uint8Array {
    const chance = this.#chance
    this.#length = Math.min(base.length, this.#maxBytes)
    this.#bytes.set(base.subarray(0, this.#length))
    for (let left = 1 << chance.below(4); left > 0; left -= 1 + chance.below(3)) this.#change(other)
    return this.#bytes.subarray(0, this.#length)
  }

  #change(other: Uint8Array): void {
    const chance = this.#chance
    const bytes = this.#bytes
    const length = this.#length
    const at = chance.below(length)
    switch (length === 0 ? 6 : chance.below(13)) {
      case 0:
        bytes[at]! ^= 1 << chance.below(8)
        break
      case 1:
        bytes[at] = chance.below(256)
        break
      case 2:
        bytes[at] = chance.pick(EDGES) & 0xff
        break
      case 3:
        this.#number(at, chance.oneIn(3) ? length - at - chance.below(6) : chance.pick(EDGES.concat(LARGE_EDGES)))
        break
      case 4:
        bytes[at] = bytes[at]! + chance.below(9) - 4
        break
      case 5:
        this.#replace(at, 1 + chance.below(Math.min(length - at, 64)), EMPTY)
        break
      case 6:
        this.#replace(at, 0, chance.bytes(1 + chance.below(8)))
        break
      case 7:
        if (this.#words.length > 0) {
          const word = chance.pick(this.#words)
          this.#replace(at, chance.oneIn(2) ? 0 : word.length, word)
        }
        break
      case 8:
        this.#replace(
          chance.below(length),
          0,
          Buffer.from(bytes.subarray(at, at + 1 + chance.below(64)).subarray(0, length - at)),
        )
        break
      case 9:
        if (chance.oneIn(4)) this.#length = at
        break
      case 10: {
        const from = chance.below(other.length)
        const piece = other.subarray(from, chance.oneIn(2) ? other.length : from + chance.below(64))
        this.#replace(at, chance.oneIn(2) ? length - at : piece.length, piece)
        break
      }
      case 11:
        this.#digits(at)
        break
      case 12: {
        const to = chance.below(length)
        const count = Math.min(1 + chance.below(16), length - at, length - to)
        bytes.copyWithin(to, at, at + count)
      }
    }
  }

  /** In one, two, three or four bytes, either way round. */
  #number(at: number, value: number): void {
    const size = 1 + this.#chance.below(4)
    if (at + size > this.#length) return
    const bounded = value < 0 ? 0 : value % 2 ** (8 * size)
    if (this.#chance.oneIn(2)) this.#bytes.writeUIntBE(bounded, at, size)
    else this.#bytes.writeUIntLE(bounded, at, size)
  }

  /** The next decimal number becomes another one. */
  #digits(from: number): void {
    const isDigit = (at: number): boolean => this.#bytes[at]! >= DIGIT_0 && this.#bytes[at]! <= DIGIT_9
    let start = from
    while (start < this.#length && !isDigit(start)) start++
    let end = start
    while (end < this.#length && isDigit(end)) end++
    if (start === end) return
    const chance = this.#chance
    const near = Number(this.#bytes.toString('latin1', start, end)) + chance.below(5) - 2
    this.#replace(start, end - start, Buffer.from(chance.oneIn(2) ? `${near}` : chance.pick(NUMBERS)))
  }

  #replace(at: number, count: number, by: Uint8Array): void {
    const bytes = this.#bytes
    const removed = Math.min(count, this.#length - at)
    const added = Math.min(by.length, this.#maxBytes - (this.#length - removed))
    bytes.copyWithin(at + added, at + removed, this.#length)
    bytes.set(by.subarray(0, added), at)
    this.#length += added - removed
  }
}

const EMPTY = new Uint8Array(0)
