/**
 * TLS for the TCP carrier: version 1.3 only, certificates on both sides, the protocol's name by ALPN (RFC 7301). Node's
 * own judgement of certificates is off, since ours are signed by themselves; verifyCertificate judges them before a byte
 * of a stream is read.
 */
import type { Socket } from 'node:net'
import { connect, createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import { SkeinError } from '../certs/errors.ts'
import type { Identity } from '../certs/identity.ts'
import type { CloseReason } from './transport.ts'

/** As on QUIC (quiche.ts). */
const APPLICATION_PROTOCOL = 'skein/1'
const BINDING_BYTES = 32

export class TcpTls {
  readonly #context: SecureContext

  /** Throws ERR_SKEIN_BAD_IDENTITY for an identity that TLS cannot use. */
  constructor({ privateKeyPem, certificatePem }: Identity) {
    try {
      this.#context = createSecureContext({
        key: privateKeyPem,
        cert: certificatePem,
        minVersion: 'TLSv1.3',
        maxVersion: 'TLSv1.3',
      })
    } catch (cause) {
      throw new SkeinError('ERR_SKEIN_BAD_IDENTITY', 'TLS cannot use this key with this certificate', { cause })
    }
  }

  /** Begins TLS on a connected socket; `secure` is called when both sides have shown their certificates. */
  initiate(socket: Socket, secure: () => void): TLSSocket {
    const tls = connect({
      socket,
      secureContext: this.#context,
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      ALPNProtocols: [APPLICATION_PROTOCOL],
    })
    return tls.once('secureConnect', secure)
  }

  /** The other side of it; what the socket has read already is taken along. */
  accept(socket: Socket, secure: () => void): TLSSocket {
    const tls = new TLSSocket(socket, {
      isServer: true,
      secureContext: this.#context,
      requestCert: true,
      rejectUnauthorized: false,
      ALPNProtocols: [APPLICATION_PROTOCOL],
    })
    // Without a tls.Server around it a socket only tells, by this event, of records that it cannot read, and stays open.
    tls.on('_tlsError', (error: Error) => tls.destroy(error))
    return tls.once('secure', secure)
  }
}

/** The peer's certificate, DER; empty if it showed none. */
export const certificateOf = (tls: TLSSocket): Uint8Array => tls.getPeerX509Certificate()?.raw ?? new Uint8Array(0)

/** What only the two ends of this TLS connection know (RFC 9266: tls-exporter). Throws before TLS is done. */
export const bindingOf = (tls: TLSSocket): Uint8Array =>
  tls.exportKeyingMaterial(BINDING_BYTES, 'EXPORTER-Channel-Binding', Buffer.alloc(0))

/** Both sides named the same protocol. A server refuses others by itself, and lets pass who names none. */
export const speaksOurProtocol = (tls: TLSSocket): boolean => tls.alpnProtocol === APPLICATION_PROTOCOL

/** How the handshake fails by an alert of the peer, in the words that QUIC has for it (RFC 8446, section 6.2). */
export const codeOfAlert = (errorCode: string): CloseReason['code'] | undefined => {
  if (!errorCode.includes('_ALERT_')) return undefined
  if (errorCode.endsWith('NO_APPLICATION_PROTOCOL')) return 'ERR_SKEIN_VERSION'
  return errorCode.endsWith('CERTIFICATE_REQUIRED') ? 'ERR_SKEIN_CERT_MISSING' : 'ERR_SKEIN_CERT_INVALID'
}
