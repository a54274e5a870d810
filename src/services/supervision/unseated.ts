/**
 * Who led a supervisor a while ago, or believed so: nodes whose claim to it lost its place, or stands beside a better one.
 *
 * After a partition two nodes lead until both know of it, and what the one gives orders for in the meantime arrives where the
 * other one is known to lead. That is no attempt at anything. Only claims that this node took from their owners count.
 */
import type { Clock } from '../../../transport/clock.ts'

/** A claim explains no more after it. Longer than nodes take that have not found each other again while others see both. */
const EXPLAINED_MS = 60_000
/** Supervisors remembered; the oldest is forgotten first. */
const MAX_REMEMBERED = 4096

interface Claims {
  best: string | undefined
  /** Since when each is not the best, by the key of its node. */
  readonly others: Map<string, number>
}

export class Unseated {
  readonly #clock: Pick<Clock, 'now'>
  /** Keys of the nodes that claim to lead it, the best one first. */
  readonly #claimants: (supervisor: string) => readonly string[]
  readonly #seen = new Map<string, Claims>()

  constructor(clock: Pick<Clock, 'now'>, claimants: (supervisor: string) => readonly string[]) {
    this.#clock = clock
    this.#claimants = claimants
  }

  /** To be called whenever claims to it have changed. */
  look(supervisor: string): void {
    const nowMs = this.#clock.now()
    const standing = this.#claimants(supervisor)
    const [best] = standing
    const claims = this.#seen.get(supervisor) ?? { best: undefined, others: new Map<string, number>() }
    const { others } = claims
    for (const key of [claims.best, ...standing]) if (key !== undefined && !others.has(key)) others.set(key, nowMs)
    if (best !== undefined) others.delete(best)
    claims.best = best
    for (const [key, sinceMs] of others) {
      if (nowMs - sinceMs > EXPLAINED_MS && !standing.includes(key)) others.delete(key)
    }
    if (best === undefined && others.size === 0) this.#seen.delete(supervisor)
    else this.#remember(supervisor, claims)
  }

  /** Whether orders of that node are those of a leader that was not yet told. */
  has(supervisor: string, key: string): boolean {
    const sinceMs = this.#seen.get(supervisor)?.others.get(key)
    return sinceMs !== undefined && this.#clock.now() - sinceMs <= EXPLAINED_MS
  }

  #remember(supervisor: string, claims: Claims): void {
    this.#seen.delete(supervisor)
    this.#seen.set(supervisor, claims)
    for (const oldest of this.#seen.keys()) {
      if (this.#seen.size <= MAX_REMEMBERED) break
      this.#seen.delete(oldest)
    }
  }
}
