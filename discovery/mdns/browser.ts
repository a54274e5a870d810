/**
 * The asking half of multicast DNS for our service on one interface, without sockets or clocks: it takes packets and the
 * time, and gives packets to send, what changed among the nodes it sees, and the time when it wants to be polled next.
 *
 * It asks for the service at once and then ever more rarely, with the answers it knows (RFC 6762 sections 5.2, 7.1),
 * asks for what an answer left out, and again for what is about to expire, unless another host just did (7.3). A node is
 * seen when its PTR, SRV, TXT and at least one address are known and the TXT carries our cluster tag. Everything is
 * bounded: strangers push out only strangers, and never a node of our cluster.
 */
import type { Address } from '../../transport/address.ts'
import type { Random } from '../../transport/random.ts'
import { sameRegistrations } from '../sightings.ts'
import type { Registration } from '../source.ts'
import { RecordCache } from './cache.ts'
import {
  type AddressRecord,
  nameKey,
  type Packet,
  type PointerRecord,
  type Question,
  queries,
  type ResourceRecord,
  recordKey,
  type ServiceRecord,
  type TextRecord,
} from './packet.ts'
import { addressFrom, MAX_ADDRESSES, readText, type Scope, SERVICE_TYPE } from './service.ts'

/** Instances known at once, those of other clusters included. */
export const MAX_SERVICES = 1024
/** RFC 6762 section 5.2: where a common event may have started many, the first question waits 20 to 120 ms. */
const FIRST_QUERY_DELAY_MS = { min: 20, max: 120 }
/** RFC 6762 section 5.2: the second follows after at least a second, the pauses double. */
const FIRST_PAUSE_MS = 1000
/** RFC 6762 section 5.2. */
const MAX_PAUSE_MS = 3_600_000
/** What an answer left out is asked for after a moment, since it may stand in the next packet. */
const RESOLVE_DELAY_MS = 20
const RESOLVE_PAUSE_MS = 1000
/** Instances asked after at once, and in a second: each is a few questions that every node on the link asks aloud. */
const RESOLVES = { burst: 128, perSecond: 64 }
/** After this many questions without an answer an instance is forgotten; asking for the service may find it again. */
const MAX_RESOLVE_TRIES = 4
/** What is only proposed is believed until three probes and the first announcement must have come, and some. */
const PROBE_TTL_SECONDS = 4
/** An instance has one SRV and one TXT record; a second one is an update under way. */
const MAX_UNIQUE_RECORDS = 2

/** Who this node is, to tell our cluster from others and ourselves from our peers. */
export interface Self {
  readonly id: string
  readonly incarnation: string
  readonly clusterTag: string
  readonly acceptedTags?: readonly string[]
}

/** A node as seen on one interface. */
export interface Seen {
  readonly name: string
  readonly id: string
  readonly incarnation: string
  readonly addresses: readonly Address[]
  readonly registrations: readonly Registration[]
  /** Since when this incarnation is seen. */
  readonly sinceMs: number
}

/** What became of an instance; `seen` is undefined when it is gone. */
interface Change {
  readonly instance: string
  readonly seen: Seen | undefined
}

type Phase =
  | { readonly type: 'unresolved'; readonly tries: number; readonly atMs: number }
  | { readonly type: 'seen'; readonly seen: Seen }
  /** Of another cluster or program, malformed, or this node itself: not asked for. */
  | { readonly type: 'ignored'; readonly self: boolean }

interface Instance {
  readonly pointer: PointerRecord
  phase: Phase
  /** The nameKey of the host it lives on, once an SRV record named it. */
  host: string | undefined
}

export class Browser {
  #self: Self
  readonly #scope: Scope
  readonly #cache: RecordCache
  /** By nameKey of the instance's full name. */
  readonly #instances = new Map<string, Instance>()
  /** The instances of each host, both by nameKey. */
  readonly #residents = new Map<string, Set<string>>()
  #changes: Change[] = []
  #queryMs: number
  #pauseMs = FIRST_PAUSE_MS
  #askedMs = Number.NEGATIVE_INFINITY
  #refused = 0
  /** Instances that may be asked after now, and when that was so. */
  #resolvesLeft = RESOLVES.burst
  #resolvesAtMs: number

  /** `spread` when an event that others share, as a link that came up, is what starts it. */
  constructor(nowMs: number, self: Self, scope: Scope, random: Random, start: 'at once' | 'spread' = 'at once') {
    this.#self = self
    this.#scope = scope
    this.#cache = new RecordCache(random)
    this.#resolvesAtMs = nowMs
    const { min, max } = FIRST_QUERY_DELAY_MS
    this.#queryMs = start === 'at once' ? nowMs : nowMs + min + random.float() * (max - min)
  }

