/**
 * The routing table of one family of addresses, on npm k-bucket: who is near, and a few of those who are far.
 *
 * Contacts stand in buckets by the number of first bits that their ids share with ours. Only a node that answered from the
 * address it was asked at enters; contacts that stay are worth more than new ones, so those that find no room wait as
 * replacements until one fails. One node of an address, few of a network (networks.ts): a table is not one party's.
 *
 * A bucket has 16 places, and 32 where it is close: a node is to know all of its neighbours, since what is stored lies
 * with the neighbours of its key. The table asks nobody; dht.ts asks it whom to ping and what to refresh.
 */
import KBucket from 'k-bucket'
import type { Address } from '../../transport/address.ts'
import type { Random } from '../../transport/random.ts'
import { commonPrefixBits, compareDistance, DHT_ID_BITS, randomId, sameKey } from './dht-id.ts'
import type { Contact, DhtKey } from './message.ts'
import type { Location, Networks } from './networks.ts'
import type { RoundTrip } from './round-trip.ts'

/** How many contacts a reply names (BEP 5). */
export const CONTACTS_PER_REPLY = 8
export const BUCKET_PLACES = 16
export const CLOSE_BUCKET_PLACES = 32
/** A bucket is close while no more contacts than this share at least its bits. */
const CLOSE_CONTACTS = 64
const REPLACEMENTS_PER_BUCKET = 8
export const NETWORK_PLACES_PER_BUCKET = 2
export const NETWORK_PLACES = 10
/** A contact not heard for so long is pinged. */
export const STALE_MS = 10 * 60_000
const REFRESH_MS = 15 * 60_000
/** Refreshes come up to this part earlier or later, so that nodes started together do not refresh together. */
const REFRESH_JITTER = 0.25
/** So many failures in a row, and a contact goes; the first is enough where a replacement waits. */
const MAX_FAILURES = 2

/** A contact that answered, and how it has done since. */
export interface TableContact extends Contact, Location {
  readonly roundTrip: RoundTrip
  lastHeardMs: number
  /** In a row; a contact that failed is named to nobody. */
  failures: number
}

export interface RoutingTableOptions {
  readonly id: DhtKey
  readonly networks: Networks
  readonly random: Random
  readonly nowMs: number
}

export class RoutingTable {
  readonly #networks: Networks
  readonly #random: Random
  #id: DhtKey
  #tree: KBucket<TableContact>
  /** By place: of an address, or of a host where hosts count. */
  readonly #places = new Map<string, TableContact>()
  /** How many contacts share this many first bits with us. */
  #counts: number[] = []
  /** By bucket, the one heard last at the end. */
  #replacements: TableContact[][] = []
  /** When a bucket is due for a refresh. */
  #refreshAtMs: number[] = []

  constructor({ id, networks, random, nowMs }: RoutingTableOptions) {
    this.#id = id
    this.#networks = networks
    this.#random = random
    this.#tree = newTree(id)
    this.#refreshed(0, nowMs)
  }

  get size(): number {
    return this.#places.size
  }

