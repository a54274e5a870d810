/**
 * The QUIC carrier: one UDP port, and every connection on it.
 *
 * This is the port as the layer above sees it: opened, dialled from, listened on, closed. What it shares with its connections
 * is in quic-host.ts, what becomes of a datagram in quic-receiver.ts, who gets in in quic-listener.ts.
 */
import { availableParallelism } from 'node:os'
import { isSkeinError, SkeinError } from '../certs/errors.ts'
import type { Identity } from '../certs/identity.ts'
import { type Address, formatAddress } from './address.ts'
import type { Clock } from './clock.ts'
import { failedConnection } from './failed-connection.ts'
import { localHosts } from './local-address.ts'
import { QuicConnection } from './quic-connection.ts'
import { QuicHost } from './quic-host.ts'
import { QuicListener } from './quic-listener.ts'
import { QuicReceiver } from './quic-receiver.ts'
import { QuicTurn } from './quic-turn.ts'
import { loadQuicEngine, MAX_PACKET_BYTES, MIN_INITIAL_BYTES, type QuicSession } from './quiche.ts'
import type { Random } from './random.ts'
import { type SocketWatch, UdpSocket } from './socket.ts'
import type { Connection, ConnectionHandler, ConnectOptions, DatagramKind, Transport } from './transport.ts'
import type { Ways } from './way.ts'

const DEFAULT_CONNECT_TIMEOUT_MS = 5000
/** A closing port waits so long at most for its goodbyes to leave; only those behind bulk have to wait at all. */
const FAREWELL_TIMEOUT_MS = 500

/** What `openQuicTransport` takes. */
export interface QuicTransportOptions {
  /** Literal address to bind; '::' serves IPv4 as well. */
  readonly host: string
  /** 0 for any free port. */
  readonly port: number
  /** A busy port makes way for any free one instead of an error. */
  readonly portFallback?: boolean
  readonly identity: Identity
  /** Derived from the cookies: the first seals, all open. */
  readonly gateKeys: readonly Uint8Array[]
  readonly clock: Clock
  readonly random: Random
  /** Caps the datagram size, bytes; 1200 to 16383. */
  readonly maxPacketBytes?: number
  /** Stays awake while datagrams follow each other closely (busy-poll.ts); true by default. A machine with one core never does. */
  readonly busyPoll?: boolean
  readonly watch?: SocketWatch
}

/**
 * Opens the port. Throws ERR_SKEIN_PLATFORM, ERR_SKEIN_PORT_BUSY, ERR_SKEIN_BIND, ERR_SKEIN_BAD_IDENTITY, ERR_SKEIN_BAD_OPTION, or
 * ERR_SKEIN_BAD_ARGUMENT for keys that the gate does not take.
 */
export const openQuicTransport = async (options: QuicTransportOptions): Promise<QuicTransport> => {
  const cap = options.maxPacketBytes
  if (cap !== undefined && !(Number.isInteger(cap) && cap >= MIN_INITIAL_BYTES && cap <= MAX_PACKET_BYTES)) {
    throw new SkeinError(
      'ERR_SKEIN_BAD_OPTION',
      `maxPacketBytes must be ${MIN_INITIAL_BYTES} to ${MAX_PACKET_BYTES}, not ${cap}`,
    )
  }
  const host = new QuicHost(options, await loadQuicEngine())
  const listener = new QuicListener(host)
  const polls = options.busyPoll !== false && availableParallelism() > 1
  const receiver = new QuicReceiver(host, listener, new QuicTurn(options.clock, host.counters, polls))
  const socket = await openSocket(options, receiver)
  host.bind(socket)
  return new QuicTransport(host, socket, receiver, listener)
}

const openSocket = async (
  { host, port, portFallback, watch }: QuicTransportOptions,
  receiver: QuicReceiver,
): Promise<UdpSocket> => {
  const open = (wanted: number): Promise<UdpSocket> =>
    UdpSocket.open(host, wanted, (datagram, from, fromPort) => receiver.receive(datagram, from, fromPort), watch)
  try {
    return await open(port)
  } catch (error) {
    if (portFallback && isSkeinError(error, 'ERR_SKEIN_PORT_BUSY')) return open(0)
    throw error
  }
}

