/**
 * Membership by word of mouth: who has joined or left, also among those one is not connected to.
 *
 * Every piece of news is signed by whom it comes from and passed on once to all connections, so it reaches everybody in a
 * few steps whoever lies on the way. In a full mesh nothing is passed on: connections are the membership, and statements
 * are hints for dialling. Beyond it doubts count too (suspicions.ts), and this node answers those about itself
 * (own-word.ts). Digests mend what got lost (anti-entropy.ts). What one connection may tell is bounded, and so is what is
 * kept of it. docs/membership.md is the page for people. What it does not do: probe, or judge who lives.
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
import { OwnWord } from './own-word.ts'
import { type MemberRecord, Roster } from './roster.ts'
import type { Announcement, GossipItem, Notary, Statement } from './statements.ts'
import { Suspicions } from './suspicions.ts'
import type { MembershipListener, Topology } from './view.ts'

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
  readonly detector: Pick<Detector, 'isSlow' | 'silenceMs' | 'probeNow' | 'confirmed'>
  /** Where this node listens. */
  readonly addresses: () => readonly Address[]
  /** Where a member may be reached. */
  readonly hint: (hint: PeerHint) => void
  /** It has left: it is not to be reached any more. */
  readonly forget: (id: string) => void
  /** Who is known changed: the topology may be another. */
  readonly knownChanged: () => void
  /** False: that node is not let in, and nobody is told of it. */
  readonly admits: (id: string) => boolean
  /** A member told what it should not. */
  readonly refused: (node: string, code: ErrorCode, message: string) => void
}

export class Gossip {
  readonly roster: Roster
  readonly #host: GossipHost
  readonly #grapevine: Grapevine
  readonly #antiEntropy: AntiEntropy
  readonly #ownWord: OwnWord
  readonly #suspicions: Suspicions
  /** As of the last beat or connection. */
  #wasFull = true

  constructor(host: GossipHost) {
    this.#host = host
    const { self, listener, clock, notary, takesPart, isHidden, addresses, knownChanged } = host
    this.roster = new Roster({
      selfId: self.id,
      selfIncarnation: self.incarnation,
      listener,
      isFull: () => this.#wasFull,
      knownChanged,
    })
    const { roster } = this
    const grapevine = new Grapevine(clock)
    this.#grapevine = grapevine
    this.#antiEntropy = new AntiEntropy({ clock, roster, grapevine, notary, takesPart, isHidden })
    this.#ownWord = new OwnWord({ self, notary, grapevine, addresses })
    this.#suspicions = new Suspicions({
      ...host,
      roster,
      grapevine,
      ownWord: this.#ownWord,
      isGenuine: (said, link, nowMs) => this.#isGenuine(said, link, nowMs),
    })
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
    if (carrier.version >= MEMBERSHIP_VERSION && !this.#host.isHidden) {
      this.#grapevine.tell(id, [this.#ownWord.said, ...proof])
    }
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
    } else if (!record.isParted && !byPeer) this.#suspicions.missed(record, nowMs)
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
    for (const item of items) {
      if (nowMs < link.mutedUntilMs) break
      if (!this.#admits(item)) continue
      if (item.kind === 'hint') this.#hint(item.hint, link)
      else if (item.kind === 'announcement') this.#hearAnnouncement(item, link, nowMs)
      else if (!this.#wasFull) this.#suspicions.heard(item, link, nowMs)
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
    if (!this.#wasFull && !this.#host.isHidden) this.#ownWord.leave()
  }

  /** A connected member does not answer. */
  silent(id: string): void {
    const record = this.roster.record(id)
    if (record !== undefined && !this.#wasFull) this.#suspicions.silent(record)
  }

  /** After each look at the connections. */
  beat(nowMs: number): void {
    this.#look()
    if (this.#wasFull) return
    this.#ownWord.beat(nowMs)
    this.#suspicions.beat(nowMs)
  }

  // What members say of themselves

  #hearAnnouncement(said: Announcement, link: Link, nowMs: number): void {
    const id = said.signer
    if (id === this.#host.self.id) return
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
    if (mustCheck && !this.#isGenuine(said, link, nowMs)) return
    const { name, incarnation, refutation, addresses, hasLeft } = said
    const record = known ?? newRecord({ id, name, incarnation }, nowMs, isFirstHand ? undefined : link.peer.carrier.id)
    if (known === undefined) this.roster.add(record)
    else if (known.incarnation !== incarnation) this.#restart(known, name, incarnation)
    else if (refutation > known.refutation) this.#suspicions.refuted(known, nowMs)
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

  /** The mesh may have become too large, or small enough again. */
  #look(): void {
    const isFull = this.#host.topology.full
    if (isFull === this.#wasFull) return
    this.#wasFull = isFull
    if (isFull) this.#suspicions.dropAll()
    else for (const record of this.roster.records()) this.#antiEntropy.check(record)
    this.roster.settleAll()
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

  /** False: of, or about, a node that is not let in here. */
  #admits(item: GossipItem): boolean {
    const { admits } = this.#host
    if (item.kind === 'hint') return admits(item.hint.id)
    return admits(item.signer) && (item.kind === 'announcement' || admits(item.subject))
  }

  /** Honest members pass on only what they have checked, and checks cost time: who does not is not heard for a while. */
  #isGenuine(said: Statement, link: Link, nowMs: number): boolean {
    if (this.#host.notary.isGenuine(said)) return true
    link.mutedUntilMs = nowMs + MUTE_MS
    const what = said.kind === 'doubt' ? 'a doubt' : 'an announcement'
    this.#refuse(link, 'ERR_SKEIN_GOSSIP_REFUSED', `It passes on ${what} with a wrong signature.`)
    return false
  }

  #refuse(link: Link, code: ErrorCode, message: string): void {
    this.#host.refused(link.peer.name, code, message)
  }
}
