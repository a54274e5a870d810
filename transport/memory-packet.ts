/**
 * What travels between two ends of the memory network: QUIC's packets and frames as plain objects, only those that change
 * what the layers above can see. Packets are never changed once sent, so a duplicate is the same object again.
 */
import type { VerifiedPeer } from '../certs/certificate.ts'

export type Frame =
  | {
      readonly type: 'stream'
      readonly stream: number
      readonly offset: number
      readonly bytes: Uint8Array
      readonly finish: boolean
    }
  /** The stream ends here, and what of its bytes was not delivered is gone (RFC 9000, section 19.4). */
  | { readonly type: 'reset'; readonly stream: number; readonly finalBytes: number }
  /** The peer may send this stream up to `limit` bytes. */
  | { readonly type: 'streamWindow'; readonly stream: number; readonly limit: number }
  /** The peer may send up to `limit` bytes on all streams together. */
  | { readonly type: 'connectionWindow'; readonly limit: number }
  /** The peer may open `limit` streams over the connection's whole life. */
  | { readonly type: 'streams'; readonly limit: number }
  /** The handshake: TLS's messages stand for no more than an identity here. */
  | { readonly type: 'hello'; readonly identity: VerifiedPeer }
  /** Wants an acknowledgement, no more. */
  | { readonly type: 'ping' }

export interface DataPacket {
  readonly kind: 'handshake' | 'data'
  /** Which end it is for: see `endKey`. */
  readonly end: number
  /** Undefined for what wants no acknowledgement; retransmitted frames go out under a new number, as in QUIC. */
  readonly number: number | undefined
  readonly frames: readonly Frame[]
  readonly sizeBytes: number
  /** All numbers below were received, or are no longer waited for. */
  readonly ackedBelow: number
  /** Numbers received above `ackedBelow`. */
  readonly ackedAbove: readonly number[]
  /** The sender has given up all numbers below: they were acknowledged or sent again. */
  readonly unresolvedFrom: number
  /** What a handshake carries for the gate; a stranger's differs. */
  readonly gate: string | undefined
}

export interface ClosePacket {
  readonly kind: 'close'
  readonly end: number
  readonly wireCode: number
  readonly message: string
  readonly sizeBytes: number
}

/** "I do not know this connection": QUIC's stateless reset (RFC 9000, section 10.3). */
export interface ResetPacket {
  readonly kind: 'reset'
  readonly end: number
  readonly sizeBytes: number
}

/** A datagram of another kind that shares the port. */
export interface ForeignPacket {
  readonly kind: 'foreign'
  readonly bytes: Uint8Array
  readonly sizeBytes: number
}

/** An unreliable message of a connection (RFC 9221): sent once, whatever becomes of it. */
export interface MessagePacket {
  readonly kind: 'message'
  readonly end: number
  /** Counts the messages of its end, so that a duplicate is known. */
  readonly number: number
  readonly bytes: Uint8Array
  readonly sizeBytes: number
}

export type Packet = DataPacket | ClosePacket | ResetPacket | MessagePacket | ForeignPacket

/** Bytes of a packet besides its stream data: short header, tag and stream frame header, roughly. */
export const PACKET_OVERHEAD_BYTES = 40
/** QUIC's first packets are padded to this (RFC 9000, section 14.1). */
export const HANDSHAKE_PACKET_BYTES = 1200

/** Both ends of connection `id` may live in one transport, when it dials itself. */
export const endKey = (id: number, role: 'initiator' | 'acceptor'): number => 2 * id + (role === 'acceptor' ? 1 : 0)
export const peerEndKey = (key: number): number => key ^ 1
export const isAcceptorKey = (key: number): boolean => (key & 1) === 1