  /** All contacts, in no order that means anything. */
  contacts(): TableContact[] {
    return [...this.#places.values()]
  }

  /** Those nearest to the target, the nearest first. */
  closest(target: DhtKey, count: number): TableContact[] {
    // k-bucket sorts by distances rounded to 53 bits, so ids that agree in more may be out of order: sybils of one bucket.
    const found = this.#tree.closest(target, count + CLOSE_BUCKET_PLACES)
    return found.sort((a, b) => compareDistance(target, a.id, b.id)).slice(0, count)
  }

  /**
   * What others are told: as `closest`, without those that failed to answer last time, and with one of a network. Sybils
   * beside the target would else be all that anybody hears of it.
   */
  closestGood(target: DhtKey, count: number): TableContact[] {
    for (let looked = 2 * count; ; looked *= 2) {
      const found = this.closest(target, looked)
      const networks = new Set<string>()
      const good = found.filter(({ failures, network }) => {
        if (failures > 0 || (network !== undefined && networks.has(network))) return false
        if (network !== undefined) networks.add(network)
        return true
      })
      if (good.length >= count || found.length < looked) return good.slice(0, count)
    }
  }

  at(address: Address): TableContact | undefined {
    const contact = this.#places.get(this.#networks.locate(address).place)
    return contact?.address.port === address.port ? contact : undefined
  }

  /** Whether a node would enter if it answered: whether it is worth a question. */
  wants({ id, address }: Contact): boolean {
    if (sameKey(id, this.#id) || !this.#hasRoom(id) || this.#tree.get(id) !== null) return false
    const { place, network } = this.#networks.locate(address)
    return !this.#places.has(place) && this.#isSpread(id, network)
  }

  /** A node answered from the address it was asked at. */
  answered(contact: Contact, roundTrip: () => RoundTrip, nowMs: number): void {
    if (sameKey(contact.id, this.#id)) return
    const { place, network } = this.#networks.locate(contact.address)
    const neighbour = this.#places.get(place)
    if (neighbour !== undefined) {
      if (sameKey(neighbour.id, contact.id) && neighbour.address.port === contact.address.port) {
        neighbour.lastHeardMs = nowMs
        neighbour.failures = 0
        return
      }
      // Another node on the same host has to wait; another id at the same address means that the old one is gone.
      if (neighbour.address.port !== contact.address.port && neighbour.failures === 0) return
      this.#remove(neighbour)
    }
    const namesake = this.#tree.get(contact.id)
    if (namesake !== null) {
      if (namesake.failures === 0) return
      this.#remove(namesake)
    }
    if (!this.#isSpread(contact.id, network)) return
    const entry: TableContact = {
      // Copies: the bytes of the message it came in are not kept for it.
      id: Uint8Array.from(contact.id),
      address: contact.address,
      roundTrip: roundTrip(),
      place,
      network,
      lastHeardMs: nowMs,
      failures: 0,
    }
    if (this.#makeRoom(entry)) this.#insert(entry)
    else this.#putAside(entry)
  }

  /** A contact did not answer. */
  failed(contact: TableContact): void {
    if (this.#places.get(contact.place) !== contact) return
    contact.failures++
    const waiting = this.#replacements[this.#bucketOf(contact.id)]
    if (contact.failures < MAX_FAILURES && !waiting?.length) return
    this.#remove(contact)
    this.#promote(waiting)
  }

  /** Contacts not heard for ten minutes, or put in from those that waited; at most `count`. */
  stale(nowMs: number, count: number): TableContact[] {
    const stale: TableContact[] = []
    for (const contact of this.#places.values()) {
      if (contact.failures === 0 && nowMs - contact.lastHeardMs < STALE_MS) continue
      stale.push(contact)
      if (stale.length === count) break
    }
    return stale
  }

  /** What to look for so that a bucket that is due is filled again; it then counts as refreshed. */
  dueTarget(nowMs: number): DhtKey | undefined {
    const own = this.#ownBucket()
    for (let bucket = 0; bucket <= own; bucket++) {
      if ((this.#refreshAtMs[bucket] ?? nowMs) > nowMs) continue
      this.#refreshed(bucket, nowMs)
      return bucket === own ? this.#id : this.#randomIn(bucket)
    }
    return undefined
  }

  /** A lookup for this target has filled its bucket. */
  lookedUp(target: DhtKey, nowMs: number): void {
    this.#refreshed(this.#bucketOf(target), nowMs)
  }

  /** Takes another id for our own: the same contacts in other buckets. */
  changeId(id: DhtKey, nowMs: number): void {
    const contacts = this.contacts().sort((a, b) => compareDistance(id, a.id, b.id))
    this.#id = id
    this.#tree = newTree(id)
    this.#places.clear()
    this.#counts = []
    this.#replacements = []
    this.#refreshAtMs = []
    this.#refreshed(0, nowMs)
    for (const contact of contacts) {
      if (sameKey(contact.id, id) || !this.#isSpread(contact.id, contact.network)) continue
      if (this.#hasRoom(contact.id)) this.#insert(contact)
      else this.#putAside(contact)
    }
  }

  #insert(contact: TableContact): void {
    const bits = commonPrefixBits(this.#id, contact.id)
    this.#counts[bits] = (this.#counts[bits] ?? 0) + 1
    this.#tree.add(contact)
    this.#places.set(contact.place, contact)
  }

  #remove(contact: TableContact): void {
    this.#counts[commonPrefixBits(this.#id, contact.id)]!--
    this.#tree.remove(contact.id)
    this.#places.delete(contact.place)
  }

  #hasRoom(id: DhtKey): boolean {
    const bits = commonPrefixBits(this.#id, id)
    const count = this.#counts[bits] ?? 0
    if (count < BUCKET_PLACES) return true
    return count < CLOSE_BUCKET_PLACES && this.#sharing(bits) < CLOSE_CONTACTS
  }

  /** Room for a node that just answered: a contact of its bucket that failed is worth less. */
  #makeRoom({ id }: TableContact): boolean {
    if (this.#hasRoom(id)) return true
    const bits = commonPrefixBits(this.#id, id)
    for (const contact of this.#places.values()) {
      if (contact.failures === 0 || commonPrefixBits(this.#id, contact.id) !== bits) continue
      this.#remove(contact)
      return true
    }
    return false
  }

  /** Whether a network has fewer nodes here than one party may have. */
  #isSpread(id: DhtKey, network: string | undefined): boolean {
    if (network === undefined) return true
    const bucket = this.#bucketOf(id)
    let all = 0
    let inBucket = 0
    for (const contact of this.#places.values()) {
      if (contact.network !== network) continue
      all++
      if (this.#bucketOf(contact.id) === bucket) inBucket++
    }
    return all < NETWORK_PLACES && inBucket < NETWORK_PLACES_PER_BUCKET
  }

  #putAside(contact: TableContact): void {
    const bucket = this.#bucketOf(contact.id)
    this.#replacements[bucket] ??= []
    const waiting = this.#replacements[bucket]
    const known = waiting.findIndex(({ id }) => sameKey(id, contact.id))
    if (known >= 0) waiting.splice(known, 1)
    waiting.push(contact)
    if (waiting.length > REPLACEMENTS_PER_BUCKET) waiting.shift()
  }

  /** The replacement heard last that may enter takes the free place. */
  #promote(waiting: TableContact[] | undefined): void {
    for (let contact = waiting?.pop(); contact !== undefined; contact = waiting?.pop()) {
      if (!this.wants(contact)) continue
      this.#insert(contact)
      return
    }
  }

  /** How many contacts share at least this many bits with us. */
  #sharing(bits: number): number {
    let sum = 0
    for (let i = bits; i < this.#counts.length; i++) sum += this.#counts[i] ?? 0
    return sum
  }

  /** The bucket of our own id: those that share so many bits that a bucket holds them all. */
  #ownBucket(): number {
    let sum = 0
    for (let bits = this.#counts.length - 1; bits >= 0; bits--) {
      sum += this.#counts[bits] ?? 0
      if (sum > BUCKET_PLACES) return bits + 1
    }
    return 0
  }

  #bucketOf(id: DhtKey): number {
    return Math.min(commonPrefixBits(this.#id, id), this.#ownBucket())
  }

  #refreshed(bucket: number, nowMs: number): void {
    this.#refreshAtMs[bucket] = nowMs + REFRESH_MS * (1 + (this.#random.float() * 2 - 1) * REFRESH_JITTER)
  }

  /** An id that shares exactly so many bits with ours. */
  #randomIn(bits: number): DhtKey {
    const id = randomId(this.#random)
    for (let i = 0; i <= bits && i < DHT_ID_BITS; i++) {
      const mask = 0x80 >> (i & 7)
      const own = this.#id[i >> 3]! & mask
      id[i >> 3] = (id[i >> 3]! & ~mask) | (i === bits ? own ^ mask : own)
    }
    return id
  }
}

/** k-bucket's buckets are as large as ours ever get: it splits the one of our own id, and never finds another one full. */
const newTree = (localNodeId: DhtKey): KBucket<TableContact> =>
  new KBucket({ localNodeId, numberOfNodesPerKBucket: CLOSE_BUCKET_PLACES })
