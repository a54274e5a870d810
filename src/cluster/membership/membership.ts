/**
 * The membership of one node: who is there, who is doubted, who is gone. It puts the failure detector of one's own
 * connections (detector.ts) and what members tell each other (gossip.ts) together, and is all that the rest of the node
 * knows of them.
 */
import type { ErrorCode } from '../../../certs/errors.ts'
import type { Address } from '../../../transport/address.ts'
import type { Clock } from '../../../transport/clock.ts'
import type { Random } from '../../../transport/random.ts'
import type { Origin } from '../../pid.ts'
import type { PeerHint } from '../control.ts'
import { LAN_LIVENESS, type LivenessPreset } from '../liveness.ts'
import type { DownReason } from '../session.ts'
import { Detector } from './detector.ts'
import { MEMBERSHIP_FRAMES } from './frames.ts'
import { Gossip } from './gossip.ts'
import type { GossipPeer } from './grapevine.ts'
import type { GossipItem, Notary } from './statements.ts'
import type { MembershipListener, MembershipView, Topology } from './view.ts'

/** Members and codes that were refused and told of; the oldest is forgotten first. */
const MAX_REMEMBERED_REFUSALS = 256

export interface MembershipOptions {
  readonly self: Origin
  readonly notary: Pick<Notary, 'announce' | 'doubt' | 'isGenuine'>
  readonly clock: Clock
  readonly random: Random
  readonly preset?: LivenessPreset | undefined
  readonly topology: Topology
  readonly listener: MembershipListener
  readonly isHidden: boolean
  /** False: it takes part in no mesh. */
  readonly takesPart: boolean
  /** Where this node listens. */
  addresses(): readonly Address[]
  /** Where a member may be reached. */
  hint(hint: PeerHint): void
  /** It has left: it is not to be reached any more. */
  forget(id: string): void
  /** Who is known changed: the topology may be another. */
  knownChanged(): void
  /** False: that node is not let in, and nobody is told of it. Default: all are. */
  readonly admits?: (id: string) => boolean
  /** A member told what it should not; once for each member and code. */
  refused(node: string, code: ErrorCode, message: string): void
}

export class Membership {
  readonly #detector: Detector
  readonly #gossip: Gossip
  readonly #refused = new Set<string>()

  constructor(options: MembershipOptions) {
    const { clock, random, topology, preset = LAN_LIVENESS } = options
    this.#detector = new Detector({
      clock,
      random,
      preset,
      checksum: () => this.#gossip.checksum,
      isFull: () => this.#gossip.isFull,
      mayHear: (helper, subject) => this.#gossip.isFull || topology.neighboursOf(subject).has(helper),
      silent: (id) => this.#gossip.silent(id),
      beat: (nowMs) => this.#gossip.beat(nowMs),
    })
    this.#gossip = new Gossip({
      ...options,
      preset,
      addresses: () => options.addresses(),
      detector: this.#detector,
      hint: (hint) => options.hint(hint),
      forget: (id) => options.forget(id),
      knownChanged: () => options.knownChanged(),
      admits: (item) => idsOf(item).every((id) => options.admits?.(id) !== false),
      refused: (node, code, message) => {
        if (this.#isFirstRefusal(`${node} ${code}`)) options.refused(node, code, message)
      },
    })
  }

  get view(): MembershipView {
    return this.#gossip.roster
  }

  start(): void {
    this.#detector.start()
  }

  stop(): void {
    this.#detector.stop()
  }

  connected(peer: GossipPeer): void {
    this.#detector.up(peer.carrier)
    this.#gossip.connected(peer)
  }

  disconnected(id: string, reason: DownReason, byPeer: boolean): void {
    this.#detector.down(id)
    this.#gossip.disconnected(id, reason, byPeer)
  }

  ticked(from: string, checksum: number): void {
    this.#detector.ticked(from, checksum)
    this.#gossip.ticked(from, checksum)
  }

  ponged(from: string, number: number): void {
    this.#detector.ponged(from, number)
  }

  /** A frame of MEMBERSHIP_FRAMES. Throws ERR_SKEIN_PROTOCOL. */
  received(from: string, frame: number, body: Uint8Array): void {
    if (frame === MEMBERSHIP_FRAMES.probe || frame === MEMBERSHIP_FRAMES.probed) {
      this.#detector.received(from, frame, body)
    } else this.#gossip.received(from, frame, body)
  }

  /** Asks this peer whom it knows. */
  ask(id: string): void {
    this.#gossip.ask(id)
  }

  askAll(): void {
    this.#gossip.askAll()
  }

  /** Something new came from elsewhere. */
  eager(): void {
    this.#gossip.eager()
  }

  /** Nobody could reach it for long. */
  forget(id: string): void {
    this.#gossip.forget(id)
  }

  /** It is let in no more, and its connections are over: nothing is known of it. */
  expel(id: string): void {
    const { roster } = this.#gossip
    const record = roster.record(id)
    if (record !== undefined) roster.forget(record)
  }

  /** This node stops: the last word to everybody, before the goodbyes. */
  leave(): void {
    this.#gossip.leave()
  }

  #isFirstRefusal(key: string): boolean {
    if (this.#refused.has(key)) return false
    this.#refused.add(key)
    for (const oldest of this.#refused) {
      if (this.#refused.size <= MAX_REMEMBERED_REFUSALS) break
      this.#refused.delete(oldest)
    }
    return true
  }
}

const idsOf = (item: GossipItem): readonly string[] => {
  if (item.kind === 'announcement') return [item.signer]
  return item.kind === 'doubt' ? [item.signer, item.subject] : [item.hint.id]
}
