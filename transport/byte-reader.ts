/** The reading end of a stream of bytes: what came together with its opening, then the QUIC stream itself (byte-streams.ts). */
import type { ByteReader, ByteReaderHandler, StreamCut } from './byte-stream.ts'
import type { Rest } from './lane-in.ts'
import { FRAME_DELIVERED, FRAME_STOPPED, NUMBER_BYTES, type StreamCarrier, tellCut } from './stream-carrier.ts'
import type { ReadResult } from './transport.ts'

/** The byte that came with the end is no part of the stream (byte-writer.ts). */
const END_BYTES = 1
const NOTHING: ReadResult = { bytes: 0, finished: false, reset: false }

/** How a reader was done with its stream. */
type Outcome = 'finished' | 'cut'

export class Reader implements ByteReader {
  readonly #carrier: StreamCarrier
  readonly #number: number
  readonly #handler: ByteReaderHandler
  readonly #forget: (stream: number | undefined, outcome: Outcome) => void
  /** Read together with the opening of the stream. */
  #rest: Buffer | undefined
  /** The end was read with it. */
  #restFinished = false
  /** The QUIC stream was cut off; the frame that says why is on its way. */
  #reset = false
  #over = false
  /** The QUIC stream; undefined until it has begun. */
  stream: number | undefined

  constructor(
    carrier: StreamCarrier,
    number: number,
    handler: ByteReaderHandler,
    forget: (stream: number | undefined, outcome: Outcome) => void,
  ) {
    this.#carrier = carrier
    this.#number = number
    this.#handler = handler
    this.#forget = forget
  }

  begin(stream: number, { bytes, finished }: Rest): void {
    this.stream = stream
    this.#rest = finished ? bytes?.subarray(0, -END_BYTES) : bytes
    this.#restFinished = finished
    this.#handler.onReadable()
  }

  readable(): void {
    this.#handler.onReadable()
  }

  read(target: Uint8Array): ReadResult {
    if (this.#over || this.#reset || this.stream === undefined || this.#carrier.closed) return NOTHING
    const rest = this.#rest
    if (rest !== undefined) {
      const bytes = Math.min(rest.length, target.length)
      target.set(rest.subarray(0, bytes))
      this.#rest = bytes < rest.length ? rest.subarray(bytes) : undefined
      const finished = this.#rest === undefined && this.#restFinished
      if (finished) this.#finished()
      return { bytes, finished, reset: false }
    }
    if (this.#restFinished) {
      this.#finished()
      return { bytes: 0, finished: true, reset: false }
    }
    const result = this.#carrier.connection.read(this.stream, target)
    this.#reset = result.reset
    if (!result.finished) return result
    this.#finished()
    return { bytes: Math.max(0, result.bytes - END_BYTES), finished: true, reset: false }
  }

  stop(why: StreamCut): void {
    if (this.#over) return
    this.#cut()
    tellCut(this.#carrier, FRAME_STOPPED, this.#number, why)
  }

  aborted(why: StreamCut): void {
    this.#cut()
    this.#handler.onAborted(why)
  }

  #cut(): void {
    this.#over = true
    this.#rest = undefined
    this.#forget(this.stream, this.#reset || this.#restFinished ? 'finished' : 'cut')
  }

  #finished(): void {
    this.#over = true
    this.#forget(this.stream, 'finished')
    const body = Buffer.allocUnsafe(NUMBER_BYTES)
    body.writeUInt32LE(this.#number)
    this.#carrier.control(FRAME_DELIVERED, body)
  }
}
