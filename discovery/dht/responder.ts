/**
 * Answers queries: one datagram in, at most one out (BEP 5, 32, 42, 44).
 *
 * Whoever asks too much is not answered at all. A host that has not proven to be where it says (proven-hosts.ts) gets at
 * most four times the bytes it sent, so that nobody is worth attacking through this node; no answer is longer than 1200
 * bytes. Nothing is stored without a token. What costs little is checked first, and a signature last: how often one is
 * verified is bounded, for each source and for all together, and beyond that puts are met with silence.
 *
 * A read-only querier is answered like any other (BEP 43). It is not the responder who puts anybody into a table, and it
 * sends nothing of its own accord.
 */
import { type Address, unmapHost } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import { compactAddress, type Family, familyOf } from './compact-address.ts'
import { ItemStore } from './item-store.ts'
import { encodeMessage, MAX_AMPLIFICATION, MAX_REPLY_BYTES, type Malformed } from './krpc.ts'
import { type Contact, type DhtKey, FAULT, type Fault, type Query, type Reply, type Want } from './message.ts'
import { PeerStore } from './peer-store.ts'
import { ProvenHosts } from './proven-hosts.ts'
import { RATE_LIMITS, RateLimit, type RateLimits, sourceOf } from './rate-limit.ts'
import { CONTACTS_PER_REPLY } from './routing-table.ts'
import { isGenuine, targetOf } from './signed-item.ts'
import { Tokens } from './tokens.ts'

/** More would not fit a reply, or for most queries not four times the query. */
const MAX_PEERS = 100
const MAX_PEERS_UNPROVEN = 16

/** At 110 us each, all together take at most 3 % of a processor. */
export const SIGNATURE_LIMITS: RateLimits = {
  source: { perSecond: 5, burst: 20 },
  network: { perSecond: 25, burst: 100 },
  total: { perSecond: 250, burst: 500 },
}

/** What the responder asks of a routing table. */
export interface ContactTable {
  /** This node's own in the network of this family. */
  readonly id: DhtKey
  /** The nearest first. */
  closest(target: DhtKey, count: number): readonly Contact[]
}

export interface ResponderOptions {
  readonly clock: Clock
  readonly random: Random
  /** The table of each family that this node takes part in, as it is now. */
  readonly tables: ReadonlyMap<Family, ContactTable>
  /** How many queries are answered. */
  readonly limits?: RateLimits
  /** How many signatures are verified. */
  readonly signatureLimits?: RateLimits
}

type Answer = Reply | Fault | undefined
type QueryOf<Method extends Query['method']> = Extract<Query, { method: Method }>

export class Responder {
  readonly items: ItemStore
  readonly peers: PeerStore
  readonly #options: ResponderOptions
  readonly #tokens: Tokens
  readonly #proven = new ProvenHosts()
  readonly #queries: RateLimit
  readonly #signatures: RateLimit
  readonly #counters = { replies: 0, faults: 0, limited: 0, signatures: 0, deferred: 0 }

