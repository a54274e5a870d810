/** What a process finds in its mailbox when somebody opens a stream to it. */
import { SkeinError } from '../../certs/errors.ts'
import type { Pid } from '../pid.ts'
import type { ReadingEnd } from './reading-end.ts'
import type { WritingEnd } from './writing-end.ts'

export class StreamMessage<Meta = unknown> {
  readonly type = 'stream'
  /** Who opened it; undefined for a program outside of any process. */
  readonly from: Pid | undefined
  /** What the opener said of it. */
  readonly meta: Meta
  readonly readable: ReadableStream<Uint8Array>
  /** The way back, of a duplex stream. */
  readonly writable: WritableStream<Uint8Array> | undefined
  readonly #reading: ReadingEnd
  readonly #writing: WritingEnd | undefined

  /** @internal */
  constructor(from: Pid | undefined, meta: Meta, reading: ReadingEnd, writing: WritingEnd | undefined) {
    this.from = from
    this.meta = meta
    this.readable = reading.readable
    this.writable = writing?.writable
    this.#reading = reading
    this.#writing = writing
  }

  /** Wants nothing of it, also while something reads: both ways end with ERR_SKEIN_STREAM_CANCELLED or _ABORTED. Idempotent. */
  cancel(): void {
    const error = new SkeinError('ERR_SKEIN_STREAM_CANCELLED', 'The stream was cancelled by who received it.')
    this.#reading.abandon(error)
    this.#writing?.abandon(error)
  }
}
