/**
 * The answering half of multicast DNS for one service on one interface, without sockets or clocks: it takes packets and
 * the time, and gives packets to send and the time when it wants to be polled next.
 *
 * It announces twice, a second apart (RFC 6762 section 8.3), answers questions with known-answer suppression (7.1, 7.2),
 * multicasts no record more than once a second (6), speaks up when somebody takes back what still holds (10.2), and says
 * goodbye (10.1). Probing and renaming (8.1, 9) come before the state 'announcing': labels hold a part of the
 * node id, so they wait.
 */
import type { Random } from '../../transport/random.ts'
import { nameKey, type Packet, type Question, type ResourceRecord, recordKey, responses } from './packet.ts'
import { type NodeService, recordsOf } from './service.ts'

/** RFC 6762 section 8.3: at least two, at least a second apart. */
const ANNOUNCEMENTS = 2
const ANNOUNCEMENT_INTERVAL_MS = 1000
/** RFC 6762 section 6: a record is multicast at most once a second. */
const REPEAT_INTERVAL_MS = 1000
/** RFC 6762 section 6: answers that others may give too wait 20 to 120 ms, so that they do not collide. */
const SHARED_DELAY_MS = { min: 20, max: 120 }
/** RFC 6762 section 7.2: a truncated query is answered 400 to 500 ms later, when all its known answers are in. */
const TRUNCATED_DELAY_MS = { min: 400, max: 500 }
/** Questions waiting for their answer; more are dropped, and the askers ask again. */
const MAX_REPLIES = 64

type State =
  | { readonly type: 'silent' }
  | { readonly type: 'announcing'; readonly service: NodeService; readonly left: number; readonly atMs: number }
  | { readonly type: 'announced'; readonly service: NodeService }

/** An answer that waits for its moment. */
interface Reply {
  readonly atMs: number
  readonly asker: string
  readonly records: Map<string, ResourceRecord>
}

export class Responder {
  readonly #random: Random
  #state: State = { type: 'silent' }
  #replies: Reply[] = []
  /** When each record was last multicast, by key. */
  readonly #sentMs = new Map<string, number>()
  #announcedMs = Number.NEGATIVE_INFINITY

  constructor(random: Random) {
    this.#random = random
  }

  /** The service while it is published. */
  get service(): NodeService | undefined {
    return this.#state.type === 'silent' ? undefined : this.#state.service
  }

