/**
 * What this node knows of each member, and what of it counts: the table behind the view, the checksum and the digest.
 *
 * `shown` of a record is what the listener was told last; `settle` is the one place where it changes, so events alternate
 * and the checksum covers exactly the members shown. Members that have left stay for a while as tombstones, so that old
 * news do not bring them back. What it does not do: judge statements (gossip.ts, suspicions.ts).
 */
import { createHash } from 'node:crypto'
import type { Address } from '../../../transport/address.ts'
import type { Allowance } from './allowance.ts'
import { BUCKETS, bucketOf } from './frames.ts'
import type { Announcement, Doubt } from './statements.ts'
import type { LeaveReason, Member, MembershipListener, MembershipView } from './view.ts'

/** Members in the table; more are not taken in. */
const MAX_MEMBERS = 4096
/** Members that are gone and not forgotten; the oldest is forgotten first. */
const MAX_TOMBSTONES = 4096
const TOMBSTONE_MS = 10 * 60_000

export interface Connection {
  readonly isHidden: boolean
  /** Where it is seen, if others may dial it there. */
  readonly seenAt: readonly Address[]
}

export interface MemberRecord {
  readonly id: string
  name: string
  incarnation: string
  refutation: number
  addresses: readonly Address[]
  /** Undefined: it has told nothing of itself so far, or speaks version 1. */
  announcement: Announcement | undefined
  /** Its signature was checked. */
  isChecked: boolean
  state: 'alive' | 'suspect' | 'gone'
  reason: LeaveReason
  /** Gone by its own word or by a quorum: only the member itself can take that back. */
  isCertain: boolean
  connection: Connection | undefined
  /** By accuser, for this incarnation and refutation; the stronger of what each has said. */
  readonly doubts: Map<string, Doubt>
  /** No connection although there should be one; it is doubted when the patience is over. */
  missed: { readonly sinceMs: number; readonly patienceMs: number } | undefined
  /** Somebody wanted the end of the last connection: it is not missed. */
  isParted: boolean
  /** This node doubts it since then. */
  doubtedMs: number | undefined
  /** This node accuses it no earlier. */
  accuseFromMs: number
  goneMs: number
  /** Announcements of it that are taken for news. */
  readonly news: Allowance
  /** Accusations by it that turned out wrong. */
  readonly mistakes: Allowance
  shown: Member | undefined
  /** The peer that told of it first, while nobody is known to have met it. */
  toldBy: string | undefined
}

export interface RosterOptions {
  readonly selfId: string
  readonly selfIncarnation: string
  readonly listener: MembershipListener
  readonly isFull: () => boolean
  /** `known` is another. */
  readonly knownChanged: () => void
}

export class Roster implements MembershipView {
  readonly #options: RosterOptions
  readonly #records = new Map<string, MemberRecord>()
  /** The order in which they went. */
  readonly #tombstones = new Set<string>()
  readonly #shown = new Map<string, Member>()
  readonly #buckets: number[] = new Array<number>(BUCKETS).fill(0)
  #checksum: number

  constructor(options: RosterOptions) {
    this.#options = options
    this.#checksum = checksumOf(options.selfId, options.selfIncarnation)
    this.#buckets[bucketOf(options.selfId)] = this.#checksum
  }

  // MembershipView

  members(): Iterable<Member> {
    return this.#shown.values()
  }

  get(id: string): Member | undefined {
    return this.#shown.get(id)
  }

  get size(): number {
    return this.#shown.size
  }

  *known(): Iterable<string> {
    for (const { id, state, connection } of this.#records.values()) {
      if (state !== 'gone' && connection?.isHidden !== true) yield id
    }
  }

  // What counts

  /** Of the members shown and this node: equal on two nodes that see the same. */
  get checksum(): number {
    return this.#checksum
  }

  get buckets(): readonly number[] {
    return this.#buckets
  }

  record(id: string): MemberRecord | undefined {
    return this.#records.get(id)
  }

  records(): Iterable<MemberRecord> {
    return this.#records.values()
  }

