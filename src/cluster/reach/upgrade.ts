/**
 * From a relay to a direct way: for one relayed peer, the punches that are tried until one succeeds.
 *
 * A punch begins at both ends when the relay tells them of each other, with a token that only the three know. What it finds is
 * offered to the connection as soon as that is open; the connection proves the way itself and moves there, and QUIC
 * notices no more than another round trip. Inside the connection both ends then tell each other how their NATs treat them
 * and where else they may be found (punch-plan.ts), for a second phase: candidates on a LAN, and if just one of the two NATs
 * is symmetric, many ports at once.
 *
 * While the connection stays on the relay the dialler tries again after 5, 40 and 75 s, and then every 5 minutes: NATs
 * forget what spoiled a punch, and people move. A NAT remembers for 30 s after the last packet that something came in before
 * its own side had sent (Linux, nf_conntrack_udp_timeout), so the pauses are longer than that.
 */
import type { NatClass } from '../../../discovery/source.ts'
import type { Address } from '../../../transport/address.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Way } from '../../../transport/way.ts'
import { CONTROL } from '../control.ts'
import type { Session } from '../session.ts'
import { encodePlan, type PunchPlan } from './punch-plan.ts'
import type { Punch, Puncher } from './puncher.ts'
import type { RelayedWay } from './relay-client.ts'

/** A plain punch has so long before many ports are tried. */
const PLAIN_PUNCH_MS = 700
/** From one try to the next. */
const RETRY_MS: readonly number[] = [5000, 35_000, 35_000]
const LATER_RETRY_MS = 5 * 60_000
/** Ways of one peer that punches found. */
const MAX_FOUND = 8

export interface UpgradeHost {
  readonly clock: Clock
  readonly puncher: Puncher
  /** How our own NAT treats us, and where we may be found. */
  self(): { readonly nat: NatClass; readonly candidates: readonly Address[] }
  /** Asks the relay for a fresh token, of which both ends then hear. */
  again(relayed: RelayedWay): void
}

export class Upgrade {
  readonly #host: UpgradeHost
  #relayed: RelayedWay
  #punch: Punch | undefined
  /** Ways that punches found. */
  #found: Way[] = []
  #session: Session | undefined
  /** Another one beside it that is up: it loses, or it replaces the other one when that is over. */
  #rival: Session | undefined
  #isUp = false
  /** The other end's, perhaps for a token that we are still to hear of. */
  #plan: PunchPlan | undefined
  #manyPorts: Timer | undefined
  #isManyPortsDue = false
  #retry: Timer | undefined
  #tries = 0

  constructor(host: UpgradeHost, relayed: RelayedWay) {
    this.#host = host
    this.#relayed = relayed
    this.begin(relayed)
  }

  get relayed(): RelayedWay {
    return this.#relayed
  }

  /** The one it is for, as soon as TLS is done. */
  get session(): Session | undefined {
    return this.#session
  }

  /** The relay tells of the other end, again perhaps: a punch begins. */
  begin(relayed: RelayedWay): void {
    this.#relayed = relayed
    this.#endPunch()
    this.#letGo()
    const { token, observed, relayId: relay } = relayed
    this.#punch = this.#host.puncher.begin({
      token,
      targets: [observed],
      relay,
      found: (way) => this.#isFound(way),
      over: () => {},
    })
    this.#manyPorts = this.#host.clock.after(PLAIN_PUNCH_MS, () => {
      this.#isManyPortsDue = true
      this.#tryManyPorts()
    })
    this.#usePlan()
    if (this.#isUp) this.#tellPlan()
  }

  /** TLS is done: ways can be proven from now on. */
  opened(session: Session): void {
    if (this.#isUp && session !== this.#session && this.#session?.isOver === false) this.#rival = session
    else this.#session = session
    for (const way of this.#found) session.lanes.connection.offer(way)
  }

  /** The other end is a proven member. */
  up(session: Session): void {
    this.#session = session
    this.#rival = undefined
    this.opened(session)
    this.#isUp = true
    this.#tellPlan()
    if (session.way === 'relay') this.#planRetry()
  }

  /** A connection that was up is over. If another one is about to take its place, all of this goes on for that one. */
  down(session: Session): void {
    if (session !== this.#session) return
    this.#session = this.#rival?.isOver === false ? this.#rival : undefined
    this.#rival = undefined
    this.#isUp = false
    this.#stopRetries()
  }

  /** A rival that is over has lost: nothing of it is kept. */
  forgetLoser(): void {
    if (this.#rival?.isOver === true) this.#rival = undefined
  }

  /** The other end has told its plan. */
  told(plan: PunchPlan): void {
    this.#plan = plan
    this.#usePlan()
  }

  moved(session: Session): void {
    if (session !== this.#session) return
    if (session.way === 'relay') return this.#planRetry()
    this.#endPunch()
    this.#stopRetries()
  }

  end(): void {
    this.#endPunch()
    this.#stopRetries()
    this.#session = undefined
    this.#rival = undefined
    this.#letGo()
  }

  /** Sockets of their own are closed with the ways that have one. */
  #letGo(): void {
    this.forgetLoser()
    const inUse = [this.#session, this.#rival].map((session) => session?.lanes.connection.way)
    for (const way of this.#found) if (!inUse.includes(way)) this.#host.puncher.release(way)
    this.#found = this.#found.filter((way) => inUse.includes(way))
  }

  #isFound(way: Way): void {
    if (this.#found.length >= MAX_FOUND) return this.#host.puncher.release(way)
    this.#found.push(way)
    this.#session?.lanes.connection.offer(way)
    this.#rival?.lanes.connection.offer(way)
  }

  #tellPlan(): void {
    const { nat, candidates } = this.#host.self()
    this.#session?.meshFrame(CONTROL.punchPlan, encodePlan({ token: this.#relayed.token, nat, candidates }))
  }

  #usePlan(): void {
    if (this.#plan === undefined || !this.#isOfNow(this.#plan)) return
    this.#punch?.addTargets(this.#plan.candidates)
    this.#tryManyPorts()
  }

  #isOfNow({ token }: PunchPlan): boolean {
    return Buffer.from(token).equals(this.#relayed.token)
  }

  /** As soon as the plain punch had its time and the other end's plan is here. */
  #tryManyPorts(): void {
    const plan = this.#plan
    if (!this.#isManyPortsDue || this.#found.length > 0 || plan === undefined || !this.#isOfNow(plan)) return
    this.#isManyPortsDue = false
    const weVary = this.#host.self().nat === 'symmetric'
    const theyVary = plan.nat === 'symmetric'
    if (weVary && !theyVary) this.#punch?.spread(this.#relayed.observed)
    else if (theyVary && !weVary) this.#punch?.sweep(this.#relayed.observed.host)
  }

  #planRetry(): void {
    if (this.#retry !== undefined || !this.#isUp || this.#session?.role !== 'initiator') return
    const delayMs = RETRY_MS[this.#tries] ?? LATER_RETRY_MS
    this.#tries++
    this.#retry = this.#host.clock.after(delayMs, () => {
      this.#retry = undefined
      if (this.#session?.isOver !== false || this.#session.way !== 'relay') return
      this.#host.again(this.#relayed)
      this.#planRetry()
    })
  }

  #stopRetries(): void {
    this.#retry?.cancel()
    this.#retry = undefined
    this.#tries = 0
  }

  #endPunch(): void {
    this.#isManyPortsDue = false
    this.#punch?.end()
    this.#punch = undefined
    this.#manyPorts?.cancel()
  }
}