  /** Publishes this service, in place of what was published before. */
  publish(nowMs: number, service: NodeService): void {
    const current = new Set(recordsOf(service).map(recordKey))
    for (const key of this.#sentMs.keys()) if (!current.has(key)) this.#sentMs.delete(key)
    this.#replies = []
    const atMs = Math.max(nowMs, this.#announcedMs + ANNOUNCEMENT_INTERVAL_MS)
    this.#state = { type: 'announcing', service, left: ANNOUNCEMENTS, atMs }
  }

  /** Takes everything back; the packets are to be sent now. */
  goodbye(): Packet[] {
    const { service } = this
    this.#state = { type: 'silent' }
    this.#replies = []
    this.#sentMs.clear()
    return service === undefined ? [] : responses(recordsOf(service).map((record) => ({ ...record, ttlSeconds: 0 })))
  }

  /** `asker` tells apart who asked; known answers that follow a truncated query come from the same one. */
  handle(nowMs: number, packet: Packet, asker: string): void {
    const { service } = this
    if (service === undefined) return
    if (packet.kind === 'query') this.#handleQuery(nowMs, packet, asker, service)
    else this.#defend(nowMs, packet, service)
  }

  /** What is due to be sent now. */
  poll(nowMs: number): Packet[] {
    const state = this.#state
    if (state.type === 'silent') return []
    const packets: Packet[] = []
    if (state.type === 'announcing' && state.atMs <= nowMs) {
      packets.push(...this.#responses(nowMs, recordsOf(state.service), []))
      this.#announcedMs = nowMs
      const left = state.left - 1
      const { service } = state
      this.#state =
        left === 0
          ? { type: 'announced', service }
          : { type: 'announcing', service, left, atMs: nowMs + ANNOUNCEMENT_INTERVAL_MS }
    }
    packets.push(...this.#pollReplies(nowMs, state.service))
    return packets
  }

  /** When to poll next. */
  deadlineMs(): number {
    const announceMs = this.#state.type === 'announcing' ? this.#state.atMs : Number.POSITIVE_INFINITY
    return this.#replies.reduce((first, reply) => Math.min(first, reply.atMs), announceMs)
  }

  #handleQuery(nowMs: number, packet: Packet, asker: string, service: NodeService): void {
    const known = new Map(packet.answers.map((record) => [recordKey(record), record.ttlSeconds]))
    // RFC 6762 section 7.1: an answer that the asker will forget before half its time is no known one.
    const isKnown = (record: ResourceRecord): boolean => (known.get(recordKey(record)) ?? -1) >= record.ttlSeconds / 2
    if (packet.questions.length === 0) {
      for (const reply of this.#replies) {
        if (reply.asker !== asker) continue
        for (const [key, record] of reply.records) if (isKnown(record)) reply.records.delete(key)
      }
      return
    }
    const records = recordsOf(service).filter((record) => packet.questions.some((asked) => answers(asked, record)))
    this.#reply(
      nowMs,
      packet.truncated ? TRUNCATED_DELAY_MS : SHARED_DELAY_MS,
      asker,
      records.filter((record) => !isKnown(record)),
      packet.truncated,
    )
  }

  /** RFC 6762 section 10.1 and 10.2: what somebody takes back while it still holds is said again. */
  #defend(nowMs: number, packet: Packet, service: NodeService): void {
    const ours = new Map(recordsOf(service).map((record) => [recordKey(record), record]))
    const denied = [...packet.answers, ...packet.additionals].flatMap((record) => {
      const own = ours.get(recordKey(record))
      return own !== undefined && record.ttlSeconds < own.ttlSeconds / 2 ? [own] : []
    })
    this.#reply(nowMs, SHARED_DELAY_MS, '', denied, false)
  }

  #reply(
    nowMs: number,
    delay: { readonly min: number; readonly max: number },
    asker: string,
    records: readonly ResourceRecord[],
    truncated: boolean,
  ): void {
    if (records.length === 0 || this.#replies.length >= MAX_REPLIES) return
    // Records that only this node can hold (those with the cache-flush bit) need not wait.
    const waits = truncated || records.some((record) => !record.flush)
    const delayMs = waits ? delay.min + this.#random.float() * (delay.max - delay.min) : 0
    this.#replies.push({
      atMs: nowMs + delayMs,
      asker,
      records: new Map(records.map((record) => [recordKey(record), record])),
    })
  }

  #pollReplies(nowMs: number, service: NodeService): Packet[] {
    const answered = new Map<string, ResourceRecord>()
    const held: Reply[] = []
    for (const reply of this.#replies) {
      if (reply.atMs > nowMs) {
        held.push(reply)
        continue
      }
      const early = new Map<string, ResourceRecord>()
      for (const [key, record] of reply.records) {
        const into = this.#mayRepeatMs(key) > nowMs ? early : answered
        into.set(key, record)
      }
      if (early.size === 0) continue
      const atMs = Math.max(...[...early.keys()].map((key) => this.#mayRepeatMs(key)))
      held.push({ atMs, asker: reply.asker, records: early })
    }
    this.#replies = held
    if (answered.size === 0) return []
    // RFC 6763 section 12: what the asker will want next.
    const additionals = recordsOf(service).filter((record) => {
      const key = recordKey(record)
      return record.type !== 'PTR' && !answered.has(key) && this.#mayRepeatMs(key) <= nowMs
    })
    return this.#responses(nowMs, [...answered.values()], additionals)
  }

  #mayRepeatMs(key: string): number {
    return (this.#sentMs.get(key) ?? Number.NEGATIVE_INFINITY) + REPEAT_INTERVAL_MS
  }

  #responses(nowMs: number, records: readonly ResourceRecord[], additionals: readonly ResourceRecord[]): Packet[] {
    const packets = responses(records, additionals)
    for (const packet of packets) {
      for (const record of [...packet.answers, ...packet.additionals]) this.#sentMs.set(recordKey(record), nowMs)
    }
    return packets
  }
}

const answers = (question: Question, record: ResourceRecord): boolean =>
  (question.type === 'ANY' || question.type === record.type) && nameKey(question.name) === nameKey(record.name)
