/**
 * The keys of the cluster that a node goes by: one primary, and for the time of a rotation some that are accepted too.
 *
 * The primary seals, is shown and is published under; all of them open. An accepted key may have an end: a monotonic time,
 * which whoever has a clock keeps an eye on (`nextEndMs`, `expire`). A key is told by its fingerprint, the first 8 digits of
 * the cluster tag, which is no secret (keys.ts). Listeners hear of each change when it is done.
 */
import { SkeinError } from './errors.ts'
import type { ClusterKeys } from './keys.ts'

/** Beside the primary. Each costs a stranger's datagram one more hash. */
export const MAX_ACCEPTED = 3

const FINGERPRINT_CHARACTERS = 8

/** What tells keys apart, for people: 8 hex digits. */
export const fingerprintOf = ({ clusterTag }: Pick<ClusterKeys, 'clusterTag'>): string =>
  clusterTag.slice(0, FINGERPRINT_CHARACTERS)

/** All keys, the primary first, as they are now. Cloned as it is it makes another ring: see `replace`. */
export type RingKeys = readonly [ClusterKeys, ...ClusterKeys[]]

/** One key, without its secrets. */
export interface RingEntry {
  readonly fingerprint: string
  readonly primary: boolean
  /** Monotonic milliseconds; undefined: until it is dropped. */
  readonly endMs: number | undefined
}

/** What a change made of the ring, by fingerprints. */
export interface RingChange {
  /** Were not in the ring before. */
  readonly added: readonly string[]
  /** The new primary, if there is one. */
  readonly primary: string | undefined
  /** Are not in the ring any more. */
  readonly dropped: readonly string[]
}

/** What those need who only use the keys. */
export interface RingView {
  readonly primary: ClusterKeys
  all(): RingKeys
}

interface Accepted {
  readonly keys: ClusterKeys
  readonly endMs: number | undefined
}

export class Keyring implements RingView {
  readonly #listeners = new Set<(change: RingChange) => void>()
  #primary: ClusterKeys
  #accepted: readonly Accepted[]

  /** Throws ERR_SKEIN_LIMIT for more than MAX_ACCEPTED accepted keys. */
  constructor(primary: ClusterKeys, accepted: readonly ClusterKeys[] = []) {
    this.#primary = primary
    this.#accepted = others(primary, accepted.map(forGood))
  }

  get primary(): ClusterKeys {
    return this.#primary
  }

  all(): RingKeys {
    return [this.#primary, ...this.#accepted.map(({ keys }) => keys)]
  }

  /** The primary first. */
  entries(): RingEntry[] {
    const entry = (keys: ClusterKeys, endMs: number | undefined): RingEntry => ({
      fingerprint: fingerprintOf(keys),
      primary: keys === this.#primary,
      endMs,
    })
    return [entry(this.#primary, undefined), ...this.#accepted.map(({ keys, endMs }) => entry(keys, endMs))]
  }

  /** These keys count, too, or until another time than before. No effect on the primary. Throws ERR_SKEIN_LIMIT. */
  accept(keys: ClusterKeys, endMs?: number): void {
    this.#become(this.#primary, [...this.#accepted.filter(isNot(keys)), { keys, endMs }])
  }

  /** These are the primary from now on; the one before is accepted until the time given. Throws ERR_SKEIN_LIMIT. */
  use(keys: ClusterKeys, oldEndMs?: number): void {
    if (isSame(keys, this.#primary)) return
    const before: Accepted = { keys: this.#primary, endMs: oldEndMs }
    this.#become(keys, [before, ...this.#accepted.filter(isNot(keys))])
  }

  /** False if they were not accepted. The primary cannot be dropped: ERR_SKEIN_BAD_ARGUMENT. */
  drop(keys: ClusterKeys): boolean {
    if (isSame(keys, this.#primary)) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'The cookie in use cannot be dropped: use another one first.')
    }
    const left = this.#accepted.filter(isNot(keys))
    if (left.length === this.#accepted.length) return false
    this.#become(this.#primary, left)
    return true
  }

  /** Takes over all of another ring, but for its ends. */
  replace([primary, ...accepted]: RingKeys): void {
    this.#become(primary, accepted.map(forGood))
  }

  /** When the first of the accepted keys ends. */
  get nextEndMs(): number | undefined {
    const ends = this.#accepted.flatMap(({ endMs }) => endMs ?? [])
    return ends.length === 0 ? undefined : Math.min(...ends)
  }

  /** Drops what has come to its end. */
  expire(nowMs: number): void {
    this.#become(
      this.#primary,
      this.#accepted.filter(({ endMs }) => endMs === undefined || endMs > nowMs),
    )
  }

  /** Calls `listener` after each change, in the order of the calls to this; returns how to end that. */
  onChange(listener: (change: RingChange) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  #become(primary: ClusterKeys, accepted: readonly Accepted[]): void {
    const next = others(primary, accepted)
    const before = this.all()
    const isUsed = !isSame(primary, this.#primary)
    this.#primary = primary
    this.#accepted = next
    const after = this.all()
    const missing = (from: RingKeys, among: RingKeys): string[] =>
      from.filter((keys) => !among.some((other) => isSame(keys, other))).map(fingerprintOf)
    const change: RingChange = {
      added: missing(after, before),
      primary: isUsed ? fingerprintOf(primary) : undefined,
      dropped: missing(before, after),
    }
    if (!isUsed && change.added.length === 0 && change.dropped.length === 0) return
    for (const listener of [...this.#listeners]) listener(change)
  }
}

const isSame = (one: ClusterKeys, other: ClusterKeys): boolean => one.clusterTag === other.clusterTag

const isNot =
  (keys: ClusterKeys) =>
  (accepted: Accepted): boolean =>
    !isSame(keys, accepted.keys)

const forGood = (keys: ClusterKeys): Accepted => ({ keys, endMs: undefined })

/** Each once, and none that is the primary. */
const others = (primary: ClusterKeys, accepted: readonly Accepted[]): readonly Accepted[] => {
  const byTag = new Map(accepted.map((one) => [one.keys.clusterTag, one]))
  byTag.delete(primary.clusterTag)
  if (byTag.size > MAX_ACCEPTED) {
    throw new SkeinError('ERR_SKEIN_LIMIT', `A node accepts ${MAX_ACCEPTED} cookies beside its own; drop one first.`)
  }
  return [...byTag.values()]
}
