/**
 * What a carrier is, whichever it is: QUIC over UDP, or the memory network of the simulator.
 *
 * A transport owns one port. Its connections are mutually authenticated (the certificate is checked before the first
 * byte of a stream is read) and carry unidirectional byte streams with flow control per stream. Meaning starts above:
 * lanes.ts puts ordered frames on streams, src/cluster/handshake.ts proves membership.
 *
 * Calls never throw for what a peer did; that arrives as `onClosed` with a reason. `onClosed` is called exactly once for
 * each connection that `connect` returned or `listen` announced, and nothing is called after it.
 */

import type { VerifiedPeer } from '../certs/certificate.ts'
import type { ErrorCode } from '../certs/errors.ts'
import type { Identity } from '../certs/identity.ts'
import type { Address } from './address.ts'
import type { Way, Ways } from './way.ts'

/** Why a connection ended. `code` is ours or the peer's; `byPeer` tells whose decision it was. */
export interface CloseReason {
  readonly code: ErrorCode | 'closed'
  readonly message: string
  readonly byPeer: boolean
  /** The application close code on the wire, 0 for a plain close. */
  readonly wireCode: number
}

/** What `read` found. The object is reused: look at it before the next read. */
export interface ReadResult {
  /** Bytes written into the target; 0 when nothing waits. */
  bytes: number
  /** The stream ended: these were its last bytes. */
  finished: boolean
  /** The peer cut it off, and what it had not delivered is gone. Told once. */
  reset: boolean
}

/** What a connection tells its owner. `onClosed` comes once, and nothing after it. */
export interface ConnectionHandler {
  /** `peer` is verified, and streams may be opened and written from now on. TLS is done, unless the connection is `early`. */
  onOpen(): void
  /** TLS is done on a connection that was open before. Called before anything is read that came later. */
  onConfirmed?(): void
  /** Bytes, or the end, of this incoming stream can be read; a read that leaves room took all there was. Leave it to hold the peer back. */
  onReadable(stream: number): void
  /** A chance to write: called once for each flush; write what is most urgent first. */
  onFlush(): void
  /** What the peer gave to its `sendDatagram`. The bytes are the receiver's to keep. */
  onDatagram?(bytes: Uint8Array): void
  /** The connection now takes another way than before (Connection.way). */
  onMoved?(): void
  onClosed(reason: CloseReason): void
}

/** One connection. Stream numbers are QUIC's; outgoing ones come from `openStream`, incoming ones from `onReadable`. */
export interface Connection {
  readonly carrier: Transport['kind']
  readonly role: 'initiator' | 'acceptor'
  /** Where its packets are sent now: the peer, or the relay before it. */
  readonly remote: Address
  /** The way its packets take now; undefined on carriers that have but one. */
  readonly way: Way | undefined
  /** The peer's verified key; undefined before `onOpen`. */
  readonly peer: VerifiedPeer | undefined
  /**
   * It was opened with what an earlier connection left, and TLS is not done: `peer` is who it was then. An acceptor may
   * be reading a replay (RFC 8446 8), and an initiator may be talking to nobody: so nothing is to be done now that
   * cannot be done twice, or in vain. Left out by carriers that never open early.
   */
  readonly early?: boolean
  /** Monotonic time (ms, the clock's) at which the last valid packet of the peer arrived. */
  readonly lastHeardMs: number
  /** Bytes sent so far: unlike `stats` cheap to ask for again and again. */
  readonly sentBytes: number
  /** A new outgoing stream, or -1 while the peer allows no more. Urgent streams leave first when several wait. */
  openStream(urgent: boolean): number
  /** Takes as many bytes as windows allow and returns how many; `finish` ends the stream if all were taken. Only within onFlush. */
  write(stream: number, bytes: Uint8Array, finish: boolean): number
  /** True while the connection as a whole takes no more bytes (congestion window, connection window, budget of this flush). */
  blocked(): boolean
  /**
   * How many more bytes of bulk may be under way while light senders are active: about what the path itself holds. More
   * would only stand in queues, in front of whatever comes next. `writtenBytes` of bulk went since this was last asked.
   */
  bulkRoomBytes(writtenBytes: number): number
  read(stream: number, target: Uint8Array): ReadResult
  /**
   * Sends an unreliable message (RFC 9221) of at most MAX_DATAGRAM_BYTES: it arrives once, late, out of order or never.
   * False: it was not taken, since too many wait or the connection is not open.
   */
  sendDatagram(bytes: Uint8Array): boolean
  /**
   * Tries whether this way leads to the peer, and moves there if it does and is better than the present one, or the
   * present one is silent. It stays known for when the present one fails. Does nothing on carriers that have but one.
   */
  offer(way: Way): void
  /** Cuts off an outgoing stream that was not finished: what was not delivered is dropped, and the peer's `read` says so. */
  reset(stream: number): void
  /** Asks for an `onFlush` at the end of this turn (or of this batch of input). Cheap to repeat. */
  requestFlush(): void
  /** Ends the connection now; the peer is told. Idempotent. */
  close(wireCode: number, code: CloseReason['code'], message: string): void
  /** Figures for people and for decisions; a fresh object each time. */
  stats(): ConnectionStats
}

