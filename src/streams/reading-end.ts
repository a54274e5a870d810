/**
 * The reading end of a stream: a ReadableStream over a ByteReader.
 *
 * Nothing is read ahead of the reader: what nobody reads stays in the flow-control window of the connection (or with the
 * writer, within a node), and holds up the writer. A stream that its process leaves unread is stopped when the process ends.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { ByteReader, ByteReaderHandler, StreamCut } from '../../transport/byte-stream.ts'
import type { Bridge } from '../process/bridge.ts'
import type { Process } from '../process/process.ts'
import type { OnOver, Owner, StreamEnd } from './stream-end.ts'
import { streamAborted } from './stream-errors.ts'

/** One read, bytes, where the reader brings no buffer of its own: room for it is only used within a call. */
export const READ_BYTES = 128 * 1024

export class ReadingEnd implements StreamEnd, ByteReaderHandler {
  readonly direction = 'in'
  readonly process: Process | undefined
  readonly bridge: Bridge | undefined
  readonly readable: ReadableStream<Uint8Array>
  readonly #onOver: OnOver
  readonly #scratch: Uint8Array
  #controller!: ReadableByteStreamController
  #bytes: ByteReader | undefined
  #over = false
  /** Told once: the writer was heard of, or it is over. */
  onceSettled: (() => void) | undefined
  /** Told once. */
  onceOver: (() => void) | undefined
  /** A read that waits for something to come. */
  #waiting: (() => void) | undefined

  /** `scratch` is room for one read, best shared by all streams of a node. */
  constructor({ process, bridge }: Owner, scratch: Uint8Array, onOver: OnOver) {
    this.process = process
    this.bridge = bridge
    this.#scratch = scratch
    this.#onOver = onOver
    this.readable = new ReadableStream(
      {
        type: 'bytes',
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => this.#pull(),
        cancel: () => this.#stop('abandoned'),
      },
      { highWaterMark: 0 },
    )
  }

  /** From now on there is somewhere to read from. */
  attach(bytes: ByteReader): void {
    this.#bytes = bytes
  }

  get isAttached(): boolean {
    return this.#bytes !== undefined
  }

  get isOver(): boolean {
    return this.#over
  }

  /** Wants no more, also while somebody reads, who then hears this error. */
  abandon(error: unknown, why: StreamCut = 'abandoned'): void {
    if (this.#over) return
    this.#stop(why)
    this.#error(error)
  }

  processEnded(): boolean {
    this.abandon(this.process?.endedError(), 'processEnded')
    return true
  }

  fail(error: Error): void {
    if (this.#over) return
    this.#end()
    this.#error(error)
  }

  // ---- ByteReaderHandler

  onReadable(): void {
    this.#settled()
    const resume = this.#waiting
    if (resume === undefined) return
    // Reading makes room, and a writer of this node fills it at once, and says so here.
    this.#waiting = undefined
    if (this.#read()) resume()
    else this.#waiting = resume
  }

  onAborted(why: StreamCut): void {
    this.fail(streamAborted(why))
  }

  // ---- the source of the ReadableStream

  /** Somebody reads. */
  #pull(): Promise<void> | undefined {
    if (this.#over || this.#read()) return undefined
    return new Promise((resolve) => {
      this.#waiting = resolve
    })
  }

  /** Hands over what there is; false if nothing is. */
  #read(): boolean {
    const bytes = this.#bytes
    if (bytes === undefined) return false
    const controller = this.#controller
    const request = controller.byobRequest
    const view = request?.view
    const target =
      view === undefined || view === null
        ? this.#scratch
        : new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
    const { bytes: count, finished } = bytes.read(target)
    if (count > 0 && view) request?.respond(count)
    else if (count > 0) controller.enqueue(copyOf(target, count))
    if (finished) {
      this.#end()
      this.#close()
    }
    return count > 0 || finished
  }

  #close(): void {
    const controller = this.#controller
    try {
      controller.close()
      // A reader that brought a buffer gets it back, with less than it waited for or nothing.
      controller.byobRequest?.respond(0)
    } catch {
      // It waits for elements of several bytes and has a part of one: the standard has errored the stream (Streams, 3.11.3).
    }
  }

  #stop(why: StreamCut): void {
    if (this.#over) return
    this.#bytes?.stop(why)
    this.#end()
  }

  #error(error: unknown): void {
    this.#controller.error(error ?? new SkeinError('ERR_SKEIN_STREAM_CANCELLED', 'The stream was cancelled.'))
  }

  #end(): void {
    this.#over = true
    this.#waiting?.()
    this.#waiting = undefined
    this.#settled()
    this.#onOver(this)
    this.onceOver?.()
  }

  #settled(): void {
    const settled = this.onceSettled
    this.onceSettled = undefined
    settled?.()
  }
}

/** In memory of their own, and no more than that: what is handed over may be kept for long. */
const copyOf = (bytes: Uint8Array, count: number): Uint8Array<ArrayBuffer> => {
  const copy = Buffer.allocUnsafeSlow(count)
  copy.set(count === bytes.length ? bytes : bytes.subarray(0, count))
  return copy
}
