/** The writing end of a stream of bytes: what waits for the connection, and how the stream ends (byte-streams.ts). */
import { SkeinError } from '../certs/errors.ts'
import type { ByteWriter, ByteWriterHandler, StreamCut, StreamPriority } from './byte-stream.ts'
import { OutLane } from './lane-out.ts'
import { FRAME_ABORTED, type StreamCarrier, tellCut } from './stream-carrier.ts'

/** What a writer may have waiting here, beyond what QUIC has taken, bytes. */
const STREAM_BUFFER_BYTES = 256 * 1024
/** A writer that found no room goes on when no more than this waits. */
const STREAM_LOW_WATER_BYTES = 128 * 1024
/** What a stream writes per round, bytes; a heavy lane writes 16 KiB. Streams thus share 4 : 2 : 1. */
const STREAM_QUANTUM_BYTES: Readonly<Record<StreamPriority, number>> = {
  high: 32 * 1024,
  normal: 16 * 1024,
  low: 8 * 1024,
}

/** Comes with the end and is no part of the stream: a FIN needs company (lane-out.ts). */
const END_BYTE = Uint8Array.of(0)

export class Writer implements ByteWriter {
  readonly #carrier: StreamCarrier
  readonly #number: number
  readonly #handler: ByteWriterHandler
  readonly #forget: () => void
  readonly #lane: OutLane
  #over = false

  constructor(
    carrier: StreamCarrier,
    number: number,
    priority: StreamPriority,
    handler: ByteWriterHandler,
    forget: () => void,
  ) {
    this.#carrier = carrier
    this.#number = number
    this.#handler = handler
    this.#forget = forget
    this.#lane = new OutLane('stream', carrier.pool)
    this.#lane.quantumBytes = STREAM_QUANTUM_BYTES[priority]
    this.#lane.lowWaterBytes = STREAM_LOW_WATER_BYTES
  }

  begin(): void {
    this.#carrier.begin(this.#lane, this.#number)
  }

  write(bytes: Uint8Array): number {
    // Whatever is written to a connection that is over vanishes, as frames do.
    if (this.#over || this.#carrier.closed) return bytes.length
    const lane = this.#lane
    const count = Math.min(bytes.length, STREAM_BUFFER_BYTES - lane.queuedBytes)
    if (count > 0) {
      lane.appendBytes(count === bytes.length ? bytes : bytes.subarray(0, count))
      this.#carrier.list(lane)
    }
    if (count === bytes.length) return count
    if (lane.waiters.length === 0) lane.waiters.push(() => this.#hasRoom())
    return Math.max(0, count)
  }

  finish(): void {
    if (this.#over || this.#lane.finishing) return
    this.#lane.appendBytes(END_BYTE)
    this.#lane.finishing = true
    this.#carrier.list(this.#lane)
  }

  abort(why: StreamCut): void {
    if (this.#over) return
    this.#end()
    tellCut(this.#carrier, FRAME_ABORTED, this.#number, why)
  }

  stopped(why: StreamCut): void {
    this.#end()
    this.#handler.onStopped(why)
  }

  delivered(): void {
    if (!this.#lane.finished)
      throw new SkeinError('ERR_SKEIN_PROTOCOL', 'the peer has read the end of a stream that has not ended')
    this.#over = true
    this.#forget()
    this.#handler.onDelivered()
  }

  #hasRoom(): void {
    if (!this.#over && !this.#carrier.closed) this.#handler.onRoom()
  }

  #end(): void {
    const lane = this.#lane
    this.#over = true
    this.#forget()
    this.#carrier.unlist(lane)
    lane.drop()
    if (lane.stream >= 0 && !lane.finished) this.#carrier.connection.reset(lane.stream)
  }
}
