/**
 * Where a child is to run: one of the nodes that can start it.
 */
import type { Random } from '../../../transport/random.ts'
import { type NodeLoad, weightOf } from './load.ts'

/** A node that can start the child. */
export interface Candidate {
  /** name@host */
  readonly node: string
  /** It is the leader's own node. */
  readonly isLocal: boolean
  readonly load: NodeLoad
  /** Of this supervisor. */
  readonly children: number
}

/** What is to be placed. */
export interface Placed {
  readonly supervisor: string
  readonly id: string
  readonly behaviour: string
}

/** Gives the node of one of the candidates; anything else: none of them for now. */
export type PlacementFunction = (candidates: readonly Candidate[], child: Placed) => string | undefined

/**
 * localFirst: on the leader's node if it can, otherwise where the load is least. leastLoaded: by event loop, waiting messages
 * and processes, and among equals where the fewest children of this supervisor are. `{ node }`: there or nowhere.
 */
export type Placement =
  | 'localFirst'
  | 'roundRobin'
  | 'leastLoaded'
  | 'random'
  | { readonly node: string }
  | PlacementFunction

export const isPlacement = (value: unknown): value is Placement =>
  value === 'localFirst' ||
  value === 'roundRobin' ||
  value === 'leastLoaded' ||
  value === 'random' ||
  typeof value === 'function' ||
  (typeof value === 'object' && value !== null && 'node' in value && typeof value.node === 'string')

/** What a child adds to the load of its node until that node tells of it itself. */
const WEIGHT_OF_CHILD = 0.01

export class Placer {
  readonly #placement: Placement
  readonly #random: Random
  #last = ''

  constructor(placement: Placement, random: Random) {
    this.#placement = placement
    this.#random = random
  }

  /** Undefined: nowhere for now. Throws what a custom function throws. */
  choose(candidates: readonly Candidate[], child: Placed): string | undefined {
    const placement = this.#placement
    if (candidates.length === 0) return undefined
    if (typeof placement === 'function') {
      const node: unknown = placement(candidates, child)
      return candidates.find((candidate) => candidate.node === node)?.node
    }
    if (typeof placement === 'object') return candidates.find(({ node }) => node === placement.node)?.node
    switch (placement) {
      case 'localFirst':
        return (candidates.find(({ isLocal }) => isLocal) ?? leastLoaded(candidates)).node
      case 'leastLoaded':
        return leastLoaded(candidates).node
      case 'random':
        return candidates[Math.floor(this.#random.float() * candidates.length)]?.node
      case 'roundRobin':
        return this.#next(candidates)
    }
  }

  /** In the order of their names, after the one chosen last. */
  #next(candidates: readonly Candidate[]): string {
    const nodes = candidates.map(({ node }) => node).sort()
    this.#last = nodes.find((node) => node > this.#last) ?? (nodes[0] as string)
    return this.#last
  }
}

const leastLoaded = (candidates: readonly Candidate[]): Candidate =>
  candidates.reduce((best, one) => (compare(one, best) < 0 ? one : best))

const compare = (one: Candidate, other: Candidate): number => {
  const difference = weigh(one) - weigh(other)
  if (difference !== 0) return difference
  return one.node < other.node ? -1 : 1
}

const weigh = ({ load, children }: Candidate): number => weightOf(load) + children * WEIGHT_OF_CHILD
