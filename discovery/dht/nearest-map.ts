/**
 * A bounded map from keys of the DHT that keeps what is nearest to this node's own ids.
 *
 * It is for what others store here: they look for it at the nodes nearest to the key, so when there is no room the
 * farthest key goes first, and a newcomer farther than all has to stay outside. Entries that are not set again within
 * their lifetime are gone. No timers: what has expired is removed when the map changes, and never given out.
 */
import { keyText, roughDistance } from './dht-id.ts'
import type { DhtKey } from './message.ts'

export interface NearestMapOptions<T> {
  /** Of this node, one for each network it is in. */
  readonly ids: readonly DhtKey[]
  readonly maxEntries: number
  readonly lifetimeMs: number
  /** Told of whatever is removed, for whichever reason. */
  readonly onRemoved: (value: T) => void
}

interface Entry<T> {
  readonly key: DhtKey
  value: T
  distance: number
  setAtMs: number
}

export class NearestMap<T> {
  readonly #options: NearestMapOptions<T>
  #ids: readonly DhtKey[]
  /** By the text of the key, those not set for longest first. */
  readonly #entries = new Map<string, Entry<T>>()
  /** The entry farthest away, if known. */
  #farthest: Entry<T> | undefined

  constructor(options: NearestMapOptions<T>) {
    this.#options = options
    this.#ids = options.ids
  }

  /** How many entries there are, some of which may have expired. */
  get size(): number {
    return this.#entries.size
  }

  get(key: DhtKey, nowMs: number): T | undefined {
    const entry = this.#entries.get(keyText(key))
    return entry === undefined || this.#hasExpired(entry, nowMs) ? undefined : entry.value
  }

  /** Whether `set` would take this key. */
  accepts(key: DhtKey, nowMs: number): boolean {
    this.#expire(nowMs)
    if (this.#entries.size < this.#options.maxEntries || this.#entries.has(keyText(key))) return true
    return this.#distanceOf(key) < this.#farthestEntry()!.distance
  }

  /** Sets the value of a key and begins its lifetime anew. False if it was not taken. */
  set(key: DhtKey, value: T, nowMs: number): boolean {
    if (!this.accepts(key, nowMs)) return false
    const text = keyText(key)
    const known = this.#entries.get(text)
    if (known !== undefined) {
      known.value = value
      known.setAtMs = nowMs
      this.#entries.delete(text)
      this.#entries.set(text, known)
      return true
    }
    if (this.#entries.size >= this.#options.maxEntries) this.removeFarthest()
    const entry = { key, value, distance: this.#distanceOf(key), setAtMs: nowMs }
    this.#entries.set(text, entry)
    if (this.#farthest !== undefined && entry.distance > this.#farthest.distance) this.#farthest = entry
    return true
  }

  removeFarthest(): void {
    const farthest = this.#farthestEntry()
    if (farthest !== undefined) this.#remove(keyText(farthest.key), farthest)
  }

  /** This node has other ids now. */
  moveTo(ids: readonly DhtKey[]): void {
    this.#ids = ids
    this.#farthest = undefined
    for (const entry of this.#entries.values()) entry.distance = this.#distanceOf(entry.key)
  }

  #hasExpired({ setAtMs }: Entry<T>, nowMs: number): boolean {
    return nowMs - setAtMs >= this.#options.lifetimeMs
  }

  #expire(nowMs: number): void {
    for (const [text, entry] of this.#entries) {
      if (!this.#hasExpired(entry, nowMs)) return
      this.#remove(text, entry)
    }
  }

  #remove(text: string, entry: Entry<T>): void {
    this.#entries.delete(text)
    if (entry === this.#farthest) this.#farthest = undefined
    this.#options.onRemoved(entry.value)
  }

  /** A look at every entry, about as long as a signature takes; only after the farthest one has gone. */
  #farthestEntry(): Entry<T> | undefined {
    if (this.#farthest !== undefined) return this.#farthest
    for (const entry of this.#entries.values()) {
      if (this.#farthest === undefined || entry.distance > this.#farthest.distance) this.#farthest = entry
    }
    return this.#farthest
  }

  #distanceOf(key: DhtKey): number {
    let least = Number.POSITIVE_INFINITY
    for (const id of this.#ids) least = Math.min(least, roughDistance(id, key))
    return least
  }
}
