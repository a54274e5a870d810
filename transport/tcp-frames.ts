/**
 * The frames in which many streams share one TLS connection (docs/tcp.md has the table).
 *
 * A frame is `type u8, length u24 of what follows, body`, numbers big-endian. The body of a data frame begins with the
 * number of its stream and is handed on as it arrives, so a frame that is cut in two by the network costs no copy. All
 * other frames are short and are collected first.
 *
 * What a frame says is judged elsewhere (tcp-streams.ts, tcp-connection.ts); here only its type and length are, before
 * memory is taken.
 */
import { SkeinError } from '../certs/errors.ts'
import { GATE_TAG_BYTES } from './gate.ts'
import { MAX_DATAGRAM_BYTES } from './transport.ts'

/** Numbers on the wire. */
export const FRAME = {
  data: 0,
  /** Data, and the stream ends behind it. */
  end: 1,
  reset: 2,
  /** The receiver of a stream takes its bytes up to here. */
  credit: 3,
  /** The peer may open so many streams over the connection's life. */
  streams: 4,
  datagram: 5,
  ping: 6,
  /** Answers this ping and all before it. */
  pong: 7,
  close: 8,
  /** Shows that its sender knows the cookie; the first frame. */
  word: 9,
} as const

const HEAD_BYTES = 4
const STREAM_BYTES = 6
/** Longest piece of a stream in one frame, bytes: what is urgent comes behind no more than one of these. */
export const MAX_DATA_BYTES = 16 * 1024
/** As in close-codes.ts. */
const MAX_CLOSE_BYTES = 4 + 200

/** Shortest and longest body of each type, by its number. */
const LENGTHS: readonly (readonly [number, number])[] = [
  [STREAM_BYTES + 1, STREAM_BYTES + MAX_DATA_BYTES],
  [STREAM_BYTES, STREAM_BYTES + MAX_DATA_BYTES],
  [STREAM_BYTES, STREAM_BYTES],
  [2 * STREAM_BYTES, 2 * STREAM_BYTES],
  [STREAM_BYTES, STREAM_BYTES],
  [0, MAX_DATAGRAM_BYTES],
  [4, 4],
  [4, 4],
  [4, MAX_CLOSE_BYTES],
  [GATE_TAG_BYTES, GATE_TAG_BYTES],
]

/** A writer begins with a piece of memory of this size and takes large ones for large flushes. */
const SMALL_SLAB_BYTES = 4 * 1024
const LARGE_SLAB_BYTES = 64 * 1024

const NO_BYTES = new Uint8Array(0)

export interface FrameSink {
  /** A piece of a stream; the bytes are only lent. `ends`: the stream ends behind it. */
  data(stream: number, bytes: Uint8Array, ends: boolean): void
  /** Any other frame; its body is the receiver's to keep. */
  frame(type: number, body: Buffer): void
}

/** Bytes in, frames out. */
export class FrameReader {
  readonly #sink: FrameSink
  /** The frame that is being collected: its head, and its body unless that is data. */
  readonly #held = Buffer.alloc(HEAD_BYTES + MAX_DATAGRAM_BYTES)
  #heldBytes = 0
  #wantedBytes = HEAD_BYTES
  #type = 0
  #stream = 0
  /** Of the data frame under way. */
  #leftBytes = 0

  constructor(sink: FrameSink) {
    this.#sink = sink
  }

  /** Throws ERR_SKEIN_PROTOCOL for what is no frame; nothing may be read after that. */
  take(chunk: Uint8Array): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#leftBytes > 0) {
        const bytes = chunk.subarray(at, at + this.#leftBytes)
        at += bytes.length
        this.#leftBytes -= bytes.length
        this.#sink.data(this.#stream, bytes, this.#leftBytes === 0 && this.#type === FRAME.end)
        continue
      }
      const bytes = chunk.subarray(at, at + this.#wantedBytes - this.#heldBytes)
      this.#held.set(bytes, this.#heldBytes)
      this.#heldBytes += bytes.length
      at += bytes.length
      if (this.#heldBytes === this.#wantedBytes) this.#collected()
    }
  }

