/**
 * The punches of a node: tells by the token which of them a probe belongs to, and bounds what all of them do together.
 *
 * A probe whose token is not known, or of a punch that ended more than a moment ago, is counted and dropped without a
 * word. What is answered gets one datagram of the same length, within limits of rate. So a stranger hears nothing, and
 * somebody who repeats what he overheard moves no more than he sends.
 */
import { RateLimit, type RateLimits } from '../../../discovery/dht/rate-limit.ts'
import type { Address } from '../../../transport/address.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Random } from '../../../transport/random.ts'
import type { SideSocket, SideSockets } from '../../../transport/side-sockets.ts'
import type { Way } from '../../../transport/way.ts'
import { decodeProbe } from './probe-frames.ts'
import { OnePunch, type PunchTask } from './punch.ts'
import { type Side, SideWays } from './side-ways.ts'
import { Turns } from './turns.ts'

/** While there are as many, a new one takes the place of one of the relay with the most, or is over at once. */
const MAX_PUNCHES = 64
/** A punch that has ended still answers for so long. */
const AFTERMATH_MS = 10_000
/** Ended ones that still answer; beyond that the oldest is forgotten. */
const MAX_ENDED = 256
/** 256 sockets each. */
const SPREADS_AT_ONCE = 1
/** 500 probes a second each. */
const SWEEPS_AT_ONCE = 4
const MAX_WAITING = 16
/** Of answers: far more than all punches with one host need, 64 with six questions each. */
const ANSWER_LIMITS: RateLimits = {
  source: { perSecond: 200, burst: 400 },
  network: { perSecond: 400, burst: 800 },
  total: { perSecond: 1000, burst: 2000 },
}
/**
 * Of questions, by whom they go to. Where a member can be found others tell, and they may name a victim, a fresh one or
 * the same one again and again: so in the long run a host gets hardly more than a sweep in half a minute, one at once.
 */
const QUESTION_LIMITS: RateLimits = {
  source: { perSecond: 75, burst: 4096 },
  network: { perSecond: 300, burst: 16_384 },
}

export interface PunchHost {
  readonly clock: Clock
  readonly random: Random
  /** From the shared port; no further than so many routers. */
  sendProbe(to: Address, bytes: Uint8Array, hops?: number): void
  openSideSockets(count: number, receive: (bytes: Buffer, from: Address, socket: SideSocket) => void): SideSockets
  /** From the shared port; undefined for what it cannot reach. */
  direct(address: Address): Way | undefined
  /** What else came in on a side socket on which the other end was heard. */
  receive(way: Way, datagram: Uint8Array): void
  /** The socket of this way was closed. */
  gone(way: Way): void
}

export interface Punch {
  /** The other end may be found there too. */
  addTargets(addresses: readonly Address[]): void
  /** Our NAT is symmetric and the other's is not: many sockets towards its address. IPv4 only. */
  spread(target: Address): void
  /** The other's NAT is symmetric and ours is not: random ports of its host. IPv4 only. */
  sweep(host: string): void
  /** Nothing more is wanted; `over` is not called. */
  end(): void
}

export interface PunchFigures {
  /** Begun. */
  readonly punches: number
  /** Questions sent. */
  readonly probesSent: number
  /** Probes that were answered. */
  readonly answered: number
  /** Probes that were not: malformed, of no punch, beyond the limits. Questions beyond the limits, and punches that there was no room for. */
  readonly refused: number
  /** Open now. */
  readonly sideSockets: number
}

export class Puncher {
  readonly #host: PunchHost
  readonly #sides: SideWays
  readonly #spreads = new Turns(SPREADS_AT_ONCE, MAX_WAITING)
  readonly #sweeps = new Turns(SWEEPS_AT_ONCE, MAX_WAITING)
  readonly #limit = new RateLimit(ANSWER_LIMITS)
  readonly #questionLimit = new RateLimit(QUESTION_LIMITS)
  /** By token. */
  readonly #live = new Map<string, OnePunch>()
  /** By token, those that ended first first. */
  readonly #ended = new Map<string, { readonly punch: OnePunch; readonly timer: Timer }>()
  #punches = 0
  #probesSent = 0
  #answered = 0
  #refused = 0
  #stopped = false

