/**
 * The answering half of multicast DNS for one service on one interface, without sockets or clocks: it takes packets and
 * the time, and gives packets to send and the time when it wants to be polled next.
 *
 * It probes for its names before it uses them (RFC 6762 section 8.1), breaks ties (8.2), takes another label when a name is
 * taken, and probes again when a conflict shows later (9). It announces twice, a second apart (8.3), answers questions with
 * known-answer suppression (7.1, 7.2), denies what its names have not (6.1), serves plain resolvers (6.7), speaks up when
 * somebody takes back what still holds (10.2), and says goodbye (10.1). Until its names are its own it answers nothing.
 */
import type { Random } from '../../transport/random.ts'
import type { Echoes } from './echoes.ts'
import { legacyResponse, nameKey, type Packet, probes, type ResourceRecord, recordKey, responses } from './packet.ts'
import { compareProposals } from './proposal.ts'
import { Replies } from './replies.ts'
import {
  additionsTo,
  answersTo,
  type LabelNumbers,
  type NodeService,
  PLAIN_LABELS,
  recordsOf,
  uniqueRecordsOf,
} from './service.ts'

/** RFC 6762 section 8.1: after up to 250 ms three probes, 250 ms apart, and as long to wait for objections. */
const PROBES = 3
const PROBE_INTERVAL_MS = 250
/** RFC 6762 section 8.2: who loses a tie lets the other finish. */
const LOST_TIE_DELAY_MS = 1000
/** RFC 6762 section 8.1: after 15 conflicts within ten seconds at least five seconds pass before each new attempt. */
const MAX_CONFLICTS = 15
const CONFLICTS_WITHIN_MS = 10_000
const CONFLICTS_DELAY_MS = 5000
/** RFC 6762 section 8.3: at least two, at least a second apart. */
const ANNOUNCEMENTS = 2
const ANNOUNCEMENT_INTERVAL_MS = 1000
/** RFC 6762 section 6: answers that others will give too wait 20 to 120 ms, so that they do not collide. */
const SHARED_DELAY_MS = { min: 20, max: 120 }
/** RFC 6762 section 7.2: a truncated query is answered 400 to 500 ms later, when all its known answers are in. */
const TRUNCATED_DELAY_MS = { min: 400, max: 500 }
/** Plain resolvers answered within a second: each answer goes to an address that anybody on the link may have made up. */
const MAX_LEGACY_PER_SECOND = 32

/** The service with its labels in these versions. */
export type ServiceBuilder = (numbers: LabelNumbers) => NodeService

type State =
  | { readonly type: 'silent' }
  | { readonly type: 'probing'; readonly service: NodeService; readonly sent: number; readonly atMs: number }
  | { readonly type: 'announcing'; readonly service: NodeService; readonly left: number; readonly atMs: number }
  | { readonly type: 'announced'; readonly service: NodeService }

export class Responder {
  readonly #random: Random
  readonly #echoes: Echoes
  readonly #replies = new Replies()
  #state: State = { type: 'silent' }
  #build: ServiceBuilder | undefined
  #numbers = PLAIN_LABELS
  /** When the last conflicts showed, the oldest first. */
  #conflictsMs: number[] = []
  #announcedMs = Number.NEGATIVE_INFINITY
  #legacySinceMs = Number.NEGATIVE_INFINITY
  #legacyAnswers = 0

  constructor(random: Random, echoes: Echoes) {
    this.#random = random
    this.#echoes = echoes
  }

  /** The service once its names are its own. */
  get service(): NodeService | undefined {
    const state = this.#state
    return state.type === 'announcing' || state.type === 'announced' ? state.service : undefined
  }