  #collected(): void {
    if (this.#wantedBytes === HEAD_BYTES) {
      this.#begin()
      if (this.#wantedBytes > HEAD_BYTES) return
    }
    const length = this.#held.readUIntBE(1, 3)
    this.#heldBytes = 0
    this.#wantedBytes = HEAD_BYTES
    if (this.#type > FRAME.end) {
      this.#sink.frame(this.#type, Buffer.from(this.#held.subarray(HEAD_BYTES, HEAD_BYTES + length)))
      return
    }
    this.#stream = this.#held.readUIntBE(HEAD_BYTES, STREAM_BYTES)
    this.#leftBytes = length - STREAM_BYTES
    if (this.#leftBytes === 0) this.#sink.data(this.#stream, NO_BYTES, true)
  }

  #begin(): void {
    this.#type = this.#held[0] as number
    const length = this.#held.readUIntBE(1, 3)
    const [least, most] = LENGTHS[this.#type] ?? [1, 0]
    if (length < least || length > most) {
      throw new SkeinError('ERR_SKEIN_PROTOCOL', `the peer sent a frame of type ${this.#type} and ${length} bytes`)
    }
    this.#wantedBytes = HEAD_BYTES + (this.#type > FRAME.end ? length : STREAM_BYTES)
  }
}

/** Frames in, pieces of memory out that are never written to again. */
export class FrameWriter {
  #slab = Buffer.alloc(0)
  #start = 0
  #end = 0
  readonly #full: Buffer[] = []
  /** Written and not taken. */
  bytes = 0

  /** One data frame; at most MAX_DATA_BYTES. */
  data(stream: number, bytes: Uint8Array, ends: boolean): void {
    this.#head(ends ? FRAME.end : FRAME.data, STREAM_BYTES + bytes.length)
    this.#number(stream, STREAM_BYTES)
    this.#slab.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /** A frame of numbers of six bytes: streams and limits. */
  limits(type: number, ...numbers: number[]): void {
    this.#head(type, STREAM_BYTES * numbers.length)
    for (const number of numbers) this.#number(number, STREAM_BYTES)
  }

  /** A ping, or the answer to one. */
  ping(type: number, number: number): void {
    this.#head(type, 4)
    this.#number(number, 4)
  }

  /** A frame whose body is these bytes: a datagram, or a word. */
  body(type: number, bytes: Uint8Array): void {
    this.#head(type, bytes.length)
    this.#slab.set(bytes, this.#end)
    this.#end += bytes.length
  }

  /** The message is bounded by the caller (boundedCloseMessage). */
  close(wireCode: number, message: string): void {
    const text = Buffer.from(message)
    this.#head(FRAME.close, 4 + text.length)
    this.#number(wireCode, 4)
    this.#slab.set(text, this.#end)
    this.#end += text.length
  }

  /** All that was written, in order. */
  take(): Buffer[] {
    this.#cut()
    this.bytes = 0
    return this.#full.splice(0)
  }

  #head(type: number, length: number): void {
    const frameBytes = HEAD_BYTES + length
    if (this.#slab.length - this.#end < frameBytes) {
      this.#cut()
      const isSmall = this.bytes + frameBytes <= SMALL_SLAB_BYTES
      this.#slab = Buffer.allocUnsafeSlow(isSmall ? SMALL_SLAB_BYTES : LARGE_SLAB_BYTES)
      this.#start = 0
      this.#end = 0
    }
    this.bytes += frameBytes
    this.#number(type, 1)
    this.#number(length, 3)
  }

  #number(value: number, sizeBytes: number): void {
    this.#end = this.#slab.writeUIntBE(value, this.#end, sizeBytes)
  }

  #cut(): void {
    if (this.#end > this.#start) this.#full.push(this.#slab.subarray(this.#start, this.#end))
    this.#start = this.#end
  }
}

/** The numbers of a `limits` frame. */
export const limitsOf = (body: Buffer): number[] =>
  Array.from({ length: body.length / STREAM_BYTES }, (_, i) => body.readUIntBE(STREAM_BYTES * i, STREAM_BYTES))
