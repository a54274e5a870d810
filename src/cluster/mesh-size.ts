/**
 * How large the cluster is, as far as connections go: everybody is connected to everybody up to a size, beyond it each
 * node keeps to its neighbours (overlay.ts).
 *
 * The way back to a full mesh begins at a smaller size than the way out of it, so that a cluster at the edge does not
 * change its mind with every node that comes or goes.
 */

/** Back to a full mesh at this part of the size. */
const WAY_BACK = 0.8

export class MeshSize {
  readonly #fullMeshNodes: number
  #isFull = true

  /** Up to so many nodes, this one included, are fully connected. */
  constructor(fullMeshNodes: number) {
    this.#fullMeshNodes = fullMeshNodes
  }

  get isFull(): boolean {
    return this.#isFull
  }

  /** True: it changed. `nodes` includes this one. */
  update(nodes: number): boolean {
    const limit = this.#isFull ? this.#fullMeshNodes : Math.floor(this.#fullMeshNodes * WAY_BACK)
    const isFull = nodes <= limit
    const changed = isFull !== this.#isFull
    this.#isFull = isFull
    return changed
  }
}
