/**
 * The incoming streams of one end of a connection of the memory network: order, though packets come late or twice, and the
 * windows that open as they are read (RFC 9000, sections 2 to 4).
 */
import type { Frame } from './memory-packet.ts'
import { firstStreamOf, type StreamLimits } from './outgoing-streams.ts'
import type { ReadResult } from './transport.ts'

type StreamFrame = Extract<Frame, { type: 'stream' }>
type ResetFrame = Extract<Frame, { type: 'reset' }>

interface IncomingStream {
  /** In order, ready to be read; the first one from `readInFirst` on. */
  readonly ready: Uint8Array[]
  readInFirst: number
  /** Bytes received without a gap, and of these read. */
  receivedBytes: number
  readBytes: number
  finished: boolean
  reset: boolean
  /** Frames behind a gap, by offset. Bounded by the window. */
  early: Map<number, StreamFrame> | undefined
  /** The last limit told to the sender. */
  limit: number
}

export class IncomingStreams {
  readonly #first: number
  readonly #limits: StreamLimits
  readonly #open = new Map<number, IncomingStream>()
  /** How many the peer opened; a number below that is not in `#open` was read to its end. */
  #opened = 0
  #done = 0
  #maxOpened: number
  #readBytes = 0
  #limitBytes: number
  /** Limits that the peer must hear of. */
  #toldStreams = new Set<number>()
  #tellConnection = false
  #tellCount = false
  readonly #result: ReadResult = { bytes: 0, finished: false, reset: false }

  constructor(peerRole: 'initiator' | 'acceptor', limits: StreamLimits) {
    this.#first = firstStreamOf(peerRole)
    this.#limits = limits
    this.#maxOpened = limits.maxStreams
    this.#limitBytes = limits.connectionWindowBytes
  }

  /** True when the frame made something readable. */
  receive(frame: StreamFrame | ResetFrame): boolean {
    const stream = this.#find(frame.stream)
    if (stream === undefined || stream.reset) return false
    if (frame.type === 'reset') return this.#reset(stream, frame.finalBytes)
    if (stream.finished) return false
    if (frame.offset > stream.receivedBytes) {
      stream.early ??= new Map()
      stream.early.set(frame.offset, frame)
      return false
    }
    // Frames are never cut anew when sent again: one that starts in what was received is known as a whole. The empty
    // frame that only finishes starts where the last one ended.
    if (frame.offset < stream.receivedBytes) return false
    this.#append(stream, frame)
    for (;;) {
      const next = stream.early?.get(stream.receivedBytes)
      if (next === undefined || stream.finished) break
      stream.early!.delete(next.offset)
      this.#append(stream, next)
    }
    return true
  }

  /** The result is reused by the next call. */
  read(number: number, target: Uint8Array): ReadResult {
    const result = this.#result
    result.bytes = 0
    result.finished = false
    result.reset = false
    const stream = this.#open.get(number)
    if (stream === undefined) return result
    let chunks = 0
    while (chunks < stream.ready.length && result.bytes < target.length) {
      const chunk = stream.ready[chunks]!
      const take = Math.min(chunk.length - stream.readInFirst, target.length - result.bytes)
      target.set(chunk.subarray(stream.readInFirst, stream.readInFirst + take), result.bytes)
      result.bytes += take
      stream.readInFirst += take
      if (stream.readInFirst < chunk.length) break
      stream.readInFirst = 0
      chunks++
    }
    if (chunks > 0) stream.ready.splice(0, chunks)
    stream.readBytes += result.bytes
    this.#readBytes += result.bytes
    result.reset = stream.reset
    result.finished = !stream.reset && stream.finished && stream.readBytes === stream.receivedBytes
    this.#widen(number, stream, result.finished || result.reset)
    return result
  }

  /** Whatever waits is dropped and counts as read, so that the windows open. */
  #reset(stream: IncomingStream, finalBytes: number): boolean {
    // All of it is here: the end that was read or will be read stands (RFC 9000, 3.2).
    if (stream.finished) return false
    stream.reset = true
    stream.ready.length = 0
    stream.readInFirst = 0
    stream.early = undefined
    this.#readBytes += finalBytes - stream.readBytes
    stream.receivedBytes = finalBytes
    stream.readBytes = finalBytes
    return true
  }

  /** True when `takeTold` has something to say. */
  get hasToTell(): boolean {
    return this.#tellCount || this.#tellConnection || this.#toldStreams.size > 0
  }

  /** Frames with the limits that grew, as they are now. */
  takeTold(): readonly Frame[] {
    const frames: Frame[] = []
    if (this.#tellCount) frames.push({ type: 'streams', limit: this.#maxOpened })
    if (this.#tellConnection) frames.push({ type: 'connectionWindow', limit: this.#limitBytes })
    for (const stream of this.#toldStreams) {
      const limit = this.#open.get(stream)?.limit
      if (limit !== undefined) frames.push({ type: 'streamWindow', stream, limit })
    }
    this.#tellCount = false
    this.#tellConnection = false
    this.#toldStreams.clear()
    return frames
  }

  /** A stream that is open, also if this is the first that is heard of it (which opens all before it: RFC 9000, 3.2). */
  #find(number: number): IncomingStream | undefined {
    const index = (number - this.#first) / 4
    for (; this.#opened <= index; this.#opened++) {
      this.#open.set(4 * this.#opened + this.#first, {
        ready: [],
        readInFirst: 0,
        receivedBytes: 0,
        readBytes: 0,
        finished: false,
        reset: false,
        early: undefined,
        limit: this.#limits.streamWindowBytes,
      })
    }
    return this.#open.get(number)
  }

  #append(stream: IncomingStream, frame: StreamFrame): void {
    if (frame.bytes.length > 0) stream.ready.push(frame.bytes)
    stream.receivedBytes += frame.bytes.length
    stream.finished = frame.finish
  }

  /** Half a window read is worth telling: often enough that a sender never stands, seldom enough to be cheap. */
  #widen(number: number, stream: IncomingStream, isDone: boolean): void {
    const { streamWindowBytes, connectionWindowBytes, maxStreams } = this.#limits
    if (isDone) {
      this.#open.delete(number)
      this.#done++
      if (this.#done + maxStreams - this.#maxOpened >= maxStreams / 2) {
        this.#maxOpened = this.#done + maxStreams
        this.#tellCount = true
      }
    } else if (stream.readBytes + streamWindowBytes - stream.limit >= streamWindowBytes / 2) {
      stream.limit = stream.readBytes + streamWindowBytes
      this.#toldStreams.add(number)
    }
    if (this.#readBytes + connectionWindowBytes - this.#limitBytes >= connectionWindowBytes / 2) {
      this.#limitBytes = this.#readBytes + connectionWindowBytes
      this.#tellConnection = true
    }
  }
}