  /** Publishes this service, in place of what was published before; its labels may get numbers. */
  publish(nowMs: number, build: ServiceBuilder): void {
    const state = this.#state
    this.#build = build
    const service = build(this.#numbers)
    if (state.type === 'silent') {
      this.#state = { type: 'probing', service, sent: 0, atMs: nowMs + this.#random.float() * PROBE_INTERVAL_MS }
      return
    }
    if (saysTheSame(state.service, service)) return
    this.#replies.clear()
    if (state.type === 'probing') {
      this.#state = { ...state, service }
      return
    }
    // RFC 6762 section 8.4: what is new about names that are ours is announced; nobody needs to be asked.
    const atMs = Math.max(nowMs, this.#announcedMs + ANNOUNCEMENT_INTERVAL_MS)
    this.#state = { type: 'announcing', service, left: ANNOUNCEMENTS, atMs }
  }

  /** Takes everything back; the packets are to be sent now. */
  goodbye(): Packet[] {
    const state = this.#state
    this.#state = { type: 'silent' }
    this.#replies.clear()
    // Whoever heard a probe may count on this node already.
    if (state.type === 'silent' || (state.type === 'probing' && state.sent === 0)) return []
    // The type of service is not taken back: other nodes have it too.
    return responses(recordsOf(state.service).map((record) => ({ ...record, ttlSeconds: 0 })))
  }

  /**
   * `asker` tells apart who asked; known answers that follow a truncated query come from the same one. `alone` when nobody
   * else on this link is known to have a service of our type.
   */
  handle(nowMs: number, packet: Packet, asker: string, alone = false): void {
    const state = this.#state
    if (state.type === 'silent') return
    if (packet.kind === 'response') this.#handleResponse(nowMs, packet, state)
    else if (state.type === 'probing') this.#breakTie(nowMs, packet, state)
    else this.#answer(nowMs, packet, asker, state.service, alone)
  }

  /** The answer to a plain resolver, to be sent back to it alone. */
  answerLegacy(nowMs: number, query: Packet): Packet | undefined {
    const { service } = this
    if (service === undefined || !this.#mayAnswerLegacy(nowMs)) return undefined
    const asked = query.questions.filter(({ type }) => type !== 'OTHER')
    const answers = asked.flatMap((question) => answersTo(question, service)).filter(({ type }) => type !== 'NSEC')
    if (answers.length === 0) return undefined
    this.#legacyAnswers++
    const distinct = new Map(answers.map((record) => [recordKey(record), record]))
    return legacyResponse({ ...query, questions: asked }, [...distinct.values()])
  }

  #mayAnswerLegacy(nowMs: number): boolean {
    if (nowMs - this.#legacySinceMs >= 1000) {
      this.#legacySinceMs = nowMs
      this.#legacyAnswers = 0
    }
    return this.#legacyAnswers < MAX_LEGACY_PER_SECOND
  }

  /** What is due to be sent now. */
  poll(nowMs: number): Packet[] {
    const state = this.#state
    switch (state.type) {
      case 'silent':
        return []
      case 'probing':
        if (state.atMs > nowMs) return []
        if (state.sent < PROBES) return this.#probe(nowMs, state.service, state.sent + 1)
        return this.#announce(nowMs, state.service, ANNOUNCEMENTS)
      case 'announcing':
        if (state.atMs <= nowMs)
          return [...this.#announce(nowMs, state.service, state.left), ...this.#pollReplies(nowMs)]
        return this.#pollReplies(nowMs)
      case 'announced':
        return this.#pollReplies(nowMs)
    }
  }

  /** When to poll next. */
  deadlineMs(): number {
    const state = this.#state
    const atMs = state.type === 'probing' || state.type === 'announcing' ? state.atMs : Number.POSITIVE_INFINITY
    return Math.min(atMs, this.#replies.deadlineMs())
  }

  #probe(nowMs: number, service: NodeService, sent: number): Packet[] {
    this.#state = { type: 'probing', service, sent, atMs: nowMs + PROBE_INTERVAL_MS }
    // RFC 6762 section 10.2: the cache-flush bit belongs into responses only.
    const proposed = uniqueRecordsOf(service).map((record) => ({ ...record, flush: false }))
    this.#echoes.say(nowMs, proposed)
    return probes([service.pointer.target, service.service.target], proposed)
  }

  #announce(nowMs: number, service: NodeService, left: number): Packet[] {
    this.#announcedMs = nowMs
    const atMs = nowMs + ANNOUNCEMENT_INTERVAL_MS
    this.#state = left > 1 ? { type: 'announcing', service, left: left - 1, atMs } : { type: 'announced', service }
    return this.#responses(nowMs, [...recordsOf(service), service.kind], service.denials)
  }

  #handleResponse(nowMs: number, packet: Packet, state: Exclude<State, { type: 'silent' }>): void {
    const { service } = state
    const records = [...packet.answers, ...packet.additionals]
    const rivals = records.filter((record) => this.#isRival(nowMs, record, service))
    if (state.type !== 'probing') {
      this.#defend(nowMs, records, service)
      // RFC 6762 section 9: probing shows which of the two has to give way.
      if (rivals.length > 0) this.#probeAgain(nowMs, service, 0)
      return
    }
    // RFC 6762 section 8.1: what was said before the first probe was said to somebody else.
    if (rivals.length === 0 || state.sent === 0 || this.#build === undefined) return
    const isTaken = (name: string): boolean => rivals.some((record) => nameKey(record.name) === nameKey(name))
    const { instance, host } = this.#numbers
    this.#numbers = {
      instance: isTaken(service.pointer.target) ? instance + 1 : instance,
      host: isTaken(service.service.target) ? host + 1 : host,
    }
    this.#probeAgain(nowMs, this.#build(this.#numbers), 0)
  }

  /** Somebody else says something else of a name that is to be ours alone. */
  #isRival(nowMs: number, record: ResourceRecord, service: NodeService): boolean {
    const name = nameKey(record.name)
    if (name !== nameKey(service.pointer.target) && name !== nameKey(service.service.target)) return false
    if (record.type === 'PTR' || record.type === 'NSEC' || record.ttlSeconds === 0) return false
    return !this.#isOurs(nowMs, record, service)
  }

  #isOurs(nowMs: number, record: ResourceRecord, service: NodeService): boolean {
    const key = recordKey(record)
    return uniqueRecordsOf(service).some((own) => recordKey(own) === key) || this.#echoes.has(nowMs, record)
  }

