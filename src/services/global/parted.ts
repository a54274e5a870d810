/**
 * Nodes whose connection was lost, by incarnation, and what was missed while they were away.
 *
 * One that comes back as the same was somewhere in the meantime. What is to be done then is work for every node, so nodes
 * that come back again and again make it be done once in a while.
 */
import type { Clock } from '../../../transport/clock.ts'
import type { ChannelPeer } from '../channel.ts'
import type { Stamp } from './stamp.ts'

/** The one lost first is forgotten first. */
const MAX_PARTED = 4096
/** At most this often is made up for what was missed: at once, and then after a pause. */
const INTERVAL_MS = 5000

export class Parted {
  readonly #clock: Clock
  readonly #makeUp: (stamp: Stamp) => void
  readonly #keys = new Set<string>()
  /** Nothing younger was missed. Undefined: nothing was. */
  #missed: Stamp | undefined
  #isResting = false

  constructor(clock: Clock, makeUp: (stamp: Stamp) => void) {
    this.#clock = clock
    this.#makeUp = makeUp
  }

  lost({ pid }: ChannelPeer): void {
    this.#keys.delete(pid.origin.key)
    this.#keys.add(pid.origin.key)
    for (const oldest of this.#keys) {
      if (this.#keys.size <= MAX_PARTED) break
      this.#keys.delete(oldest)
    }
  }

  /** The peer is there, and has seen nothing younger than that. */
  there({ pid }: ChannelPeer, stamp: Stamp): void {
    if (!this.#keys.delete(pid.origin.key)) return
    if (this.#missed === undefined || stamp > this.#missed) this.#missed = stamp
    this.#look()
  }

  #look(): void {
    if (this.#isResting || this.#missed === undefined) return
    const missed = this.#missed
    this.#missed = undefined
    this.#isResting = true
    const rested = (): void => {
      this.#isResting = false
      this.#look()
    }
    this.#clock.after(INTERVAL_MS, rested, true)
    this.#makeUp(missed)
  }
}
