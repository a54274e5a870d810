/**
 * Which connected members introduce this node to those who cannot reach it: at most three, told in its record.
 *
 * One that a stranger can reach: it has no NAT before it, or this node has dialled it at a public address. Those that
 * are connected longest come first, as they are the likeliest to stay, and no two of one network while there are others.
 * Whoever is chosen stays chosen as long as it is connected: only a member of another network takes the place of one
 * whose network is there twice. It neither dials nor asks.
 */
import { isExemptHost } from '../../../discovery/dht/dht-id.ts'
import { MAX_INTRODUCERS } from '../../../discovery/dht/record.ts'
import { networkOf } from '../../../discovery/dht/votes.ts'
import type { NatClass } from '../../../discovery/source.ts'
import { type Address, sameAddress } from '../../../transport/address.ts'

/** Members remembered; those who come later wait until one goes. */
export const MAX_CANDIDATES = 256

export interface IntroducerCandidate {
  readonly id: string
  /** Where this node sees it. */
  readonly address: Address
  /** This node has dialled it there. */
  readonly dialled: boolean
  /** By its own account. */
  readonly nat?: NatClass | undefined
}

export class Introducers {
  readonly #changed: () => void
  /** Longest connected first. */
  readonly #candidates = new Map<string, IntroducerCandidate>()
  #chosen: readonly IntroducerCandidate[] = []

  /** `changed`: others are chosen now, or one of them moved. */
  constructor(changed: () => void) {
    this.#changed = changed
  }

  /** A member is connected, or something about it changed. */
  met(candidate: IntroducerCandidate): void {
    const { id } = candidate
    if (!isReachable(candidate)) return this.gone(id)
    if (!this.#candidates.has(id) && this.#candidates.size >= MAX_CANDIDATES) return
    this.#candidates.set(id, candidate)
    this.#choose()
  }

  /** A member is connected no more. */
  gone(id: string): void {
    if (this.#candidates.delete(id)) this.#choose()
  }

  /** Their ids, as chosen. */
  ids(): readonly string[] {
    return this.#chosen.map(({ id }) => id)
  }

  addresses(): readonly Address[] {
    return this.#chosen.map(({ address }) => address)
  }

  #choose(): void {
    const chosen = this.#chosen.flatMap(({ id }) => this.#candidates.get(id) ?? [])
    for (const candidate of this.#candidates.values()) {
      if (chosen.includes(candidate)) continue
      const isElsewhere = !chosen.some((one) => areNeighbours(one, candidate))
      if (chosen.length === MAX_INTRODUCERS) {
        // The last one came last.
        const spare = chosen.findLastIndex((one) => chosen.some((other) => other !== one && areNeighbours(other, one)))
        if (isElsewhere && spare >= 0) chosen.splice(spare, 1, candidate)
      } else if (isElsewhere) chosen.push(candidate)
    }
    for (const candidate of this.#candidates.values()) {
      if (chosen.length < MAX_INTRODUCERS && !chosen.includes(candidate)) chosen.push(candidate)
    }
    const isSame =
      chosen.length === this.#chosen.length &&
      chosen.every(({ id, address }, i) => id === this.#chosen[i]?.id && sameAddress(address, this.#chosen[i].address))
    this.#chosen = chosen
    if (!isSame) this.#changed()
  }
}

const isReachable = ({ address, dialled, nat }: IntroducerCandidate): boolean =>
  !isExemptHost(address.host) && (dialled || nat === 'open')

const areNeighbours = (one: IntroducerCandidate, other: IntroducerCandidate): boolean =>
  networkOf(one.address.host) === networkOf(other.address.host)
