/**
 * A bridge: what the processes of this node have going with one other node, over one route.
 *
 * Everything that has to end with the route hangs here, and what arrives over the route is looked up here and nowhere
 * else, so that a node can only speak for its own processes. A bridge lives from the first signal in either direction
 * until its route is down.
 *
 * Signals that the promises depend on (DOWN, exits, acknowledgements) must not be lost to a full queue: `sendSurely`
 * keeps them, in order per sender, and tries again. Whoever sends for a user is told instead.
 */
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Route } from '../route.ts'
import { safeText } from '../safe-text.ts'
import type { Reason, Signal } from '../signals.ts'
import type { StreamEnd } from '../streams/stream-end.ts'
import type { RemoteLink } from './links.ts'
import type { Monitor, Watch } from './monitors.ts'
import type { PendingCall, ServedCall } from './pending-call.ts'
import type { Process } from './process.ts'
import type { PendingSpawn } from './spawns.ts'

/** Short beside anything a person notices, long beside the round trip that empties a queue. */
const RETRY_MS = 10
/** Senders that may find no room, before the others are left for later: room is scarce for all of a connection at once. */
const MAX_FULL_SENDERS = 16
/** Signals kept for a node that takes none. At one more the connection ends: nobody shall wait for what is lost. */
const MAX_KEPT_SIGNALS = 1_000_000
/** Characters of an unsendable reason that the other node is shown. */
const MAX_REASON_TEXT = 500

/** Signals of one sender that wait for room. */
interface Kept {
  readonly signals: Signal[]
  /** The sender has ended: its lane ends behind them. */
  retired: boolean
}

export class Bridge {
  readonly route: Route
  readonly links = new Set<RemoteLink>()
  /** Monitors of ours on processes there, by reference number. */
  readonly monitors = new Map<number, Monitor>()
  /** Monitors of theirs on processes here, by their reference number. */
  readonly watches = new Map<number, Watch>()
  /** Calls of ours that wait for an answer from there. */
  readonly calls = new Set<PendingCall>()
  /** Calls of theirs that wait for an answer from here, by their number. */
  readonly served = new Map<number, ServedCall>()
  /** Requests of ours to spawn there, by their number; also those nobody waits for any more. */
  readonly spawns = new Map<number, PendingSpawn>()
  /** Ends of streams whose other end is there. */
  readonly streams = new Set<StreamEnd>()
  /** Processes here that have a lane there. */
  readonly senders = new Set<Process>()
  readonly #clock: Clock
  readonly #kept = new Map<number, Kept>()
  #keptSignals = 0
  #timer: Timer | undefined
  #givenUp = false
  #up = true

  constructor(route: Route, clock: Clock) {
    this.route = route
    this.#clock = clock
  }

  /**
   * Its end would end something of a process, here or there. Who has merely sent something does not count.
   */
  get isUsed(): boolean {
    const parts = [
      this.#kept,
      this.links,
      this.monitors,
      this.watches,
      this.calls,
      this.served,
      this.spawns,
      this.streams,
    ]
    return parts.some(({ size }) => size > 0)
  }

  /** False: above the high-water mark. Throws what the route throws. `sender` is undefined for the node itself. */
  send(sender: Process | undefined, signal: Signal): boolean {
    if (this.#kept.size > 0 && this.#kept.has(signal.from)) {
      throw new SkeinError('ERR_SKEIN_QUEUE_FULL', `Too much waits for ${this.route.node}.`)
    }
    if (sender !== undefined && sender.lastBridge !== this) {
      sender.lastBridge = this
      sender.bridges ??= new Set()
      sender.bridges.add(this)
      this.senders.add(sender)
    }
    return this.route.send(signal)
  }

  /** Never throws: what finds no room is kept and sent later; a reason that cannot be sent is described instead. */
  sendSurely(sender: Process | undefined, signal: Signal): void {
    if (!this.#up) return
    if (this.#kept.has(signal.from) || !this.#sent(() => this.send(sender, signal), signal)) this.#keep(signal)
  }

  /** The sender of this number has ended (or never was, and was answered for). The node itself, 0, goes on. */
  retire(sender: number): void {
    if (sender === 0) return
    const kept = this.#kept.get(sender)
    if (kept !== undefined) kept.retired = true
    else if (this.#up) this.route.senderGone(sender)
  }

  /** The route is gone: nothing is sent any more. */
  close(): void {
    this.#up = false
    this.#timer?.cancel()
    this.#kept.clear()
    for (const sender of this.senders) {
      sender.bridges?.delete(this)
      if (sender.lastBridge === this) sender.lastBridge = undefined
    }
    this.senders.clear()
  }

  /** False: there is no room. */
  #sent(send: () => void, signal: Signal): boolean {
    try {
      send()
    } catch (error) {
      if (isSkeinError(error, 'ERR_SKEIN_QUEUE_FULL')) return false
      if ('reason' in signal && !(signal.reason instanceof UnsendableReason)) {
        const described = { ...signal, reason: new UnsendableReason(signal.reason) }
        return this.#sent(() => this.route.send(described), described)
      }
    }
    return true
  }

  #keep(signal: Signal): void {
    if (this.#keptSignals >= MAX_KEPT_SIGNALS) {
      // Not now: somebody may be in the midst of telling all who are concerned of an end.
      if (!this.#givenUp) this.#clock.endOfTurn(() => this.route.giveUp())
      this.#givenUp = true
      return
    }
    let kept = this.#kept.get(signal.from)
    if (kept === undefined) {
      kept = { signals: [], retired: false }
      this.#kept.set(signal.from, kept)
    }
    kept.signals.push(signal)
    this.#keptSignals++
    this.#retryLater()
  }

  #retryLater(): void {
    this.#timer ??= this.#clock.after(RETRY_MS, () => this.#retry(), true)
  }

  /** What still finds no room goes to the end of the line, so that every sender has its turn. */
  #retry(): void {
    this.#timer = undefined
    let [left, full] = [this.#kept.size, 0]
    for (const [number, kept] of this.#kept) {
      if (left-- === 0 || full === MAX_FULL_SENDERS) break
      const { signals } = kept
      const isSent = (signal: Signal): boolean => this.#sent(() => this.route.send(signal), signal)
      const firstUnsent = signals.findIndex((signal) => !isSent(signal))
      const sent = firstUnsent < 0 ? signals.length : firstUnsent
      signals.splice(0, sent)
      this.#keptSignals -= sent
      this.#kept.delete(number)
      if (signals.length > 0) {
        this.#kept.set(number, kept)
        full++
      } else if (kept.retired) this.retire(number)
    }
    if (this.#up && this.#kept.size > 0) this.#retryLater()
  }
}

/** Stands for an exit reason that cannot cross the wire. */
export class UnsendableReason extends SkeinError {
  constructor(reason: Reason) {
    super('ERR_SKEIN_UNSERIALISABLE', `The exit reason cannot cross the wire: ${safeText(reason, MAX_REASON_TEXT)}`)
  }
}
