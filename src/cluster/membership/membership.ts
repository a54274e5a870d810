/**
 * The membership of one node: who is there, who is doubted, who is gone. It puts the failure detector of one's own
 * connections (detector.ts) and what members tell each other (gossip.ts) together, and is all that the rest of the node
 * knows of them.
 */
import type { Random } from '../../../transport/random.ts'
import { LAN_LIVENESS, type LivenessPreset } from '../liveness.ts'
import type { DownReason } from '../session.ts'
import { Detector } from './detector.ts'
import { MEMBERSHIP_FRAMES } from './frames.ts'
import { Gossip, type GossipHost } from './gossip.ts'
import type { GossipPeer } from './grapevine.ts'
import type { MembershipView } from './view.ts'

/** Members and codes that were refused and told of; the oldest is forgotten first. */
const MAX_REMEMBERED_REFUSALS = 256

export interface MembershipOptions extends Omit<GossipHost, 'preset' | 'detector' | 'admits'> {
  readonly random: Random
  readonly preset?: LivenessPreset | undefined
  /** Default: all are. */
  readonly admits?: GossipHost['admits']
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
      detector: this.#detector,
      admits: options.admits ?? (() => true),
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
