/**
 * The TCP carrier, for where UDP does not get through: connections over TLS, each on a TCP connection of its own.
 *
 * A dial begins with a preamble (tcp-gate.ts). The listening side, which is off unless asked for, reads nothing else
 * before, and closes the connection without a byte if it is not a good one in time: a stranger learns that the port
 * is open, no more. Sockets whose preamble has not come are few, and the oldest makes way for the newest; who has shown one is
 * admitted by the same rules as on QUIC (admission.ts), though nobody needs to show his address here: TCP did that.
 *
 * There are no datagrams of other kinds, and no ways: see carriers.ts, which joins this carrier with QUIC.
 */
import { connect, createServer, isIPv6, type Server, type Socket } from 'node:net'
import { type VerifiedPeer, verifyCertificate } from '../certs/certificate.ts'
import { SkeinError } from '../certs/errors.ts'
import type { Identity } from '../certs/identity.ts'
import { type Address, formatAddress, unmapHost } from './address.ts'
import { ADMISSION_LIMITS, Admission, type Admitted } from './admission.ts'
import type { Clock } from './clock.ts'
import { failedConnection } from './failed-connection.ts'
import { localHosts, wireAddress } from './local-address.ts'
import type { Random } from './random.ts'
import { TcpConnection, type TcpConnectionHost } from './tcp-connection.ts'
import { PREAMBLE_BYTES, TcpGate } from './tcp-gate.ts'
import { TcpTls } from './tcp-tls.ts'
import type { CloseReason, Connection, ConnectionHandler, ConnectOptions, Transport } from './transport.ts'

const DEFAULT_CONNECT_TIMEOUT_MS = 5000
/** From the first packet to a good preamble. */
const PREAMBLE_TIMEOUT_MS = 2000
/** From there to the end of TLS. */
const ACCEPT_TIMEOUT_MS = 3000
/** Accepted sockets whose preamble is awaited. */
const MAX_AWAITED = 256
/** A closing port waits so long at most for its goodbyes to leave. */
const CLOSE_TIMEOUT_MS = 500

export interface TcpTransportOptions {
  /** Literal address to bind, also for dials; '::' serves IPv4 as well. */
  readonly host: string
  /** To listen on, 0 for any free one; undefined: does not listen. */
  readonly port: number | undefined
  readonly identity: Identity
  /** Derived from the cookies: the first seals, all open. */
  readonly gateKeys: readonly Uint8Array[]
  readonly clock: Clock
  readonly random: Random
}

/** Opens the port, if one is asked for. Throws ERR_SKEIN_PORT_BUSY, ERR_SKEIN_BIND or ERR_SKEIN_BAD_IDENTITY. */
export const openTcpTransport = async (options: TcpTransportOptions): Promise<TcpTransport> => {
  const transport = new TcpTransport(options)
  if (options.port !== undefined) await transport.bind(options.port)
  return transport
}

export class TcpTransport implements Transport, TcpConnectionHost {
  readonly kind = 'tcp'
  readonly hasTcp = true
  readonly ways = undefined
  readonly clock: Clock
  readonly #host: string
  readonly gate: TcpGate
  #tls: TcpTls
  readonly #admission = new Admission()
  readonly #admitted = new Map<TcpConnection, Admitted>()
  readonly #connections = new Set<TcpConnection>()
  /** Accepted, and without a preamble so far, the oldest first; each with what ends its wait. */
  readonly #awaited = new Map<Socket, () => void>()
  readonly #counters = { accepted: 0, gated: 0, stale: 0, replayed: 0, overflow: 0, refused: 0, unreachable: 0 }
  #accept: ((connection: Connection) => ConnectionHandler) | undefined
  #server: Server | undefined
  #closing: Promise<void> | undefined

  constructor({ host, identity, gateKeys, clock, random }: TcpTransportOptions) {
    this.#host = host
    this.clock = clock
    this.gate = new TcpGate(gateKeys, random)
    this.#tls = new TcpTls(identity)
  }

