/**
 * The items that others store here (BEP 44), and the rules by which a new one replaces an old one.
 *
 * A mutable item is replaced only by one with a greater sequence number; one with the same number and another value, or
 * not with the number the writer expects, is refused. The same item again renews its lifetime, whoever brings it. Bounds:
 * so many items in all, of which the farthest from this node's id go first, and so many of one source, beyond which its
 * new ones are refused: it cannot push out anything in that way.
 *
 * The store does not look at tokens and signatures: `refusal` says whether a put is worth a look, `holds` whether it
 * brings anything new, and `store` takes what the caller has verified. No timers.
 */
import { type DhtKey, FAULT, type ItemBody } from './message.ts'
import { NearestMap } from './nearest-map.ts'
import { SourceCounts } from './source-counts.ts'

/** At most 1.2 kB each. */
export const MAX_ITEMS = 10_000
/** Of one source, see rate-limit.ts. */
export const MAX_ITEMS_PER_SOURCE = 64
/** BEP 44; an item is to be stored anew once an hour. */
export const ITEM_LIFETIME_MS = 2 * 60 * 60_000

export interface ItemPut {
  /** Where `item` belongs, see targetOf. */
  readonly target: DhtKey
  readonly item: ItemBody
  /** Who asks to store it, see sourceOf. */
  readonly source: string
  /** Only if what is stored has this sequence number. Of no meaning where nothing is stored. */
  readonly compareAndSwap?: number | undefined
}

/** Why something is not stored, as the fault to answer with. */
export interface StoreRefusal {
  readonly code: number
  readonly message: string
}

interface Stored {
  readonly item: ItemBody
  readonly source: string
}

export class ItemStore {
  readonly #items: NearestMap<Stored>
  readonly #bySource = new SourceCounts()

  /** `ids` are this node's own. */
  constructor(ids: readonly DhtKey[]) {
    this.#items = new NearestMap({
      ids,
      maxEntries: MAX_ITEMS,
      lifetimeMs: ITEM_LIFETIME_MS,
      onRemoved: ({ source }) => this.#bySource.remove(source),
    })
  }

  get size(): number {
    return this.#items.size
  }

  /** How many sources own the items. */
  get sources(): number {
    return this.#bySource.size
  }

  get(target: DhtKey, nowMs: number): ItemBody | undefined {
    return this.#items.get(target, nowMs)?.item
  }

  /** Why this put is to be refused; undefined if it is not, provided its signature is good. */
  refusal(put: ItemPut, nowMs: number): StoreRefusal | undefined {
    const stored = this.get(put.target, nowMs)
    if (stored !== undefined) return refusalToReplace(stored, put)
    if (!this.#items.accepts(put.target, nowMs)) return NO_ROOM
    return this.#bySource.of(put.source) >= MAX_ITEMS_PER_SOURCE ? TOO_MANY : undefined
  }

  /** Whether exactly this item is stored, so that its signature was verified before. */
  holds({ target, item }: ItemPut, nowMs: number): boolean {
    const stored = this.get(target, nowMs)
    if (stored === undefined || !sameBytes(stored.value, item.value)) return false
    const [old, fresh] = [stored.mutable, item.mutable]
    if (old === undefined || fresh === undefined) return old === fresh
    return old.sequence === fresh.sequence && sameBytes(old.signature, fresh.signature)
  }

  /** Stores a put that is not to be refused and whose signature is good. */
  store(put: ItemPut, nowMs: number): void {
    const { target, item, source } = put
    if (!this.#items.accepts(target, nowMs)) return
    const known = this.#items.get(target, nowMs)
    // What it holds is charged to whoever stored it last, unless that source has its share already.
    const owner = known !== undefined && this.#bySource.of(source) >= MAX_ITEMS_PER_SOURCE ? known.source : source
    this.#items.set(target, { item, source: owner }, nowMs)
    if (known !== undefined) this.#bySource.remove(known.source)
    this.#bySource.add(owner)
  }

  /** This node has other ids now. */
  moveTo(ids: readonly DhtKey[]): void {
    this.#items.moveTo(ids)
  }
}

const NO_ROOM: StoreRefusal = { code: FAULT.server, message: 'no room for items this far from my id' }
const TOO_MANY: StoreRefusal = { code: FAULT.server, message: 'too many items of your address' }
const OTHER_KIND: StoreRefusal = { code: FAULT.server, message: 'an item of the other kind is stored here' }
const MISMATCH: StoreRefusal = { code: FAULT.compareAndSwapMismatch, message: 'cas is not the stored seq' }
const OLD: StoreRefusal = { code: FAULT.sequenceTooSmall, message: 'seq is less than the stored one' }
const TWIN: StoreRefusal = { code: FAULT.sequenceTooSmall, message: 'seq is that of another stored value' }

const refusalToReplace = (stored: ItemBody, { item, compareAndSwap }: ItemPut): StoreRefusal | undefined => {
  const [old, fresh] = [stored.mutable, item.mutable]
  // Somebody may have made a key that is the beginning of a bencoded value.
  if ((old === undefined) !== (fresh === undefined)) return OTHER_KIND
  if (old === undefined || fresh === undefined) return undefined
  if (compareAndSwap !== undefined && compareAndSwap !== old.sequence) return MISMATCH
  if (fresh.sequence < old.sequence) return OLD
  return fresh.sequence === old.sequence && !sameBytes(stored.value, item.value) ? TWIN : undefined
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0