export class QuicTransport implements Transport {
  readonly kind = 'quic'
  readonly ways: Ways
  readonly #host: QuicHost
  readonly #socket: UdpSocket
  readonly #receiver: QuicReceiver
  readonly #listener: QuicListener
  #closing: Promise<void> | undefined
  /** As the machine told last. */
  #localHosts: readonly string[] = []

  /** @internal Use openQuicTransport. */
  constructor(host: QuicHost, socket: UdpSocket, receiver: QuicReceiver, listener: QuicListener) {
    this.#host = host
    this.#socket = socket
    this.#receiver = receiver
    this.#listener = listener
    this.ways = {
      direct: (address) => host.directTo(address),
      receive: (way, datagram) => receiver.receiveBy(way, datagram),
      gone: (way) => {
        for (const connection of host.table.connections()) connection.wayGone(way)
      },
    }
  }

  addresses(): readonly Address[] {
    const { host, port } = this.#socket.bound
    if (host !== '::' && host !== '0.0.0.0') return [{ host, port }]
    const hosts = localHosts(this.#socket.dualStack)
    if (hosts.length > 0) this.#localHosts = hosts
    return this.#localHosts.map((local) => ({ host: local, port }))
  }

  connect(remote: Address, handler: ConnectionHandler, options: ConnectOptions = {}): Connection {
    const host = this.#host
    const { clock } = host
    if (this.#closing !== undefined)
      return failedConnection(remote, clock, handler, 'ERR_SKEIN_STOPPED', 'this port is closed')
    const way = options.way ?? host.directTo(remote)
    if (way === undefined) {
      const message = `${formatAddress(remote)} cannot be reached from a socket bound to ${this.#socket.bound.host}`
      return failedConnection(remote, clock, handler, 'ERR_SKEIN_BAD_ADDRESS', message)
    }
    const id = host.ids.random()
    const setting = host.settings.of(way)
    const timeoutMs = options.timeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS
    const newSession = (): QuicSession => host.engine.connect(id, setting.config)
    const ticket = host.tickets.take(options.expectedId, remote, clock.now())
    let session = newSession()
    if (ticket !== undefined && !session.resume(ticket.bytes)) session = newSession()
    const connection = new QuicConnection('initiator', session, host, way, setting, timeoutMs)
    connection.handler = handler
    host.table.adopt(connection, session, id)
    connection.requestFlush()
    return connection
  }

  listen(accept: (connection: Connection) => ConnectionHandler): void {
    if (this.#closing === undefined) this.#listener.accept = accept
  }

  sendDatagram(remote: Address, bytes: Uint8Array, hops?: number): void {
    const { counters } = this.#host
    const to = this.#host.wireAddress(remote)
    if (to === undefined) {
      counters.unreachable++
      return
    }
    const copy = Uint8Array.from(bytes)
    if (hops === undefined) this.#socket.send(copy, to.host, to.port)
    else this.#socket.sendNear(copy, to.host, to.port, hops)
    counters.sent++
    counters.sentBytes += bytes.length
  }

  onDatagram(kind: DatagramKind, handler: (bytes: Uint8Array, from: Address) => void): void {
    this.#receiver.handlers[kind] = handler
  }

  useGateKeys(keys: readonly Uint8Array[]): void {
    this.#host.gate.useKeys(keys)
  }

  useIdentity(identity: Identity): void {
    this.#host.useIdentity(identity)
  }

  counters(): Readonly<Record<string, number>> {
    return this.#host.figures()
  }

  /** What the kernel gave of the socket buffers we asked for, bytes. */
  kernelBuffers(): { receiveBytes: number; sendBytes: number } {
    return this.#socket.kernelBuffers()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    const { clock, table } = this.#host
    this.#listener.accept = undefined
    const closing = [...table.connections()]
    for (const connection of closing) {
      connection.close(0, 'closed', 'the node stopped')
      connection.flush()
    }
    // A goodbye may have to wait: for room in the congestion window, or in the kernel's buffer.
    const untilMs = clock.now() + FAREWELL_TIMEOUT_MS
    const isBusy = (): boolean => this.#socket.sendsWaiting || !closing.every((connection) => connection.isGone)
    while (isBusy() && clock.now() < untilMs) await new Promise<void>((resolve) => clock.after(1, resolve))
    for (const connection of closing) connection.abandon()
    await this.#socket.close()
  }
}
