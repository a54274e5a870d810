/**
 * How a name is acquired: every connected node is asked, and every one must agree.
 *
 * A node refuses if it has the name, or is asking for it itself with an older stamp. That is all it takes for one of
 * several to win: of two that ask at once the one with the older stamp is refused by no other, and one that asks after it
 * has agreed to another has seen that stamp, so its own is newer and the other refuses. So nobody is bound by having agreed,
 * and no third node has a vote. A node that goes while it is asked counts no more; one that comes meanwhile is asked too.
 * What was agreed to is remembered for a while only to recognise a registration that nobody was asked about.
 */
import { isSkeinError, SkeinError } from '../../../certs/errors.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { ConnectedNode } from '../../cluster/connected-node.ts'
import type { Origin } from '../../pid.ts'
import { type Channel, type ChannelPeer, nonsense } from '../channel.ts'
import type { Dialogue } from './dialogue.ts'
import type { Holdings } from './holdings.ts'
import { type HybridClock, isStamp, type Stamp } from './stamp.ts'
import type { Table } from './table.ts'

/** How long a node may take to agree. More than it takes to notice that a node is gone. */
export const AGREEMENT_TIMEOUT_MS = 10_000
/** How long one is waited for that may not have the name itself: it is to hear of the claim, and cannot forbid it. */
export const VOTELESS_TIMEOUT_MS = 1000
/** How long a connected node is waited for whose services do not speak. */
const SILENCE_MS = 3000
/** How often it is looked whether they do. */
const LOOK_AGAIN_MS = 10
/** Names that this node asks for at once, and that it remembers to have agreed to for one peer. */
const MAX_PENDING = 262_144
/** How long: more than it takes until the peer's board tells of it. */
const GRANT_MS = 3 * AGREEMENT_TIMEOUT_MS

export interface AcquisitionParts {
  readonly self: Origin
  readonly clock: Clock
  readonly stamps: HybridClock
  readonly channel: () => Channel
  readonly dialogue: Dialogue
  readonly table: Table
  readonly holdings: Holdings
  /** Nodes whose services take part, whether or not these have spoken yet. */
  participants(): readonly ConnectedNode[]
  /** Whether that node may have the name, as this node sees it. Who may not is asked, but its refusal counts for nothing. */
  mayRegister(peer: ChannelPeer, name: string): boolean
}

/** This node has agreed. */
interface Grant {
  /** What is registered thereupon has a greater one. */
  readonly stamp: Stamp
  readonly untilMs: number
}

interface Pending {
  readonly name: string
  readonly stamp: Stamp
  readonly isHeir: boolean
  readonly startedMs: number
  readonly asked: Set<ChannelPeer>
  timer: Timer | undefined
  /** In the instant in which all have agreed. What it throws is the outcome. */
  commit(): void
  fail(error: SkeinError): void
}

export class Acquisition {
  readonly #parts: AcquisitionParts
  readonly #pending = new Map<string, Pending>()
  /** In order of age. */
  readonly #grants = new Map<ChannelPeer, Map<string, Grant>>()

  constructor(parts: AcquisitionParts) {
    this.#parts = parts
  }

