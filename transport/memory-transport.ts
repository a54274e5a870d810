/**
 * One port of the memory network: gives packets to their connections, accepts new ones, and keeps strangers out by the
 * gate, in silence. The wire between ports belongs to memory-network.ts.
 */
import type { VerifiedPeer } from '../certs/certificate.ts'
import type { Identity } from '../certs/identity.ts'
import { type Address, formatAddress } from './address.ts'
import type { Clock } from './clock.ts'
import { wireCodeOf } from './close-codes.ts'
import { type ConnectionLimits, type ConnectionPort, MemoryConnection } from './memory-connection.ts'
import type { MemoryHost } from './memory-host.ts'
import {
  type ClosePacket,
  type DataPacket,
  endKey,
  type ForeignPacket,
  isAcceptorKey,
  PACKET_OVERHEAD_BYTES,
  type Packet,
  peerEndKey,
} from './memory-packet.ts'
import type { Connection, ConnectionHandler, ConnectOptions, DatagramKind, Transport } from './transport.ts'

const DEFAULT_CONNECT_TIMEOUT_MS = 5000
/** A dialler that never finishes its handshake is given up after this. */
const ACCEPT_TIMEOUT_MS = 3000
/** More connections than any simulation has nodes; the next one is refused with its code. */
const MAX_CONNECTIONS = 10_000
/** Ended connections that still answer with their goodbye (RFC 9000, 10.2.1); the oldest are forgotten. */
const MAX_FAREWELLS = 256
/** UDP's largest payload over IPv4. */
const MAX_DATAGRAM_BYTES = 65_507
/** First bytes of the other kinds on a port. */
const KRPC_FIRST_BYTE = 0x64
const PROBE_FIRST_BYTES_END = 0x40

/** What a port needs of the network. */
export interface Wire {
  newConnectionId(): number
  carry(from: MemoryTransport, to: Address, packet: Packet): void
  release(port: MemoryTransport): void
}

interface MemoryTransportParts {
  readonly host: MemoryHost
  readonly address: Address
  readonly identity: VerifiedPeer
  /** The first marks this port's handshakes, any of them opens it; empty for an open port. */
  readonly gates: readonly string[]
  readonly limits: ConnectionLimits
  readonly wire: Wire
}

export class MemoryTransport implements Transport, ConnectionPort {
  readonly kind = 'memory'
  readonly ways = undefined
  readonly host: MemoryHost
  readonly address: Address
  identity: VerifiedPeer
  readonly limits: ConnectionLimits
  gate: string | undefined
  readonly clock: Clock
  #gates: readonly string[]
  readonly #wire: Wire
  readonly #connections = new Map<number, MemoryConnection>()
  /** Ended, and their handlers not told yet. */
  readonly #ending = new Set<MemoryConnection>()
  readonly #farewells = new Map<number, ClosePacket>()
  readonly #datagramHandlers = new Map<DatagramKind, (bytes: Uint8Array, from: Address) => void>()
  readonly #counters = { received: 0, sent: 0, gated: 0, unknown: 0, refused: 0, resets: 0, overflow: 0 }
  #accept: ((connection: Connection) => ConnectionHandler) | undefined
  #isClosed = false

  constructor(parts: MemoryTransportParts) {
    this.host = parts.host
    this.clock = parts.host.clock
    this.address = parts.address
    this.identity = parts.identity
    this.limits = parts.limits
    this.gate = parts.gates[0]
    this.#gates = parts.gates
    this.#wire = parts.wire
  }

  addresses(): readonly Address[] {
    return [this.address]
  }

