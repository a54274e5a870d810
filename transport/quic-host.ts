/**
 * What all connections of a QUIC port share, and what it does for each of them: packets out, packet sizes, ids, tickets, the
 * judgement of certificates. It knows who is connected, not how datagrams find them (quic-receiver.ts) or who gets in
 * (quic-listener.ts). The socket belongs to quic-transport.ts.
 */
import { createHmac } from 'node:crypto'
import { type VerifiedPeer, verifyCertificate } from '../certs/certificate.ts'
import type { Identity } from '../certs/identity.ts'
import type { Address } from './address.ts'
import type { Clock } from './clock.ts'
import { ConnectionIds } from './connection-id.ts'
import { ConnectionTable } from './connection-table.ts'
import { DirectWay, DirectWays } from './direct-ways.ts'
import { GATE_TAG_BYTES, Gate } from './gate.ts'
import { wireAddress } from './local-address.ts'
import { PacketBuffer } from './packet-buffer.ts'
import { PathSettings } from './path-settings.ts'
import type { PathSize } from './path-size.ts'
import type { ConnectionHost, QuicConnection } from './quic-connection.ts'
import { newCounters } from './quic-counters.ts'
import type { QuicTransportOptions } from './quic-transport.ts'
import { MAX_PACKET_BYTES, type QuicEngine, TICKET_KEY_BYTES } from './quiche.ts'
import type { Random } from './random.ts'
import type { UdpSocket } from './socket.ts'
import { Tickets } from './tickets.ts'
import type { Way } from './way.ts'

export class QuicHost implements ConnectionHost {
  readonly clock: Clock
  readonly random: Random
  readonly engine: QuicEngine
  readonly gate: Gate
  readonly ids: ConnectionIds
  readonly table: ConnectionTable
  readonly settings: PathSettings
  readonly tickets = new Tickets((certificate) => this.verify(certificate))
  readonly counters = newCounters()
  readonly #out = new PacketBuffer(MAX_PACKET_BYTES + GATE_TAG_BYTES)
  #socket!: UdpSocket
  /** Straight from the port; there are none before `bind`. */
  direct!: DirectWays

  /** Throws ERR_SKEIN_BAD_IDENTITY, and ERR_SKEIN_BAD_ARGUMENT for keys that the gate does not take. */
  constructor({ identity, gateKeys, clock, random, maxPacketBytes }: QuicTransportOptions, engine: QuicEngine) {
    this.clock = clock
    this.random = random
    this.engine = engine
    this.gate = new Gate(gateKeys)
    // Bound to the identity, not to this run: our successor on this port can reset what we left behind.
    const idKey = createHmac('sha256', identity.privateKeyPem).update('skein connection ids').digest()
    this.ids = new ConnectionIds(idKey, random)
    this.table = new ConnectionTable(this.ids)
    this.settings = new PathSettings(engine, identity, random.bytes(TICKET_KEY_BYTES), maxPacketBytes)
  }

  /** Once, before anything is sent or received. */
  bind(socket: UdpSocket): void {
    this.#socket = socket
    this.direct = new DirectWays(socket)
  }

  /** New connections show this certificate. Throws ERR_SKEIN_BAD_IDENTITY. */
  useIdentity(identity: Identity): void {
    this.settings.renew(identity, this.random.bytes(TICKET_KEY_BYTES))
    this.tickets.renewed(this.table.connections())
  }

  /** The address as the socket takes it; undefined for what this port cannot reach. */
  wireAddress(remote: Address): Address | undefined {
    return wireAddress(remote, this.#socket.bound.host, this.#socket.dualStack)
  }

  /** The way straight there; undefined for what this port cannot reach. */
  directTo(remote: Address): DirectWay | undefined {
    const to = this.wireAddress(remote)
    return to === undefined ? undefined : this.direct.to(to.host, to.port)
  }

  /** The counters with what the connections count themselves. */
  figures(): Readonly<Record<string, number>> {
    let { invalid, droppedMessages } = this.counters
    for (const connection of this.table.connections()) {
      invalid += connection.invalidDatagrams
      droppedMessages += connection.droppedMessages
    }
    return {
      ...this.counters,
      invalid,
      droppedMessages,
      connections: this.table.size,
      connectionIds: this.table.idCount,
      tickets: this.tickets.size,
    }
  }

  // ---- ConnectionHost

  packetBuffer(sizeBytes: number): Uint8Array {
    return this.#out.view(sizeBytes)
  }

  transmit(length: number, by: Way): void {
    const { bytes } = this.#out
    const sealed = ((bytes[0] as number) & 0x80) === 0 ? length : this.gate.seal(bytes, length)
    this.counters.sent++
    this.counters.sentBytes += sealed
    if (!(by instanceof DirectWay)) return by.send(bytes, sealed)
    // Where the kernel's queue is full libuv still holds this buffer.
    if (!this.#socket.send(this.packetBuffer(sealed), by.wireHost, by.port)) this.#out.leave()
  }

  pathSize(way: Way, largestBytes: number): PathSize {
    return this.settings.pathSize(way, largestBytes)
  }

  verify(certificate: Uint8Array): VerifiedPeer {
    return verifyCertificate(certificate, this.clock.wallNow())
  }

  issueIds(connection: QuicConnection): void {
    this.table.issueIds(connection)
  }

  opened(connection: QuicConnection): void {
    connection.admitted?.established()
    if (connection.resumed) this.counters.resumed++
  }

  ticket(connection: QuicConnection, peer: VerifiedPeer, bytes: Uint8Array): void {
    const { way, remote } = connection
    const address = way.kind === 'relay' ? undefined : remote
    this.tickets.keep({ bytes, peer }, address, this.clock.now(), connection)
  }

  ended(connection: QuicConnection): void {
    this.table.remove(connection)
    this.counters.invalid += connection.invalidDatagrams
    this.counters.droppedMessages += connection.droppedMessages
    connection.admitted?.closed()
  }
}
