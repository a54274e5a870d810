/**
 * Session tickets (RFC 8446 2.2) that peers gave us: with one, the next connection to the same peer says something in its
 * first flight.
 *
 * A ticket is kept under the peer's node id, beside what its certificate said, and the address it was last seen at. It is
 * taken once: two connections with the same ticket could be linked by whoever watches (RFC 8446 C.4). Bounded; in memory
 * only, since a peer that was started again cannot read tickets from before.
 *
 * Sans-io. It does not judge tickets: one that the peer does not accept costs a full handshake, one that is no ticket is
 * told by the engine.
 */
import type { VerifiedPeer } from '../certs/certificate.ts'
import { type Address, sameAddress } from './address.ts'

/** Peers with a ticket; the one that was quiet for longest makes way. A ticket has about 1200 bytes, a certificate 350. */
const MAX_TICKETS = 1024
/** RFC 8446 4.6.1 allows seven days; the engine takes tickets back for two. */
const TICKET_LIFETIME_MS = 2 * 24 * 60 * 60_000

export interface Ticket {
  /** For the engine: the ticket, its secret, and what the peer allowed at the time. */
  readonly bytes: Uint8Array
  /** Who gave it. */
  readonly peer: VerifiedPeer
}

interface Entry extends Ticket {
  readonly address: Address | undefined
  readonly sinceMs: number
}

export class Tickets {
  readonly #verify: (certificate: Uint8Array) => unknown
  /** By node id, the newest last. */
  readonly #entries = new Map<string, Entry>()
  /** Connections that show an earlier certificate of this node. */
  readonly #outdated = new WeakSet<object>()

  /** `verify` throws for certificates that are no good any more. */
  constructor(verify: (certificate: Uint8Array) => unknown) {
    this.#verify = verify
  }

  /** Keeps a ticket of a peer whose certificate was verified; it replaces an earlier one. No address: it is behind a relay. */
  keep({ bytes, peer }: Ticket, address: Address | undefined, nowMs: number, from?: object): void {
    if (from !== undefined && this.#outdated.has(from)) return
    this.#entries.delete(peer.nodeId)
    this.#entries.set(peer.nodeId, { bytes, peer, address, sinceMs: nowMs })
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_TICKETS) break
      this.#entries.delete(oldest)
    }
  }

  /**
   * The ticket of this peer, or, where nobody in particular is expected, of the peer last seen at the address. It is gone
   * then, and in the other case with it those of all who were there earlier: whoever finds the last one gone as well and
   * dials again must not meet the next ticket that leads nowhere.
   */
  take(expectedId: string | undefined, address: Address, nowMs: number): Ticket | undefined {
    const entry = expectedId === undefined ? this.#lastAt(address) : this.#entries.get(expectedId)
    if (entry === undefined) return undefined
    this.#entries.delete(entry.peer.nodeId)
    if (nowMs - entry.sinceMs > TICKET_LIFETIME_MS) return undefined
    try {
      this.#verify(entry.peer.certificate)
      return entry
    } catch {
      // It expired meanwhile. The peer may have a new one: a full handshake will tell.
      return undefined
    }
  }

  /** This node has another certificate: what is left of these connections, and of all before, is bound to the old one. */
  renewed(connections: Iterable<object>): void {
    this.#entries.clear()
    for (const connection of connections) this.#outdated.add(connection)
  }

  get size(): number {
    return this.#entries.size
  }

  /** Dials without an expected id are few, so they may look at every entry. */
  #lastAt(address: Address): Entry | undefined {
    let last: Entry | undefined
    for (const [id, entry] of this.#entries) {
      if (entry.address === undefined || !sameAddress(entry.address, address)) continue
      this.#entries.delete(id)
      last = entry
    }
    return last
  }
}