  /**
   * For one that this peer tells of; false: there is none. In a full table one that was only told of, by the peer that told
   * of the most, makes room: so who invents members cannot keep others from telling of real ones.
   */
  makesRoom(teller: string): boolean {
    if (this.#records.size - this.#tombstones.size < MAX_MEMBERS) return true
    const counts = new Map<string, number>()
    for (const { toldBy = '', state, connection } of this.#records.values()) {
      if (toldBy !== '' && state !== 'gone' && connection === undefined)
        counts.set(toldBy, (counts.get(toldBy) ?? 0) + 1)
    }
    const [most] = [...counts].sort(([, one], [, other]) => other - one)
    if (most === undefined || most[0] === teller || most[1] <= (counts.get(teller) ?? 0) + 1) return false
    for (const record of this.#records.values()) {
      if (record.toldBy !== most[0] || record.state === 'gone' || record.connection !== undefined) continue
      this.forget(record)
      return true
    }
    return false
  }

  add(record: MemberRecord): void {
    this.#records.set(record.id, record)
    this.#options.knownChanged()
  }

  forget(record: MemberRecord): void {
    record.state = 'gone'
    record.reason = 'forgotten'
    this.#options.knownChanged()
    this.settle(record)
    this.#tombstones.delete(record.id)
    this.#records.delete(record.id)
  }

  /** It is gone: keeps that in mind for a while. */
  bury(record: MemberRecord, reason: LeaveReason, isCertain: boolean, nowMs: number): void {
    record.state = 'gone'
    record.reason = reason
    record.isCertain = isCertain
    record.goneMs = nowMs
    record.missed = undefined
    this.#options.knownChanged()
    this.settle(record)
    this.#tombstones.delete(record.id)
    this.#tombstones.add(record.id)
    for (const id of this.#tombstones) {
      const oldest = this.#records.get(id)
      const isDue = oldest === undefined || nowMs - oldest.goneMs >= TOMBSTONE_MS
      if (!isDue && this.#tombstones.size <= MAX_TOMBSTONES) break
      this.#tombstones.delete(id)
      if (oldest !== undefined && oldest.connection === undefined) this.#records.delete(id)
    }
  }

  revive(record: MemberRecord): void {
    if (record.state === 'gone') this.#options.knownChanged()
    record.state = 'alive'
    record.isCertain = false
    record.doubts.clear()
    record.doubtedMs = undefined
    this.#tombstones.delete(record.id)
  }

  /** Tells the listener what is new about this member, and counts it in or out. */
  settle(record: MemberRecord): void {
    const { listener } = this.#options
    if (record.connection !== undefined) record.toldBy = undefined
    const before = record.shown
    const counts = this.#counts(record)
    const isOther = before !== undefined && before.incarnation !== record.incarnation
    if (before !== undefined && (!counts || isOther)) {
      record.shown = undefined
      this.#shown.delete(record.id)
      this.#count(before)
      listener.left(before, isOther ? 'replaced' : record.state === 'gone' ? record.reason : 'forgotten')
    }
    if (!counts) return
    const { id, name, incarnation, addresses } = record
    const state = record.state === 'suspect' ? 'suspect' : 'alive'
    const now = record.shown
    if (now !== undefined && now.state === state && now.addresses === addresses) return
    const member: Member = { id, name, incarnation, addresses, state }
    record.shown = member
    this.#shown.set(id, member)
    if (now === undefined) {
      this.#count(member)
      listener.joined(member)
    }
    if (state === 'suspect' && now?.state !== 'suspect') listener.suspected(member)
    else if (state === 'alive' && now?.state === 'suspect') listener.cleared(member)
  }

  settleAll(): void {
    for (const record of [...this.#records.values()]) this.settle(record)
  }

  /** In a full mesh those connected, beyond it those who have said themselves that they are there, too. */
  #counts({ state, connection, isChecked }: MemberRecord): boolean {
    if (connection !== undefined) return !connection.isHidden && state !== 'gone'
    return !this.#options.isFull() && isChecked && state !== 'gone'
  }

  /** In or out: checksums are the exclusive or of the members. */
  #count({ id, incarnation }: Member): void {
    const part = checksumOf(id, incarnation)
    const bucket = bucketOf(id)
    this.#checksum = (this.#checksum ^ part) >>> 0
    this.#buckets[bucket] = ((this.#buckets[bucket] ?? 0) ^ part) >>> 0
  }
}

/** The part of one member in the checksum, which is the exclusive or of all parts. */
const checksumOf = (id: string, incarnation: string): number =>
  createHash('sha256').update(`${id}/${incarnation}`).digest().readUInt32BE(0)
