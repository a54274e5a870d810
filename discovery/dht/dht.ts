/**
 * One node of the DHT: Kademlia as BitTorrent speaks it (BEP 5, 32, 42, 43, 44), on whatever carries its datagrams.
 *
 * Queries go to the responder, answers to whoever asked. To find or store something is a lookup on two paths that share no
 * node, in each family of addresses; what is stored goes to the nodes nearest to its key that answered. Of what is found
 * only what is signed counts, and of that the newest: a node that lies can hold something back, not make something up.
 *
 * Sans-io: clock, randomness and `send` are given, and one timer at most waits for all. Promises here never reject for
 * what others do; they do for arguments that are none, and with ERR_SKEIN_LIMIT for too many lookups at once.
 */
import { type Address, formatAddress } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import { type Family, familyOf } from './compact-address.ts'
import { Keeper, type KeptItem } from './keeper.ts'
import { decodeMessage } from './krpc.ts'
import type { Candidate } from './lookup.ts'
import { type Contact, type DhtKey, FAULT, type ItemBody, type Want } from './message.ts'
import { Networks } from './networks.ts'
import { type LookupRequest, Overlay } from './overlay.ts'
import type { Question } from './queries.ts'
import type { RateLimits } from './rate-limit.ts'
import { Responder } from './responder.ts'
import { CONTACTS_PER_REPLY } from './routing-table.ts'
import { isGenuine, type MutableParts, makeImmutable, makeMutable, mutableTarget, targetOf } from './signed-item.ts'
import { type PutResult, type Storing, storeIn } from './storing.ts'
import { Timetable } from './timetable.ts'
import type { PortMapping } from './votes.ts'

/** Of one lookup; who announces more than that is not found by all. */
const MAX_PEERS_FOUND = 512
/** No node of ours names more; what a liar makes up is not to leave no room for the others. */
const MAX_PEERS_OF_REPLY = 100

export interface DhtOptions {
  readonly clock: Clock
  readonly random: Random
  readonly send: (bytes: Uint8Array, to: Address) => void
  /** ip4 alone by default. */
  readonly families?: readonly Family[]
  /** 'public' is the mainline network, where ids must fit addresses (BEP 42). */
  readonly network?: 'private' | 'public'
  readonly id?: DhtKey
  /** Contacts of an earlier run, asked before they are believed. */
  readonly contacts?: readonly Contact[]
  /** Answers no queries, and says so (BEP 43). */
  readonly readOnly?: boolean
  /** Networks in CIDR notation of which any number of nodes may be known. */
  readonly trustedNetworks?: readonly string[]
  /** How many queries are answered. */
  readonly limits?: RateLimits
}

/** What a mutable item is found by. */
export interface MutableKey {
  readonly publicKey: Uint8Array
  readonly salt?: Uint8Array
}

export interface MutablePut extends MutableParts {
  /** Store only where the stored item has this sequence number. */
  readonly compareAndSwap?: number
}

export interface DhtStatus {
  /** How many contacts are known, of all families. */
  readonly contacts: number
  readonly publicAddress: Address | undefined
  readonly portMapping: PortMapping
  /** Items and announcements of others kept here. */
  readonly items: number
  readonly peers: number
}

export class Dht {
  readonly #options: DhtOptions
  readonly #timetable: Timetable
  readonly #overlays: ReadonlyMap<Family, Overlay>
  readonly #responder: Responder
  readonly #keeper: Keeper
  readonly #counters = { received: 0, receivedBad: 0, dropped: 0, receivedQueries: 0 }
  #stopped = false

