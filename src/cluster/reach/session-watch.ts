/**
 * Whether the way of one connection may be lost, long before the failure detector gives it up.
 *
 * Silence alone means nothing: where ticks are rare, or there are none, nobody has anything to say. So a ping goes out as
 * soon as something was sent that brought no answer, an acknowledgement at least; only if nothing comes then either is the
 * way in doubt. And one goes out when nothing was sent for long, so that no NAT on the way forgets the connection.
 */
import type { Session } from '../session.ts'

/** How often to look. */
export const LOOK_MS = 400
/** Silence after which the dialler looks for a second way; the failure detector waits three times as long. */
const SILENCE_MS = 1200
/** The other end does so if the dialler does not. */
const ACCEPTOR_SILENCE_MS = 1800
/** A ping that may well be answered yet: less than a look later, or less than so many round trips. */
const PATIENT_ROUND_TRIPS = 2
/** Of a ping that is only to keep a connection known to NATs. */
const PING_TIMEOUT_MS = 5000

export class SessionWatch {
  readonly #session: Session
  /** How much had been sent when it was looked at last, and since when it has been no more. */
  #sentBytes = 0
  #sentMs: number
  /** When it had been heard when it was looked at last. */
  #heardMs: number
  /** When it was asked whether it is there, as something was sent since then and nothing heard. */
  #askedMs: number | undefined

  constructor(session: Session, nowMs: number) {
    this.#session = session
    this.#sentMs = nowMs
    this.#heardMs = nowMs
  }

  /** To be called every LOOK_MS. True: a second way is needed. `keepaliveMs`: how long it may say nothing. */
  look(nowMs: number, keepaliveMs: number): boolean {
    const session = this.#session
    if (session.isOver || session.way === 'tcp') return false
    this.#follow(nowMs, keepaliveMs)
    const patienceMs = session.role === 'initiator' ? SILENCE_MS : ACCEPTOR_SILENCE_MS
    if (this.#askedMs === undefined || nowMs - this.#heardMs < patienceMs) return false
    return nowMs - this.#askedMs >= Math.max(LOOK_MS, PATIENT_ROUND_TRIPS * session.lanes.connection.stats().rttMs)
  }

  /** Nothing speaks against its being there. */
  isThere(nowMs: number): boolean {
    return this.#askedMs === undefined || nowMs - this.#session.lanes.lastHeardMs < SILENCE_MS
  }

  #follow(nowMs: number, keepaliveMs: number): void {
    const { lanes } = this.#session
    const { lastHeardMs } = lanes
    const { sentBytes } = lanes.connection
    const isHeard = lastHeardMs !== this.#heardMs
    const hasSent = sentBytes !== this.#sentBytes
    this.#heardMs = lastHeardMs
    this.#sentBytes = sentBytes
    if (hasSent) this.#sentMs = nowMs
    if (isHeard) this.#askedMs = undefined
    const isInDoubt = !isHeard && hasSent && this.#askedMs === undefined
    if (isInDoubt) this.#askedMs = nowMs
    if (isInDoubt || nowMs - this.#sentMs >= keepaliveMs) void this.#session.ping(PING_TIMEOUT_MS).catch(() => {})
  }
}