  /** Another host probes for one of our names while we do. */
  #breakTie(nowMs: number, packet: Packet, { service }: { readonly service: NodeService }): void {
    const ours = uniqueRecordsOf(service)
    const names = new Set(packet.questions.map(({ name }) => nameKey(name)))
    for (const name of [service.pointer.target, service.service.target].map(nameKey)) {
      const theirs = packet.authorities.filter((record) => nameKey(record.name) === name)
      if (!names.has(name) || theirs.every((record) => this.#isOurs(nowMs, record, service))) continue
      const order = compareProposals(
        ours.filter((record) => nameKey(record.name) === name),
        theirs,
      )
      if (order >= 0) continue
      this.#probeAgain(nowMs, service, LOST_TIE_DELAY_MS)
      return
    }
  }

  #probeAgain(nowMs: number, service: NodeService, delayMs: number): void {
    this.#conflictsMs = [...this.#conflictsMs.filter((atMs) => nowMs - atMs < CONFLICTS_WITHIN_MS), nowMs].slice(
      -MAX_CONFLICTS,
    )
    const pauseMs = this.#conflictsMs.length >= MAX_CONFLICTS ? CONFLICTS_DELAY_MS : 0
    this.#replies.clear()
    const atMs = nowMs + Math.max(delayMs, pauseMs) + (delayMs > 0 ? 0 : this.#random.float() * PROBE_INTERVAL_MS)
    this.#state = { type: 'probing', service, sent: 0, atMs }
  }

  #answer(nowMs: number, packet: Packet, asker: string, service: NodeService, alone: boolean): void {
    const known = new Map(packet.answers.map((record) => [recordKey(record), record.ttlSeconds]))
    // RFC 6762 section 7.1: an answer that the asker will forget before half its time is no known one.
    const isKnown = (record: ResourceRecord): boolean => (known.get(recordKey(record)) ?? -1) >= record.ttlSeconds / 2
    if (packet.questions.length === 0) {
      this.#replies.drop(asker, isKnown)
      return
    }
    const answers = packet.questions.map((question) => answersTo(question, service))
    const distinct = new Map(answers.flat().map((record) => [recordKey(record), record]))
    const records = [...distinct.values()].filter((record) => !isKnown(record))
    const defence = packet.authorities.length > 0
    // RFC 6762 sections 6 and 6.3: who has good reason to believe that nobody else answers any part of the query does not
    // wait. Only we can hold records with the cache-flush bit. A probe is answered at once.
    const isOnly = answers.every((found) => found.length > 0) && (alone || records.every(({ flush }) => flush))
    const waitMs = defence || (isOnly && !packet.truncated) ? 0 : this.#waitMs(packet.truncated)
    this.#replies.add({ atMs: nowMs + waitMs, asker, records, defence })
  }

  #waitMs(truncated: boolean): number {
    const { min, max } = truncated ? TRUNCATED_DELAY_MS : SHARED_DELAY_MS
    return min + this.#random.float() * (max - min)
  }

  /** RFC 6762 section 10.1 and 10.2: what somebody takes back while it still holds is said again. */
  #defend(nowMs: number, records: readonly ResourceRecord[], service: NodeService): void {
    const ours = new Map([service.kind, ...recordsOf(service)].map((record) => [recordKey(record), record]))
    const denied = records.flatMap((record) => {
      const own = ours.get(recordKey(record))
      return own !== undefined && record.ttlSeconds < own.ttlSeconds / 2 ? [own] : []
    })
    this.#replies.add({ atMs: nowMs + this.#waitMs(false), asker: '', records: denied })
  }

  #pollReplies(nowMs: number): Packet[] {
    const { service } = this
    const answers = this.#replies.due(nowMs)
    if (service === undefined || answers.length === 0) return []
    const answered = new Set(answers.map(recordKey))
    const additionals = additionsTo(answers, service).filter(
      (record) => !answered.has(recordKey(record)) && this.#replies.isFree(nowMs, record),
    )
    return this.#responses(nowMs, answers, additionals)
  }

  #responses(nowMs: number, records: readonly ResourceRecord[], additionals: readonly ResourceRecord[]): Packet[] {
    const packets = responses(records, additionals)
    for (const packet of packets) {
      const said = [...packet.answers, ...packet.additionals]
      this.#replies.sent(nowMs, said)
      this.#echoes.say(nowMs, said)
    }
    return packets
  }
}

const saysTheSame = (a: NodeService, b: NodeService): boolean => {
  const [one, other] = [recordsOf(a), recordsOf(b)]
  return one.length === other.length && one.every((record, index) => recordKey(record) === recordKey(other[index]!))
}
