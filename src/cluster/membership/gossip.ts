/**
 * Membership by word of mouth: who has joined, left, is doubted or down, also among those one is not connected to.
 *
 * Every piece of news is signed by whom it comes from and passed on once to all connections, so it reaches everybody in a
 * few steps whoever lies on the way. In a full mesh nothing is passed on: connections are the membership, and statements
 * are hints for dialling. Beyond it a member is down when a quorum of its neighbours say so; the member itself, if it
 * lives, makes their doubts void with a refutation, and whoever hears it on a connection of its own does not believe them.
 * Digests mend what got lost (anti-entropy). Everything is bounded: what one connection may tell, what is kept, and how
 * often a member may be wrong about others. docs/membership.md is the page for people. What it does not do: probe.
 */
import type { ErrorCode } from '../../../certs/errors.ts'
import type { Address } from '../../../transport/address.ts'
import type { Clock } from '../../../transport/clock.ts'
import type { Origin } from '../../pid.ts'
import type { PeerHint } from '../control.ts'
import type { LivenessPreset } from '../liveness.ts'
import { wasLost } from '../mesh.ts'
import type { DownReason } from '../session.ts'
import { AntiEntropy, proofOf } from './anti-entropy.ts'
import type { Detector } from './detector.ts'
import { decodeDigest, decodeGossip, MEMBERSHIP_FRAMES, MEMBERSHIP_VERSION, NO_MESH } from './frames.ts'
import { type GossipPeer, Grapevine, type Link, MUTE_MS } from './grapevine.ts'
import { hintOf, isLoopback, mergedAddresses, newRecord } from './member-record.ts'
import { type MemberRecord, Roster } from './roster.ts'
import type { Announcement, Doubt, GossipItem, Notary } from './statements.ts'
import type { MembershipListener, Topology } from './view.ts'

/** So many neighbours have to say that a member is down; all of them where it has fewer. */
export const QUORUM = 3
/** Own refutations no more often. */
const MIN_REFUTATION_INTERVAL_MS = 1000
/** A member with which we should be connected and are not is doubted after so many times `downAfterMs`. */
const MISSED_FACTOR = 8
/** A doubt that nobody refutes and no quorum confirms is settled after so many times `downAfterMs`. */
const SETTLE_FACTOR = 8
/** Doubts kept of one member; its neighbours are fewer. */
const MAX_DOUBTS = 128
/** The neighbours not connected are looked for with every so manyth beat. */
const BEATS_PER_SEARCH = 5

export interface GossipHost {
  readonly self: Origin
  readonly notary: Pick<Notary, 'announce' | 'doubt' | 'isGenuine'>
  readonly clock: Clock
  readonly preset: LivenessPreset
  readonly topology: Topology
  readonly listener: MembershipListener
  readonly isHidden: boolean
  /** False: it takes part in no mesh, and asks nobody. */
  readonly takesPart: boolean
  addresses(): readonly Address[]
  readonly detector: Pick<Detector, 'isSlow' | 'silenceMs' | 'probeNow' | 'confirmed'>
  /** Where a member may be reached. */
  hint(hint: PeerHint): void
  /** It has left. */
  forget(id: string): void
  /** Who is known changed: the topology may be another. */
  knownChanged(): void
  /** False: it is of, or about, a node that is not let in here. */
  admits(item: GossipItem): boolean
  /** A member told what it should not. */
  refused(node: string, code: ErrorCode, message: string): void
}

export class Gossip {
  readonly roster: Roster
  readonly #host: GossipHost
  readonly #grapevine: Grapevine
  readonly #antiEntropy: AntiEntropy
  /** Doubted or missed ones: the only members that need looking after. */
  readonly #watched = new Set<MemberRecord>()
  #own: Announcement
  #refutedMs = Number.NEGATIVE_INFINITY
  /** A doubt to refute came too soon after the last one. */
  #mustRefute = false
  /** Whose doubts about this node are not refuted yet: each counts once, however often others repeat it. */
  readonly #accusers = new Set<string>()
  #beats = 0
  #aloneSinceMs: number | undefined
  #wasFull = true

