/**
 * The QUIC carrier: one UDP port, and every connection on it.
 *
 * A datagram is classified (demux.ts); a long header must pass the gate before anything else looks at it; a short header
 * must name a connection. Then it goes to its connection, and when all datagrams of the turn are in, each connection
 * works once. While turns bring one datagram each they are worked at once, which saves a round of the event loop; as soon
 * as one brings more, the rest of that turn and the next are batched (measured: 101 against 877 Mb/s in bulk).
 *
 * The port is silent to strangers: without the gate's tag nothing is answered, not even a version negotiation, and a
 * stateless reset only goes to someone who names a connection id that we sealed (connection-id.ts).
 */
import { createHmac } from 'node:crypto'
import { availableParallelism } from 'node:os'
import { type VerifiedPeer, verifyCertificate } from '../certs/certificate.ts'
import { isSkeinError, SkeinError } from '../certs/errors.ts'
import type { Identity } from '../certs/identity.ts'
import { type Address, formatAddress } from './address.ts'
import { Admission } from './admission.ts'
import { BusyPoll } from './busy-poll.ts'
import type { Clock } from './clock.ts'
import { CONNECTION_ID_BYTES, ConnectionIds } from './connection-id.ts'
import { ConnectionTable } from './connection-table.ts'
import { classify } from './demux.ts'
import { DirectWay, DirectWays } from './direct-ways.ts'
import { failedConnection } from './failed-connection.ts'
import { GATE_TAG_BYTES, Gate } from './gate.ts'
import { hasZone, localHosts, wireAddress } from './local-address.ts'
import { PacketBuffer } from './packet-buffer.ts'
import { PathSettings } from './path-settings.ts'
import type { PathSize } from './path-size.ts'
import { type ConnectionHost, QuicConnection } from './quic-connection.ts'
import { newCounters } from './quic-counters.ts'
import { type LongHeader, parseLongHeader, supportedVersion } from './quic-header.ts'
import {
  loadQuicEngine,
  MAX_PACKET_BYTES,
  MIN_INITIAL_BYTES,
  type QuicEngine,
  type QuicSession,
  TICKET_KEY_BYTES,
} from './quiche.ts'
import type { Random } from './random.ts'
import { ResetLimit } from './reset-limit.ts'
import { RetryTokens } from './retry-token.ts'
import { type SocketWatch, UdpSocket } from './socket.ts'
import { SpentBuffers } from './spent-buffers.ts'
import { Tickets } from './tickets.ts'
import type { Connection, ConnectionHandler, ConnectOptions, DatagramKind, Transport } from './transport.ts'
import type { Way, Ways } from './way.ts'

const DEFAULT_CONNECT_TIMEOUT_MS = 5000
/** A stranger that passed the gate has this long to finish TLS. */
const ACCEPT_TIMEOUT_MS = 3000
/** Turns of one datagram before we trust that the next brings one too. */
const SINGLES_BEFORE_INLINE = 2
/** A conversation takes no more datagrams than this in a turn, each way; more is bulk. */
const TALK_DATAGRAMS = 2
/** RFC 9000 7.2: a client's first choice of our id is unpredictable. */
const MIN_CLIENT_ID_BYTES = 8
/** A closing port waits so long at most for its goodbyes to leave; only those behind bulk have to wait at all. */
const FAREWELL_TIMEOUT_MS = 500

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

/** Opens the port. Throws ERR_SKEIN_PLATFORM, ERR_SKEIN_PORT_BUSY, ERR_SKEIN_BIND, ERR_SKEIN_BAD_IDENTITY or ERR_SKEIN_BAD_OPTION. */
export const openQuicTransport = async (options: QuicTransportOptions): Promise<QuicTransport> => {
  const cap = options.maxPacketBytes
  if (cap !== undefined && !(Number.isInteger(cap) && cap >= MIN_INITIAL_BYTES && cap <= MAX_PACKET_BYTES)) {
    throw new SkeinError(
      'ERR_SKEIN_BAD_OPTION',
      `maxPacketBytes must be ${MIN_INITIAL_BYTES} to ${MAX_PACKET_BYTES}, not ${cap}`,
    )
  }
  const transport = new QuicTransport(options, await loadQuicEngine())
  await transport.bind()
  return transport
}

