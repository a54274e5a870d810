/**
 * Reading and writing the small binary bodies of control frames: big-endian numbers, texts and byte strings with a length
 * in front. The reader trusts nothing: whatever does not fit is ERR_SKEIN_PROTOCOL before memory is taken for it.
 */
import { SkeinError } from '../../certs/errors.ts'

const FIRST_SIZE_BYTES = 256

export class ByteWriter {
  #buffer = Buffer.allocUnsafe(FIRST_SIZE_BYTES)
  #length = 0

  u8(value: number): this {
    this.#reserve(1)
    this.#length = this.#buffer.writeUInt8(value, this.#length)
    return this
  }

  u16(value: number): this {
    this.#reserve(2)
    this.#length = this.#buffer.writeUInt16BE(value, this.#length)
    return this
  }

  u32(value: number): this {
    this.#reserve(4)
    this.#length = this.#buffer.writeUInt32BE(value, this.#length)
    return this
  }

  /** At most 65535 bytes. */
  bytes(value: Uint8Array): this {
    this.u16(value.length)
    return this.raw(value)
  }

  /** At most 65535 bytes of UTF-8. */
  text(value: string): this {
    return this.bytes(Buffer.from(value, 'utf8'))
  }

  raw(value: Uint8Array): this {
    this.#reserve(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
    return this
  }

  get length(): number {
    return this.#length
  }

  done(): Uint8Array {
    return this.#buffer.subarray(0, this.#length)
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
    larger.set(this.#buffer.subarray(0, this.#length))
    this.#buffer = larger
  }
}

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

export class ByteReader {
  readonly #view: Buffer
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  }

  get left(): number {
    return this.#view.length - this.#at
  }

  u8(): number {
    return this.#view.readUInt8(this.#advance(1))
  }

  u16(): number {
    return this.#view.readUInt16BE(this.#advance(2))
  }

  u32(): number {
    return this.#view.readUInt32BE(this.#advance(4))
  }

  /** Valid as long as the bytes given to the constructor are. */
  bytes(maxBytes: number): Uint8Array {
    const length = this.u16()
    if (length > maxBytes) throw malformed(`a field of ${length} bytes where at most ${maxBytes} are allowed`)
    const start = this.#advance(length)
    return this.#view.subarray(start, start + length)
  }

  /** So many bytes, without a length in front; valid as those of `bytes`. */
  raw(count: number): Uint8Array {
    const start = this.#advance(count)
    return this.#view.subarray(start, start + count)
  }

  text(maxBytes: number): string {
    const bytes = this.bytes(maxBytes)
    try {
      return decoder.decode(bytes)
    } catch {
      throw malformed('a text that is not UTF-8')
    }
  }

  /** Nothing may be left. */
  end(): void {
    if (this.left > 0) throw malformed(`${this.left} bytes too many`)
  }

  #advance(count: number): number {
    if (count > this.left) throw malformed('a frame that ends too soon')
    const start = this.#at
    this.#at += count
    return start
  }
}

/** What a peer sent makes no sense. */
export const malformed = (what: string): SkeinError => new SkeinError('ERR_SKEIN_PROTOCOL', `The peer sent ${what}.`)
