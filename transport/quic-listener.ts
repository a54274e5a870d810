/**
 * Who opens a connection to a QUIC port: strangers that passed the gate are judged by the limits of admission (admission.ts),
 * perhaps after a retry that shows their address, and told which version is spoken here. Nothing is kept of who is not let in.
 */
import { Admission } from './admission.ts'
import { hasZone } from './local-address.ts'
import { QuicConnection } from './quic-connection.ts'
import type { LongHeader } from './quic-header.ts'
import type { QuicHost } from './quic-host.ts'
import { MIN_INITIAL_BYTES } from './quiche.ts'
import { RetryTokens } from './retry-token.ts'
import type { Connection, ConnectionHandler } from './transport.ts'
import type { Way } from './way.ts'

/** A stranger that passed the gate has this long to finish TLS. */
const ACCEPT_TIMEOUT_MS = 3000
/** RFC 9000 7.2: a client's first choice of our id is unpredictable. */
const MIN_CLIENT_ID_BYTES = 8
const RETRY_KEY_BYTES = 32

export class QuicListener {
  readonly #host: QuicHost
  readonly #retryTokens: RetryTokens
  readonly #admission = new Admission()
  /** Takes over each new connection; undefined: nobody is let in. */
  accept: ((connection: Connection) => ConnectionHandler) | undefined

  constructor(host: QuicHost) {
    this.#host = host
    this.#retryTokens = new RetryTokens(host.random.bytes(RETRY_KEY_BYTES))
  }

  /** Tells who speaks another version which one is spoken here. */
  negotiate(header: LongHeader, way: Way): void {
    const host = this.#host
    host.counters.negotiations++
    const out = host.packetBuffer(MIN_INITIAL_BYTES)
    host.transmit(host.engine.negotiateVersion(header.sourceId, header.destinationId, out), way)
  }

  /** The connection that an Initial opens; undefined if it is not to, or not yet. */
  opened(header: LongHeader, way: Way): QuicConnection | undefined {
    const { accept } = this
    if (accept === undefined || header.destinationId.length < MIN_CLIENT_ID_BYTES) return undefined
    const host = this.#host
    const source = way.address
    const now = host.clock.now()
    const { token } = header
    const originalId =
      token === undefined ? undefined : this.#retryTokens.check(token, source, header.destinationId, now)
    const decision = hasZone(source.host) ? 'refuse' : this.#admission.decide(source, now)
    if (decision === 'refuse' || (token !== undefined && originalId === undefined)) {
      host.counters.refused++
      return undefined
    }
    if (originalId === undefined && decision === 'retry') {
      this.#retry(header, way, now)
      return undefined
    }
    const id = originalId === undefined ? host.ids.derive(header.destinationId) : Uint8Array.from(header.destinationId)
    // Here before, and the connection that it opened uses other ids by now.
    if (host.table.isLate(id)) {
      host.counters.late++
      return undefined
    }
    const setting = host.settings.of(way)
    const { config } = setting
    config.setStatelessResetToken(host.ids.resetToken(id))
    const session = host.engine.accept(id, originalId, config)
    config.setStatelessResetToken(null)
    const connection = new QuicConnection('acceptor', session, host, way, setting, ACCEPT_TIMEOUT_MS)
    host.counters.accepted++
    connection.admitted = this.#admission.opened(source)
    connection.handler = accept(connection)
    host.table.adopt(connection, session, id)
    return connection
  }

  #retry(header: LongHeader, way: Way, nowMs: number): void {
    const host = this.#host
    const id = host.ids.derive(header.destinationId)
    const token = this.#retryTokens.issue(way.address, header.destinationId, id, nowMs)
    host.counters.retries++
    const out = host.packetBuffer(MIN_INITIAL_BYTES)
    host.transmit(host.engine.retry(header.sourceId, header.destinationId, id, token, out), way)
  }
}
