/**
 * The wire from one host to another, in one direction: decides by seeded chance what becomes of each packet.
 */
import type { Random } from './random.ts'

/** What one direction of a link does to its packets. */
export interface LinkConditions {
  /** One-way delay of every packet. */
  readonly delayMs: number
  /** Up to this much more delay for each packet, uniformly: so packets overtake each other. */
  readonly jitterMs: number
  /** Share of packets that vanish, 0 to 1. */
  readonly loss: number
  /** Share of packets that are held up for several delays, 0 to 1. */
  readonly reorder: number
  /** Share of packets that arrive twice, 0 to 1. */
  readonly duplicate: number
  /** Rate in bytes per second; Infinity for none. What would wait too long is lost, as in a router's queue. */
  readonly bandwidth: number
}

export const CLEAN_LINK: LinkConditions = {
  delayMs: 1,
  jitterMs: 0,
  loss: 0,
  reorder: 0,
  duplicate: 0,
  bandwidth: Number.POSITIVE_INFINITY,
}

/** A packet held up by reordering arrives this many delays later, and at least a millisecond. */
const REORDER_DELAYS = 4
/** The longest a packet waits for bandwidth: the order of a home router's buffer. */
const MAX_QUEUE_MS = 200

type Fate = 'sent' | 'lost' | 'cut' | 'overflow'

export class Link {
  conditions: LinkConditions
  /** Nothing passes while cut, not even what is already under way. */
  isCut = false
  readonly #random: Random
  /** Virtual time at which the last byte given so far has left. */
  #busyUntilMs = 0

  constructor(conditions: LinkConditions, random: Random) {
    this.conditions = conditions
    this.#random = random
  }

  /** Sends one packet: `arrive` is told the delay of every copy that will arrive. */
  carry(nowMs: number, sizeBytes: number, arrive: (delayMs: number) => void): Fate {
    if (this.isCut) return 'cut'
    const { loss, duplicate, bandwidth } = this.conditions
    let queuedMs = 0
    if (bandwidth !== Number.POSITIVE_INFINITY) {
      queuedMs = Math.max(0, this.#busyUntilMs - nowMs) + (sizeBytes / bandwidth) * 1000
      if (queuedMs > MAX_QUEUE_MS) return 'overflow'
      this.#busyUntilMs = nowMs + queuedMs
    }
    if (loss > 0 && this.#random.float() < loss) return 'lost'
    arrive(queuedMs + this.#delay())
    if (duplicate > 0 && this.#random.float() < duplicate) arrive(queuedMs + this.#delay())
    return 'sent'
  }

  #delay(): number {
    const { delayMs, jitterMs, reorder } = this.conditions
    let delay = delayMs
    if (jitterMs > 0) delay += this.#random.float() * jitterMs
    if (reorder > 0 && this.#random.float() < reorder) delay += Math.max(1, REORDER_DELAYS * delayMs)
    return delay
  }
}
