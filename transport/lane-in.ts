/**
 * The receiving end of one lane: stream bytes in, whole frames out, in order, never more memory than arrived.
 *
 * Small frames are parsed where they were read; a frame that does not fit grows a buffer of its own as its bytes come
 * (a claimed length alone takes no memory). A lane that must wait (its mark is not reached, or its receiver's mailbox is
 * full) is simply not read: QUIC's flow control then holds back its sender and nobody else.
 */
import { SkeinError } from '../certs/errors.ts'
import type { LaneKind } from './lane-out.ts'
import type { Connection } from './transport.ts'

/** Read per lane before other lanes and the rest of the process get their turn, bytes. */
const READ_BUDGET_BYTES = 512 * 1024
/** One read's room, shared by all lanes of a connection. */
export const SCRATCH_BYTES = 128 * 1024
/** Frames above this are collected in a buffer of their own. */
const LARGE_FRAME_BYTES = 16 * 1024
/** First size of such a buffer; it doubles as bytes arrive, and up to this size it is kept for the next frame. */
const FIRST_LARGE_BYTES = 256 * 1024

/** What became of a frame. */
export type FrameOutcome = 'next' | 'pause' | 'closed'

/** Takes one frame: its type byte is at buffer[start], its bytes end before `end`. Throws ERR_SKEIN_PROTOCOL for a bad one. */
export type TakeFrame = (lane: InLane, buffer: Uint8Array, start: number, end: number) => FrameOutcome

export type PumpResult = 'waiting' | 'more' | 'paused' | 'finished' | 'cutOff' | 'closed'

/** What was read of a stream of bytes together with its opening. */
export interface Rest {
  readonly bytes: Buffer | undefined
  /** The end was read too. */
  readonly finished: boolean
}

export class InLane {
  readonly stream: number
  kind: 'unknown' | LaneKind = 'unknown'
  /** Of the stream of bytes, if it is one. */
  streamNumber = 0
  paused = false
  /** Its budget was spent: it goes on once others had their turn, and not before. */
  continues = false
  #finished = false
  /** Bytes read but not yet parsed: the start of a small frame, or all that followed when the lane was paused. */
  #carry: Buffer | undefined
  /** The carry was left by a pause and may hold whole frames. */
  #carryUnparsed = false
  /** A large frame on its way: its bytes after the length field. */
  #large: Buffer | undefined
  #largeLength = 0
  #largeFilled = 0

  constructor(stream: number) {
    this.stream = stream
  }

  /** Reads and hands out what there is. Throws ERR_SKEIN_PROTOCOL when the bytes are no frames. */
  pump(connection: Connection, scratch: Buffer, maxFrameBytes: number, take: TakeFrame): PumpResult {
    if (this.paused) return 'paused'
    let budget = READ_BUDGET_BYTES
    if (this.#carryUnparsed) {
      const carry = this.#carry as Buffer
      this.#carry = undefined
      this.#carryUnparsed = false
      const outcome = this.#parse(carry, 0, carry.length, maxFrameBytes, take, true)
      if (outcome !== 'next') return outcome === 'pause' ? 'paused' : 'closed'
    }
    while (budget > 0) {
      if (this.#finished) return this.#end()
      const outcome =
        this.#largeLength > 0
          ? this.#readLarge(connection, take)
          : this.#readSmall(connection, scratch, maxFrameBytes, take)
      if (typeof outcome !== 'number') return outcome
      budget -= outcome
    }
    return 'more'
  }

  #readSmall(connection: Connection, scratch: Buffer, maxFrameBytes: number, take: TakeFrame): PumpResult | number {
    const carried = this.#carry?.length ?? 0
    if (this.#carry !== undefined) {
      scratch.set(this.#carry)
      this.#carry = undefined
    }
    const room = scratch.length - carried
    const { bytes, finished, reset } = connection.read(this.stream, carried === 0 ? scratch : scratch.subarray(carried))
    if (reset) return this.#cutOff()
    this.#finished = finished
    if (bytes === 0 && carried > 0) this.#carry = Buffer.from(scratch.subarray(0, carried))
    if (bytes === 0) return finished ? this.#end() : 'waiting'
    const outcome = this.#parse(scratch, 0, carried + bytes, maxFrameBytes, take)
    return outcome === 'next' ? this.#afterRead(bytes, room) : outcome === 'pause' ? 'paused' : 'closed'
  }

  /** A read that left room took all there was: the next one would find nothing. */
  #afterRead(bytes: number, room: number): PumpResult | number {
    return bytes < room && !this.#finished ? 'waiting' : bytes
  }

