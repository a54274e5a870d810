/**
 * Judges, beyond a full mesh, which members live: by what this node misses itself, and by what others say they miss.
 *
 * A member is down when a quorum of its neighbours say so; nobody else has a say. The member itself, if it lives, makes
 * their doubts void with a refutation, and whoever hears it on a connection of its own does not believe them. Who was wrong
 * too often is not believed any more. A doubt that is neither refuted nor confirmed is settled after a while, by each node
 * for itself. What it does not do: probe (detector.ts), or take news of members (gossip.ts).
 */
import type { ErrorCode } from '../../../certs/errors.ts'
import type { Clock } from '../../../transport/clock.ts'
import type { Origin } from '../../pid.ts'
import type { LivenessPreset } from '../liveness.ts'
import { proofOf } from './anti-entropy.ts'
import type { Detector } from './detector.ts'
import type { Grapevine, Link } from './grapevine.ts'
import type { OwnWord } from './own-word.ts'
import type { MemberRecord, Roster } from './roster.ts'
import type { Doubt, Notary, Statement } from './statements.ts'
import type { Topology } from './view.ts'

/** So many neighbours have to say that a member is down; all of them where it has fewer. */
export const QUORUM = 3
/** A member with which we should be connected and are not is doubted after so many times `downAfterMs`. */
const MISSED_FACTOR = 8
/** A doubt that nobody refutes and no quorum confirms is settled after so many times `downAfterMs`. */
const SETTLE_FACTOR = 8
/** Doubts kept of one member; its neighbours are fewer. */
const MAX_DOUBTS = 128
/** The neighbours not connected are looked for with every so manyth beat. */
const BEATS_PER_SEARCH = 5

export interface SuspicionsOptions {
  readonly self: Origin
  readonly notary: Pick<Notary, 'doubt'>
  readonly clock: Clock
  readonly preset: LivenessPreset
  readonly topology: Topology
  readonly detector: Pick<Detector, 'isSlow' | 'silenceMs' | 'probeNow' | 'confirmed'>
  readonly roster: Roster
  readonly grapevine: Grapevine
  readonly ownWord: OwnWord
  /** False: it was forged, and who passed it on has been dealt with. */
  readonly isGenuine: (said: Statement, link: Link, nowMs: number) => boolean
  /** A member told what it should not. */
  readonly refused: (node: string, code: ErrorCode, message: string) => void
}

export class Suspicions {
  readonly #options: SuspicionsOptions
  /** Doubted or missed ones: the only members that need looking after. */
  readonly #watched = new Set<MemberRecord>()
  #beats = 0
  #aloneSinceMs: number | undefined

  constructor(options: SuspicionsOptions) {
    this.#options = options
  }

  // What others say

  /** A member doubts another, or this node. */
  heard(said: Doubt, link: Link, nowMs: number): void {
    const { self, topology, roster, grapevine, ownWord, isGenuine, refused } = this.#options
    const { subject, signer, level } = said
    const record = roster.record(subject)
    const accuser = roster.record(signer)
    const isNews = subject === self.id ? ownWord.mustAnswer(said) : isNewOf(record, said)
    if (accuser === undefined || !isNews) return
    if (!accuser.mistakes.has(nowMs)) {
      refused(accuser.name, 'ERR_SKEIN_GOSSIP_REFUSED', 'It has accused too many members that were alive.')
      return
    }
    // Others may have parted from us with reasons of theirs: their verdicts are passed on to the member itself, no more.
    const counts = accuser.state !== 'gone' && topology.neighboursOf(subject).has(signer)
    if (!counts && (level !== 'down' || !link.strange.take(nowMs))) return
    if (!isGenuine(said, link, nowMs)) return
    // Of this node itself there is no record.
    if (record === undefined) {
      accuser.mistakes.take(nowMs)
      ownWord.doubtedBy(signer, nowMs)
    } else if (counts) this.#doubt(record, said, link)
    else if (record.doubts.size < MAX_DOUBTS) {
      record.doubts.set(signer, said)
      grapevine.spread(said, link)
    }
  }

  /** It has spoken, after all. */
  refuted(record: MemberRecord, nowMs: number): void {
    const { detector, roster } = this.#options
    detector.confirmed(record.id)
    for (const accuser of record.doubts.keys()) roster.record(accuser)?.mistakes.take(nowMs)
    record.doubts.clear()
  }

  // What this node misses

  /** A connected member does not answer. */
  silent(record: MemberRecord): void {
    this.#accuse(record, this.#options.clock.now())
  }

  /** Its connection was lost. */
  missed(record: MemberRecord, nowMs: number): void {
    this.#miss(record, nowMs, 0)
  }

  /** After each look at the connections. */
  beat(nowMs: number): void {
    this.#beats = (this.#beats + 1) % BEATS_PER_SEARCH
    if (this.#beats === 0) {
      this.#search(nowMs)
      this.#lookAround(nowMs)
    }
    for (const record of this.#watched) this.#watch(record, nowMs)
  }

  /** The mesh is full: nobody asks after suspects there, who does not answer loses its connection. */
  dropAll(): void {
    for (const record of this.#watched) if (record.state === 'suspect') this.#clear(record)
  }

  #accuse(record: MemberRecord, nowMs: number): void {
    const { detector, preset } = this.#options
    if (!record.isChecked || record.state !== 'alive' || nowMs < record.accuseFromMs) return
    // A node that is late itself leaves it to others, unless nobody else begins.
    if (detector.isSlow && (detector.silenceMs(record.id) ?? 0) < preset.downAfterMs) return
    record.accuseFromMs = nowMs + preset.downAfterMs
    this.#sayDoubt(record, 'suspect', nowMs)
  }

  #sayDoubt(record: MemberRecord, level: Doubt['level'], nowMs: number): void {
    const { notary, self, topology } = this.#options
    const { id, incarnation, refutation } = record
    // Only neighbours are believed; who is none keeps its doubt to itself.
    if (topology.neighboursOf(id).has(self.id)) {
      this.#doubt(record, notary.doubt({ level, subject: id, incarnation, refutation }))
    }
    if (record.state === 'suspect') record.doubtedMs ??= nowMs
  }

