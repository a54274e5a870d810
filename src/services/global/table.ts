/**
 * The table of one node: every claim to every name, the best one first.
 *
 * It is told what is so and gives it out; who may claim what is decided elsewhere. Equal claims give an equal order on
 * every node. Names that one node claims, which is nearly all, cost one entry.
 */
import type { Owner } from '../board.ts'
import { type Claim, compareClaims } from './claim.ts'

/** What has become of the best claim to a name. */
export type TableListener = (before: Claim | undefined, after: Claim | undefined) => void

export class Table {
  readonly #best = new Map<string, Claim>()
  /** Where there are more: all of them, in order. */
  readonly #contested = new Map<string, readonly Claim[]>()
  readonly #changed: TableListener

  constructor(changed: TableListener) {
    this.#changed = changed
  }

  get size(): number {
    return this.#best.size
  }

  best(name: string): Claim | undefined {
    return this.#best.get(name)
  }

  names(): string[] {
    return [...this.#best.keys()]
  }

  /** The best one first. */
  claims(name: string): readonly Claim[] {
    const contested = this.#contested.get(name)
    if (contested !== undefined) return contested
    const best = this.#best.get(name)
    return best === undefined ? [] : [best]
  }

  claimOf(name: string, owner: Owner): Claim | undefined {
    return this.claims(name).find((claim) => claim.owner === owner)
  }

  /** In place of what the same node claimed before. */
  put(claim: Claim): void {
    const best = this.#best.get(claim.name)
    // Nearly always.
    if (best === undefined || (best.owner === claim.owner && !this.#contested.has(claim.name))) {
      this.#best.set(claim.name, claim)
      this.#changed(best, claim)
      return
    }
    const others = this.claims(claim.name).filter(({ owner }) => owner !== claim.owner)
    this.#set(claim.name, others.length === 0 ? [claim] : [...others, claim].sort(compareClaims))
  }

  remove(name: string, owner: Owner): void {
    const claims = this.claims(name)
    const left = claims.filter((claim) => claim.owner !== owner)
    if (left.length < claims.length) this.#set(name, left)
  }

  #set(name: string, claims: readonly Claim[]): void {
    const before = this.#best.get(name)
    const after = claims[0]
    if (after === undefined) this.#best.delete(name)
    else this.#best.set(name, after)
    if (claims.length > 1) this.#contested.set(name, claims)
    else this.#contested.delete(name)
    this.#changed(before, after)
  }
}