export class QuicTransport implements Transport, ConnectionHost {
  readonly kind = 'quic'
  readonly clock: Clock
  readonly random: Random
  readonly ways: Ways = {
    direct: (address) => this.#directTo(address),
    receive: (way, datagram) => this.#receiveBy(way, datagram),
    gone: (way) => {
      for (const connection of this.#table.connections()) connection.wayGone(way)
    },
  }
  readonly #options: QuicTransportOptions
  readonly #engine: QuicEngine
  readonly #gate: Gate
  readonly #ids: ConnectionIds
  readonly #retryTokens: RetryTokens
  readonly #admission: Admission
  readonly #counters = newCounters()
  readonly #table: ConnectionTable
  readonly #settings: PathSettings
  readonly #tickets = new Tickets((certificate) => this.verify(certificate))
  /** Those with input of this turn. */
  #dirty = new Set<QuicConnection>()
  readonly #datagramHandlers: Partial<Record<DatagramKind, (bytes: Uint8Array, from: Address) => void>> = {}
  readonly #endOfInput = (): void => this.#inputIsIn()
  #accept: ((connection: Connection) => ConnectionHandler) | undefined
  #socket!: UdpSocket
  #direct!: DirectWays
  #closing: Promise<void> | undefined
  /** As the machine told last. */
  #hosts: readonly string[] = []
  readonly #out = new PacketBuffer(MAX_PACKET_BYTES + GATE_TAG_BYTES)
  readonly #spent = new SpentBuffers()
  readonly #busyPoll: BusyPoll | undefined
  #turnDatagrams = 0
  /** Datagrams sent when input was handled last. */
  #sentBefore = 0
  #singleTurns = 0
  readonly #resets = new ResetLimit()

  /** @internal Use openQuicTransport. */
  constructor(options: QuicTransportOptions, engine: QuicEngine) {
    this.#options = options
    this.#engine = engine
    this.clock = options.clock
    this.random = options.random
    if (options.busyPoll !== false && availableParallelism() > 1) this.#busyPoll = new BusyPoll(options.clock)
    this.#gate = new Gate(options.gateKeys)
    // Bound to the identity, not to this run: our successor on this port can reset what we left behind.
    this.#ids = new ConnectionIds(
      createHmac('sha256', options.identity.privateKeyPem).update('skein connection ids').digest(),
      options.random,
    )
    this.#table = new ConnectionTable(this.#ids)
    this.#retryTokens = new RetryTokens(options.random.bytes(32))
    this.#admission = new Admission()
    this.#settings = new PathSettings(
      engine,
      options.identity,
      options.random.bytes(TICKET_KEY_BYTES),
      options.maxPacketBytes,
    )
  }

  async bind(): Promise<void> {
    const { host, port, portFallback, watch } = this.#options
    const receive = (datagram: Buffer, fromHost: string, fromPort: number): void =>
      this.#receive(datagram, fromHost, fromPort)
    try {
      this.#socket = await UdpSocket.open(host, port, receive, watch)
    } catch (error) {
      if (!(portFallback && isSkeinError(error, 'ERR_SKEIN_PORT_BUSY'))) throw error
      this.#socket = await UdpSocket.open(host, 0, receive, watch)
    }
    this.#direct = new DirectWays(this.#socket)
  }

  addresses(): readonly Address[] {
    const { host, port } = this.#socket.bound
    if (host !== '::' && host !== '0.0.0.0') return [{ host, port }]
    const hosts = localHosts(this.#socket.dualStack)
    if (hosts.length > 0) this.#hosts = hosts
    return this.#hosts.map((local) => ({ host: local, port }))
  }

  connect(remote: Address, handler: ConnectionHandler, options: ConnectOptions = {}): Connection {
    if (this.#closing !== undefined)
      return failedConnection(remote, this.clock, handler, 'ERR_SKEIN_STOPPED', 'this port is closed')
    const way = options.way ?? this.#directTo(remote)
    if (way === undefined) {
      const message = `${formatAddress(remote)} cannot be reached from a socket bound to ${this.#socket.bound.host}`
      return failedConnection(remote, this.clock, handler, 'ERR_SKEIN_BAD_ADDRESS', message)
    }
    const id = this.#ids.random()
    const setting = this.#settings.of(way)
    const timeoutMs = options.timeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS
    const newSession = (): QuicSession => this.#engine.connect(id, setting.config)
    const ticket = this.#tickets.take(options.expectedId, remote, this.clock.now())
    let session = newSession()
    if (ticket !== undefined && !session.resume(ticket.bytes)) session = newSession()
    const connection = new QuicConnection('initiator', session, this, way, setting, timeoutMs)
    connection.handler = handler
    this.#table.adopt(connection, session, id)
    connection.requestFlush()
    return connection
  }

  listen(accept: (connection: Connection) => ConnectionHandler): void {
    this.#accept = accept
  }

  #directTo(address: Address): DirectWay | undefined {
    const to = this.#toWire(address)
    return to === undefined ? undefined : this.#direct.to(to.host, to.port)
  }

  sendDatagram(remote: Address, bytes: Uint8Array, hops?: number): void {
    const to = this.#toWire(remote)
    if (to === undefined) {
      this.#counters.unreachable++
      return
    }
    const copy = Uint8Array.from(bytes)
    if (hops === undefined) this.#socket.send(copy, to.host, to.port)
    else this.#socket.sendNear(copy, to.host, to.port, hops)
    this.#counters.sent++
    this.#counters.sentBytes += bytes.length
  }

  onDatagram(kind: DatagramKind, handler: (bytes: Uint8Array, from: Address) => void): void {
    this.#datagramHandlers[kind] = handler
  }

  useGateKeys(keys: readonly Uint8Array[]): void {
    this.#gate.useKeys(keys)
  }

  useIdentity(identity: Identity): void {
    this.#settings.renew(identity, this.random.bytes(TICKET_KEY_BYTES))
    this.#tickets.renewed(this.#table.connections())
  }

  counters(): Readonly<Record<string, number>> {
    let { invalid, droppedMessages } = this.#counters
    for (const connection of this.#table.connections()) {
      invalid += connection.invalidDatagrams
      droppedMessages += connection.droppedMessages
    }
    return {
      ...this.#counters,
      invalid,
      droppedMessages,
      connections: this.#table.size,
      connectionIds: this.#table.idCount,
      tickets: this.#tickets.size,
    }
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
    const closing = [...this.#table.connections()]
    for (const connection of closing) {
      connection.close(0, 'closed', 'the node stopped')
      connection.flush()
    }
    // A goodbye may have to wait: for room in the congestion window, or in the kernel's buffer.
    const untilMs = this.clock.now() + FAREWELL_TIMEOUT_MS
    const isBusy = (): boolean => this.#socket.sendsWaiting || !closing.every((connection) => connection.isGone)
    while (isBusy() && this.clock.now() < untilMs) await new Promise<void>((resolve) => this.clock.after(1, resolve))
    for (const connection of closing) connection.abandon()
    await this.#socket.close()
  }

  // ---- datagrams in

  /** From the socket. */
  #receive(datagram: Buffer, host: string, port: number): void {
    const counters = this.#counters
    counters.received++
    counters.receivedBytes += datagram.length
    const kind = classify(datagram)
    if (kind === 'short') {
      const connection = this.#table.ofShort(datagram)
      if (connection !== undefined) this.#give(connection, datagram, this.#wayFrom(connection, host, port))
      else if (this.#mayBeReset()) this.#receiveUnconnected(datagram, this.#direct.to(host, port))
    } else if (kind === 'long') {
      const opened = this.#opened(datagram)
      if (opened !== undefined) return this.#receiveLong(opened, this.#direct.to(host, port))
    } else if (kind === 'unknown') counters.unknown++
    else {
      counters[kind === 'krpc' ? 'krpc' : 'probes']++
      return this.#datagramHandlers[kind]?.(datagram, { host, port })
    }
    this.#spent.add(datagram)
  }

  /** Most come the way as the one before. */
  #wayFrom(connection: QuicConnection, host: string, port: number): Way {
    const { way } = connection
    return way instanceof DirectWay && way.port === port && way.wireHost === host ? way : this.#direct.to(host, port)
  }

  /** By a way that somebody else found. It carries nothing but QUIC. */
  #receiveBy(way: Way, datagram: Uint8Array): void {
    this.#counters.received++
    this.#counters.receivedBytes += datagram.length
    const kind = classify(datagram)
    if (kind === 'short') {
      const connection = this.#table.ofShort(datagram)
      if (connection !== undefined) this.#give(connection, datagram, way)
      else if (this.#mayBeReset()) this.#receiveUnconnected(datagram, way)
    } else if (kind === 'long') {
      const opened = this.#opened(datagram)
      if (opened !== undefined) this.#receiveLong(opened, way)
    } else this.#counters.unknown++
  }

  /** A datagram with a long header without its tag; undefined, and counted, where that is none of ours or it is of no use. */
  #opened(sealed: Uint8Array): Uint8Array | undefined {
    const length = this.#table.mayConcern(sealed) ? this.#gate.open(sealed) : -1
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
    const connection = this.#table.ofLong(header)
    if (connection !== undefined) return this.#give(connection, datagram, way)
    if (header.version !== supportedVersion && header.type !== 'negotiation') return this.#negotiate(header, way)
    if (header.type !== 'initial') {
      this.#counters.unconnected++
      return
    }
    const accepted = this.#newConnection(header, way)
    if (accepted !== undefined) this.#give(accepted, datagram, way)
  }

  #negotiate(header: LongHeader, way: Way): void {
    this.#counters.negotiations++
    const out = this.packetBuffer(MIN_INITIAL_BYTES)
    this.transmit(this.#engine.negotiateVersion(header.sourceId, header.destinationId, out), way)
  }

  #newConnection(header: LongHeader, way: Way): QuicConnection | undefined {
    if (this.#accept === undefined || this.#closing !== undefined || header.destinationId.length < MIN_CLIENT_ID_BYTES)
      return undefined
    const source = way.address
    const now = this.clock.now()
    const hasToken = header.token !== undefined && header.token.length > 0
    const originalId = hasToken
      ? this.#retryTokens.check(header.token as Uint8Array, source, header.destinationId, now)
      : undefined
    const decision = hasZone(source.host) ? 'refuse' : this.#admission.decide(source, now)
    if (decision === 'refuse' || (hasToken && originalId === undefined)) {
      this.#counters.refused++
      return undefined
    }
    if (decision === 'retry' && originalId === undefined) {
      const id = this.#ids.derive(header.destinationId)
      const token = this.#retryTokens.issue(source, header.destinationId, id, now)
      this.#counters.retries++
      const out = this.packetBuffer(MIN_INITIAL_BYTES)
      this.transmit(this.#engine.retry(header.sourceId, header.destinationId, id, token, out), way)
      return undefined
    }
    const id = originalId === undefined ? this.#ids.derive(header.destinationId) : Uint8Array.from(header.destinationId)
    // Here before, and the connection that it opened uses other ids by now.
    if (this.#table.isLate(id)) {
      this.#counters.late++
      return undefined
    }
    const setting = this.#settings.of(way)
    const { config } = setting
    config.setStatelessResetToken(this.#ids.resetToken(id))
    const session = this.#engine.accept(id, originalId, config)
    config.setStatelessResetToken(null)
    const connection = new QuicConnection('acceptor', session, this, way, setting, ACCEPT_TIMEOUT_MS)
    this.#counters.accepted++
    connection.admitted = this.#admission.opened(source)
    connection.handler = this.#accept(connection)
    this.#table.adopt(connection, session, id)
    return connection
  }

  #give(connection: QuicConnection, datagram: Uint8Array, way: Way): void {
    connection.receive(datagram, way)
    if (this.#turnDatagrams++ === 0) {
      this.clock.afterInput(this.#endOfInput)
      if (this.#singleTurns >= SINGLES_BEFORE_INLINE) return connection.work()
    }
    this.#dirty.add(connection)
  }

  /** The turn's datagrams are in. */
  #inputIsIn(): void {
    const isBatch = this.#turnDatagrams > 1
    const isTalk = this.#turnDatagrams <= TALK_DATAGRAMS && this.#counters.sent - this.#sentBefore <= TALK_DATAGRAMS
    this.#sentBefore = this.#counters.sent
    this.#singleTurns = isBatch ? 0 : this.#singleTurns + 1
    this.#turnDatagrams = 0
    const dirty = this.#dirty
    // A relayed datagram comes in within the work of another connection: it belongs to the next round.
    this.#dirty = new Set()
    if (isBatch) for (const connection of dirty) connection.acknowledge()
    for (const connection of dirty) connection.work()
    this.#spent.release()
    this.#busyPoll?.inputHandled(isTalk)
  }

  /** A short header names no connection: it counts, and is looked at if there were not too many. */
  #mayBeReset(): boolean {
    this.#counters.unconnected++
    return this.#resets.allows(this.clock.now())
  }

  /**
   * A short header that names no connection. It may be a stateless reset (RFC 9000 10.3), which only looks like a packet:
   * the connections with its sender know by its token. Or its sender talks to our predecessor: then we send one.
   */
  #receiveUnconnected(datagram: Uint8Array, way: Way): void {
    const id = datagram.subarray(1, 1 + CONNECTION_ID_BYTES)
    const reset = this.#ids.statelessReset(id, datagram.length)
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

  // ---- what connections need (ConnectionHost)

  packetBuffer(sizeBytes: number): Uint8Array {
    return this.#out.view(sizeBytes)
  }

  transmit(length: number, by: Way): void {
    const { bytes } = this.#out
    const sealed = ((bytes[0] as number) & 0x80) === 0 ? length : this.#gate.seal(bytes, length)
    this.#counters.sent++
    this.#counters.sentBytes += sealed
    if (!(by instanceof DirectWay)) return by.send(bytes, sealed)
    // Where the kernel's queue is full libuv still holds this buffer.
    if (!this.#socket.send(this.packetBuffer(sealed), by.wireHost, by.port)) this.#out.leave()
  }

  pathSize(way: Way, largestBytes: number): PathSize {
    return this.#settings.pathSize(way, largestBytes)
  }

  verify(certificate: Uint8Array): VerifiedPeer {
    return verifyCertificate(certificate, this.clock.wallNow())
  }

  issueIds(connection: QuicConnection): void {
    this.#table.issueIds(connection)
  }

  opened(connection: QuicConnection): void {
    connection.admitted?.established()
    if (connection.resumed) this.#counters.resumed++
  }

  ticket(connection: QuicConnection, peer: VerifiedPeer, bytes: Uint8Array): void {
    const { way, remote } = connection
    const address = way.kind === 'relay' ? undefined : remote
    this.#tickets.keep({ bytes, peer }, address, this.clock.now(), connection)
  }

  ended(connection: QuicConnection): void {
    this.#table.remove(connection)
    this.#dirty.delete(connection)
    this.#counters.invalid += connection.invalidDatagrams
    this.#counters.droppedMessages += connection.droppedMessages
    connection.admitted?.closed()
  }

  /** Undefined for what this port cannot reach. */
  #toWire(remote: Address): Address | undefined {
    return wireAddress(remote, this.#socket.bound.host, this.#socket.dualStack)
  }
}
