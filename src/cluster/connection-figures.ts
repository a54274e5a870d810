/**
 * How the connection to one node fares, in figures for people.
 */
import { formatAddress } from '../../transport/address.ts'
import type { LaneConnection } from '../../transport/lane.ts'
import type { ConnectedNode } from './connected-node.ts'
import type { Peer } from './peer.ts'

/** The connection to one node. */
export interface ConnectionFigures {
  /** name@host */
  readonly node: string
  readonly address: string
  /** Straight from the port, from a socket of its own, through a relay, or over TCP. */
  readonly way: ConnectedNode['way']
  readonly hidden: boolean
  readonly dialled: boolean
  readonly protocolVersion: number
  /** Smoothed round trip, whole milliseconds on QUIC. */
  readonly rttMs: number
  readonly sentBytes: number
  readonly receivedBytes: number
  readonly lostPackets: number
  /** Datagram size in use, bytes. */
  readonly pathSizeBytes: number
  /** Since the last valid packet. */
  readonly silentMs: number
  /** Of heavy senders, in this direction. */
  readonly dedicatedLanes: number
  /** Incoming lanes that wait for a full mailbox. */
  readonly heldLanes: number
  /** That wait to be written, in all lanes. */
  readonly queuedBytes: number
}

export const figuresOf = (
  { name: node, address, way, hidden, dialled }: ConnectedNode,
  peer: Peer,
  lanes: LaneConnection,
  nowMs: number,
): ConnectionFigures => ({
  node,
  address: formatAddress(address),
  way,
  hidden,
  dialled,
  protocolVersion: peer.version ?? 0,
  ...lanes.connection.stats(),
  silentMs: Math.max(0, nowMs - lanes.lastHeardMs),
  ...lanes.figures(),
})
