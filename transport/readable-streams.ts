/**
 * Which streams of a QUIC connection have something to read.
 *
 * A walk over quiche's list costs five times a look at one stream, and leaves a kilobyte of objects with finalizers behind, which
 * outlive every collection but a full one. So the streams that had something before are looked at first: mostly they are the only
 * ones, and the list is walked for a new one.
 */
import type { QuicSession } from './quiche.ts'

/** As many as two nodes use at a time, unless very many processes talk. */
const KNOWN = 8

type Session = Pick<QuicSession, 'anyReadable' | 'streamReadable' | 'readable'>

export class ReadableStreams {
  readonly #session: Session
  readonly #tell: (stream: number) => boolean
  /** The busiest come to the front. */
  readonly #known: number[] = []
  #oldest = 0

  /** `tell` says whether to go on. */
  constructor(session: Session, tell: (stream: number) => boolean) {
    this.#session = session
    this.#tell = tell
  }

  /** Tells once of each stream with something to read. */
  tellAll(): void {
    const session = this.#session
    if (!session.anyReadable) return
    const known = this.#known
    for (let i = 0; i < known.length; i++) {
      const stream = known[i]!
      if (!session.streamReadable(stream)) continue
      if (i > 0) {
        known[i] = known[i - 1]!
        known[i - 1] = stream
      }
      if (!this.#tell(stream) || !session.anyReadable) return
    }
    this.#walk()
  }

  #walk(): void {
    const told = [...this.#known]
    for (const stream of this.#session.readable()) {
      if (told.includes(stream)) continue
      if (this.#known.length < KNOWN) this.#known.push(stream)
      else {
        this.#known[this.#oldest] = stream
        this.#oldest = (this.#oldest + 1) % KNOWN
      }
      if (!this.#tell(stream)) return
    }
  }
}
