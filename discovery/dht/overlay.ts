/**
 * The DHT of one family of addresses (BEP 32: IPv4 and IPv6 are two networks): who we are in it, whom we know, how we look
 * for somebody, and the upkeep of all that.
 *
 * A node is believed when it answers from the address it was asked at; then it enters the table, and its view of our
 * address counts as a vote. Nothing else makes a contact: a querier that would find room is asked first. In the public
 * network only nodes whose ids fit their addresses are asked and kept (BEP 42), and our own id is made anew when enough
 * votes agree on an address it does not fit.
 *
 * A node that fails to answer is held to have failed only if somebody else answered meanwhile: else it may be we who are
 * cut off, and a table is not to be lost with the network.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Address } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import { type Family, familyOf } from './compact-address.ts'
import { idFitsHost, idForHost, isExemptHost, randomId, sameKey } from './dht-id.ts'
import { type Candidate, Lookup } from './lookup.ts'
import type { Contact, DhtKey, Fault, Query, Reply, Want } from './message.ts'
import type { Networks } from './networks.ts'
import { type Asker, Queries, type Question } from './queries.ts'
import { RoutingTable } from './routing-table.ts'
import type { Timetable } from './timetable.ts'
import { AddressVotes } from './votes.ts'

/** Addresses to begin with that are asked at once; more would only be more of the same. */
const MAX_BOOTSTRAP_ADDRESSES = 64
/** Under way at once; one more is refused. */
const MAX_LOOKUPS = 256
/** A lookup that liars keep busy is ended. */
const LOOKUP_LIMIT_MS = 15_000
/** Contacts of the table that a path begins with. */
const CONTACTS_PER_PATH = 24
/** Queriers asked at once whether they are who they say. */
const MAX_CHECKS = 16
/** How often the table is looked after: a share of its stale contacts and one bucket each time. */
const UPKEEP_MS = 5000
const UPKEEP_JITTER = 0.25
const STALE_PER_UPKEEP = 8
/** With nobody known the first addresses are asked again after so long, and then ever more seldom. */
const MIN_RETRY_MS = 1000
const MAX_RETRY_MS = 60_000

export interface OverlayOptions {
  readonly family: Family
  readonly clock: Clock
  readonly random: Random
  readonly timetable: Timetable
  readonly networks: Networks
  readonly send: (bytes: Uint8Array, to: Address) => void
  readonly isPublic: boolean
  readonly readOnly: boolean
  /** Families to be told of by others. */
  readonly want: readonly Want[]
  readonly id: DhtKey | undefined
  /** Our id is another one now. */
  readonly onIdChanged: () => void
  /** This host answered us, so it is where it says. */
  readonly onProven: (host: string) => void
  /** Somebody named a node of the other family. */
  readonly onForeign: (contact: Contact) => void
}

export interface LookupRequest {
  readonly target: DhtKey
  readonly question: Question
  readonly paths?: 1 | 2
  readonly patient?: boolean
  /** Every reply; true if the lookup has what it was for. */
  readonly onReply?: (reply: Reply, candidate: Candidate) => boolean
  /** Asked when the lookup is done: false makes it wait for those who are late. */
  readonly isEnough?: () => boolean
  readonly onDone: (lookup: Lookup) => void
}

export class Overlay {
  readonly table: RoutingTable
  readonly votes: AddressVotes
  readonly #options: OverlayOptions
  readonly #queries: Queries
  #id: DhtKey
  #lookups = 0
  #lookupsDone = 0
  #checks = 0
  #bootstrapAddresses: readonly Address[] = []
  #retryMs = MIN_RETRY_MS
  #retryAtMs = 0
  #stopped = false

