/**
 * The connections over which gossip goes: what leaves is collected until a batch of input is through, what comes has an
 * allowance for each connection. Peers of version 1 and hidden ones get none.
 */
import type { Address } from '../../../transport/address.ts'
import type { Clock } from '../../../transport/clock.ts'
import { Allowance } from './allowance.ts'
import type { Carrier } from './detector.ts'
import { encodeGossip, MEMBERSHIP_FRAMES, MEMBERSHIP_VERSION } from './frames.ts'
import type { GossipItem } from './statements.ts'

/** Statements one connection may bring. */
const STATEMENTS = { burst: 8192, perSecond: 500 }
/** Members one connection may bring that nobody had told of before. */
const NEWCOMERS = { burst: 4096, perSecond: 20 }
/** Verdicts of members that have no say here, to be passed on to whom they are about: after a partition, of everybody. */
const STRANGE = { burst: 4096, perSecond: 1 }
/** A connection that brought more is not listened to for so long. */
export const MUTE_MS = 10_000

/** A connected node as gossip sees it. */
export interface GossipPeer {
  readonly name: string
  readonly incarnation: string
  /** On this machine: loopback addresses are of use to it. */
  readonly isLocal: boolean
  /** Where its packets come from, if others may dial it there: behind a NAT a punch is needed, and a relay's place is none of its. */
  readonly seenAt: readonly Address[]
  /** Where it listens, by its own account. */
  readonly listens: readonly Address[]
  readonly carrier: Carrier
  /** Asks a peer of version 1 for its list. */
  askForPeers(): void
}

export interface Link {
  readonly peer: GossipPeer
  readonly statements: Allowance
  readonly newcomers: Allowance
  readonly strange: Allowance
  mutedUntilMs: number
  /** A digest of it is answered no earlier, and with one of our own no earlier. */
  answerFromMs: number
  askBackFromMs: number
  outbox: GossipItem[]
}

export class Grapevine {
  readonly #clock: Clock
  readonly #links = new Map<string, Link>()
  #flushing = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get size(): number {
    return this.#links.size
  }

  ids(): Iterable<string> {
    return this.#links.keys()
  }

  get(id: string): Link | undefined {
    return this.#links.get(id)
  }

  up(peer: GossipPeer): void {
    const nowMs = this.#clock.now()
    this.#links.set(peer.carrier.id, {
      peer,
      statements: new Allowance(STATEMENTS, nowMs),
      newcomers: new Allowance(NEWCOMERS, nowMs),
      strange: new Allowance(STRANGE, nowMs),
      mutedUntilMs: Number.NEGATIVE_INFINITY,
      answerFromMs: Number.NEGATIVE_INFINITY,
      askBackFromMs: Number.NEGATIVE_INFINITY,
      outbox: [],
    })
  }

  down(id: string): void {
    this.#links.delete(id)
  }

  /** To all, but for the one it came from. */
  spread(item: GossipItem, from?: Link): void {
    for (const link of this.#links.values()) if (link !== from) this.#put(link, item)
  }

  tell(id: string, items: readonly GossipItem[]): void {
    const link = this.#links.get(id)
    if (link !== undefined) for (const item of items) this.#put(link, item)
  }

  /** What was collected leaves now. */
  flush(): void {
    this.#flushing = false
    for (const link of this.#links.values()) {
      if (link.outbox.length === 0) continue
      const items = link.outbox
      link.outbox = []
      for (const body of encodeGossip(items)) link.peer.carrier.tell(MEMBERSHIP_FRAMES.gossip, body)
    }
  }

  #put(link: Link, item: GossipItem): void {
    const { version, isHidden } = link.peer.carrier
    if (version < MEMBERSHIP_VERSION || isHidden) return
    link.outbox.push(item)
    if (this.#flushing) return
    this.#flushing = true
    this.#clock.afterInput(() => this.flush())
  }
}
