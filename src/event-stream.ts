/**
 * What a node tells its operator: typed events, to any number of readers.
 *
 * Each reader has a bounded buffer of its own. A reader that falls behind loses the oldest events, never the newest, and
 * is told how many by a `lagged` event; nobody else notices. Events that came before a reader began are not kept.
 */
import type { ErrorCode } from '../certs/errors.ts'
import type { SourceStatus } from '../discovery/source.ts'
import type { Address } from '../transport/address.ts'
import type { SupervisorReport } from './behaviours/supervisor/report.ts'
import type { Pid, RemoteName } from './pid.ts'
import type { MailboxOverflow } from './process/overflow.ts'
import type { Issue } from './process/schema.ts'

export type NodeEvent =
  /** A node is connected; its membership is proven. */
  | {
      readonly type: 'nodeup'
      readonly node: string
      readonly id: string
      readonly incarnation: string
      readonly address: Address
      readonly hidden: boolean
    }
  /** The connection to a node is gone: connection_closed, net_tick_timeout, disconnect, shutdown (it said goodbye). */
  | { readonly type: 'nodedown'; readonly node: string; readonly id: string; readonly reason: string }
  /** A handshake ended without a connection, whoever refused it. `node` is what the other side called itself, if it did. */
  | {
      readonly type: 'refused'
      readonly node: string | undefined
      readonly address: Address
      readonly code: ErrorCode
      readonly message: string
      readonly byPeer: boolean
    }
  /** Discovery sees a node, or something new about it. A seed has neither name nor id. */
  | ({ readonly type: 'discovered' } & DiscoveredNode)
  /** None of its sources sees it any more. */
  | ({ readonly type: 'undiscovered' } & DiscoveredNode)
  /** A source of discovery works, or has failed and says why. */
  | { readonly type: 'discoveryStatus'; readonly status: SourceStatus }
  /** The function of a process threw, and the process ended with that. */
  | { readonly type: 'processCrashed'; readonly pid: Pid; readonly reason: unknown }
  /** A member sent a service of this node what makes no sense, or what it may not; told once per member and code. */
  | {
      readonly type: 'memberRefused'
      readonly node: string
      readonly service: string
      readonly code: ErrorCode
      readonly message: string
    }
  /** What a supervisor did about its children. */
  | SupervisorReport
  /** A message found nobody who takes it: noproc, noconnection or an error code. `from` is undefined where it is not known. */
  | {
      readonly type: 'deadLetter'
      readonly to: Pid | RemoteName
      readonly from: Pid | undefined
      readonly reason: string
      /** With ERR_SKEIN_BAD_REQUEST: what the schema of the target found. */
      readonly issues?: readonly Issue[]
      /** With ERR_SKEIN_MAILBOX_FULL: so many messages were dropped since the mailbox began to overflow. */
      readonly count?: number
    }
  /** More comes for a process than it takes: told when that begins and when it is over, not for each message. */
  | MailboxOverflow
  /** This reader was too slow: so many events before the next one are lost. */
  | { readonly type: 'lagged'; readonly lost: number }

interface DiscoveredNode {
  readonly node: string | undefined
  readonly id: string | undefined
  readonly addresses: readonly Address[]
  readonly sources: readonly string[]
}

/** Events one reader may have waiting. */
export const MAX_BUFFERED_EVENTS = 1024

/** Readers at once; more are refused by an iterator that is already done. */
export const MAX_EVENT_READERS = 256

class Reader implements AsyncIterator<NodeEvent, undefined> {
  readonly #buffer: NodeEvent[] = []
  #lost = 0
  #waiting: ((result: IteratorResult<NodeEvent, undefined>) => void)[] = []
  #done = false
  readonly #onReturn: (reader: Reader) => void

  constructor(onReturn: (reader: Reader) => void) {
    this.#onReturn = onReturn
  }

  push(event: NodeEvent): void {
    const waiting = this.#waiting.shift()
    if (waiting !== undefined) {
      waiting({ done: false, value: event })
      return
    }
    if (this.#buffer.length === MAX_BUFFERED_EVENTS) {
      this.#buffer.shift()
      this.#lost += 1
    }
    this.#buffer.push(event)
  }

  /** No more will come; what waits can still be read. */
  end(): void {
    this.#done = true
    for (const waiting of this.#waiting.splice(0)) waiting({ done: true, value: undefined })
  }

  next(): Promise<IteratorResult<NodeEvent, undefined>> {
    if (this.#lost > 0) {
      const lost = this.#lost
      this.#lost = 0
      return Promise.resolve({ done: false, value: { type: 'lagged', lost } })
    }
    const event = this.#buffer.shift()
    if (event !== undefined) return Promise.resolve({ done: false, value: event })
    if (this.#done) return Promise.resolve({ done: true, value: undefined })
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  return(): Promise<IteratorResult<NodeEvent, undefined>> {
    this.#buffer.length = 0
    this.#lost = 0
    this.#onReturn(this)
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }
}

export class EventStream implements AsyncIterable<NodeEvent> {
  readonly #readers = new Set<Reader>()
  #ended = false

  emit(event: NodeEvent): void {
    for (const reader of this.#readers) reader.push(event)
  }

  /** Begins a reader: it sees every event from now on. */
  [Symbol.asyncIterator](): AsyncIterator<NodeEvent, undefined> {
    const reader = new Reader((gone) => this.#readers.delete(gone))
    if (this.#ended || this.#readers.size >= MAX_EVENT_READERS) reader.end()
    else this.#readers.add(reader)
    return reader
  }

  /** Every reader ends after what it still has waiting. */
  end(): void {
    this.#ended = true
    for (const reader of this.#readers) reader.end()
    this.#readers.clear()
  }
}
