/** `skein/transport`: the carrier by itself, for those who build something else on it. */
export type { ErrorCode } from '../certs/errors.ts'
export type { Address } from './address.ts'
export { type Clock, systemClock, type Timer } from './clock.ts'
export type { Hold, LaneConnection, LaneSender, LanesHandler } from './lane.ts'
export { Lanes, type LanesOptions } from './lanes.ts'
export { openQuicTransport, type QuicTransport, type QuicTransportOptions } from './quic-transport.ts'
export { type Random, systemRandom } from './random.ts'
export type {
  CloseReason,
  Connection,
  ConnectionHandler,
  ConnectionStats,
  DatagramKind,
  ReadResult,
  Transport,
} from './transport.ts'
