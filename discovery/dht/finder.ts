/**
 * Finds records of other nodes in the DHT, by id or name, and keeps what was found until it expires.
 *
 * A record that is kept is looked up again now and then, so that a node that moved is known at its new address, and one
 * that went away is lost when its record is over. Nothing is looked up that nobody asked for. Bounded.
 */
import type { RingView } from '../../certs/keyring.ts'
import { isNodeId } from '../../certs/node-id.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Sightings } from '../sightings.ts'
import type { Dht } from './dht.ts'
import { daysAt, itemKey } from './places.ts'
import { openRecord, type PublishedRecord, RECORD_LIFETIME_MS } from './record.ts'

/** Records kept; beyond them nothing is looked up. */
const MAX_KEPT = 1024
const MAX_LOOKUPS = 64
/** As often as a node publishes again. */
const LOOK_AGAIN_MS = 30 * 60_000

export interface FinderOptions {
  readonly dht: Pick<Dht, 'getItem'>
  readonly clock: Clock
  readonly keys: RingView
  readonly ownId: string
  readonly sightings: Sightings
}

interface Kept {
  readonly sequence: number
  readonly expiresAtMs: number
  lookAgainMs: number
}

export class RecordFinder {
  readonly #options: FinderOptions
  readonly #kept = new Map<string, Kept>()
  readonly #running = new Map<string, Promise<void>>()

  constructor(options: FinderOptions) {
    this.#options = options
  }

  /** How many records are known. */
  get size(): number {
    return this.#kept.size
  }

  /** Looks for the node of this id or name; what is found becomes a sighting. Never rejects. */
  lookUp(wanted: string): Promise<void> {
    const running = this.#running.get(wanted)
    if (running !== undefined) return running
    if (this.#running.size >= MAX_LOOKUPS) return Promise.resolve()
    const looking = this.#lookUp(wanted).finally(() => this.#running.delete(wanted))
    this.#running.set(wanted, looking)
    return looking
  }

  /** Drops what has expired and looks again for what was not looked up for long. */
  review(): void {
    const { clock, sightings } = this.#options
    for (const [id, kept] of this.#kept) {
      if (kept.expiresAtMs <= clock.wallNow()) {
        this.#kept.delete(id)
        sightings.delete(id)
      } else if (kept.lookAgainMs <= clock.now() && this.#running.size < MAX_LOOKUPS) {
        kept.lookAgainMs = clock.now() + LOOK_AGAIN_MS
        void this.lookUp(id)
      }
    }
  }

  async #lookUp(wanted: string): Promise<void> {
    const { clock, dht, keys } = this.#options
    const kind = isNodeId(wanted) ? 'id' : 'name'
    const found = await Promise.all(
      daysAt(clock.wallNow()).flatMap((day) =>
        keys.all().map(async (one) => {
          const { publicKey } = itemKey(one.rendezvous, day, kind, wanted)
          const item = await dht.getItem({ publicKey }).catch(() => undefined)
          return item && openRecord(item.value, one, publicKey)
        }),
      ),
    )
    // Of two days, or two cookies, one may hold what the other has taken back: the newest of a node counts.
    const newest = new Map<string, PublishedRecord>()
    for (const record of found) {
      // A member may have put the record of one node where another is looked for.
      if (record === undefined || !isAbout(record, wanted)) continue
      const other = newest.get(record.id)
      if (other === undefined || other.sequence < record.sequence) newest.set(record.id, record)
    }
    for (const record of newest.values()) this.#keep(record)
  }

  #keep(record: PublishedRecord): void {
    const { clock, ownId, sightings } = this.#options
    const { id, name, incarnation, addresses, registrations, sequence, nat, introducers } = record
    const known = this.#kept.get(id)
    if (id === ownId || (known !== undefined && known.sequence > sequence)) return
    if (record.expiresAtMs <= clock.wallNow() || addresses.length === 0) {
      if (this.#kept.delete(id)) sightings.delete(id)
      return
    }
    if (known === undefined && this.#kept.size >= MAX_KEPT) return
    // A clock that is ahead makes no record last longer.
    const expiresAtMs = Math.min(record.expiresAtMs, clock.wallNow() + RECORD_LIFETIME_MS)
    this.#kept.set(id, { sequence, expiresAtMs, lookAgainMs: clock.now() + LOOK_AGAIN_MS })
    sightings.put({ key: id, id, name, incarnation, addresses, registrations, nat, introducers })
  }
}

const isAbout = ({ id, name, registrations }: PublishedRecord, wanted: string): boolean =>
  id === wanted ||
  name === wanted ||
  name.split('@', 1)[0] === wanted ||
  registrations.some((one) => one.name === wanted)
