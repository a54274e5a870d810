/**
 * A buffer that grows up to a limit, and the forms of MessagePack that need no thought: numbers, strings, headers. The
 * encoder builds on it and decides what may be written at all.
 *
 * Invariant: no more than the limit (and a little slack for one scalar) is ever allocated; what would need more is refused
 * by `tooLarge` before it is.
 */
import { Buffer } from 'node:buffer'
import type { SkeinError } from '../../certs/errors.ts'
import { KNOWN_KEY } from './codec-types.ts'

const INITIAL_BYTES = 8192
/** A buffer that one large message made larger than this is not kept for the next. */
const KEPT_BYTES = 1024 * 1024
/** Room for any header, for a scalar with its header and for a short string; asked for before each of them. */
const SCALAR_ROOM = 32
/** Below this a loop over characters beats the native call (measured). With its header it fits into SCALAR_ROOM. */
const SHORT_STRING = 32
/** Below this a loop over bytes beats the call into the engine (measured). */
const SHORT_BYTES = 96
/** Type, four bytes of length, number of the extension. */
const EXTENSION_HEADER_BYTES = 6

/** What a use of the writer within a use of the writer gives back. */
export interface WriterState {
  readonly bytes: Buffer
  readonly position: number
  readonly limit: number
}

export abstract class Writer {
  protected bytes: Buffer = Buffer.allocUnsafeSlow(INITIAL_BYTES)
  protected position = 0
  /** The place that the position must not pass. */
  protected limit = 0
  readonly #double = new Float64Array(1)
  readonly #doubleBytes = new Uint8Array(this.#double.buffer)

  protected abstract tooLarge(): SkeinError

