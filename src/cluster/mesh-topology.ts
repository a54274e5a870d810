/**
 * Who is meant to be connected to whom: everybody to everybody up to a size, beyond it each node to its neighbours of the
 * overlay. Nodes that know the same members give the same answers, but for a while at the edge of that size (mesh-size.ts).
 *
 * It follows what the membership knows, and looks there again after `changed`. What it does not do: connect.
 */
import type { Topology } from './membership/view.ts'
import { MeshSize } from './mesh-size.ts'
import { Overlay } from './overlay.ts'

export interface MeshTopologyOptions {
  readonly selfId: string
  /** Up to so many nodes, this one included, everybody is connected to everybody. */
  readonly fullMeshNodes: number
  /** Ids of the other members. */
  readonly known: () => Iterable<string>
}

export class MeshTopology implements Topology {
  readonly #selfId: string
  readonly #known: () => Iterable<string>
  readonly #overlay = new Overlay()
  readonly #size: MeshSize
  #isStale = true

  constructor({ selfId, fullMeshNodes, known }: MeshTopologyOptions) {
    this.#selfId = selfId
    this.#known = known
    this.#size = new MeshSize(fullMeshNodes)
  }

  get full(): boolean {
    this.#follow()
    return this.#size.isFull
  }

  neighboursOf(id: string): ReadonlySet<string> {
    if (!this.full) return this.#overlay.neighboursOf(id)
    const others = new Set(this.#known()).add(this.#selfId)
    others.delete(id)
    return others
  }

  /** This node is meant to be connected to that one. */
  wants(id: string): boolean {
    return this.full || this.#overlay.neighboursOf(this.#selfId).has(id)
  }

  /** Somebody came or went. */
  changed(): void {
    this.#isStale = true
  }

  #follow(): void {
    if (!this.#isStale) return
    this.#isStale = false
    let others = 0
    for (const id of this.#known()) if (id !== this.#selfId) others++
    this.#size.update(others + 1)
    // In a full mesh, where everybody comes and goes at everybody, nobody needs the overlay.
    if (this.#size.isFull) return
    const known = new Set(this.#known()).add(this.#selfId)
    for (const id of [...this.#overlay.ids()]) if (!known.has(id)) this.#overlay.leave(id)
    for (const id of known) this.#overlay.join(id)
  }
}
