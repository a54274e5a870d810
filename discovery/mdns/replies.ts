/**
 * Answers that wait for their moment, so that hosts do not all speak at once (RFC 6762 sections 6 and 7.2), and the
 * memory of when each record was last multicast: no more than once a second, and four times that often where somebody is
 * about to claim the name (section 6).
 */
import { type ResourceRecord, recordKey } from './packet.ts'

const REPEAT_INTERVAL_MS = 1000
/** A probing host decides 250 ms after its last probe. */
const DEFENCE_INTERVAL_MS = 250
/** Answers waiting; more are dropped, and the askers ask again. */
const MAX_REPLIES = 64
/** Of one asker, who is told each record once a second however often it asks: the others' questions need the places. */
const MAX_REPLIES_TO_ONE = 8

export interface Reply {
  readonly atMs: number
  /** Who asked: its further known answers take records out again. */
  readonly asker: string
  readonly records: readonly ResourceRecord[]
  /** Answers a probe. */
  readonly defence?: boolean
}

interface Waiting {
  readonly atMs: number
  readonly asker: string
  readonly intervalMs: number
  readonly records: Map<string, ResourceRecord>
}

export class Replies {
  #waiting: Waiting[] = []
  /** When each record was last multicast, by key. */
  readonly #sentMs = new Map<string, number>()

  add({ atMs, asker, records, defence = false }: Reply): void {
    if (records.length === 0 || this.#waiting.length >= MAX_REPLIES) return
    if (this.#waiting.filter((reply) => reply.asker === asker).length >= MAX_REPLIES_TO_ONE) return
    this.#waiting.push({
      atMs,
      asker,
      intervalMs: defence ? DEFENCE_INTERVAL_MS : REPEAT_INTERVAL_MS,
      records: new Map(records.map((record) => [recordKey(record), record])),
    })
  }

  /** The asker knows these already. */
  drop(asker: string, isKnown: (record: ResourceRecord) => boolean): void {
    for (const reply of this.#waiting) {
      if (reply.asker !== asker) continue
      for (const [key, record] of reply.records) if (isKnown(record)) reply.records.delete(key)
    }
  }

  /** The records whose time has come. */
  due(nowMs: number): ResourceRecord[] {
    const due = new Map<string, ResourceRecord>()
    const held: Waiting[] = []
    for (const reply of this.#waiting) {
      if (reply.atMs > nowMs) {
        held.push(reply)
        continue
      }
      const early = new Map<string, ResourceRecord>()
      let atMs = nowMs
      for (const [key, record] of reply.records) {
        const allowedMs = (this.#sentMs.get(key) ?? Number.NEGATIVE_INFINITY) + reply.intervalMs
        if (allowedMs <= nowMs) {
          due.set(key, record)
          continue
        }
        early.set(key, record)
        atMs = Math.max(atMs, allowedMs)
      }
      if (early.size > 0) held.push({ ...reply, atMs, records: early })
    }
    this.#waiting = held
    return [...due.values()]
  }

  /** Whether the record may ride along with an answer. */
  isFree(nowMs: number, record: ResourceRecord): boolean {
    return nowMs - (this.#sentMs.get(recordKey(record)) ?? Number.NEGATIVE_INFINITY) >= REPEAT_INTERVAL_MS
  }

  sent(nowMs: number, records: readonly ResourceRecord[]): void {
    for (const [key, sentMs] of this.#sentMs) if (nowMs - sentMs >= REPEAT_INTERVAL_MS) this.#sentMs.delete(key)
    for (const record of records) this.#sentMs.set(recordKey(record), nowMs)
  }

  /** Nothing waits any more. */
  clear(): void {
    this.#waiting = []
  }

  deadlineMs(): number {
    return this.#waiting.reduce((first, { atMs }) => Math.min(first, atMs), Number.POSITIVE_INFINITY)
  }
}
