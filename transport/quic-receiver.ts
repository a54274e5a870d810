/**
 * What becomes of a datagram that came in: it is classified (demux.ts); a long header must pass the gate before anything else
 * looks at it; a short header must name a connection. Then it goes to its connection (quic-turn.ts), or opens one
 * (quic-listener.ts).
 *
 * The port is silent to strangers: without the gate's tag nothing is answered, not even a version negotiation, and a
 * stateless reset only goes to someone who names a connection id that we sealed (connection-id.ts).
 */
import type { Address } from './address.ts'
import { CONNECTION_ID_BYTES } from './connection-id.ts'
import type { ConnectionTable } from './connection-table.ts'
import { classify } from './demux.ts'
import { DirectWay } from './direct-ways.ts'
import type { QuicConnection } from './quic-connection.ts'
import type { QuicCounters } from './quic-counters.ts'
import { parseLongHeader, supportedVersion } from './quic-header.ts'
import type { QuicHost } from './quic-host.ts'
import type { QuicListener } from './quic-listener.ts'
import type { QuicTurn } from './quic-turn.ts'
import { ResetLimit } from './reset-limit.ts'
import type { DatagramKind } from './transport.ts'
import type { Way } from './way.ts'

export class QuicReceiver {
  readonly #host: QuicHost
  readonly #table: ConnectionTable
  readonly #counters: QuicCounters
  readonly #listener: QuicListener
  readonly #turn: QuicTurn
  readonly #resets = new ResetLimit()
  /** Who takes the datagrams of other kinds. */
  readonly handlers: Partial<Record<DatagramKind, (bytes: Uint8Array, from: Address) => void>> = {}

  constructor(host: QuicHost, listener: QuicListener, turn: QuicTurn) {
    this.#host = host
    this.#table = host.table
    this.#counters = host.counters
    this.#listener = listener
    this.#turn = turn
  }

  /** From the socket. */
  receive(datagram: Buffer, fromHost: string, fromPort: number): void {
    const kind = this.#kindOf(datagram)
    if (kind === 'short') {
      const connection = this.#table.ofShort(datagram)
      if (connection !== undefined) this.#turn.give(connection, datagram, this.#wayFrom(connection, fromHost, fromPort))
      else if (this.#mayBeReset()) this.#receiveUnconnected(datagram, this.#host.direct.to(fromHost, fromPort))
    } else if (kind === 'long') {
      const opened = this.#opened(datagram)
      if (opened !== undefined) return this.#receiveLong(opened, this.#host.direct.to(fromHost, fromPort))
    } else if (kind === 'unknown') this.#counters.unknown++
    else {
      this.#counters[kind === 'krpc' ? 'krpc' : 'probes']++
      return this.handlers[kind]?.(datagram, { host: fromHost, port: fromPort })
    }
    this.#turn.spent.add(datagram)
  }

  /** By a way that somebody else found. It carries nothing but QUIC. */
  receiveBy(way: Way, datagram: Uint8Array): void {
    const kind = this.#kindOf(datagram)
    if (kind === 'short') {
      const connection = this.#table.ofShort(datagram)
      if (connection !== undefined) this.#turn.give(connection, datagram, way)
      else if (this.#mayBeReset()) this.#receiveUnconnected(datagram, way)
    } else if (kind === 'long') {
      const opened = this.#opened(datagram)
      if (opened !== undefined) this.#receiveLong(opened, way)
    } else this.#counters.unknown++
  }

  #kindOf(datagram: Uint8Array): ReturnType<typeof classify> {
    this.#counters.received++
    this.#counters.receivedBytes += datagram.length
    return classify(datagram)
  }

  /** Most come the way as the one before. */
  #wayFrom(connection: QuicConnection, host: string, port: number): Way {
    const { way } = connection
    const isSame = way instanceof DirectWay && way.port === port && way.wireHost === host
    return isSame ? way : this.#host.direct.to(host, port)
  }

  /** A datagram with a long header without its tag; undefined, and counted, where that is none of ours or it is of no use. */
  #opened(sealed: Uint8Array): Uint8Array | undefined {
    const length = this.#table.mayConcern(sealed) ? this.#host.gate.open(sealed) : -1
    if (length >= 0) return sealed.subarray(0, length)
    this.#counters.gated++
    return undefined
  }

  #receiveLong(datagram: Uint8Array, way: Way): void {
    const header = parseLongHeader(datagram)
    if (header === undefined) {
      this.#counters.invalid++
      return
    }
    let connection = this.#table.ofLong(header)
    if (connection === undefined) {
      if (header.version !== supportedVersion && header.type !== 'negotiation')
        return this.#listener.negotiate(header, way)
      if (header.type !== 'initial') {
        this.#counters.unconnected++
        return
      }
      connection = this.#listener.opened(header, way)
    }
    if (connection !== undefined) this.#turn.give(connection, datagram, way)
  }

  /** A short header names no connection: it counts, and is looked at if there were not too many. */
  #mayBeReset(): boolean {
    this.#counters.unconnected++
    return this.#resets.allows(this.#host.clock.now())
  }

  /**
   * A short header that names no connection. It may be a stateless reset (RFC 9000 10.3), which only looks like a packet:
   * the connections with its sender know by its token. Or its sender talks to our predecessor: then we send one.
   */
  #receiveUnconnected(datagram: Uint8Array, way: Way): void {
    const id = datagram.subarray(1, 1 + CONNECTION_ID_BYTES)
    const reset = this.#host.ids.statelessReset(id, datagram.length)
    if (reset !== undefined) {
      if (this.#table.isLate(id)) {
        this.#counters.late++
        return
      }
      this.#counters.resets++
      way.send(reset, reset.length)
      return
    }
    for (const connection of this.#table.connections()) {
      // Before TLS is done quiche knows the token of the session it resumes, and a reset of that one would end this one.
      if (!connection.isOpen || connection.way.key !== way.key) continue
      connection.receive(Buffer.from(datagram), way)
      connection.work()
    }
  }
}
