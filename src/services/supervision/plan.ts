/**
 * What a distributed supervisor is to have running: the children given in code, and what was changed since, child by child.
 *
 * A change is an entry with a number; the greater number wins, and among equals the greater name of who made it. Every
 * node that may lead keeps all entries and tells them on, so they outlive the leader, and two halves of a cluster that
 * were apart come to the same plan without asking. A child that was deleted leaves an entry behind, so that nobody brings
 * it back; of those the oldest are forgotten beyond MAX_DELETED, except for children given in code, who would come back.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { KeptSpec } from './child-spec.ts'

/** Entries of deleted children. */
const MAX_DELETED = 1024
/** Children of one supervisor. */
export const MAX_CHILDREN = 65_536
/** Whoever tells of more makes them up. */
const MAX_ENTRIES = MAX_CHILDREN + MAX_DELETED

/** running: it is to run. gaveUp: it failed too often. */
export type Wanted = 'running' | 'stopped' | 'gaveUp' | 'deleted'

export const isWanted = (value: unknown): value is Wanted =>
  value === 'running' || value === 'stopped' || value === 'gaveUp' || value === 'deleted'

export interface PlanEntry {
  readonly wanted: Wanted
  /** Undefined: that of the code. */
  readonly spec?: KeptSpec
  readonly number: number
  readonly by: string
  /** Of the request that made it, so that one who asks again is not refused. */
  readonly request?: string
}

/** What is to become of one child. */
export interface PlannedChild {
  readonly id: string
  readonly spec: KeptSpec
  readonly wanted: Wanted
  readonly request: string | undefined
}

/** Stands for the supervisor itself: as a child it would have no id. */
export const WHOLE = ''

export class Plan {
  readonly #by: string
  readonly #tell: (id: string, entry: PlanEntry | undefined) => void
  readonly #given = new Map<string, KeptSpec>()
  readonly #entries = new Map<string, PlanEntry>()
  #size = 0
  #deleted = 0
  #last = 0

  /** `tell` is called with every entry that is new here: others are to hear of it. Undefined: it is forgotten. */
  constructor(
    by: string,
    given: Iterable<readonly [string, KeptSpec]>,
    tell: (id: string, entry: PlanEntry | undefined) => void,
  ) {
    this.#by = by
    this.#tell = tell
    for (const [id, spec] of given) this.#given.set(id, spec)
    this.#size = this.#given.size
  }

  /** The whole supervisor was stopped. */
  get isStopped(): boolean {
    return this.#entries.get(WHOLE)?.wanted === 'stopped'
  }

  get(id: string): PlannedChild | undefined {
    const entry = this.#entries.get(id)
    const spec = entry?.spec ?? this.#given.get(id)
    if (spec === undefined || id === WHOLE || entry?.wanted === 'deleted') return undefined
    return { id, spec, wanted: entry?.wanted ?? 'running', request: entry?.request }
  }

  /** It was a child, or the supervisor itself was stopped: what runs of it is to end. */
  isDeleted(id: string): boolean {
    return this.isStopped || this.#entries.get(id)?.wanted === 'deleted'
  }

  /** Those of the code first. */
  *ids(): IterableIterator<string> {
    for (const id of this.#given.keys()) if (this.get(id) !== undefined) yield id
    for (const id of this.#entries.keys()) if (!this.#given.has(id) && this.get(id) !== undefined) yield id
  }

  /** Number of children, whether they are to run or not. */
  get size(): number {
    return this.#size
  }

  /** A decision of this node. */
  decide(id: string, wanted: Wanted, change: { readonly spec?: KeptSpec; readonly request?: string } = {}): void {
    const known = this.#entries.get(id)
    const spec = change.spec ?? (wanted === 'deleted' ? undefined : known?.spec)
    const request = change.request ?? known?.request
    this.merge(id, {
      wanted,
      ...(spec === undefined ? {} : { spec }),
      number: this.#last + 1,
      by: this.#by,
      ...(request === undefined ? {} : { request }),
    })
  }

  /** It changes what is known of the child. */
  isNews(id: string, entry: PlanEntry): boolean {
    const known = this.#entries.get(id)
    return known === undefined || isLater(entry, known)
  }

  /** An entry of whomever. Throws ERR_SKEIN_LIMIT. */
  merge(id: string, entry: PlanEntry): void {
    this.#last = Math.max(this.#last, entry.number)
    const known = this.#entries.get(id)
    if (!this.isNews(id, entry)) return
    if (known === undefined && this.#isForgettable(id) && this.#entries.size >= MAX_ENTRIES) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `The plan of a supervisor has at most ${MAX_ENTRIES} entries.`)
    }
    if (this.get(id) !== undefined) this.#size--
    if (known?.wanted === 'deleted' && this.#isForgettable(id)) this.#deleted--
    // Set anew, so that the order is that of the changes.
    this.#entries.delete(id)
    this.#entries.set(id, entry)
    if (this.get(id) !== undefined) this.#size++
    if (entry.wanted === 'deleted' && this.#isForgettable(id)) this.#deleted++
    this.#tell(id, entry)
    if (this.#deleted > MAX_DELETED) this.#forgetOne()
  }

  /** Without an entry there is no such child. */
  #isForgettable(id: string): boolean {
    return id !== WHOLE && !this.#given.has(id)
  }

  #forgetOne(): void {
    for (const [id, { wanted }] of this.#entries) {
      if (wanted !== 'deleted' || !this.#isForgettable(id)) continue
      this.#entries.delete(id)
      this.#deleted--
      this.#tell(id, undefined)
      return
    }
  }
}

const isLater = (one: PlanEntry, other: PlanEntry): boolean =>
  one.number === other.number ? one.by > other.by : one.number > other.number
