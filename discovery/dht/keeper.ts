/**
 * Looks after the items that this node stored, as long as it runs and the items live.
 *
 * Nodes come and go. With half of them gone in 15 minutes, 16 copies do not last for the half hour until the item is
 * published again. So every ten minutes the nodes nearest to each item are asked whether they have it, and those that
 * have not are given it; the others keep their own time. A newer item takes the place of an older one.
 */
import type { Random } from '../../transport/random.ts'
import { keyText } from './dht-id.ts'
import { ITEM_LIFETIME_MS } from './item-store.ts'
import type { DhtKey, ItemBody } from './message.ts'
import type { Timetable } from './timetable.ts'

/** Beyond these the oldest is left to itself. */
const MAX_KEPT_ITEMS = 256
/** In a network where half of the nodes go in 15 minutes, more than half of the copies are then still there. */
const KEEP_MS = 10 * 60_000
const KEEP_JITTER = 0.25

export interface KeptItem {
  readonly target: DhtKey
  readonly item: ItemBody
  readonly salt: Uint8Array | undefined
}

export interface KeeperOptions {
  readonly random: Random
  readonly timetable: Timetable
  /** Gives the item to those near it that lack it. Must not throw. */
  readonly check: (kept: KeptItem) => void
}

export class Keeper {
  readonly #options: KeeperOptions
  /** By target, the one stored last at the end. */
  readonly #items = new Map<string, KeptItem>()

  constructor(options: KeeperOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#items.size
  }

  keep(kept: KeptItem): void {
    const key = keyText(kept.target)
    this.#items.delete(key)
    this.#items.set(key, kept)
    for (const oldest of this.#items.keys()) {
      if (this.#items.size <= MAX_KEPT_ITEMS) break
      this.#items.delete(oldest)
    }
    this.#plan(key, kept, 0)
  }

  #plan(key: string, kept: KeptItem, ageMs: number): void {
    const { random, timetable, check } = this.#options
    const pauseMs = KEEP_MS * (1 + (random.float() * 2 - 1) * KEEP_JITTER)
    timetable.after(pauseMs, () => {
      if (this.#items.get(key) !== kept) return
      if (ageMs + pauseMs >= ITEM_LIFETIME_MS) {
        this.#items.delete(key)
        return
      }
      check(kept)
      this.#plan(key, kept, ageMs + pauseMs)
    })
  }
}