  /** This node goes by other tags than before: whoever was ignored may be of our cluster, and the other way round. */
  become(nowMs: number, self: Self): void {
    const before = tagsOf(this.#self)
    this.#self = self
    if (before.join() === tagsOf(self).join()) return
    for (const key of this.#instances.keys()) this.#judge(nowMs, key)
  }

  /** Instances that found no room. */
  get refused(): number {
    return this.#refused
  }

  /** Records and instances held, for the test that they are bounded. */
  get size(): { readonly records: number; readonly instances: number } {
    return { records: this.#cache.size, instances: this.#instances.size }
  }

  /** Services of our type that are no nodes of our cluster. */
  get foreign(): number {
    let count = 0
    for (const { phase } of this.#instances.values()) if (phase.type === 'ignored' && !phase.self) count++
    return count
  }

  /** No service of our type is known but this node's own. */
  get isAlone(): boolean {
    for (const { phase } of this.#instances.values()) if (phase.type !== 'ignored' || !phase.self) return false
    return true
  }

  /** Asks anew, with short pauses at first. */
  refresh(nowMs: number): void {
    this.#pauseMs = FIRST_PAUSE_MS
    // However often it is called: RFC 6762 section 5.2 wants a second between questions.
    this.#queryMs = Math.min(this.#queryMs, Math.max(nowMs, this.#askedMs + FIRST_PAUSE_MS))
  }

  handle(nowMs: number, packet: Packet): void {
    if (packet.kind === 'query') {
      if (packet.authorities.length > 0) this.#handleProbe(nowMs, packet)
      // RFC 6762 section 7.3. Known answers would keep some of the answers away from us.
      if (packet.answers.length > 0) return
      for (const { name, type } of packet.questions)
        if (type !== 'PTR' && type !== 'ANY' && type !== 'OTHER') this.#cache.asked(nowMs, name, type)
      return
    }
    this.#handleResponse(nowMs, packet)
  }

  /** What is due to be sent now. `own` is this node's own PTR: known to us, so nobody needs to say it. */
  poll(nowMs: number, own: readonly ResourceRecord[] = []): Packet[] {
    const { expired, stale } = this.#cache.due(nowMs)
    if (expired.length > 0) this.#forgetExpired(nowMs, expired)
    const packets: Packet[] = []
    if (this.#queryMs <= nowMs) {
      const known = [...this.#cache.known(nowMs, SERVICE_TYPE, 'PTR'), ...own]
      const distinct = new Map(known.map((record) => [recordKey(record), record]))
      packets.push(...queries([{ name: SERVICE_TYPE, type: 'PTR' }], [...distinct.values()]))
      this.#askedMs = nowMs
      this.#queryMs = nowMs + this.#pauseMs
      this.#pauseMs = Math.min(this.#pauseMs * 2, MAX_PAUSE_MS)
    }
    packets.push(...queries([...this.#staleQuestions(stale), ...this.#openQuestions(nowMs)]))
    return packets
  }

  deadlineMs(): number {
    let firstMs = Math.min(this.#queryMs, this.#cache.deadlineMs())
    for (const { phase } of this.#instances.values()) {
      if (phase.type === 'unresolved') firstMs = Math.min(firstMs, phase.atMs)
    }
    return firstMs
  }

  /** What changed since the last call. */
  takeChanges(): Change[] {
    const changes = this.#changes
    this.#changes = []
    return changes
  }

  /**
   * Who probes is up, and says all there is to know most of a second before it announces it. So it counts for a moment, as
   * long as it takes nothing away from names that are known: those who hold them will object.
   */
  #handleProbe(nowMs: number, packet: Packet): void {
    const isNew = ({ name }: ResourceRecord): boolean =>
      !this.#instances.has(nameKey(name)) && !this.#residents.has(nameKey(name))
    const proposed = packet.authorities
      .filter(isNew)
      .map((record) => ({ ...record, flush: false, ttlSeconds: Math.min(record.ttlSeconds, PROBE_TTL_SECONDS) }))
    const pointers = proposed
      .filter(({ type }) => type === 'SRV')
      .map(
        ({ name, ttlSeconds }): PointerRecord => ({
          type: 'PTR',
          name: SERVICE_TYPE,
          ttlSeconds,
          flush: false,
          target: name,
        }),
      )
    if (pointers.length > 0)
      this.#handleResponse(nowMs, { ...packet, answers: [...pointers, ...proposed], additionals: [] })
  }

  #handleResponse(nowMs: number, packet: Packet): void {
    const records = [...packet.answers, ...packet.additionals]
    const touched = new Set<string>()
    for (const record of records) if (record.type === 'PTR') this.#putPointer(nowMs, record, touched)
    for (const record of records) {
      if (record.type !== 'SRV' && record.type !== 'TXT') continue
      const key = nameKey(record.name)
      if (!this.#instances.has(key)) continue
      this.#cache.put(nowMs, record, MAX_UNIQUE_RECORDS)
      touched.add(key)
      if (record.type === 'SRV') this.#house(key)
    }
    for (const record of records) {
      if (record.type !== 'A' && record.type !== 'AAAA') continue
      const residents = this.#residents.get(nameKey(record.name))
      if (residents === undefined) continue
      this.#cache.put(nowMs, record, MAX_ADDRESSES)
      for (const key of residents) touched.add(key)
    }
    for (const key of touched) this.#judge(nowMs, key)
  }

  #putPointer(nowMs: number, record: PointerRecord, touched: Set<string>): void {
    const key = nameKey(record.target)
    if (nameKey(record.name) !== SERVICE_TYPE || !key.endsWith(`.${SERVICE_TYPE}`)) return
    if (!this.#instances.has(key)) {
      if (record.ttlSeconds === 0) return
      if (this.#instances.size >= MAX_SERVICES && !this.#makeRoom()) {
        this.#refused++
        return
      }
      this.#instances.set(key, { pointer: record, phase: unresolved(nowMs), host: undefined })
    }
    this.#cache.put(nowMs, record, MAX_SERVICES)
    touched.add(key)
  }

  /** Forgets the oldest instance that is none of ours. */
  #makeRoom(): boolean {
    for (const [key, { phase }] of this.#instances) {
      if (phase.type === 'seen') continue
      this.#forget(key)
      return true
    }
    return false
  }

  /** Notes where an instance lives now; a host without residents is forgotten with its addresses. */
  #house(key: string): void {
    const instance = this.#instances.get(key)
    const target = instance === undefined ? undefined : this.#serviceRecord(instance)?.target
    this.#move(key, instance, target === undefined ? undefined : nameKey(target))
  }

  #move(key: string, instance: Instance | undefined, host: string | undefined): void {
    if (instance === undefined || instance.host === host) return
    const left = instance.host
    instance.host = host
    if (host !== undefined) this.#residents.set(host, (this.#residents.get(host) ?? new Set()).add(key))
    if (left === undefined) return
    const others = this.#residents.get(left)
    others?.delete(key)
    if (others === undefined || others.size > 0) return
    this.#residents.delete(left)
    this.#cache.deleteAll(left, 'A')
    this.#cache.deleteAll(left, 'AAAA')
  }

  #serviceRecord(instance: Instance): ServiceRecord | undefined {
    return this.#cache.get(instance.pointer.target, 'SRV').at(-1) as ServiceRecord | undefined
  }

  #textRecord(instance: Instance): TextRecord | undefined {
    return this.#cache.get(instance.pointer.target, 'TXT').at(-1) as TextRecord | undefined
  }

  #addressRecords(host: string): AddressRecord[] {
    return [...this.#cache.get(host, 'A'), ...this.#cache.get(host, 'AAAA')] as AddressRecord[]
  }

  /** Brings the phase of an instance in line with its records. */
  #judge(nowMs: number, key: string): void {
    const instance = this.#instances.get(key)
    if (instance === undefined) return
    const before = instance.phase
    instance.phase = this.#phaseOf(nowMs, instance)
    this.#report(key, before, instance.phase)
  }

  #phaseOf(nowMs: number, instance: Instance): Phase {
    const before = instance.phase
    const waiting = before.type === 'unresolved' ? before : unresolved(nowMs)
    const textRecord = this.#textRecord(instance)
    if (textRecord === undefined) return waiting
    const text = readText(textRecord.strings)
    const isSelf = text?.id === this.#self.id && text.incarnation === this.#self.incarnation
    if (text === undefined || !tagsOf(this.#self).includes(text.clusterTag) || isSelf)
      return { type: 'ignored', self: isSelf }
    const service = this.#serviceRecord(instance)
    if (service === undefined || service.port === 0) return waiting
    const addresses = this.#addressRecords(service.target)
      .map((record) => addressFrom(record.host, service.port, this.#scope))
      .filter((address) => address !== undefined)
      .slice(0, MAX_ADDRESSES)
    if (addresses.length === 0) return waiting
    const same = before.type === 'seen' && before.seen.incarnation === text.incarnation && before.seen.id === text.id
    const { id, name, incarnation, registrations } = text
    const sinceMs = same ? before.seen.sinceMs : nowMs
    return { type: 'seen', seen: { id, name, incarnation, addresses, registrations, sinceMs } }
  }

  #report(key: string, before: Phase, after: Phase | undefined): void {
    const was = before.type === 'seen' ? before.seen : undefined
    const is = after?.type === 'seen' ? after.seen : undefined
    if (was === is || (was !== undefined && is !== undefined && saysTheSame(was, is))) return
    this.#changes.push({ instance: key, seen: is })
  }

  #forgetExpired(nowMs: number, expired: readonly ResourceRecord[]): void {
    const touched = new Set<string>()
    for (const record of expired) {
      if (record.type === 'PTR') this.#forget(nameKey(record.target))
      else for (const key of this.#instancesOf(record)) touched.add(key)
    }
    for (const key of touched) {
      this.#house(key)
      const wasSeen = this.#instances.get(key)?.phase.type === 'seen'
      this.#judge(nowMs, key)
      // RFC 6762 section 10.4: who does not answer for its other records is gone, whatever the PTR says. Asking for the
      // service finds it again, since the PTR is then no known answer any more.
      if (wasSeen && this.#instances.get(key)?.phase.type === 'unresolved') this.#forget(key)
    }
  }

  /** Forgets an instance with all its records. */
  #forget(key: string): void {
    const instance = this.#instances.get(key)
    if (instance === undefined) return
    this.#instances.delete(key)
    this.#move(key, instance, undefined)
    this.#cache.delete(instance.pointer)
    this.#cache.deleteAll(key, 'SRV')
    this.#cache.deleteAll(key, 'TXT')
    this.#report(key, instance.phase, undefined)
  }

  /** The instances that a record speaks of. */
  #instancesOf(record: ResourceRecord): Iterable<string> {
    if (record.type === 'PTR') return [nameKey(record.target)]
    if (record.type === 'A' || record.type === 'AAAA') return this.#residents.get(nameKey(record.name)) ?? []
    return [nameKey(record.name)]
  }

  /** Questions for records that run out, those of nodes that we see. */
  #staleQuestions(stale: readonly ResourceRecord[]): Question[] {
    const questions = new Map<string, Question>()
    for (const record of stale) {
      for (const key of this.#instancesOf(record)) {
        if (this.#instances.get(key)?.phase.type !== 'seen') continue
        questions.set(`${record.type} ${nameKey(record.name)}`, { name: record.name, type: record.type })
      }
    }
    return [...questions.values()]
  }

  /** A stranger may name instances without end, and what is asked here, all nodes on the link ask. */
  #mayResolve(nowMs: number): boolean {
    const { burst, perSecond } = RESOLVES
    this.#resolvesLeft = Math.min(burst, this.#resolvesLeft + ((nowMs - this.#resolvesAtMs) / 1000) * perSecond)
    this.#resolvesAtMs = nowMs
    if (this.#resolvesLeft < 1) return false
    this.#resolvesLeft--
    return true
  }

  /** Questions for what is missing of instances that are not resolved. */
  #openQuestions(nowMs: number): Question[] {
    const questions: Question[] = []
    for (const [key, instance] of this.#instances) {
      const { phase } = instance
      if (phase.type !== 'unresolved' || phase.atMs > nowMs) continue
      if (phase.tries === MAX_RESOLVE_TRIES) {
        this.#forget(key)
        continue
      }
      if (!this.#mayResolve(nowMs)) {
        instance.phase = { ...phase, atMs: nowMs + RESOLVE_PAUSE_MS }
        continue
      }
      const atMs = nowMs + RESOLVE_PAUSE_MS * 2 ** phase.tries
      instance.phase = { type: 'unresolved', tries: phase.tries + 1, atMs }
      const service = this.#serviceRecord(instance)
      const name = instance.pointer.target
      if (this.#textRecord(instance) === undefined) questions.push({ name, type: 'TXT' })
      if (service === undefined) questions.push({ name, type: 'SRV' })
      else if (this.#addressRecords(service.target).length === 0) {
        questions.push({ name: service.target, type: 'A' }, { name: service.target, type: 'AAAA' })
      }
    }
    return questions
  }
}

/** By which this node tells its cluster from others. */
const tagsOf = ({ clusterTag, acceptedTags = [] }: Self): readonly string[] => [clusterTag, ...acceptedTags]

const unresolved = (nowMs: number): Phase => ({ type: 'unresolved', tries: 0, atMs: nowMs + RESOLVE_DELAY_MS })

const saysTheSame = (a: Seen, b: Seen): boolean =>
  a.id === b.id &&
  a.name === b.name &&
  a.incarnation === b.incarnation &&
  sameHosts(a.addresses, b.addresses) &&
  sameRegistrations(a.registrations, b.registrations)

/** Records come in any order. */
const sameHosts = (a: readonly Address[], b: readonly Address[]): boolean =>
  a.length === b.length && a.every((one) => b.some((other) => one.host === other.host && one.port === other.port))
