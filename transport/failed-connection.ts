/**
 * A connection that failed before anything was sent: the address cannot be reached from this port, or the port is
 * closed. It behaves as every ended connection does; its handler hears why at the end of the turn.
 */
import type { Address } from './address.ts'
import type { Clock } from './clock.ts'
import type { CloseReason, Connection, ConnectionHandler } from './transport.ts'

export const failedConnection = (
  remote: Address,
  clock: Clock,
  handler: ConnectionHandler,
  code: CloseReason['code'],
  message: string,
): Connection => {
  clock.endOfTurn(() => handler.onClosed({ code, message, byPeer: false, wireCode: 0 }))
  return {
    carrier: 'quic',
    role: 'initiator',
    remote,
    way: undefined,
    peer: undefined,
    lastHeardMs: clock.now(),
    sentBytes: 0,
    openStream: () => -1,
    write: () => 0,
    blocked: () => true,
    bulkRoomBytes: () => 0,
    read: () => ({ bytes: 0, finished: false, reset: false }),
    sendDatagram: () => false,
    offer: () => {},
    reset: () => {},
    requestFlush() {},
    close() {},
    stats: () => ({ rttMs: 0, sentBytes: 0, receivedBytes: 0, lostPackets: 0, pathSizeBytes: 0 }),
  }
}
