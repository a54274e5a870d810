/**
 * What `skein top` knows of each node: its last snapshot, and the one before, from which rates are made.
 *
 * Nodes are asked side by side. One that is slow keeps nobody waiting for long, and one that is gone stays to be seen for
 * a while. Nodes that others are connected to are asked from then on, up to a limit.
 */
import { isNodeName } from '../../cluster/node-name.ts'
import type { ClusterSnapshot, ObservedNode } from '../../observe/observer.ts'
import type { NodeSnapshot } from '../../observe/snapshot.ts'

/** Nodes asked; a screen shows a few dozen, and each costs the tool a connection. */
const MAX_NODES = 256
const ASK_TIMEOUT_MS = 4000
/** A round does not wait longer for the slow ones; their answers are shown with the next. */
const ROUND_MS = 1000
/** So long a node that does not answer is shown. */
const LINGER_MS = 30_000

/** What asks: `node.observer` of the tool. */
export interface Asked {
  snapshot(options: { readonly nodes: readonly string[]; readonly timeoutMs: number }): Promise<ClusterSnapshot>
}

/** One node as it was seen last. */
export interface Sample {
  /** name@host */
  readonly node: string
  /** Undefined while it does not answer. */
  readonly snapshot: NodeSnapshot | undefined
  /** Why it does not. */
  readonly code: string | undefined
  /** The snapshot before, of the same incarnation, and the time between both. */
  readonly before: { readonly snapshot: NodeSnapshot; readonly spanMs: number } | undefined
}

interface Seen {
  sample: Sample
  /** When it answered last. */
  atMs: number
  /** Until it answers, or fails. */
  asking: Promise<void> | undefined
}

export class Samples {
  readonly #asked: Asked
  readonly #now: () => number
  readonly #follows: boolean
  readonly #seen = new Map<string, Seen>()

  /** `follows`: nodes that the others are connected to are asked as well. */
  constructor(asked: Asked, nodes: readonly string[], follows: boolean, now: () => number = () => performance.now()) {
    this.#asked = asked
    this.#now = now
    this.#follows = follows
    for (const node of nodes) this.#add(node)
  }

  /** In the order of their names. */
  get all(): Sample[] {
    const samples = [...this.#seen.values()].map(({ sample }) => sample)
    // A node that was never heard of yet is not shown.
    return samples
      .filter(({ snapshot, code }) => snapshot !== undefined || code !== undefined)
      .sort((one, other) => (one.node < other.node ? -1 : 1))
  }

  /** Asks all nodes; resolves when they have answered, or most of a second has passed. */
  async round(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const patience = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ROUND_MS)
    })
    const idle = [...this.#seen].filter(([, { asking }]) => asking === undefined)
    const asked = idle.map(([node, seen]) => this.#ask(node, seen))
    // Where there is nobody else to ask, the slow ones are waited for.
    const awaited = asked.length > 0 ? asked : [...this.#seen.values()].map(({ asking }) => asking)
    await Promise.race([Promise.all(awaited), patience])
    clearTimeout(timer)
    const nowMs = this.#now()
    for (const [node, { sample, atMs }] of this.#seen) {
      if (sample.code !== undefined && this.#follows && nowMs - atMs > LINGER_MS) this.#seen.delete(node)
    }
  }

  /** All nodes have answered, or failed, once. */
  get isComplete(): boolean {
    return [...this.#seen.values()].every(({ sample }) => sample.snapshot !== undefined || sample.code !== undefined)
  }

  #add(node: string): void {
    if (this.#seen.size >= MAX_NODES || this.#seen.has(node)) return
    const sample = { node, snapshot: undefined, code: undefined, before: undefined }
    this.#seen.set(node, { sample, atMs: this.#now(), asking: undefined })
  }

  #ask(node: string, seen: Seen): Promise<void> {
    const ask = async (): Promise<void> => {
      const { nodes } = await this.#asked.snapshot({ nodes: [node], timeoutMs: ASK_TIMEOUT_MS })
      seen.asking = undefined
      const [observed] = nodes
      if (observed !== undefined) this.#take(seen, observed)
    }
    seen.asking = ask()
    return seen.asking
  }

  #take(seen: Seen, observed: ObservedNode): void {
    const { sample } = seen
    if (observed.status === 'failed') {
      seen.sample = { node: sample.node, snapshot: undefined, code: observed.code, before: undefined }
      return
    }
    const { snapshot } = observed
    const nowMs = this.#now()
    const last = sample.snapshot
    const isSame = last !== undefined && last.incarnation === snapshot.incarnation && snapshot.uptimeMs > last.uptimeMs
    const before = isSame ? { snapshot: last, spanMs: snapshot.uptimeMs - last.uptimeMs } : sample.before
    seen.sample = { node: sample.node, snapshot, code: undefined, before }
    seen.atMs = nowMs
    if (!this.#follows) return
    for (const { node, hidden } of snapshot.connections.list) if (!hidden && isNodeName(node)) this.#add(node)
  }
}