  constructor(host: PunchHost) {
    this.#host = host
    this.#sides = new SideWays({
      clock: host.clock,
      openSideSockets: (count, receive) => host.openSideSockets(count, receive),
      receive: (way, datagram) => host.receive(way, datagram),
      probe: (side, bytes) => this.#receive(bytes, side.target, side),
      gone: (way) => host.gone(way),
    })
  }

  /** Begins at once to ask at the targets. `found` may be called within this call only by a host that delivers at once. */
  begin(task: PunchTask): Punch {
    const punch = new OnePunch(
      {
        clock: this.#host.clock,
        random: this.#host.random,
        sides: this.#sides,
        spreads: this.#spreads,
        sweeps: this.#sweeps,
        ask: (to, bytes, side, hops) => this.#send(to, bytes, side, hops),
        direct: (address) => this.#host.direct(address),
        over: (ended) => this.#over(ended),
      },
      task,
    )
    const key = keyOf(task.token)
    this.#live.get(key)?.end()
    this.#forget(key)
    if (this.#stopped || (this.#live.size >= MAX_PUNCHES && !this.#makeRoom(punch.relay))) {
      this.#refused++
      punch.end()
      this.#host.clock.endOfTurn(() => task.over())
      return punch
    }
    this.#punches++
    this.#live.set(key, punch)
    punch.addTargets(task.targets)
    return punch
  }

  /** A relay that invents peers shall not keep punches by other relays from beginning: the oldest of its own ends for one. */
  #makeRoom(relay: string): boolean {
    const counts = new Map<string, number>()
    for (const punch of this.#live.values()) counts.set(punch.relay, (counts.get(punch.relay) ?? 0) + 1)
    const [greediest] = [...counts].sort(([, one], [, other]) => other - one)
    if (greediest === undefined || greediest[1] <= (counts.get(relay) ?? 0) + 1) return false
    for (const punch of this.#live.values()) {
      if (punch.relay !== greediest[0]) continue
      punch.giveUp()
      return true
    }
    return false
  }

  /** A datagram of kind 'probe' that came to the shared port. */
  receive(bytes: Uint8Array, from: Address): void {
    this.#receive(bytes, from, undefined)
  }

  /** No connection uses this way any more: its socket is closed. Of other ways it does nothing. */
  release(way: Way): void {
    this.#sides.release(way)
  }

  stop(): void {
    this.#stopped = true
    for (const punch of [...this.#live.values()]) punch.end()
    for (const key of [...this.#ended.keys()]) this.#forget(key)
    this.#sides.stop()
  }

  get figures(): PunchFigures {
    return {
      punches: this.#punches,
      probesSent: this.#probesSent,
      answered: this.#answered,
      refused: this.#refused,
      sideSockets: this.#sides.count,
    }
  }

  #receive(bytes: Uint8Array, from: Address, side: Side | undefined): void {
    const reply = this.#replyTo(bytes, from, side)
    if (reply === undefined) return
    this.#answered++
    if (side === undefined) this.#host.sendProbe(from, reply)
    else side.send(reply)
  }

  #replyTo(bytes: Uint8Array, from: Address, side: Side | undefined): Uint8Array | undefined {
    const probe = decodeProbe(bytes)
    const key = probe && keyOf(probe.token)
    const punch = key === undefined ? undefined : (this.#live.get(key) ?? this.#ended.get(key)?.punch)
    const isAdmitted =
      punch !== undefined &&
      (side === undefined || side.punch === punch) &&
      this.#limit.admit(from, this.#host.clock.now())
    const heard = isAdmitted && probe !== undefined ? punch.hear(probe, from, side) : undefined
    if (heard === undefined) this.#refused++
    return heard?.reply
  }

  #send(to: Address, bytes: Uint8Array, side: Side | undefined, hops: number | undefined): void {
    if (!this.#questionLimit.admit(to, this.#host.clock.now())) {
      this.#refused++
      return
    }
    this.#probesSent++
    if (side === undefined) this.#host.sendProbe(to, bytes, hops)
    else side.send(bytes, hops)
  }

  /** It only answers from now on, and not for long. */
  #over(punch: OnePunch): void {
    const key = keyOf(punch.token)
    if (this.#live.get(key) !== punch) return
    this.#live.delete(key)
    const timer = this.#host.clock.after(AFTERMATH_MS, () => this.#forget(key), true)
    this.#ended.set(key, { punch, timer })
    const [oldest] = this.#ended.keys()
    if (this.#ended.size > MAX_ENDED && oldest !== undefined) this.#forget(oldest)
  }

  #forget(key: string): void {
    this.#ended.get(key)?.timer.cancel()
    this.#ended.delete(key)
  }
}

const keyOf = (token: Uint8Array): string =>
  Buffer.from(token.buffer, token.byteOffset, token.length).toString('latin1')
