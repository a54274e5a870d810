/**
 * The records heard on one interface, each with its time to live.
 *
 * Holds the rules of RFC 6762 section 5.2 (ask again at 80, 85, 90 and 95 % of the time to live), 10.1 (a goodbye counts
 * as one second) and 10.2 (the cache-flush bit ends older records of the same name and type). Which records come in, and
 * for which it is worth asking again, the browser decides.
 */
import type { Random } from '../../transport/random.ts'
import { nameKey, type RecordType, type ResourceRecord, recordKey } from './packet.ts'

/** RFC 6762 section 5.2. */
const REFRESH_MARKS = [0.8, 0.85, 0.9, 0.95] as const
/** RFC 6762 section 5.2: up to 2 % later, so that not everybody asks at once. */
const REFRESH_JITTER = 0.02
/** RFC 6762 section 10.1: time for others to say that a record still holds. */
const GOODBYE_MS = 1000
/** Nobody may occupy the cache for longer than the longest time the RFC recommends (section 10). */
const MAX_TTL_SECONDS = 4500

interface Entry {
  readonly record: ResourceRecord
  readonly receivedMs: number
  readonly expiresMs: number
  /** How many of the refresh marks are behind us. */
  readonly asked: number
  /** When to ask again; infinite after the last mark. */
  readonly refreshMs: number
}

/** What became due. */
interface DueRecords {
  readonly expired: readonly ResourceRecord[]
  readonly stale: readonly ResourceRecord[]
}

export class RecordCache {
  readonly #random: Random
  readonly #sets = new Map<string, Map<string, Entry>>()
  /** Not later than the first thing that becomes due. */
  #dueMs = Number.POSITIVE_INFINITY

  constructor(random: Random) {
    this.#random = random
  }

  /** Takes in a received record. Of its name and type at most `limit` different ones are kept; the oldest goes. */
  put(nowMs: number, record: ResourceRecord, limit: number): void {
    const setKey = keyOfSet(record.name, record.type)
    let set = this.#sets.get(setKey)
    const key = recordKey(record)
    const known = set?.get(key)
    if (record.ttlSeconds === 0) {
      if (set !== undefined && known !== undefined) set.set(key, this.#endSoon(nowMs, known))
      return
    }
    if (set === undefined) {
      set = new Map()
      this.#sets.set(setKey, set)
    }
    if (record.flush) {
      // Records of the last second may belong to the same answer, sent in several packets.
      for (const [otherKey, other] of set) {
        if (otherKey !== key && nowMs - other.receivedMs > GOODBYE_MS) set.set(otherKey, this.#endSoon(nowMs, other))
      }
    }
    // Taken out first: a map keeps its order of insertion, and the newest shall be the last.
    set.delete(key)
    const [oldest] = set.size >= limit ? set.keys() : []
    if (oldest !== undefined) set.delete(oldest)
    const ttlMs = Math.min(record.ttlSeconds, MAX_TTL_SECONDS) * 1000
    set.set(key, this.#withRefresh({ record, receivedMs: nowMs, expiresMs: nowMs + ttlMs, asked: 0, refreshMs: 0 }))
  }

  /** Somebody asked for these records just now: their next mark counts as passed once its time has come. */
  asked(nowMs: number, name: string, type: RecordType): void {
    const set = this.#sets.get(keyOfSet(name, type))
    if (set === undefined) return
    for (const [key, entry] of set) {
      const mark = REFRESH_MARKS[entry.asked]
      if (mark === undefined || nowMs < entry.receivedMs + (entry.expiresMs - entry.receivedMs) * mark) continue
      set.set(key, this.#withRefresh({ ...entry, asked: entry.asked + 1 }))
    }
  }

  /** Takes out what expired and gives what should be asked for again. */
  due(nowMs: number): DueRecords {
    const expired: ResourceRecord[] = []
    const stale: ResourceRecord[] = []
    if (this.#dueMs > nowMs) return { expired, stale }
    this.#dueMs = Number.POSITIVE_INFINITY
    for (const [setKey, set] of this.#sets) {
      for (const [key, entry] of set) {
        if (entry.expiresMs <= nowMs) {
          set.delete(key)
          expired.push(entry.record)
        } else if (entry.refreshMs <= nowMs) {
          stale.push(entry.record)
          set.set(key, this.#withRefresh({ ...entry, asked: entry.asked + 1 }))
        } else this.#note(entry)
      }
      if (set.size === 0) this.#sets.delete(setKey)
    }
    return { expired, stale }
  }

  deadlineMs(): number {
    return this.#dueMs
  }

  /** The records of this name and type, the newest last. */
  get(name: string, type: RecordType): ResourceRecord[] {
    return [...(this.#sets.get(keyOfSet(name, type))?.values() ?? [])].map((entry) => entry.record)
  }

  /** Those with more than half of their time left, with the time left: known answers (RFC 6762 section 7.1). */
  known(nowMs: number, name: string, type: RecordType): ResourceRecord[] {
    return [...(this.#sets.get(keyOfSet(name, type))?.values() ?? [])].flatMap((entry) => {
      const leftMs = entry.expiresMs - nowMs
      const ttlSeconds = Math.floor(leftMs / 1000)
      return leftMs * 2 > entry.expiresMs - entry.receivedMs && ttlSeconds > 0 ? [{ ...entry.record, ttlSeconds }] : []
    })
  }

  /** Forgets one record. */
  delete(record: ResourceRecord): void {
    this.#sets.get(keyOfSet(record.name, record.type))?.delete(recordKey(record))
  }

  /** Forgets all records of this name and type. */
  deleteAll(name: string, type: RecordType): void {
    this.#sets.delete(keyOfSet(name, type))
  }

  /** How many records are held. */
  get size(): number {
    let size = 0
    for (const set of this.#sets.values()) size += set.size
    return size
  }

  #endSoon(nowMs: number, entry: Entry): Entry {
    const ending: Entry = {
      ...entry,
      expiresMs: Math.min(entry.expiresMs, nowMs + GOODBYE_MS),
      asked: REFRESH_MARKS.length,
      refreshMs: Number.POSITIVE_INFINITY,
    }
    this.#note(ending)
    return ending
  }

  #withRefresh(entry: Entry): Entry {
    const mark = REFRESH_MARKS[entry.asked]
    const lifeMs = entry.expiresMs - entry.receivedMs
    const refreshMs =
      mark === undefined
        ? Number.POSITIVE_INFINITY
        : entry.receivedMs + lifeMs * (mark + this.#random.float() * REFRESH_JITTER)
    const timed = { ...entry, refreshMs }
    this.#note(timed)
    return timed
  }

  #note(entry: Entry): void {
    this.#dueMs = Math.min(this.#dueMs, entry.expiresMs, entry.refreshMs)
  }
}

const keyOfSet = (name: string, type: RecordType): string => `${type} ${nameKey(name)}`
