/**
 * Names as heads of frames have them: a byte of length, and UTF-8. The same few names come again and again, and finding one
 * is several times cheaper than encoding it (measured: 15 ns against 120), so the latest are kept. Bounded.
 */
import { Buffer } from 'node:buffer'
import { SkeinError } from '../../certs/errors.ts'
import { MAX_NAME_BYTES } from './codec-types.ts'
import { MAX_KNOWN_TEXTS, type SentKeys } from './key-tables.ts'

const MAX_KEPT_NAMES = 256

/** A length that no name has, and a number. */
const NUMBERED = Array.from({ length: MAX_KNOWN_TEXTS }, (_, number) => Uint8Array.of(0, number))

interface Kept {
  /** As a text of its own: the one given may be a slice of a far longer text, which it would keep. */
  readonly name: string
  readonly bytes: Uint8Array
}

export class NameBytes {
  readonly #kept = new Map<string, Kept>()

  /** Throws ERR_SKEIN_BAD_ARGUMENT for a name that cannot be. */
  of(name: string, keys?: SentKeys): Uint8Array {
    const kept = this.#kept.get(name) ?? this.#encode(name)
    const number = keys === undefined ? -1 : keys.numberOf(kept.name)
    return number >= 0 ? NUMBERED[number]! : kept.bytes
  }

  #encode(name: string): Kept {
    const length = Buffer.byteLength(name)
    if (length === 0 || length > MAX_NAME_BYTES) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `A process name has 1 to ${MAX_NAME_BYTES} bytes, not ${length}`)
    }
    const bytes = new Uint8Array(1 + length)
    bytes[0] = length
    const encoded = Buffer.from(name, 'utf8')
    bytes.set(encoded, 1)
    const kept = { name: encoded.toString('utf8'), bytes }
    if (this.#kept.size >= MAX_KEPT_NAMES) this.#kept.clear()
    this.#kept.set(kept.name, kept)
    return kept
  }
}