  constructor(options: ResponderOptions) {
    const { clock, random, limits = RATE_LIMITS, signatureLimits = SIGNATURE_LIMITS } = options
    this.#options = options
    this.#tokens = new Tokens(random, clock.now())
    this.#queries = new RateLimit(limits)
    this.#signatures = new RateLimit(signatureLimits)
    this.items = new ItemStore(this.#ids())
    this.peers = new PeerStore(this.#ids(), random)
  }

  /** The datagram that answers this one of `requestBytes` bytes; undefined: silence. */
  answer(query: Query | Malformed, from: Address, requestBytes: number): Uint8Array | undefined {
    const nowMs = this.#options.clock.now()
    const isProven = this.#proven.has(from.host, nowMs)
    if (!this.#queries.admit(from, nowMs, isProven)) {
      this.#counters.limited++
      return undefined
    }
    const answer = query.kind === 'malformed' ? query.answer : this.#answerTo(query, from, nowMs)
    if (answer === undefined) return undefined
    if (answer.kind === 'reply') this.#counters.replies++
    else this.#counters.faults++
    const maxBytes = this.#proven.has(from.host, nowMs)
      ? MAX_REPLY_BYTES
      : Math.min(MAX_REPLY_BYTES, MAX_AMPLIFICATION * requestBytes)
    return encodeMessage(answer, maxBytes)
  }

  /** Whether no query of this address would be answered now. */
  isOverRate(from: Address): boolean {
    const nowMs = this.#options.clock.now()
    if (this.#queries.isTotalUsedUp(nowMs) && !this.#proven.has(from.host, nowMs)) return true
    return this.#queries.isUsedUp(from, nowMs)
  }

  /** What nobody asked for costs its sender as much as a query. */
  charge(from: Address): void {
    const nowMs = this.#options.clock.now()
    this.#queries.admit(from, nowMs, this.#proven.has(from.host, nowMs))
  }

  /** This host answered a query of ours, so it is where it says, and gets longer replies for a while. */
  prove(host: string): void {
    this.#proven.add(host, this.#options.clock.now())
  }

  /** To be called when a table has another id. */
  idsChanged(): void {
    this.items.moveTo(this.#ids())
    this.peers.moveTo(this.#ids())
  }

  /**
   * Since the start: `replies` and `faults` given, queries over the `limited` rate, `signatures` verified, puts `deferred`
   * for want of leave to verify one.
   */
  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters }
  }

  #answerTo(query: Query, from: Address, nowMs: number): Answer {
    switch (query.method) {
      case 'ping':
        return this.#reply(query, from)
      case 'find_node':
        return this.#reply(query, from, { nodes: this.#closest(query.target, query.want, from) })
      case 'get_peers':
        return this.#getPeers(query, from, nowMs)
      case 'announce_peer':
        return this.#announce(query, from, nowMs)
      case 'get':
        return this.#getItem(query, from, nowMs)
      case 'put':
        return this.#put(query, from, nowMs)
      case 'unknown':
        if (query.target === undefined) return fault(query, FAULT.unknownMethod, 'unknown method')
        return this.#reply(query, from, { nodes: this.#closest(query.target, [], from) })
    }
  }

  #getPeers(query: QueryOf<'get_peers'>, from: Address, nowMs: number): Reply {
    const { target, want } = query
    const count = this.#proven.has(from.host, nowMs) ? MAX_PEERS : MAX_PEERS_UNPROVEN
    const peers = this.peers.sample(target, familyOf(from.host), count, nowMs)
    return this.#reply(query, from, {
      nodes: this.#closest(target, want, from),
      token: this.#tokens.make(from.host, target, nowMs),
      ...(peers.length === 0 ? {} : { peers }),
    })
  }

  #announce(query: QueryOf<'announce_peer'>, from: Address, nowMs: number): Answer {
    const { target, token, port } = query
    if (!this.#isGood(token, from, target, nowMs)) return fault(query, FAULT.protocol, 'invalid token')
    const peer = { host: unmapHost(from.host), port: port ?? from.port }
    // Nobody could be told of a link-local address, whose zone is only ours.
    const isUsable = compactAddress(peer) !== undefined
    const isStored = isUsable && this.peers.announce(target, peer, sourceOf(from), nowMs)
    return isStored ? this.#reply(query, from) : fault(query, FAULT.server, 'no room for this peer')
  }

  #getItem(query: QueryOf<'get'>, from: Address, nowMs: number): Reply {
    const { target, want, sequence = -1 } = query
    const item = this.items.get(target, nowMs)
    const isKnown = item?.mutable !== undefined && item.mutable.sequence <= sequence
    return this.#reply(query, from, {
      nodes: this.#closest(target, want, from),
      token: this.#tokens.make(from.host, target, nowMs),
      ...(isKnown ? { sequence: item.mutable.sequence } : item === undefined ? {} : { item }),
    })
  }

  #put(query: QueryOf<'put'>, from: Address, nowMs: number): Answer {
    const { item, salt, token, compareAndSwap } = query
    const target = targetOf(item, salt)
    if (!this.#isGood(token, from, target, nowMs)) return fault(query, FAULT.protocol, 'invalid token')
    const put = { target, item, source: sourceOf(from), compareAndSwap }
    const refusal = this.items.refusal(put, nowMs)
    if (refusal !== undefined) return fault(query, refusal.code, refusal.message)
    if (item.mutable !== undefined && !this.items.holds(put, nowMs)) {
      if (!this.#signatures.admit(from, nowMs)) {
        this.#counters.deferred++
        return undefined
      }
      this.#counters.signatures++
      if (!isGenuine(item, salt)) return fault(query, FAULT.badSignature, 'invalid signature')
    }
    this.items.store(put, nowMs)
    return this.#reply(query, from)
  }

  /** A token of ours also proves that this host receives what is sent to it. */
  #isGood(token: Uint8Array, from: Address, target: DhtKey, nowMs: number): boolean {
    const isGood = this.#tokens.check(token, from.host, target, nowMs)
    if (isGood) this.#proven.add(from.host, nowMs)
    return isGood
  }

  /** Of the families wanted, or else of the querier's; in turn, so that what does not fit is missing from both. */
  #closest(target: DhtKey, want: readonly Want[], from: Address): readonly Contact[] {
    const families =
      want.length === 0 ? [familyOf(from.host)] : want.map((one): Family => (one === 'n4' ? 'ip4' : 'ip6'))
    const found = families.map((family) => this.#options.tables.get(family)?.closest(target, CONTACTS_PER_REPLY) ?? [])
    const contacts: Contact[] = []
    for (let i = 0; i < CONTACTS_PER_REPLY; i++)
      for (const one of found) if (one[i] !== undefined) contacts.push(one[i]!)
    return contacts
  }

  #reply(query: Query, from: Address, values: Partial<Reply> = {}): Reply {
    const id = this.#idFor(familyOf(from.host))
    return { kind: 'reply', transaction: query.transaction, id, observed: from, nodes: [], ...values }
  }

  /** The id in the querier's network; of a family this node takes no part in nobody should ask. */
  #idFor(family: Family): DhtKey {
    return this.#options.tables.get(family)?.id ?? this.#ids()[0]!
  }

  #ids(): readonly DhtKey[] {
    return Array.from(this.#options.tables.values(), ({ id }) => id)
  }
}

const fault = ({ transaction }: Query, code: number, message: string): Fault => ({
  kind: 'fault',
  transaction,
  code,
  message,
})