  /**
   * Gives what `commit` gave. Rejects with ERR_SKEIN_NAME_REGISTERED, _GLOBAL_TIMEOUT or what `commit` threw. An heir, who is
   * given the name by its holder, asks with the holder's stamp: it comes before all who want the name too.
   */
  acquire<T>(name: string, commit: () => T, heirOf?: Stamp): Promise<T> {
    const { holdings, clock, channel, stamps } = this.#parts
    if (this.#pending.has(name)) return Promise.reject(underWay(name))
    if (holdings.get(name) !== undefined || holdings.heirs.has(name)) return Promise.reject(taken(name))
    if (this.#pending.size >= MAX_PENDING) {
      return Promise.reject(new SkeinError('ERR_SKEIN_LIMIT', `This node asks for ${MAX_PENDING} names already.`))
    }
    return new Promise((resolve, reject) => {
      const pending: Pending = {
        name,
        stamp: heirOf ?? stamps.tick(),
        isHeir: heirOf !== undefined,
        startedMs: clock.now(),
        asked: new Set(),
        timer: undefined,
        commit: () => {
          try {
            resolve(commit())
          } catch (error) {
            reject(error)
          }
        },
        fail: reject,
      }
      this.#pending.set(name, pending)
      // All of them before the first answer: nobody answers in this turn, but one may turn out to be gone.
      const peers = channel().peers()
      for (const peer of peers) pending.asked.add(peer)
      for (const peer of peers) this.#ask(pending, peer)
      this.#look(pending)
    })
  }

  /** What this node says to a peer that wants the name. Throws ERR_SKEIN_NAME_REGISTERED. */
  answer(peer: ChannelPeer, name: string, { stamp, isHeir }: Record<string, unknown>): readonly [Stamp, boolean] {
    const { stamps, holdings, self } = this.#parts
    if (!isStamp(stamp)) throw nonsense('a claim without a stamp')
    stamps.see(stamp)
    const holding = holdings.get(name)
    const heir = holdings.heirs.get(name)
    const isTaken = heir === undefined ? holding !== undefined : heir !== peer || isHeir !== true
    if (isTaken) throw taken(name)
    const pending = this.#pending.get(name)
    if (pending !== undefined && pending.stamp + self.key < stamp + peer.pid.origin.key) throw underWay(name)
    const granted = stamps.tick()
    this.#remember(peer, name, granted)
    // An heir's stamp is older than its question: it has not refused this node, which may have asked it before.
    if (isHeir === true) this.gone(name)
    return [granted, holding !== undefined]
  }

  /** True, once, if this node has agreed that the peer registers this name, and did so before that moment. */
  hasGranted(peer: ChannelPeer, name: string, registeredAt: Stamp): boolean {
    const grants = this.#grants.get(peer)
    const grant = grants?.get(name)
    if (grant === undefined || registeredAt <= grant.stamp) return false
    return grants?.delete(name) === true
  }

  peerDown(peer: ChannelPeer): void {
    this.#grants.delete(peer)
  }

  peerUp(peer: ChannelPeer): void {
    for (const pending of [...this.#pending.values()]) {
      pending.asked.add(peer)
      this.#ask(pending, peer)
    }
  }

  /** A peer has the name. */
  gone(name: string): void {
    const pending = this.#pending.get(name)
    if (pending !== undefined) this.#fail(pending, taken(name))
  }

  stop(): void {
    for (const pending of [...this.#pending.values()]) {
      this.#fail(pending, new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.'))
    }
  }

  #remember(peer: ChannelPeer, name: string, stamp: Stamp): void {
    const nowMs = this.#parts.clock.now()
    let grants = this.#grants.get(peer)
    if (grants === undefined) {
      grants = new Map()
      this.#grants.set(peer, grants)
    }
    for (const [oldest, { untilMs }] of grants) {
      if (untilMs > nowMs) break
      grants.delete(oldest)
    }
    if (grants.size >= MAX_PENDING) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `${peer.node} asks for ${MAX_PENDING} names at once.`)
    }
    grants.delete(name)
    grants.set(name, { stamp, untilMs: nowMs + GRANT_MS })
  }

  #ask(pending: Pending, peer: ChannelPeer): void {
    const { dialogue, stamps, table, mayRegister } = this.#parts
    const { name, stamp, isHeir } = pending
    const hasVote = mayRegister(peer, name)
    const heard = (): void => {
      pending.asked.delete(peer)
      this.#look(pending)
    }
    const failed = (error: SkeinError): void => {
      if (!hasVote || error.code === 'ERR_SKEIN_NOCONNECTION') heard()
      else this.#fail(pending, error)
    }
    const answered = (value: unknown): void => {
      const [seen, isOwner] = Array.isArray(value) ? (value as readonly unknown[]) : []
      if (!isStamp(seen)) {
        failed(nonsense('an answer without a stamp'))
        return
      }
      try {
        stamps.see(seen)
      } catch (error) {
        if (!isSkeinError(error)) throw error
        failed(error)
        return
      }
      // It says that it does not have the name: what its board told before is out of date.
      if (isOwner !== true) table.remove(name, peer)
      heard()
    }
    const timeoutMs = hasVote ? AGREEMENT_TIMEOUT_MS : VOTELESS_TIMEOUT_MS
    dialogue.ask(peer, { type: 'claim', name, stamp, isHeir }, timeoutMs, { answered, failed })
  }

  /** Is there anybody left to wait for? */
  #look(pending: Pending): void {
    const { clock } = this.#parts
    if (this.#pending.get(pending.name) !== pending) return
    const waitedMs = clock.now() - pending.startedMs
    // This node was asleep, or nodes come and go.
    if (waitedMs > AGREEMENT_TIMEOUT_MS) {
      this.#fail(pending, new SkeinError('ERR_SKEIN_GLOBAL_TIMEOUT', `It took more than ${AGREEMENT_TIMEOUT_MS} ms.`))
      return
    }
    if (pending.asked.size > 0) return
    pending.timer?.cancel()
    if (waitedMs < SILENCE_MS && this.#silent()) {
      pending.timer = clock.after(LOOK_AGAIN_MS, () => this.#look(pending), true)
      return
    }
    this.#pending.delete(pending.name)
    pending.commit()
  }

  /** A node has just been connected, and its service has not spoken yet. */
  #silent(): boolean {
    const { channel, participants } = this.#parts
    const peers = channel().peers()
    return participants().some((node) => !peers.some((peer) => isSame(peer, node)))
  }

  #fail(pending: Pending, error: SkeinError): void {
    if (this.#pending.get(pending.name) !== pending) return
    this.#pending.delete(pending.name)
    pending.timer?.cancel()
    pending.fail(error)
  }
}

const isSame = (peer: ChannelPeer, node: ConnectedNode): boolean =>
  peer.id === node.id && peer.incarnation === node.incarnation

const taken = (name: string): SkeinError =>
  new SkeinError('ERR_SKEIN_NAME_REGISTERED', `"${name}" is a registered global name.`)

const underWay = (name: string): SkeinError =>
  new SkeinError('ERR_SKEIN_NAME_REGISTERED', `"${name}" is just being registered by another.`)