  /** Somebody is not heard any more: passes it on, looks for itself, and counts. */
  #doubt(record: MemberRecord, said: Doubt, from?: Link): void {
    const { roster, grapevine, detector, clock } = this.#options
    record.doubts.set(said.signer, said)
    if (record.state === 'alive') {
      record.state = 'suspect'
      record.accuseFromMs = Math.max(record.accuseFromMs, clock.now())
      roster.settle(record)
    }
    this.#watched.add(record)
    grapevine.spread(said, from)
    detector.probeNow(record.id)
    this.#judge(record)
  }

  #judge(record: MemberRecord): void {
    const { topology, self, clock, detector, roster, grapevine } = this.#options
    const { id } = record
    let votes = 0
    let voters = 0
    for (const neighbour of topology.neighboursOf(id)) {
      const isThere = neighbour === self.id || roster.record(neighbour)?.state !== 'gone'
      if (isThere) voters++
      if (record.doubts.get(neighbour)?.level === 'down') votes++
    }
    if (votes === 0 || votes < Math.min(QUORUM, voters)) return
    // What we hear ourselves is worth more than what three others say.
    if (detector.silenceMs(id) === 0) grapevine.tell(id, proofOf(record))
    else {
      const link = grapevine.get(id)
      roster.bury(record, 'down', true, clock.now())
      link?.peer.carrier.giveUp()
    }
  }

  // What needs looking after

  /** One that is doubted or missed. */
  #watch(record: MemberRecord, nowMs: number): void {
    const { preset, detector, self, roster } = this.#options
    const { missed, state } = record
    if (state === 'gone' || (state === 'alive' && missed === undefined)) {
      this.#watched.delete(record)
      return
    }
    const overdueMs = missed === undefined ? -1 : nowMs - missed.sinceMs - missed.patienceMs
    if (state === 'alive' && overdueMs >= 0) this.#accuse(record, nowMs)
    if (record.state !== 'suspect') return
    // Half of what silence has to last on a connection alone: a quorum of others does not hear it either.
    const voteAfterMs = preset.tickIntervalMs * 2
    const silenceMs = detector.silenceMs(record.id) ?? overdueMs
    const hasVoted = record.doubts.get(self.id)?.level === 'down'
    if (silenceMs >= voteAfterMs && !hasVoted) this.#sayDoubt(record, 'down', nowMs)
    // With each neighbour that is gone itself a quorum takes fewer.
    if (record.state === 'suspect' && detector.silenceMs(record.id) !== 0) this.#judge(record)
    if (record.state !== 'suspect') return
    if (nowMs - (record.doubtedMs ?? record.accuseFromMs) < preset.downAfterMs * SETTLE_FACTOR) return
    // Whom we hear is there, even if our doubt was never refuted: perhaps it does not believe us any more.
    if (record.doubtedMs !== undefined && detector.silenceMs(record.id) !== 0) {
      roster.bury(record, 'down', false, nowMs)
    } else this.#clear(record)
  }

  #miss(record: MemberRecord, nowMs: number, patienceMs: number): void {
    record.missed = { sinceMs: nowMs, patienceMs }
    this.#watched.add(record)
  }

  /** Neighbours to whom there should be a connection, and what is out of date. */
  #search(nowMs: number): void {
    const { topology, self, preset, roster } = this.#options
    const neighbours = topology.neighboursOf(self.id)
    for (const record of this.#watched) {
      if (record.missed !== undefined && record.missed.patienceMs > 0 && !neighbours.has(record.id))
        record.missed = undefined
    }
    for (const id of neighbours) {
      const record = roster.record(id)
      if (record === undefined || record.state === 'gone' || record.isParted) continue
      if (record.connection === undefined && record.missed === undefined)
        this.#miss(record, nowMs, preset.downAfterMs * MISSED_FACTOR)
    }
  }

  /** Whoever has no connection at all knows of no members. */
  #lookAround(nowMs: number): void {
    const { grapevine, preset, roster } = this.#options
    if (grapevine.size > 0) this.#aloneSinceMs = undefined
    else this.#aloneSinceMs ??= nowMs
    if (this.#aloneSinceMs === undefined || nowMs - this.#aloneSinceMs < preset.downAfterMs * SETTLE_FACTOR) return
    for (const record of [...roster.records()]) {
      if (record.state !== 'gone') roster.bury(record, 'down', false, nowMs)
    }
  }

  /** It is no suspect any more. */
  #clear(record: MemberRecord): void {
    const { roster } = this.#options
    roster.revive(record)
    roster.settle(record)
  }
}

/** It is of this start and of what the member said last, and its author did not say as much before. */
const isNewOf = (record: MemberRecord | undefined, { signer, level, incarnation, refutation }: Doubt): boolean => {
  if (record === undefined || record.state === 'gone') return false
  if (record.incarnation !== incarnation || record.refutation !== refutation) return false
  const before = record.doubts.get(signer)?.level
  return before !== 'down' && before !== level
}
