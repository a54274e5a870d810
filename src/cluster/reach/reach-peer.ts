/**
 * A connected member, as those see it who find ways to others through it. It belongs to one session.
 */
import type { Address } from '../../../transport/address.ts'

export interface ReachPeer {
  readonly id: string
  readonly name: string
  /** Where it is seen at. */
  readonly address: Address
  /** On the control lane: in order and reliable. */
  sendFrame(type: number, body: Uint8Array): void
  /** Unreliable, at most MAX_DATAGRAM_BYTES. False: it was not taken. */
  sendDatagram(bytes: Uint8Array): boolean
}
