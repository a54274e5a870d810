/**
 * Ways: how the datagrams of a connection get to its peer, below QUIC.
 *
 * Usually straight from the port to an address. A node behind a NAT may need others: through a node that both ends are
 * connected to, or from a socket of its own that a NAT happened to let through. QUIC knows nothing of ways: it sees one
 * peer at one address for the whole life of a connection, and which way a packet goes is decided beneath it
 * (way-keeper.ts). So both ends can move, as often as they like.
 */
import type { Address } from './address.ts'

/** port: straight from the node's port; socket: straight, from another socket; relay: inside the connection to another node. */
export type WayKind = 'port' | 'socket' | 'relay'

/** How datagrams get to a peer: straight from the port, from a socket of its own, or through a relay. */
export interface Way {
  readonly kind: WayKind
  /** Equal for equal ways of one transport. */
  readonly key: string
  /** Where its datagrams are sent: the peer's address, or that of the relay. */
  readonly address: Address
  /** Longest datagram it carries, bytes. */
  readonly maxBytes: number
  /** Sends bytes[0..length), or loses them, as UDP may. The bytes are only lent for this call. */
  send(bytes: Uint8Array, length: number): void
}

/** What a transport offers to whoever finds ways for it. */
export interface Ways {
  /** The way straight to an address; undefined for one that this port cannot reach. */
  direct(address: Address): Way | undefined
  /** A datagram came in by this way: as if the port had received it. It is decrypted in place. */
  receive(way: Way, datagram: Uint8Array): void
  /** This way is no more: no connection uses it again. */
  gone(way: Way): void
}