  connect(remote: Address, handler: ConnectionHandler, options: ConnectOptions = {}): Connection {
    const key = endKey(this.#wire.newConnectionId(), 'initiator')
    const connection = new MemoryConnection(
      'initiator',
      key,
      remote,
      this,
      options.timeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS,
    )
    this.#connections.set(key, connection)
    connection.start(handler)
    if (this.#isClosed) connection.close(0, 'ERR_SKEIN_STOPPED', 'The transport is closed.')
    return connection
  }

  listen(accept: (connection: Connection) => ConnectionHandler): void {
    this.#accept = accept
  }

  sendDatagram(remote: Address, bytes: Uint8Array): void {
    if (bytes.length > MAX_DATAGRAM_BYTES) {
      this.#counters.overflow++
      return
    }
    this.transmit({ kind: 'foreign', bytes: Uint8Array.from(bytes), sizeBytes: bytes.length }, remote)
  }

  onDatagram(kind: DatagramKind, handler: (bytes: Uint8Array, from: Address) => void): void {
    this.#datagramHandlers.set(kind, handler)
  }

  useGateKeys(keys: readonly Uint8Array[]): void {
    this.#gates = keys.map((key) => Buffer.from(key).toString('hex'))
    this.gate = this.#gates[0]
  }

  useIdentity({ nodeId, publicKey, certificate }: Identity): void {
    this.identity = { nodeId, publicKey, certificate }
  }

  counters(): Readonly<Record<string, number>> {
    return { ...this.#counters, connections: this.#connections.size }
  }

  /** Handlers are told before this returns: who waits for it need not keep virtual time going. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    for (const connection of [...this.#connections.values()]) {
      connection.close(wireCodeOf('closed'), 'closed', 'The node stopped.')
    }
    this.#isClosed = true
    this.#wire.release(this)
    for (const connection of [...this.#ending]) this.#tellEnd(connection)
  }

  // ---- ConnectionPort

  transmit(packet: Packet, remote: Address): void {
    if (this.#isClosed || this.host.state === 'crashed') return
    this.#counters.sent++
    this.#wire.carry(this, remote, packet)
  }

  ended(connection: MemoryConnection, farewell: ClosePacket | undefined): void {
    this.#connections.delete(connection.key)
    if (farewell !== undefined) {
      this.#farewells.set(connection.key, farewell)
      if (this.#farewells.size > MAX_FAREWELLS) {
        for (const oldest of this.#farewells.keys()) {
          this.#farewells.delete(oldest)
          break
        }
      }
    }
    this.#ending.add(connection)
    this.clock.endOfTurn(() => this.#tellEnd(connection))
  }

  // ---- from the network

  receive(packet: Packet, from: Address): void {
    if (this.#isClosed) return
    this.#counters.received++
    if (packet.kind === 'foreign') this.#receiveForeign(packet.bytes, from)
    else if (packet.kind === 'handshake' && !this.#admits(packet.gate)) this.#counters.gated++
    else {
      const connection = this.#connections.get(packet.end)
      if (connection === undefined) this.#receiveUnconnected(packet, from)
      else connection.receive(packet)
    }
  }

  #receiveUnconnected(packet: Exclude<Packet, ForeignPacket>, from: Address): void {
    if (packet.kind === 'close' || packet.kind === 'reset') return
    const farewell = this.#farewells.get(packet.end)
    if (farewell !== undefined) this.transmit(farewell, from)
    else if (packet.kind === 'handshake') {
      if (isAcceptorKey(packet.end)) this.#newConnection(packet, from)
    } else {
      this.#counters.resets++
      this.transmit({ kind: 'reset', end: peerEndKey(packet.end), sizeBytes: PACKET_OVERHEAD_BYTES }, from)
    }
  }

  #admits(gate: string | undefined): boolean {
    return this.#gates.length === 0 || (gate !== undefined && this.#gates.includes(gate))
  }

  #newConnection(packet: DataPacket, from: Address): void {
    if (this.#accept === undefined) return
    if (this.#connections.size >= MAX_CONNECTIONS) {
      this.#counters.refused++
      const message = `${formatAddress(this.address)} has ${MAX_CONNECTIONS} connections.`
      const wireCode = wireCodeOf('ERR_SKEIN_TOO_MANY_CONNECTIONS')
      this.transmit(
        { kind: 'close', end: peerEndKey(packet.end), wireCode, message, sizeBytes: PACKET_OVERHEAD_BYTES },
        from,
      )
      return
    }
    const connection = new MemoryConnection('acceptor', packet.end, from, this, ACCEPT_TIMEOUT_MS)
    this.#connections.set(packet.end, connection)
    connection.receive(packet)
    connection.start(this.#accept(connection))
  }

  #receiveForeign(bytes: Uint8Array, from: Address): void {
    const first = bytes[0] ?? 0xff
    const kind = first === KRPC_FIRST_BYTE ? 'krpc' : first < PROBE_FIRST_BYTES_END ? 'probe' : undefined
    if (kind === undefined) {
      this.#counters.unknown++
      return
    }
    // A copy: what is received twice, or read by several, is nobody's to change.
    this.#datagramHandlers.get(kind)?.(Uint8Array.from(bytes), from)
  }

  #tellEnd(connection: MemoryConnection): void {
    this.#ending.delete(connection)
    connection.tellEnd()
  }
}