  constructor(host: GossipHost) {
    this.#host = host
    const { self, listener, clock, notary, takesPart, isHidden } = host
    this.roster = new Roster({
      selfId: self.id,
      selfIncarnation: self.incarnation,
      listener,
      isFull: () => this.#wasFull,
      knownChanged: () => host.knownChanged(),
    })
    const { roster } = this
    this.#grapevine = new Grapevine(clock)
    this.#antiEntropy = new AntiEntropy({ clock, roster, grapevine: this.#grapevine, notary, takesPart, isHidden })
    this.#own = this.#announce(0, false)
  }

  /** For ticks. */
  get checksum(): number {
    return this.#host.takesPart ? this.roster.checksum : NO_MESH
  }

  /** Everybody is connected to everybody, as of the last beat or connection. */
  get isFull(): boolean {
    return this.#wasFull
  }

  connected(peer: GossipPeer): void {
    const { carrier, name, incarnation, seenAt, listens } = peer
    const { id, isHidden } = carrier
    const nowMs = this.#host.clock.now()
    this.#grapevine.up(peer)
    const known = this.roster.record(id)
    const record = known ?? newRecord({ id, name, incarnation }, nowMs)
    if (known === undefined) this.roster.add(record)
    else if (known.incarnation !== incarnation) this.#restart(known, name, incarnation)
    // It shall know what is said of it: only its own word brings it back for those who do not hear it.
    const proof = record.state === 'gone' && record.isCertain ? proofOf(record) : []
    record.connection = { isHidden, seenAt }
    record.addresses = mergedAddresses([...seenAt, ...listens], record.addresses)
    record.missed = undefined
    record.isParted = false
    if (record.state === 'gone') this.roster.revive(record)
    this.roster.settle(record)
    this.#look()
    if (carrier.version >= MEMBERSHIP_VERSION && !this.#host.isHidden) this.#grapevine.tell(id, [this.#own, ...proof])
  }

  disconnected(id: string, reason: DownReason, byPeer: boolean): void {
    this.#grapevine.down(id)
    const record = this.roster.record(id)
    if (record?.connection === undefined) return
    const nowMs = this.#host.clock.now()
    const { isHidden } = record.connection
    record.connection = undefined
    record.isParted = !wasLost(reason)
    if (isHidden) this.roster.forget(record)
    else if (record.state === 'gone') this.roster.settle(record)
    else if (reason === 'shutdown') this.roster.bury(record, 'shutdown', true, nowMs)
    else if (this.#wasFull || !record.isChecked) {
      this.roster.bury(record, record.isParted ? 'disconnected' : 'down', false, nowMs)
    } else if (!record.isParted && !byPeer) this.#miss(record, nowMs, 0)
  }

  /** A frame of a peer: gossip or digest. Throws ERR_SKEIN_PROTOCOL. */
  received(from: string, frame: number, body: Uint8Array): void {
    const link = this.#grapevine.get(from)
    if (link === undefined) return
    const nowMs = this.#host.clock.now()
    if (frame === MEMBERSHIP_FRAMES.digest) {
      this.#antiEntropy.answer(link, decodeDigest(body), !this.#wasFull)
      return
    }
    if (nowMs < link.mutedUntilMs) return
    const items = decodeGossip(body)
    if (!link.statements.take(nowMs, items.length)) {
      link.mutedUntilMs = nowMs + MUTE_MS
      this.#refuse(link, 'ERR_SKEIN_LIMIT', 'It tells more of the membership than a cluster has to tell.')
      return
    }
    for (const item of items.filter((one) => this.#host.admits(one))) {
      if (nowMs < link.mutedUntilMs) break
      if (item.kind === 'announcement') this.#hearAnnouncement(item, link, nowMs)
      else if (item.kind === 'doubt') this.#hearDoubt(item, link, nowMs)
      else this.#hint(item.hint, link)
    }
    this.#look()
  }

  /** A peer told the checksum of what it sees. */
  ticked(from: string, checksum: number): void {
    this.#antiEntropy.ticked(from, checksum)
  }

  /** Asks a peer for what it knows and we do not. */
  ask(id: string): void {
    this.#antiEntropy.ask(id)
  }

  askAll(): void {
    for (const id of this.#grapevine.ids()) this.ask(id)
  }

  /** There was something new from elsewhere. */
  eager(): void {
    this.#antiEntropy.eager()
  }

  /** Nobody could reach it for long. */
  forget(id: string): void {
    const record = this.roster.record(id)
    if (record !== undefined && record.connection === undefined && record.shown === undefined)
      this.roster.forget(record)
  }

  /** This node stops: the last word to everybody. */
  leave(): void {
    if (this.#wasFull || this.#host.isHidden) return
    this.#own = this.#announce(this.#own.refutation, true)
    this.#grapevine.spread(this.#own)
    this.#grapevine.flush()
  }

  /** A connected member does not answer. */
  silent(id: string): void {
    const record = this.roster.record(id)
    if (record !== undefined) this.#accuse(record, this.#host.clock.now())
  }

  /** After each look at the connections. */
  beat(nowMs: number): void {
    this.#look()
    if (this.#wasFull) return
    if (this.#mustRefute && nowMs - this.#refutedMs >= MIN_REFUTATION_INTERVAL_MS) this.#refute(nowMs)
    this.#beats = (this.#beats + 1) % BEATS_PER_SEARCH
    if (this.#beats === 0) this.#search(nowMs)
    for (const record of this.#watched) this.#watch(record, nowMs)
  }

  // What others say

  #hearAnnouncement(said: Announcement, link: Link, nowMs: number): void {
    const { self, notary } = this.#host
    const id = said.signer
    if (id === self.id) return
    const isFirstHand = link.peer.carrier.id === id
    const known = this.roster.record(id)
    if (isFirstHand && (said.name !== link.peer.name || said.incarnation !== link.peer.incarnation)) {
      this.#refuse(
        link,
        'ERR_SKEIN_GOSSIP_REFUSED',
        'It announces itself as somebody else than it was in its handshake.',
      )
      return
    }
    if (known === undefined ? !this.#takesNewcomer(link, nowMs) : !this.#isNews(known, said, isFirstHand, nowMs)) return
    // In a full mesh it is no more than a hint, and the handshake will show.
    const mustCheck = !this.#wasFull || said.hasLeft
    if (mustCheck && !notary.isGenuine(said)) {
      this.#foundForged(link, 'an announcement', nowMs)
      return
    }
    const { name, incarnation, refutation, addresses, hasLeft } = said
    const record = known ?? newRecord({ id, name, incarnation }, nowMs, isFirstHand ? undefined : link.peer.carrier.id)
    if (known === undefined) this.roster.add(record)
    else if (known.incarnation !== incarnation) this.#restart(known, name, incarnation)
    else if (refutation > known.refutation) this.#refuted(known, nowMs)
    const seenAt = record.connection?.seenAt ?? said.seenAt
    record.announcement = { ...said, seenAt }
    record.isChecked = mustCheck
    record.refutation = refutation
    record.addresses = mergedAddresses([...seenAt, ...addresses], record.addresses)
    if (hasLeft) {
      this.roster.bury(record, 'shutdown', true, nowMs)
      this.#host.forget(id)
    } else {
      if (record.state === 'gone' || record.state === 'suspect') this.roster.revive(record)
      this.roster.settle(record)
      if (!isFirstHand) this.#hint(hintOf(record), link)
    }
    if (!isFirstHand) this.eager()
    if (!this.#wasFull) this.#grapevine.spread(record.announcement, link)
  }

  #takesNewcomer(link: Link, nowMs: number): boolean {
    const fits = link.newcomers.take(nowMs) && this.roster.makesRoom(link.peer.carrier.id)
    if (!fits) this.#refuse(link, 'ERR_SKEIN_LIMIT', 'It tells of more new members than are taken in.')
    return fits
  }

  #isNews(known: MemberRecord, said: Announcement, isFirstHand: boolean, nowMs: number): boolean {
    // Whoever is connected speaks for itself.
    if (this.#wasFull && known.connection !== undefined && !isFirstHand) return false
    if (said.incarnation !== known.incarnation) return said.incarnation > known.incarnation && known.news.take(nowMs)
    const isGone = known.state === 'gone'
    if (isGone && known.isCertain && (known.reason === 'shutdown' || said.refutation <= known.refutation)) return false
    const isRevival = isGone && !this.#wasFull
    // What nobody has looked at does not stand against its own word.
    const isOwnWord = isFirstHand && !known.isChecked
    const isNewer = known.announcement === undefined || said.refutation > known.refutation || isOwnWord
    return (isNewer || isRevival || (said.hasLeft && !isGone)) && known.news.take(nowMs)
  }

  /** It has spoken, after all. */
  #refuted(record: MemberRecord, nowMs: number): void {
    this.#host.detector.confirmed(record.id)
    for (const accuser of record.doubts.keys()) this.roster.record(accuser)?.mistakes.take(nowMs)
    record.doubts.clear()
  }

  #hearDoubt(said: Doubt, link: Link, nowMs: number): void {
    const { self, notary, topology } = this.#host
    const { subject, signer, incarnation, refutation, level } = said
    if (this.#wasFull || signer === self.id) return
    const isOwn = subject === self.id
    const record = this.roster.record(subject)
    const accuser = this.roster.record(signer)
    if (accuser === undefined) return
    if (isOwn && (incarnation !== self.incarnation || refutation !== this.#own.refutation)) return
    if (!isOwn && !isAbout(record, said)) return
    const before = record?.doubts.get(signer)?.level
    if (before === 'down' || before === level || (isOwn && this.#accusers.has(signer))) return
    if (!accuser.mistakes.has(nowMs)) {
      this.#host.refused(accuser.name, 'ERR_SKEIN_GOSSIP_REFUSED', 'It has accused too many members that were alive.')
      return
    }
    // Others may have parted from us with reasons of theirs: their verdicts are passed on to the member itself, no more.
    const counts = accuser.state !== 'gone' && topology.neighboursOf(subject).has(signer)
    if (!counts && (level !== 'down' || !link.strange.take(nowMs))) return
    if (!notary.isGenuine(said)) {
      this.#foundForged(link, 'a doubt', nowMs)
    } else if (isOwn) {
      accuser.mistakes.take(nowMs)
      this.#accusers.add(signer)
      this.#refute(nowMs)
    } else if (counts && record !== undefined) this.#doubt(record, said, link)
    else if (record !== undefined && record.doubts.size < MAX_DOUBTS) {
      record.doubts.set(signer, said)
      this.#grapevine.spread(said, link)
    }
  }

  /** Somebody is not heard any more: passes it on, looks for itself, and counts. */
  #doubt(record: MemberRecord, said: Doubt, from?: Link): void {
    record.doubts.set(said.signer, said)
    if (record.state === 'alive') {
      record.state = 'suspect'
      record.accuseFromMs = Math.max(record.accuseFromMs, this.#host.clock.now())
      this.roster.settle(record)
    }
    this.#watched.add(record)
    this.#grapevine.spread(said, from)
    this.#host.detector.probeNow(record.id)
    this.#judge(record)
  }

  #judge(record: MemberRecord): void {
    const { id } = record
    const { topology, self, clock, detector } = this.#host
    let votes = 0
    let voters = 0
    for (const neighbour of topology.neighboursOf(id)) {
      const isThere = neighbour === self.id || this.roster.record(neighbour)?.state !== 'gone'
      if (isThere) voters++
      if (record.doubts.get(neighbour)?.level === 'down') votes++
    }
    if (votes === 0 || votes < Math.min(QUORUM, voters)) return
    // What we hear ourselves is worth more than what three others say.
    if (detector.silenceMs(id) === 0) this.#grapevine.tell(id, proofOf(record))
    else {
      const link = this.#grapevine.get(id)
      this.roster.bury(record, 'down', true, clock.now())
      link?.peer.carrier.giveUp()
    }
  }

  // What this node says

  #announce(refutation: number, hasLeft: boolean): Announcement {
    const { self, notary, addresses } = this.#host
    const { name, incarnation } = self
    return notary.announce({ name, incarnation, refutation, hasLeft, addresses: addresses() })
  }

  #refute(nowMs: number): void {
    this.#mustRefute = nowMs - this.#refutedMs < MIN_REFUTATION_INTERVAL_MS
    if (this.#mustRefute) return
    this.#refutedMs = nowMs
    this.#accusers.clear()
    this.#own = this.#announce(this.#own.refutation + 1, false)
    this.#grapevine.spread(this.#own)
  }

  #accuse(record: MemberRecord, nowMs: number): void {
    const { detector, preset } = this.#host
    if (this.#wasFull || !record.isChecked || record.state !== 'alive' || nowMs < record.accuseFromMs) return
    // A node that is late itself leaves it to others, unless nobody else begins.
    if (detector.isSlow && (detector.silenceMs(record.id) ?? 0) < preset.downAfterMs) return
    record.accuseFromMs = nowMs + preset.downAfterMs
    this.#sayDoubt(record, 'suspect', nowMs)
  }

  #sayDoubt(record: MemberRecord, level: Doubt['level'], nowMs: number): void {
    const { notary, self, topology } = this.#host
    const { id, incarnation, refutation } = record
    // Only neighbours are believed; who is none keeps its doubt to itself.
    if (topology.neighboursOf(id).has(self.id)) {
      this.#doubt(record, notary.doubt({ level, subject: id, incarnation, refutation }))
    }
    if (record.state === 'suspect') record.doubtedMs ??= nowMs
  }

  // What needs looking after

  /** One that is doubted or missed. */
  #watch(record: MemberRecord, nowMs: number): void {
    const { preset, detector, self } = this.#host
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
      this.roster.bury(record, 'down', false, nowMs)
    } else this.#clear(record)
  }

  #miss(record: MemberRecord, nowMs: number, patienceMs: number): void {
    record.missed = { sinceMs: nowMs, patienceMs }
    this.#watched.add(record)
  }

  /** Neighbours to whom there should be a connection, and what is out of date. */
  #search(nowMs: number): void {
    const { topology, self, preset } = this.#host
    const neighbours = topology.neighboursOf(self.id)
    const patienceMs = preset.downAfterMs * MISSED_FACTOR
    for (const record of this.#watched) {
      if (record.missed !== undefined && record.missed.patienceMs > 0 && !neighbours.has(record.id))
        record.missed = undefined
    }
    for (const id of neighbours) {
      const record = this.roster.record(id)
      if (record === undefined || record.state === 'gone' || record.isParted) continue
      if (record.connection === undefined && record.missed === undefined) this.#miss(record, nowMs, patienceMs)
    }
    // Whoever has no connection at all knows of no members.
    if (this.#grapevine.size > 0) this.#aloneSinceMs = undefined
    else this.#aloneSinceMs ??= nowMs
    if (this.#aloneSinceMs !== undefined && nowMs - this.#aloneSinceMs >= preset.downAfterMs * SETTLE_FACTOR) {
      for (const record of [...this.roster.records()]) {
        if (record.state !== 'gone') this.roster.bury(record, 'down', false, nowMs)
      }
    }
  }

  /** The mesh may have become too large, or small enough again. */
  #look(): void {
    const isFull = this.#host.topology.full
    if (isFull === this.#wasFull) return
    this.#wasFull = isFull
    if (isFull) {
      // Nobody asks after suspects there: who does not answer loses its connection.
      for (const record of this.#watched) if (record.state === 'suspect') this.#clear(record)
    } else for (const record of this.roster.records()) this.#antiEntropy.check(record)
    this.roster.settleAll()
  }

  /** It is no suspect any more. */
  #clear(record: MemberRecord): void {
    this.roster.revive(record)
    this.roster.settle(record)
  }

  /** It was started anew. */
  #restart(record: MemberRecord, name: string, incarnation: string): void {
    record.name = name
    record.incarnation = incarnation
    record.refutation = 0
    record.announcement = undefined
    record.isChecked = false
    record.missed = undefined
    record.isParted = false
    this.roster.revive(record)
  }

  #hint({ addresses, ...hint }: PeerHint, link: Link): void {
    if (hint.id === this.#host.self.id) return
    this.#host.hint({ ...hint, addresses: addresses.filter((one) => link.peer.isLocal || !isLoopback(one)) })
  }

  /** Honest members pass on only what they have checked, and checks cost time: it is not listened to for a while. */
  #foundForged(link: Link, what: string, nowMs: number): void {
    link.mutedUntilMs = nowMs + MUTE_MS
    this.#refuse(link, 'ERR_SKEIN_GOSSIP_REFUSED', `It passes on ${what} with a wrong signature.`)
  }

  #refuse(link: Link, code: ErrorCode, message: string): void {
    this.#host.refused(link.peer.name, code, message)
  }
}

const isAbout = (record: MemberRecord | undefined, { incarnation, refutation }: Doubt): boolean =>
  record !== undefined &&
  record.state !== 'gone' &&
  record.incarnation === incarnation &&
  record.refutation === refutation
