/**
 * What a node tells its operator, and its services those who watch them: typed events, to any number of readers.
 *
 * Each reader has a bounded buffer of its own. A reader that falls behind loses the oldest events, never the newest, and
 * is told how many by a `lagged` event; nobody else notices. Events that came before a reader began are not kept.
 */
import type { ErrorCode } from '../certs/errors.ts'
import type { SourceStatus } from '../discovery/source.ts'
import type { Address } from '../transport/address.ts'
import type { AttachEvent } from './attach/attach-process.ts'
import type { SupervisorReport } from './behaviours/supervisor/report.ts'
import type { ConnectedNode } from './cluster/connected-node.ts'
import type { LeaveReason } from './cluster/membership/view.ts'
import type { Pid, RemoteName } from './pid.ts'
import type { ForbiddenAttempt } from './process/forbidden.ts'
import type { MailboxOverflow } from './process/overflow.ts'
import type { Issue } from './process/schema.ts'
import type { DistributedReport } from './services/supervision/report.ts'

/** What `node.events` gives, told apart by `type`. Texts of other nodes may hold anything: escape them. */
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
  /** The connection to a node takes another way: straight, through a relay, or from a socket of its own. Nothing is lost by it. */
  | {
      readonly type: 'moved'
      readonly node: string
      readonly id: string
      readonly way: ConnectedNode['way']
      readonly address: Address
    }
  /** The connection to a node is gone: connection_closed, net_tick_timeout, disconnect, shutdown (it said goodbye), idle, overlapping_partition, revoked. */
  | { readonly type: 'nodedown'; readonly node: string; readonly id: string; readonly reason: string }
  /** A node is a member of the cluster, connected or not: memberclear says that a suspicion was refuted. */
  | {
      readonly type: 'memberup' | 'membersuspect' | 'memberclear'
      readonly node: string
      readonly id: string
    }
  /** It is none any more: shutdown, down, disconnected, replaced, forgotten. */
  | { readonly type: 'memberdown'; readonly node: string; readonly id: string; readonly reason: LeaveReason }
  /** Members were lost in silence, several within moments: the network has split. `seen` are still connected. */
  | {
      readonly type: 'partitioned'
      readonly node: string
      readonly lost: readonly string[]
      readonly seen: readonly string[]
    }
  /** Lost members are back; who is missing has not come back for long. */
  | {
      readonly type: 'healed'
      readonly node: string
      readonly back: readonly string[]
      readonly missing: readonly string[]
    }
  /** Others see the members that this node lost: it has disconnected from those, and tries again after a while. */
  | {
      readonly type: 'overlappingPartition'
      readonly node: string
      readonly lost: readonly string[]
      readonly disconnected: readonly string[]
      readonly apartMs: number
    }
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
  /** A source of discovery works, or has failed and says why; told after the start, and later where a source has news. */
  | { readonly type: 'discoveryStatus'; readonly status: SourceStatus }
  /** The cookies of this node change; `fingerprint` tells which one it is, and is no secret. */
  | { readonly type: 'cookieAccepted' | 'cookieUsed' | 'cookieDropped'; readonly fingerprint: string }
  /** New connections show a new certificate of the same key, good until `notAfterMs` (milliseconds since 1970). */
  | { readonly type: 'certificateRenewed'; readonly notAfterMs: number }
  /** It could not be written to the file of the identity; that is tried again. */
  | { readonly type: 'certificateUnsaved'; readonly file: string; readonly message: string }
  /** The function of a process threw, and the process ended with that. */
  | { readonly type: 'processCrashed'; readonly pid: Pid; readonly reason: unknown }
  /** A worker thread of this node has ended: asked to, or by itself, and then perhaps by an error, the reason. */
  | {
      readonly type: 'workerExited'
      readonly node: string
      readonly id: string
      readonly exitCode: number
      readonly asked: boolean
      readonly reason: unknown
    }
  /** A member sent a service of this node what makes no sense, or what it may not; told once per member and code. */
  | {
      readonly type: 'memberRefused'
      readonly node: string
      readonly service: string
      readonly code: ErrorCode
      readonly message: string
    }
  /** Two processes had one global name after a partition; told on the nodes of both. */
  | { readonly type: 'globalConflict'; readonly name: string; readonly winner: Pid; readonly loser: Pid }
  /** What a supervisor did about its children. */
  | SupervisorReport
  /** What a distributed supervisor that this node leads did about its children. */
  | DistributedReport
  /** A node, this one or another, is about to leave and starts nothing more. */
  | { readonly type: 'draining'; readonly node: string }
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
  /** A node tried what this node does not allow it: told once in a while, with how often. */
  | ForbiddenAttempt
  /** Somebody may evaluate code here (the option `attach`), and began, did or ended that. */
  | AttachEvent
  | Lagged

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

/** This reader was too slow: so many events before the next one are lost. */
export interface Lagged {
  readonly type: 'lagged'
  readonly lost: number
}

class Reader<E> implements AsyncIterator<E | Lagged, undefined> {
  readonly #buffer: E[] = []
  #lost = 0
  #waiting: ((result: IteratorResult<E | Lagged, undefined>) => void)[] = []
  #done = false
  readonly #accepts: (event: E) => boolean
  readonly #onReturn: (reader: Reader<E>) => void

  constructor(accepts: (event: E) => boolean, onReturn: (reader: Reader<E>) => void) {
    this.#accepts = accepts
    this.#onReturn = onReturn
  }

  push(event: E): void {
    if (!this.#accepts(event)) return
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

  next(): Promise<IteratorResult<E | Lagged, undefined>> {
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

  return(): Promise<IteratorResult<E | Lagged, undefined>> {
    this.#buffer.length = 0
    this.#lost = 0
    this.#onReturn(this)
    this.end()
    return Promise.resolve({ done: true, value: undefined })
  }
}

export class EventStream<E extends object = NodeEvent> implements AsyncIterable<E | Lagged> {
  readonly #readers = new Set<Reader<E>>()
  #ended = false

  /** Somebody would hear an event. */
  get isRead(): boolean {
    return this.#readers.size > 0
  }

  emit(event: E): void {
    for (const reader of this.#readers) reader.push(event)
  }

  /** Begins a reader: it sees every event from now on. */
  [Symbol.asyncIterator](): AsyncIterator<E | Lagged, undefined> {
    return this.#begin(() => true)
  }

  /** The same stream, for readers of some events only. */
  only(accepts: (event: E) => boolean): AsyncIterable<E | Lagged> {
    return { [Symbol.asyncIterator]: () => this.#begin(accepts) }
  }

  /** Every reader ends after what it still has waiting. */
  end(): void {
    this.#ended = true
    for (const reader of this.#readers) reader.end()
    this.#readers.clear()
  }

  #begin(accepts: (event: E) => boolean): Reader<E> {
    const reader = new Reader(accepts, (gone) => this.#readers.delete(gone))
    if (this.#ended || this.#readers.size >= MAX_EVENT_READERS) reader.end()
    else this.#readers.add(reader)
    return reader
  }
}