  constructor(options: DhtOptions) {
    const { clock, random, families = ['ip4'], limits } = options
    this.#options = options
    this.#timetable = new Timetable(clock)
    const networks = new Networks(options.trustedNetworks)
    const want: readonly Want[] = families.length > 1 ? ['n4', 'n6'] : []
    const overlayOf = (family: Family): Overlay =>
      new Overlay({
        family,
        clock,
        random,
        timetable: this.#timetable,
        networks,
        send: options.send,
        isPublic: options.network === 'public',
        readOnly: options.readOnly ?? false,
        want,
        id: options.id,
        onIdChanged: () => this.#responder.idsChanged(),
        onProven: (host) => this.#responder.prove(host),
        onForeign: (contact) => this.#overlays.get(familyOf(contact.address.host))?.suggest(contact),
      })
    this.#overlays = new Map(families.map((family) => [family, overlayOf(family)]))
    this.#responder = new Responder({
      clock,
      random,
      tables: this.#overlays,
      ...(limits === undefined ? {} : { limits }),
    })
    this.#keeper = new Keeper({ random, timetable: this.#timetable, check: (kept) => this.#restore(kept) })
  }

  /** Ours, in the network of the first family. */
  get id(): DhtKey {
    return this.#first.id
  }

  /** Where others see us, once enough of them agree. */
  get publicAddress(): Address | undefined {
    return this.#all.map(({ votes }) => votes.address).find((address) => address !== undefined)
  }

  /** Verified contacts, of all families. */
  contacts(): Contact[] {
    return this.#all.flatMap(({ table }) => table.contacts())
  }

  status(): DhtStatus {
    return {
      contacts: this.#all.reduce((sum, { table }) => sum + table.size, 0),
      publicAddress: this.publicAddress,
      portMapping: this.#first.votes.portMapping,
      items: this.#responder.items.size,
      peers: this.#responder.peers.size.peers,
    }
  }

  /** Named counts since the start. */
  counters(): Readonly<Record<string, number>> {
    const counters: Record<string, number> = { ...this.#counters, ...this.#responder.counters() }
    for (const overlay of this.#all)
      for (const [name, count] of Object.entries(overlay.counters())) counters[name] = (counters[name] ?? 0) + count
    return counters
  }

  /** A datagram came in. Never throws. */
  receive(bytes: Uint8Array, from: Address): void {
    const overlay = this.#overlays.get(familyOf(from.host))
    if (this.#stopped || overlay === undefined) return
    this.#counters.received++
    // Decoding costs more than all else that a flood can make us do.
    if (this.#responder.isOverRate(from) && !overlay.expects(bytes, from)) {
      this.#counters.dropped++
      return
    }
    const message = decodeMessage(bytes)
    if (message === undefined) {
      this.#counters.receivedBad++
      this.#responder.charge(from)
    } else if (message.kind === 'reply' || message.kind === 'fault') {
      if (!overlay.receive(message, from)) this.#responder.charge(from)
    } else if (!this.#options.readOnly) {
      this.#counters.receivedQueries++
      const answer = this.#responder.answer(message, from, bytes.length)
      if (answer === undefined) return
      this.#options.send(answer, from)
      if (message.kind === 'query') overlay.heard(message, from)
    }
  }

  /** Joins by these addresses and the contacts of an earlier run; tells how many contacts are known then. */
  async bootstrap(addresses: readonly Address[] = []): Promise<number> {
    const saved = this.#options.contacts?.map(({ address }) => address) ?? []
    const distinct = new Map([...addresses, ...saved].map((address) => [formatAddress(address), address]))
    await Promise.all(
      Array.from(this.#overlays, ([family, overlay]) => {
        const own = [...distinct.values()].filter(({ host }) => familyOf(host) === family)
        return new Promise<void>((resolve) => overlay.bootstrap(own, resolve))
      }),
    )
    return this.status().contacts
  }

  /** The nodes nearest to a target that answered, at most 8 of each family. */
  async findNode(target: DhtKey): Promise<Contact[]> {
    const found = await Promise.all(
      this.#all.map(
        (overlay) =>
          new Promise<Candidate[]>((resolve) =>
            overlay.findNode(target, (lookup) => resolve(lookup.closest(CONTACTS_PER_REPLY))),
          ),
      ),
    )
    return found.flat().map(({ id, address }) => ({ id, address }))
  }

  /** Who announced itself under this key; `onPeers` hears of them as they come, each once. */
  async getPeers(key: DhtKey, onPeers: (peers: readonly Address[]) => void = () => {}): Promise<Address[]> {
    const found = new Map<string, Address>()
    const hear = (peers: readonly Address[]): void => {
      const fresh: Address[] = []
      for (const peer of peers) {
        const text = formatAddress(peer)
        if (found.size === MAX_PEERS_FOUND || found.has(text)) continue
        found.set(text, peer)
        fresh.push(peer)
      }
      if (fresh.length > 0) onPeers(fresh)
    }
    // We may be one of those who keep them.
    const nowMs = this.#options.clock.now()
    for (const family of this.#overlays.keys()) hear(this.#responder.peers.sample(key, family, MAX_PEERS_FOUND, nowMs))
    await this.#lookupAll(key, { method: 'get_peers', target: key, want: [] }, (reply) => {
      hear(reply.peers?.slice(0, MAX_PEERS_OF_REPLY) ?? [])
      return false
    })
    return [...found.values()]
  }

  /** Announces this node under a key, with this port or the one it sends from; tells how many nodes keep that. */
  async announce(key: DhtKey, port?: number): Promise<number> {
    const { stored } = await this.#store({
      target: key,
      finding: { method: 'get_peers', target: key, want: [] },
      storing: (token) => ({ method: 'announce_peer', target: key, token, port }),
    })
    return stored
  }

  /**
   * An item, verified: of a mutable one the newest that was found. With `sequence` only one that is newer. By the bare
   * target of a mutable item only one without salt is found.
   */
  async getItem(
    what: DhtKey | MutableKey,
    { sequence }: { readonly sequence?: number } = {},
  ): Promise<ItemBody | undefined> {
    const isKey = what instanceof Uint8Array
    const target = isKey ? what : mutableTarget(what.publicKey, what.salt)
    const salt = isKey ? undefined : what.salt
    // We may be one of those who keep it.
    const own = this.#responder.items.get(target, this.#options.clock.now())
    let best: ItemBody | undefined = (own?.mutable?.sequence ?? 0) > (sequence ?? -1) ? own : undefined
    const isBetter = ({ mutable }: ItemBody): boolean =>
      mutable === undefined ? best === undefined : mutable.sequence > (best?.mutable?.sequence ?? sequence ?? -1)
    const question: Question = { method: 'get', target, want: [], ...(sequence === undefined ? {} : { sequence }) }
    const isAny = (): boolean => best !== undefined
    await this.#lookupAll(
      target,
      question,
      ({ item }) => {
        if (item === undefined || !isBetter(item)) return false
        if (Buffer.compare(targetOf(item, salt), target) !== 0 || !isGenuine(item, salt)) return false
        best = item
        return item.mutable === undefined
      },
      isAny,
    )
    return best
  }

  /** Stores a bencoded value under its own hash, and sees to it for two hours that enough nodes keep it. */
  async putImmutable(value: Uint8Array): Promise<PutResult> {
    return this.#put(makeImmutable(value), undefined)
  }

  /** Stores a bencoded value under a key and salt, in place of older ones, and sees to it as `putImmutable` does. */
  async putMutable(put: MutablePut): Promise<PutResult> {
    return this.#put(makeMutable(put), put.salt, put.compareAndSwap)
  }

  /** Ends at once; lookups under way end with what they have. Idempotent. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#timetable.stop()
    for (const overlay of this.#all) overlay.stop()
  }

  get #first(): Overlay {
    return this.#all[0]!
  }

  get #all(): Overlay[] {
    return [...this.#overlays.values()]
  }

  async #put(item: ItemBody, salt: Uint8Array | undefined, compareAndSwap?: number): Promise<PutResult> {
    const target = targetOf(item, salt)
    const kept = { target, item, salt }
    if (compareAndSwap === undefined) this.#keeper.keep(kept)
    const condition = compareAndSwap === undefined ? {} : { compareAndSwap }
    const result = await this.#store({
      target,
      finding: { method: 'get', target, want: [] },
      storing: (token) => ({ method: 'put', token, item, ...saltOf(salt), ...condition }),
    })
    // It is given out anew without its condition, so not if anybody found that not to be met.
    const isSwapped = compareAndSwap !== undefined && !result.refused.includes(FAULT.compareAndSwapMismatch)
    if (isSwapped) this.#keeper.keep(kept)
    return result
  }

  /** Gives an item to those of the nodes nearest to it that lack it. */
  #restore({ target, item, salt }: KeptItem): void {
    const sequence = item.mutable?.sequence
    const restored = this.#store({
      target,
      finding: { method: 'get', target, want: [], ...(sequence === undefined ? {} : { sequence }) },
      storing: (token) => ({ method: 'put', token, item, ...saltOf(salt) }),
      // Of the wanted sequence number there is no value in a reply, of a greater one there is.
      has: (reply) => reply.item !== undefined || (sequence !== undefined && reply.sequence === sequence),
    })
    // Too many lookups are under way: the next time will do.
    restored.catch(() => {})
  }

  /** A lookup on two paths in each family. */
  async #lookupAll(
    target: DhtKey,
    question: Question,
    onReply: NonNullable<LookupRequest['onReply']>,
    isEnough?: () => boolean,
  ): Promise<void> {
    const lookUp = (overlay: Overlay): Promise<void> =>
      new Promise((resolve) => {
        const request = { target, question, paths: 2 as const, onReply, onDone: () => resolve() }
        overlay.lookup(isEnough === undefined ? request : { ...request, isEnough })
      })
    await Promise.all(this.#all.map(lookUp))
  }

  async #store(work: Storing): Promise<PutResult> {
    const results = await Promise.all(
      this.#all.map((overlay) => new Promise<PutResult>((resolve) => storeIn(overlay, work, resolve))),
    )
    return {
      stored: results.reduce((sum, { stored }) => sum + stored, 0),
      refused: results.flatMap(({ refused }) => refused),
    }
  }
}

const saltOf = (salt: Uint8Array | undefined): { salt?: Uint8Array } =>
  salt === undefined || salt.length === 0 ? {} : { salt }