  /** Begins anew behind `reserved` bytes, for at most `maxBytes`. */
  protected begin(reserved: number, maxBytes: number): void {
    if (this.bytes.length > KEPT_BYTES) this.bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES)
    this.position = reserved
    this.limit = reserved + maxBytes
  }

  /** Puts what is being written aside, with its buffer. */
  protected putAside(): WriterState {
    const { bytes, position, limit } = this
    this.bytes = Buffer.allocUnsafeSlow(INITIAL_BYTES)
    return { bytes, position, limit }
  }

  protected takeBack(state: WriterState): void {
    this.bytes = state.bytes
    this.position = state.position
    this.limit = state.limit
  }

  protected scalarRoom(): void {
    if (this.position + SCALAR_ROOM > this.bytes.length) this.room(SCALAR_ROOM)
  }

  /** Makes sure that `count` more bytes can be written. */
  protected room(count: number): void {
    const needed = this.position + count
    if (needed <= this.bytes.length) return
    const most = this.limit + 2 * SCALAR_ROOM
    if (needed > most) throw this.tooLarge()
    const larger = Buffer.allocUnsafeSlow(Math.min(most, Math.max(needed, 2 * this.bytes.length)))
    this.bytes.copy(larger, 0, 0, this.position)
    this.bytes = larger
  }

  protected byte(value: number): void {
    this.bytes[this.position++] = value
  }

  /** The shortest integer form up to 32 bits, a double for anything else (-0 too). */
  protected number(value: number): void {
    this.scalarRoom()
    const bytes = this.bytes
    let position = this.position
    if (value >>> 0 === value && !Object.is(value, -0)) {
      if (value < 0x80) {
        bytes[position++] = value
      } else if (value < 0x100) {
        bytes[position++] = 0xcc
        bytes[position++] = value
      } else if (value < 0x10000) {
        bytes[position++] = 0xcd
        bytes[position++] = value >>> 8
        bytes[position++] = value
      } else {
        bytes[position++] = 0xce
        bytes[position++] = value >>> 24
        bytes[position++] = value >>> 16
        bytes[position++] = value >>> 8
        bytes[position++] = value
      }
    } else if (value >> 0 === value && value < 0) {
      if (value >= -0x20) {
        bytes[position++] = value
      } else if (value >= -0x80) {
        bytes[position++] = 0xd0
        bytes[position++] = value
      } else if (value >= -0x8000) {
        bytes[position++] = 0xd1
        bytes[position++] = value >>> 8
        bytes[position++] = value
      } else {
        bytes[position++] = 0xd2
        bytes[position++] = value >>> 24
        bytes[position++] = value >>> 16
        bytes[position++] = value >>> 8
        bytes[position++] = value
      }
    } else {
      bytes[position++] = 0xcb
      this.#double[0] = value
      const from = this.#doubleBytes
      bytes[position] = from[7]!
      bytes[position + 1] = from[6]!
      bytes[position + 2] = from[5]!
      bytes[position + 3] = from[4]!
      bytes[position + 4] = from[3]!
      bytes[position + 5] = from[2]!
      bytes[position + 6] = from[1]!
      bytes[position + 7] = from[0]!
      position += 8
    }
    this.position = position
  }

  protected knownKey(number: number): void {
    this.scalarRoom()
    this.byte(KNOWN_KEY)
    this.byte(number)
  }

  protected string(value: string): void {
    if (value.length >= SHORT_STRING || !this.#shortString(value)) this.#longString(value)
  }

  /** False, and nothing written, if it is not all ASCII. */
  #shortString(value: string): boolean {
    const length = value.length
    this.scalarRoom()
    const bytes = this.bytes
    const position = this.position
    bytes[position] = 0xa0 | length
    for (let i = 0; i < length; i++) {
      const unit = value.charCodeAt(i)
      if (unit >= 0x80) return false
      bytes[position + 1 + i] = unit
    }
    this.position = position + 1 + length
    return true
  }

  /** Any string; the header is chosen by the most bytes it may need, so that nothing has to be moved afterwards. */
  #longString(value: string): void {
    const mostBytes = value.length * 3
    if (this.position + mostBytes + SCALAR_ROOM > this.bytes.length) {
      if (this.position + value.length > this.limit) throw this.tooLarge()
      this.room(Buffer.byteLength(value) + SCALAR_ROOM)
    }
    const bytes = this.bytes
    const position = this.position
    const headerBytes = mostBytes < 0x100 ? 2 : mostBytes < 0x10000 ? 3 : 5
    const length = bytes.write(value, position + headerBytes, 'utf8')
    if (headerBytes === 2) {
      bytes[position] = 0xd9
      bytes[position + 1] = length
    } else if (headerBytes === 3) {
      bytes[position] = 0xda
      bytes[position + 1] = length >>> 8
      bytes[position + 2] = length
    } else {
      bytes[position] = 0xdb
      bytes.writeUInt32BE(length, position + 1)
    }
    this.position = position + headerBytes + length
  }

  /** The header of an array (0x90, 0xdc) or a map (0x80, 0xde). */
  protected header(count: number, short: 0x80 | 0x90, long: 0xdc | 0xde): void {
    if (count < 16) {
      this.byte(short | count)
    } else if (count < 0x10000) {
      this.byte(long)
      this.byte(count >>> 8)
      this.byte(count)
    } else {
      this.byte(long + 1)
      this.position = this.bytes.writeUInt32BE(count, this.position)
    }
  }

  /** Corrects the number in a header that was written at `start` for at least as many. */
  protected setCount(start: number, count: number): void {
    const bytes = this.bytes
    if (bytes[start] === 0xde || bytes[start] === 0xdc) bytes.writeUInt16BE(count, start + 1)
    else if (bytes[start] === 0xdf || bytes[start] === 0xdd) bytes.writeUInt32BE(count, start + 1)
    else bytes[start] = (bytes[start]! & 0xf0) | count
  }

  protected binHeader(length: number): void {
    if (length < 0x100) {
      this.byte(0xc4)
    } else {
      this.byte(0xc6)
      this.byte(length >>> 24)
      this.byte(length >>> 16)
      this.byte(length >>> 8)
    }
    this.byte(length)
  }

  protected append(content: Uint8Array): void {
    const { length } = content
    this.room(length + SCALAR_ROOM)
    const { bytes, position } = this
    if (length > SHORT_BYTES) bytes.set(content, position)
    else for (let i = 0; i < length; i++) bytes[position + i] = content[i]!
    this.position = position + length
  }

  /** Always with a length of 4 bytes, filled in by `closeExtension`: bodies are written where they stay. */
  protected openExtension(type: number): number {
    this.scalarRoom()
    const start = this.position
    this.bytes[start] = 0xc9
    this.bytes[start + 5] = type
    this.position = start + EXTENSION_HEADER_BYTES
    return start
  }

  protected closeExtension(start: number): void {
    this.bytes.writeUInt32BE(this.position - start - EXTENSION_HEADER_BYTES, start + 1)
  }
}
