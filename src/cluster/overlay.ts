/**
 * Who keeps a connection to whom where the cluster is too large for everybody to be connected to everybody: a skip graph
 * (Aspnes and Shah 2003), computed by each node from the ids of the members alone.
 *
 * Every node has a place on a ring and a row of bits, both from the hash of its id. On level 0 the ring holds everybody,
 * on level k those that share their first k bits; on each level a node's neighbours are the next two on either side. So
 * being neighbours is mutual, everybody is reached over the ring of level 0, each node has about 2 log2(n) neighbours,
 * and who comes or goes changes only the connections of its own neighbours. What it does not do: know who is a member.
 */
import { createHash } from 'node:crypto'

interface Place {
  readonly id: string
  /** On the ring, 48 bits. */
  readonly position: number
  readonly row: number
}

/** Neighbours on each side of a level. With one, a node might be cut off where a third of the others die at once. */
const WIDTH = 2

/** The nearest on each side of one level, the nearest first. */
interface Level {
  readonly after: Place[]
  readonly before: Place[]
}

export class Overlay {
  readonly #places = new Map<string, Place>()
  /** What was asked since the last change. */
  readonly #chosen = new Map<string, ReadonlySet<string>>()

  get size(): number {
    return this.#places.size
  }

  ids(): Iterable<string> {
    return this.#places.keys()
  }

  has(id: string): boolean {
    return this.#places.has(id)
  }

  join(id: string): void {
    if (this.#places.has(id)) return
    this.#places.set(id, placeOf(id))
    this.#chosen.clear()
  }

  leave(id: string): void {
    if (this.#places.delete(id)) this.#chosen.clear()
  }

  /** Ids of the members that this one stays connected to; none if it is no member. */
  neighboursOf(id: string): ReadonlySet<string> {
    const known = this.#chosen.get(id)
    if (known !== undefined) return known
    const place = this.#places.get(id)
    if (place === undefined) return NOBODY
    const chosen = this.#choose(place)
    this.#chosen.set(id, chosen)
    return chosen
  }

  #choose(self: Place): ReadonlySet<string> {
    const levels = Array.from({ length: LEVELS }, (): Level => ({ after: [], before: [] }))
    for (const other of this.#places.values()) {
      if (other === self) continue
      const shared = Math.clz32(self.row ^ other.row)
      const ahead = stepsAhead(self, other)
      for (const { after, before } of levels.slice(0, shared + 1)) {
        insert(after, other, (one) => ahead < stepsAhead(self, one))
        insert(before, other, (one) => ahead > stepsAhead(self, one))
      }
    }
    return new Set(levels.flatMap(({ after, before }) => [...after, ...before].map(({ id }) => id)))
  }
}

const NOBODY: ReadonlySet<string> = new Set()

/** Positions of the ring. */
const RING = 2 ** 48
/** More than any cluster has, since a row has 32 bits. */
const LEVELS = 33

const insert = (nearest: Place[], place: Place, isNearerThan: (one: Place) => boolean): void => {
  const at = nearest.findIndex(isNearerThan)
  if (at < 0 && nearest.length >= WIDTH) return
  nearest.splice(at < 0 ? nearest.length : at, 0, place)
  if (nearest.length > WIDTH) nearest.pop()
}

const placeOf = (id: string): Place => {
  const hash = createHash('sha256').update(`skein overlay ${id}`).digest()
  return { id, position: hash.readUIntBE(0, 6), row: hash.readUInt32BE(6) }
}

/** On the ring forward, from one to the other. */
const stepsAhead = (from: Place, to: Place): number => {
  const steps = to.position - from.position
  if (steps === 0) return to.id > from.id ? 0 : RING
  return steps > 0 ? steps : steps + RING
}
