/** Why a QUIC connection ended, in the words that every carrier uses. */
import { boundedCloseMessage, codeOfWire, transportCode } from './close-codes.ts'
import type { SessionEnd } from './quiche.ts'
import type { CloseReason } from './transport.ts'

export const closeReasonOf = (end: SessionEnd, isConnecting: boolean): CloseReason => {
  if (end.type === 'closed') {
    const code = end.application ? codeOfWire(end.code) : transportCode(end.code)
    const message = boundedCloseMessage(end.reason) || `QUIC error 0x${end.code.toString(16)}`
    return { code, message, byPeer: end.byPeer, wireCode: end.code }
  }
  if (end.type === 'reset') {
    const message = 'the peer knows nothing of this connection any more'
    return { code: 'ERR_SKEIN_CONNECTION_LOST', message, byPeer: true, wireCode: 0 }
  }
  const code = isConnecting ? 'ERR_SKEIN_CONNECT_TIMEOUT' : 'ERR_SKEIN_CONNECTION_LOST'
  return { code, message: 'the peer fell silent', byPeer: false, wireCode: 0 }
}