/** Figures of a connection, counted from its start. */
export interface ConnectionStats {
  /** Smoothed round trip, whole milliseconds on QUIC. */
  readonly rttMs: number
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly lostPackets: number
  /** Datagram payload size in use, bytes. */
  readonly pathSizeBytes: number
}

/** Longest message for `Connection.sendDatagram`, bytes: a relayed packet of the size QUIC begins with, and its head. */
export const MAX_DATAGRAM_BYTES = 1280

/** Kinds of datagram that share the port with QUIC. */
export type DatagramKind = 'krpc' | 'probe'

/** How a dial is made. */
export interface ConnectOptions {
  readonly timeoutMs?: number
  /** Who is expected there: what is remembered of an earlier connection to it makes the new one quicker. */
  readonly expectedId?: string
  /** Over TLS on TCP, where UDP does not get through; only carriers that have it (Transport.hasTcp). */
  readonly carrier?: 'udp' | 'tcp'
  /** By this way instead of straight to `remote`. */
  readonly way?: Way
}

/** A carrier: one port with all its connections, whether over QUIC, TLS on TCP, or in memory. */
export interface Transport {
  readonly kind: 'quic' | 'tcp' | 'memory'
  /** Dials with carrier 'tcp' are possible; on kind 'tcp' all of them are. */
  readonly hasTcp?: boolean
  /** For whoever finds other ways to a peer than straight from the port; undefined where there are none. */
  readonly ways: Ways | undefined
  /** Bound addresses as others can dial them; wildcard binds list the machine's real addresses. */
  addresses(): readonly Address[]
  /** Dials. The handler hears of success or failure. */
  connect(remote: Address, handler: ConnectionHandler, options?: ConnectOptions): Connection
  /** Announces incoming connections; the returned handler takes over. Called once. */
  listen(accept: (connection: Connection) => ConnectionHandler): void
  /** Sends one datagram of another kind from the same port; no further than so many routers, where the system can do that. */
  sendDatagram(remote: Address, bytes: Uint8Array, hops?: number): void
  onDatagram(kind: DatagramKind, handler: (bytes: Uint8Array, from: Address) => void): void
  /**
   * From now on the gate goes by these keys: the first seals, all open. Connections that are open go on. Throws
   * ERR_SKEIN_BAD_ARGUMENT.
   */
  useGateKeys(keys: readonly Uint8Array[]): void
  /**
   * New connections show this certificate, of the same key; those that are there go on. Nothing that an earlier connection
   * left is gone on with. Throws ERR_SKEIN_BAD_IDENTITY.
   */
  useIdentity(identity: Identity): void
  /** Named counts since the start: received, sent, gated, unknown, ... */
  counters(): Readonly<Record<string, number>>
  /** Closes every connection (the peers are told) and the port. Idempotent, bounded. */
  close(): Promise<void>
}