  constructor(options: OverlayOptions) {
    const { clock, random, timetable, networks, send, isPublic, readOnly } = options
    this.#options = options
    this.#id = options.id ?? randomId(random)
    this.table = new RoutingTable({ id: this.#id, networks, random, nowMs: clock.now() })
    this.votes = new AddressVotes({ voter: isPublic ? 'network' : 'host' })
    this.#queries = new Queries({ clock, random, timetable, send, self: () => ({ id: this.#id, readOnly }) })
    this.#planUpkeep()
  }

  /** Ours in this network. */
  get id(): DhtKey {
    return this.#id
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#queries.counters(), lookups: this.#lookupsDone }
  }

  /** Whom others are told of. */
  closest(target: DhtKey, count: number): Contact[] {
    return this.table.closestGood(target, count)
  }

  /** Whether this datagram may be an answer we wait for. True once for each answer. */
  expects(datagram: Uint8Array, from: Address): boolean {
    return this.#queries.expects(datagram, from)
  }

  /** An answer came in. False if nobody asked for it. */
  receive(answer: Reply | Fault, from: Address): boolean {
    return this.#queries.receive(answer, from)
  }

  /** A query came in and was answered: the querier may be worth knowing. */
  heard(query: Query, from: Address): void {
    if (!query.readOnly) this.suggest({ id: query.id, address: from })
  }

  /** Somebody may be there: asked if there is room for such a node. */
  suggest(contact: Contact): void {
    if (this.#checks >= MAX_CHECKS || !this.#accepts(contact) || !this.table.wants(contact)) return
    const settled = (): void => {
      this.#checks--
    }
    if (this.ask(contact.address, { method: 'ping' }, { onAnswer: settled, onFailed: settled })) this.#checks++
  }

  /** Asks one node; what its answer tells of it is taken care of. False if too much is under way, or after `stop`. */
  ask(to: Address, question: Question, asker: Asker): boolean {
    if (this.#stopped) return false
    const known = this.table.at(to)
    const askedAtMs = this.#options.clock.now()
    return this.#queries.ask(
      to,
      question,
      {
        onAnswer: (answer, tookMs) => {
          this.#believe(answer, to, tookMs)
          asker.onAnswer(answer, tookMs)
        },
        onLate: () => asker.onLate?.(),
        onSilent: () => asker.onSilent?.(),
        onFailed: () => {
          if (known !== undefined && !this.#stopped && this.#queries.heardSince(askedAtMs)) this.table.failed(known)
          asker.onFailed()
        },
      },
      known?.roundTrip,
    )
  }

  /** Looks for the nodes nearest to a target. Throws ERR_SKEIN_LIMIT if too many lookups are under way. */
  lookup(request: LookupRequest): void {
    if (this.#lookups >= MAX_LOOKUPS) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `${MAX_LOOKUPS} lookups are under way in the DHT.`)
    }
    const { target, question, paths = 1, patient = false, onReply, isEnough, onDone } = request
    const { clock, networks, timetable } = this.#options
    const lookup = new Lookup({
      target,
      contacts: this.#firstContacts(target, paths * CONTACTS_PER_PATH),
      networks,
      accepts: (contact) => this.#accepts(contact),
      paths,
      patient,
    })
    let isOver = false
    const end = (): void => {
      if (isOver) return
      isOver = true
      limit.cancel()
      this.#lookups--
      this.#lookupsDone++
      this.table.lookedUp(target, clock.now())
      onDone(lookup)
    }
    const goOn = (): void => {
      while (!isOver) {
        const next = lookup.next()
        const refused = next.filter((candidate) => !this.ask(candidate.address, question, askerOf(candidate)))
        for (const candidate of refused) lookup.failed(candidate)
        if (refused.length > 0) continue
        if (!lookup.isDone) return
        if (lookup.isPatient || isEnough === undefined || isEnough()) end()
        else lookup.bePatient()
      }
    }
    const step = (change: () => void): void => {
      if (isOver) return
      change()
      goOn()
    }
    const askerOf = (candidate: Candidate): Asker => ({
      onAnswer: (answer) =>
        step(() => {
          if (answer.kind === 'fault' || !this.#accepts({ id: answer.id, address: candidate.address })) {
            lookup.failed(candidate)
            return
          }
          const named = answer.nodes.filter((contact) => this.#mayName(candidate.address, contact))
          lookup.answered(candidate, answer.id, named)
          if (onReply?.(answer, candidate) === true) end()
        }),
      onLate: () => step(() => lookup.late(candidate)),
      onSilent: () => step(() => lookup.silent(candidate)),
      onFailed: () => step(() => lookup.failed(candidate)),
    })
    const limit = timetable.after(LOOKUP_LIMIT_MS, end)
    this.#lookups++
    goOn()
  }

  /** Looks for the nodes nearest to an id, to know them. */
  findNode(target: DhtKey, onDone: (lookup: Lookup) => void): void {
    this.lookup({ target, question: { method: 'find_node', target, want: this.#options.want }, onDone })
  }

  /** Asks these addresses, then looks for our own neighbours; says when that is done. */
  bootstrap(addresses: readonly Address[], onDone: () => void): void {
    const { clock, want } = this.#options
    const asked = addresses.slice(0, MAX_BOOTSTRAP_ADDRESSES)
    if (asked.length > 0) this.#bootstrapAddresses = asked
    this.#retryAtMs = clock.now() + this.#retryMs
    const pending = new Set(asked)
    const askedAs = this.#id
    const lookAround = (): void => {
      if (this.#lookups < MAX_LOOKUPS) this.findNode(this.#id, onDone)
      else onDone()
    }
    // The first lookup waits for nobody who is late, the second begins once all have answered or failed.
    const settle = (address: Address) => (): void => {
      if (!pending.delete(address) || pending.size > 0) return
      if (this.table.size > 0) lookAround()
      // They may all have refused an id that did not fit our address, and told us that address.
      else if (this.#stopped || sameKey(askedAs, this.#id)) onDone()
      else this.bootstrap(addresses, onDone)
    }
    const question: Question = { method: 'find_node', target: this.#id, want }
    for (const address of asked) {
      const settled = settle(address)
      const onLate = (): void => {
        if (this.table.size > 0) settled()
      }
      if (!this.ask(address, question, { onAnswer: settled, onLate, onSilent: onLate, onFailed: settled })) settled()
    }
    if (asked.length === 0) lookAround()
  }

  /** Forgets what is under way; whoever waits is told that there is no answer. */
  stop(): void {
    this.#stopped = true
    this.#queries.stop()
  }

  /** All may have failed if we were cut off for a while. */
  #firstContacts(target: DhtKey, count: number): Contact[] {
    const good = this.table.closestGood(target, count)
    return good.length > 0 ? good : this.table.closest(target, count)
  }

  #accepts({ id, address }: Contact): boolean {
    const { family, isPublic } = this.#options
    return !sameKey(id, this.#id) && familyOf(address.host) === family && (!isPublic || idFitsHost(id, address.host))
  }

  /** In the public network a private address says nothing to us, and may be one of our own LAN that a stranger aims at. */
  #mayName(namer: Address, { address }: Contact): boolean {
    return !this.#options.isPublic || !isExemptHost(address.host) || isExemptHost(namer.host)
  }

  /** A node answered from where it was asked. */
  #believe(answer: Reply | Fault, from: Address, tookMs: number): void {
    const now = this.#options.clock.now()
    this.#options.onProven(from.host)
    const contact = answer.kind === 'reply' ? { id: answer.id, address: from } : undefined
    if (contact !== undefined && this.#accepts(contact))
      this.table.answered(contact, () => this.#queries.firstRoundTrip(tookMs), now)
    for (const named of answer.kind === 'reply' ? answer.nodes : [])
      if (familyOf(named.address.host) !== this.#options.family && this.#mayName(from, named))
        this.#options.onForeign(named)
    if (answer.observed !== undefined && this.votes.add(answer.observed, from, now)) this.#fitId(this.votes.host!)
  }

  /** BEP 42: takes an id that fits the address others see. */
  #fitId(host: string): void {
    if (!this.#options.isPublic || idFitsHost(this.#id, host)) return
    this.#id = idForHost(host, this.#options.random)
    this.table.changeId(this.#id, this.#options.clock.now())
    this.#options.onIdChanged()
    if (this.#lookups < MAX_LOOKUPS) this.findNode(this.#id, () => {})
  }

  #planUpkeep(): void {
    const { random, timetable } = this.#options
    const pauseMs = UPKEEP_MS * (1 + (random.float() * 2 - 1) * UPKEEP_JITTER)
    timetable.after(pauseMs, () => {
      this.#keepUp()
      this.#planUpkeep()
    })
  }

  #keepUp(): void {
    const now = this.#options.clock.now()
    if (this.table.size === 0) {
      if (this.#bootstrapAddresses.length === 0 || now < this.#retryAtMs) return
      this.#retryMs = Math.min(2 * this.#retryMs, MAX_RETRY_MS)
      this.bootstrap(this.#bootstrapAddresses, () => {})
      return
    }
    this.#retryMs = MIN_RETRY_MS
    for (const { address } of this.table.stale(now, STALE_PER_UPKEEP)) {
      this.ask(address, { method: 'ping' }, { onAnswer: () => {}, onFailed: () => {} })
    }
    const due = this.#lookups < MAX_LOOKUPS ? this.table.dueTarget(now) : undefined
    if (due !== undefined) this.findNode(due, () => {})
  }
}
