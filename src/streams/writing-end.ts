/**
 * The writing end of a stream: a WritableStream over a ByteWriter.
 *
 * What is written is copied as room allows, so a writer waits for a slow reader and memory stays bounded. `close` resolves
 * when the reader has read the last byte. A stream that is being closed outlives its process; any other ends with it.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { ByteWriter, ByteWriterHandler, StreamCut } from '../../transport/byte-stream.ts'
import type { Bridge } from '../process/bridge.ts'
import type { Process } from '../process/process.ts'
import type { OnOver, Owner, StreamEnd } from './stream-end.ts'
import { streamCancelled } from './stream-errors.ts'

/** The types of Node 20 leave out what the standard (Streams, 5.4.1) has. */
interface AbortableController extends WritableStreamDefaultController {
  readonly signal: AbortSignal
}

interface Waiting {
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class WritingEnd implements StreamEnd, ByteWriterHandler {
  readonly direction = 'out'
  readonly process: Process | undefined
  readonly bridge: Bridge | undefined
  readonly writable: WritableStream<Uint8Array>
  readonly #onOver: OnOver
  #controller!: WritableStreamDefaultController
  #bytes: ByteWriter | undefined
  #state: 'open' | 'closing' | 'over' = 'open'
  /** What is left of a piece that found no room. */
  #rest: Uint8Array | undefined
  /** Told once. */
  onceOver: (() => void) | undefined
  /** The write or close that waits; there is one at most. */
  #waiting: Waiting | undefined

  constructor({ process, bridge }: Owner, onOver: OnOver) {
    this.process = process
    this.bridge = bridge
    this.#onOver = onOver
    this.writable = new WritableStream<Uint8Array>({
      start: (controller) => {
        this.#controller = controller
        // The sink's own `abort` would have to wait for a write that a slow reader holds up.
        const { signal } = controller as AbortableController
        signal.addEventListener('abort', () => this.#cut('abandoned', signal.reason))
      },
      write: (chunk) => this.#write(chunk),
      close: () => this.#close(),
    })
  }

  /** From now on bytes have somewhere to go. */
  attach(bytes: ByteWriter): void {
    this.#bytes = bytes
  }

  get isOver(): boolean {
    return this.#state === 'over'
  }

  /** Cuts it off, for this reason. */
  abandon(error: unknown, why: StreamCut = 'abandoned'): void {
    if (this.#state === 'over') return
    this.#cut(why, error)
    this.#controller.error(error)
  }

  processEnded(): boolean {
    if (this.#state === 'closing') return false
    this.abandon(this.process?.endedError(), 'processEnded')
    return true
  }

  fail(error: Error): void {
    if (this.#state === 'over') return
    this.#over(error)
    this.#controller.error(error)
  }

  // ---- ByteWriterHandler

  onRoom(): void {
    const rest = this.#rest
    if (rest === undefined || this.#bytes === undefined) return
    const taken = this.#bytes.write(rest)
    this.#rest = taken < rest.length ? rest.subarray(taken) : undefined
    if (this.#rest === undefined) this.#settle()?.resolve()
  }

  onDelivered(): void {
    const waiting = this.#settle()
    this.#over(undefined)
    waiting?.resolve()
  }

  onStopped(why: StreamCut): void {
    this.fail(streamCancelled(why))
  }

  // ---- the sink of the WritableStream

  #write(chunk: unknown): Promise<void> | undefined {
    if (!(chunk instanceof Uint8Array)) {
      const error = new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A stream of bytes takes Uint8Arrays.')
      this.#cut('abandoned', error)
      throw error
    }
    const bytes = this.#bytes as ByteWriter
    const taken = bytes.write(chunk)
    if (taken === chunk.length) return undefined
    this.#rest = chunk.subarray(taken)
    return this.#wait()
  }

  #close(): Promise<void> {
    this.#state = 'closing'
    const closed = this.#wait()
    this.#bytes?.finish()
    return closed
  }

  #wait(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
  }

  #settle(): Waiting | undefined {
    const waiting = this.#waiting
    this.#waiting = undefined
    return waiting
  }

  #cut(why: StreamCut, error: unknown): void {
    if (this.#state === 'over') return
    this.#bytes?.abort(why)
    this.#over(error)
  }

  #over(error: unknown): void {
    this.#state = 'over'
    this.#rest = undefined
    this.#settle()?.reject(error)
    this.#onOver(this)
    this.onceOver?.()
  }
}