  #readLarge(connection: Connection, take: TakeFrame): PumpResult | number {
    let buffer = this.#large as Buffer
    if (this.#largeFilled === buffer.length) {
      const grown = Buffer.allocUnsafeSlow(Math.min(this.#largeLength, buffer.length * 2))
      buffer.copy(grown, 0, 0, this.#largeFilled)
      this.#large = buffer = grown
    }
    const end = Math.min(buffer.length, this.#largeLength)
    const room = end - this.#largeFilled
    const { bytes, finished, reset } = connection.read(this.stream, buffer.subarray(this.#largeFilled, end))
    if (reset) return this.#cutOff()
    this.#finished = finished
    if (bytes === 0) return finished ? this.#end() : 'waiting'
    this.#largeFilled += bytes
    if (this.#largeFilled < this.#largeLength) return this.#afterRead(bytes, room)
    const length = this.#largeLength
    this.#largeLength = 0
    this.#largeFilled = 0
    const outcome = take(this, buffer, 0, length)
    if (buffer.length > FIRST_LARGE_BYTES) this.#large = undefined
    if (outcome === 'pause') this.paused = true
    return outcome === 'next' ? this.#afterRead(bytes, room) : outcome === 'pause' ? 'paused' : 'closed'
  }

  /** Hands out the whole frames of buffer[start..end) and keeps the rest, as it is where the buffer is the lane's own. */
  #parse(
    buffer: Buffer,
    start: number,
    end: number,
    maxFrameBytes: number,
    take: TakeFrame,
    isOwn = false,
  ): FrameOutcome {
    let at = start
    while (end - at >= 4) {
      const length = buffer.readUInt32LE(at)
      if (length < 1 || length > maxFrameBytes) {
        throw new SkeinError('ERR_SKEIN_PROTOCOL', `a frame claims ${length} bytes; 1 to ${maxFrameBytes} are allowed`)
      }
      const frameEnd = at + 4 + length
      if (frameEnd > end) {
        if (length > LARGE_FRAME_BYTES) {
          this.#beginLarge(buffer, at + 4, end, length)
          return 'next'
        }
        break
      }
      const outcome = take(this, buffer, at + 4, frameEnd)
      at = frameEnd
      if (outcome === 'closed') return outcome
      if (outcome === 'pause') {
        this.paused = true
        if (at < end) {
          this.#carry = kept(buffer, at, end, isOwn)
          this.#carryUnparsed = true
        }
        return outcome
      }
    }
    if (at < end) this.#carry = kept(buffer, at, end, isOwn)
    return 'next'
  }

  #beginLarge(buffer: Buffer, from: number, end: number, length: number): void {
    const have = end - from
    const wanted = Math.min(length, Math.max(FIRST_LARGE_BYTES, have))
    if (this.#large === undefined || this.#large.length < wanted) this.#large = Buffer.allocUnsafeSlow(wanted)
    buffer.copy(this.#large, 0, from, end)
    this.#largeLength = length
    this.#largeFilled = have
  }

  /** What was read behind the opening of a stream of bytes; the lane is not read any more. */
  takeRest(): Rest {
    const bytes = this.#carry
    this.#carry = undefined
    return { bytes, finished: this.#finished }
  }

  /** Streams of bytes may be cut off, also before their opening has arrived; lanes may not. */
  #cutOff(): PumpResult {
    if (this.kind !== 'unknown') throw new SkeinError('ERR_SKEIN_PROTOCOL', 'the peer cut off a lane')
    return 'cutOff'
  }

  #end(): PumpResult {
    if (this.#carry !== undefined || this.#largeLength > 0)
      throw new SkeinError('ERR_SKEIN_PROTOCOL', 'a lane ended within a frame')
    return 'finished'
  }
}

/** Bytes of a shared buffer are copied, since others will write there; those of the lane's own stay where they are. */
const kept = (buffer: Buffer, start: number, end: number, isOwn: boolean): Buffer => {
  const rest = buffer.subarray(start, end)
  return isOwn ? rest : Buffer.from(rest)
}