  /** Begins to listen; once. */
  bind(port: number): Promise<void> {
    const host = this.#host
    const server = createServer({ noDelay: true }, (socket) => this.#incoming(socket))
    server.maxConnections = ADMISSION_LIMITS.connections + MAX_AWAITED
    return new Promise((resolve, reject) => {
      server.once('error', (cause: NodeJS.ErrnoException) => reject(bindError(host, port, cause)))
      server.listen({ host, port, ipv6Only: host !== '::' && isIPv6(host), exclusive: true }, () => {
        server.removeAllListeners('error')
        // Later errors concern single connections that could not be accepted, for want of descriptors.
        server.on('error', () => {})
        this.#server = server
        resolve()
      })
    })
  }

  /** Where it listens; none if it does not. */
  addresses(): readonly Address[] {
    const bound = this.#server?.address()
    if (bound === null || typeof bound !== 'object') return []
    const { address, port } = bound
    if (address !== '::' && address !== '0.0.0.0') return [{ host: address, port }]
    return localHosts(address === '::').map((host) => ({ host, port }))
  }

  connect(remote: Address, handler: ConnectionHandler, options: ConnectOptions = {}): Connection {
    if (this.#closing !== undefined) return this.#failed(remote, handler, 'ERR_SKEIN_STOPPED', 'this port is closed')
    const isAnywhere = this.#host === '::' || this.#host === '0.0.0.0'
    const to = wireAddress(remote, this.#host, this.#host === '::')
    if (to === undefined) {
      const message = `${formatAddress(remote)} cannot be reached from ${this.#host}`
      return this.#failed(remote, handler, 'ERR_SKEIN_BAD_ADDRESS', message)
    }
    const socket = connect({ ...to, noDelay: true, ...(isAnywhere ? {} : { localAddress: this.#host }) })
    const timeoutMs = options.timeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS
    const connection = new TcpConnection('initiator', socket, remote, this, timeoutMs)
    connection.handler = handler
    this.#connections.add(connection)
    socket.once('connect', () => {
      socket.write(this.gate.seal(this.clock.wallNow()))
      const tls = this.#tls.initiate(socket, () => connection.secured(tls))
      connection.wrap(tls)
    })
    return connection
  }

  listen(accept: (connection: Connection) => ConnectionHandler): void {
    this.#accept = accept
  }

  /** There are none on TCP: it is lost, as UDP may lose any. */
  sendDatagram(): void {
    this.#counters.unreachable++
  }

  onDatagram(): void {}

  useGateKeys(keys: readonly Uint8Array[]): void {
    this.gate.useKeys(keys)
  }

  useIdentity(identity: Identity): void {
    this.#tls = new TcpTls(identity)
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, awaited: this.#awaited.size, connections: this.#connections.size }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const server = this.#server
    const closed = new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())))
    for (const giveUp of [...this.#awaited.values()]) giveUp()
    const closing = [...this.#connections]
    for (const connection of closing) connection.close(0, 'closed', 'the node stopped')
    const untilMs = this.clock.now() + CLOSE_TIMEOUT_MS
    while (this.#connections.size > 0 && this.clock.now() < untilMs)
      await new Promise<void>((resolve) => this.clock.after(1, resolve))
    for (const connection of closing) connection.abandon()
    await closed
  }

  // ---- incoming

  #incoming(socket: Socket): void {
    socket.on('error', () => {})
    if (this.#accept === undefined || this.#closing !== undefined) return void socket.destroy()
    if (this.#awaited.size >= MAX_AWAITED) {
      const [giveUp] = this.#awaited.values()
      this.#counters.overflow++
      giveUp?.()
    }
    const look = (): void => {
      const preamble: Buffer | null = socket.read(PREAMBLE_BYTES)
      if (preamble === null) return
      over()
      this.#judge(socket, preamble)
    }
    const over = (): void => {
      timer.cancel()
      socket.removeListener('readable', look).removeListener('close', over)
      this.#awaited.delete(socket)
    }
    const giveUp = (): void => {
      over()
      socket.destroy()
    }
    const timer = this.clock.after(PREAMBLE_TIMEOUT_MS, giveUp)
    this.#awaited.set(socket, giveUp)
    socket.on('readable', look).once('close', over)
  }

  #judge(socket: Socket, preamble: Uint8Array): void {
    const verdict = this.gate.open(preamble, this.clock.wallNow())
    const { remoteAddress, remotePort } = socket
    if (verdict !== 'member' || remoteAddress === undefined || remotePort === undefined) {
      if (verdict === 'stranger') this.#counters.gated++
      else if (verdict !== 'member') this.#counters[verdict]++
      socket.destroy()
      return
    }
    const remote: Address = { host: unmapHost(remoteAddress), port: remotePort }
    // Retry shows that somebody receives at his address: TCP's own handshake did.
    if (this.#accept === undefined || this.#admission.decide(remote, this.clock.now()) === 'refuse') {
      this.#counters.refused++
      socket.destroy()
      return
    }
    const connection = new TcpConnection('acceptor', socket, remote, this, ACCEPT_TIMEOUT_MS)
    this.#counters.accepted++
    this.#admitted.set(connection, this.#admission.opened(remote))
    this.#connections.add(connection)
    connection.handler = this.#accept(connection)
    // Whoever takes it may have closed it at once.
    if (socket.destroyed) return
    const tls = this.#tls.accept(socket, () => connection.secured(tls))
    connection.wrap(tls)
  }

  // ---- what connections need (TcpConnectionHost)

  verify(certificate: Uint8Array): VerifiedPeer {
    return verifyCertificate(certificate, this.clock.wallNow())
  }

  opened(connection: TcpConnection): void {
    this.#admitted.get(connection)?.established()
  }

  ended(connection: TcpConnection): void {
    this.#connections.delete(connection)
    this.#admitted.get(connection)?.closed()
    this.#admitted.delete(connection)
  }

  #failed(remote: Address, handler: ConnectionHandler, code: CloseReason['code'], message: string): Connection {
    return { ...failedConnection(remote, this.clock, handler, code, message), carrier: 'tcp' }
  }
}

const bindError = (host: string, port: number, cause: NodeJS.ErrnoException): SkeinError =>
  cause.code === 'EADDRINUSE'
    ? new SkeinError('ERR_SKEIN_PORT_BUSY', `TCP port ${port} on ${host} is in use`, { cause })
    : new SkeinError('ERR_SKEIN_BIND', `cannot listen on TCP ${host} port ${port}: ${cause.code ?? cause.message}`, {
        cause,
      })
