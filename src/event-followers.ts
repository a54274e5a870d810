/**
 * Processes of other nodes that follow the events of this one: `skein events` does.
 *
 * Each has a reader of its own on the stream of events, so a slow one loses its oldest events, is told how many, and holds
 * up nobody. It is forgotten when it ends or its node is gone. What is sent is plain data of a bounded size.
 */
import { isSkeinError } from '../certs/errors.ts'
import type { NodeEvent } from './event-stream.ts'
import { plain } from './observe/plain.ts'
import type { Pid, Ref } from './pid.ts'
import type { Self } from './process/self.ts'

/** Each costs a buffer of MAX_BUFFERED_EVENTS. */
const MAX_FOLLOWERS = 32
/** Of one node, which needs one: so no single member takes all the room. */
const MAX_FOLLOWERS_OF_NODE = 8

/** What a follower finds in its mailbox, once for each event: a cast, so that it can see who says it. */
export interface FollowedEvent {
  readonly type: 'event'
  /** As NodeEvent, with pids as text. */
  readonly event: unknown
}

interface Follower {
  /** name@host */
  readonly node: string
  readonly ref: Ref
  readonly reader: AsyncIterator<NodeEvent>
}

export class EventFollowers {
  readonly #events: AsyncIterable<NodeEvent>
  readonly #readers = new Map<string, Follower>()

  constructor(events: AsyncIterable<NodeEvent>) {
    this.#events = events
  }

  /** False: there are too many, or too many of that node. Who follows already goes on doing so. */
  add(self: Self<unknown>, pid: Pid): boolean {
    const { key, node } = pid
    if (this.#readers.has(key)) return true
    const ofNode = [...this.#readers.values()].filter((one) => one.node === node).length
    if (this.#readers.size >= MAX_FOLLOWERS || ofNode >= MAX_FOLLOWERS_OF_NODE) return false
    const reader = this.#events[Symbol.asyncIterator]()
    this.#readers.set(key, { node, ref: self.monitor(pid), reader })
    void this.#tell(self, pid, reader)
    return true
  }

  /** A process that was monitored is gone. */
  down(ref: unknown): void {
    for (const [key, follower] of this.#readers) {
      if (!follower.ref.equals(ref)) continue
      this.#readers.delete(key)
      void follower.reader.return?.()
    }
  }

  async #tell(self: Self<unknown>, pid: Pid, reader: AsyncIterator<NodeEvent>): Promise<void> {
    for (let next = await reader.next(); next.done !== true; next = await reader.next()) {
      if (!trySend(self, pid, { type: 'event', event: plain(next.value) })) await self.drained(pid).catch(() => {})
    }
  }
}

/** False: it takes no more for now. What is too large for a message is left out. */
const trySend = (self: Self<unknown>, pid: Pid, message: FollowedEvent): boolean => {
  try {
    return self.cast(pid, message)
  } catch (error) {
    if (!isSkeinError(error)) throw error
    return false
  }
}
