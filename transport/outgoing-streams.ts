/**
 * The outgoing streams of one end of a connection whose carrier has none of its own: numbers, and the credit that the
 * receiver gives as it reads (RFC 9000, sections 2 to 4). All streams are unidirectional. It accounts for bytes and keeps none.
 */

/** Bounds of the streams of a connection of the memory network. */
export interface StreamLimits {
  /** How far a sender may be ahead of the reader, per stream. */
  readonly streamWindowBytes: number
  /** The same over all streams of a connection. */
  readonly connectionWindowBytes: number
  /** How many unfinished streams a peer may have open. */
  readonly maxStreams: number
}

/** The number of the first stream of a role; those behind it are four apart: unidirectional ones (RFC 9000, 2.1). */
export const firstStreamOf = (role: 'initiator' | 'acceptor'): number => (role === 'initiator' ? 2 : 3)

interface OutgoingStream {
  offset: number
  limit: number
}

export class OutgoingStreams {
  readonly #first: number
  readonly #streamWindowBytes: number
  /** Open ones; a finished stream needs no state, its last frames take care of themselves. */
  readonly #open = new Map<number, OutgoingStream>()
  #opened = 0
  #maxOpened: number
  #sentBytes = 0
  #limitBytes: number

  constructor(role: 'initiator' | 'acceptor', limits: StreamLimits) {
    this.#first = firstStreamOf(role)
    this.#streamWindowBytes = limits.streamWindowBytes
    this.#maxOpened = limits.maxStreams
    this.#limitBytes = limits.connectionWindowBytes
  }

  open(): number {
    if (this.#opened >= this.#maxOpened) return -1
    const number = 4 * this.#opened++ + this.#first
    this.#open.set(number, { offset: 0, limit: this.#streamWindowBytes })
    return number
  }

  /** How many more bytes the windows allow now; undefined for a stream that is not open. */
  room(number: number): number | undefined {
    const stream = this.#open.get(number)
    if (stream === undefined) return undefined
    return Math.min(stream.limit - stream.offset, this.connectionRoom)
  }

  /** How many more bytes all streams together may send now. */
  get connectionRoom(): number {
    return this.#limitBytes - this.#sentBytes
  }

  /** Accounts for bytes sent, within `room`; returns their offset. */
  send(number: number, sizeBytes: number, finish: boolean): number {
    const stream = this.#open.get(number)!
    const offset = stream.offset
    stream.offset += sizeBytes
    this.#sentBytes += sizeBytes
    if (finish) this.#open.delete(number)
    return offset
  }

  /** How many bytes were sent on a stream that ends here; undefined if it had ended. */
  reset(number: number): number | undefined {
    const offset = this.#open.get(number)?.offset
    this.#open.delete(number)
    return offset
  }

  // What the peer allows only grows: an older limit that comes late changes nothing.

  /** Of one stream, bytes. */
  allowStream(number: number, limitBytes: number): void {
    const stream = this.#open.get(number)
    if (stream !== undefined) stream.limit = Math.max(stream.limit, limitBytes)
  }

  /** Of all streams together, bytes. */
  allowConnection(limitBytes: number): void {
    this.#limitBytes = Math.max(this.#limitBytes, limitBytes)
  }

  /** Streams over the connection's life. */
  allowStreams(limit: number): void {
    this.#maxOpened = Math.max(this.#maxOpened, limit)
  }
}
