/**
 * The nodes that could start a child now: by their own account, and by what came of it when they were asked.
 */
import type { Clock } from '../../../transport/clock.ts'
import type { KeptSpec } from './child-spec.ts'
import type { NodeBoard } from './node-board.ts'
import type { Candidate } from './placement.ts'
import { isActive, type SlotFacts } from './slot.ts'

/** Where the children of a supervisor are: by child, then by node. */
export type View = ReadonlyMap<string, ReadonlyMap<string, SlotFacts>>

interface CandidatesParts {
  /** name@host of this node. */
  readonly node: string
  readonly clock: Clock
  readonly nodes: NodeBoard
  readonly view: View
  /** Nodes that were told to start a child and have not yet. */
  asked(): Iterable<string>
}

export class Candidates {
  readonly #parts: CandidatesParts
  /** Nodes passed over until then, by node and behaviour. */
  readonly #unable = new Map<string, number>()
  /** Children by node. */
  #counts: Map<string, number> | undefined

  constructor(parts: CandidatesParts) {
    this.#parts = parts
  }

  for({ behaviour, version }: KeptSpec): Candidate[] {
    const { nodes, node: own, clock } = this.#parts
    const nowMs = clock.now()
    this.#counts ??= this.#count()
    const found: Candidate[] = []
    for (const node of nodes.members()) {
      if (nodes.drains(node) || !nodes.canStart(node, behaviour, version || undefined)) continue
      if ((this.#unable.get(`${node} ${behaviour}`) ?? 0) > nowMs) continue
      found.push({ node, isLocal: node === own, load: nodes.loadOf(node), children: this.#counts.get(node) ?? 0 })
    }
    return found
  }

  /** What runs may have changed: children are counted anew. */
  recount(): void {
    this.#counts = undefined
  }

  /** One more child goes there. */
  placed(node: string): void {
    this.#counts?.set(node, (this.#counts.get(node) ?? 0) + 1)
  }

  passOver(node: string, behaviour: string, forMs: number): void {
    const nowMs = this.#parts.clock.now()
    for (const [key, endMs] of this.#unable) if (endMs <= nowMs) this.#unable.delete(key)
    this.#unable.set(`${node} ${behaviour}`, nowMs + forMs)
  }

  #count(): Map<string, number> {
    const counts = new Map<string, number>()
    const add = (node: string): void => void counts.set(node, (counts.get(node) ?? 0) + 1)
    for (const slots of this.#parts.view.values()) for (const [node, slot] of slots) if (isActive(slot)) add(node)
    for (const node of this.#parts.asked()) add(node)
    return counts
  }
}
