/**
 * What depends on where a connection leads: packet sizes, the engine's settings (whose largest packet also sets the first
 * congestion window), and how much bulk the path is trusted with. One engine configuration per kind of destination.
 */
import { isIPv4 } from 'node:net'
import type { Identity } from '../certs/identity.ts'
import { BulkRoom } from './bulk-room.ts'
import { MAX_STREAMS } from './byte-stream.ts'
import { localHosts } from './local-address.ts'
import { candidatesFor, type DestinationKind, kindOfDestination, PathSize } from './path-size.ts'
import { MAX_PACKET_BYTES, MIN_INITIAL_BYTES, type QuicEngine } from './quiche.ts'
import type { Way } from './way.ts'

/** Packets start at this size and grow by probing: fits every Ethernet with room for tunnels; WAN starts at QUIC's minimum. */
const BASE_PACKET_BYTES = { loopback: 1350, lan: 1350, wan: 1200 } as const
const LARGEST_PACKET_BYTES = { loopback: MAX_PACKET_BYTES, lan: 1472, wan: 1472 } as const
/**
 * Silence after which a connection is given up by the carrier itself. Nodes tick, and the failure detector is far quicker; its
 * most patient preset waits 24 s, and may not be forestalled.
 */
export const IDLE_TIMEOUT_MS = 30_000
/** One slow receiver parks at most this much of one lane, bytes. */
export const STREAM_WINDOW_BYTES = 4 << 20
/**
 * No bound of its own: what a peer may park is MAX_PEER_STREAMS lanes of that window. A bound for the connection would let
 * parked lanes block all others, and quiche 0.18 shrinks it to 1.5 times the window of one stream once it was used up.
 */
const CONNECTION_WINDOW_BYTES = 2 ** 50
/** Dedicated, shared and control lanes (lanes.ts), the gauge of quic-connection.ts, and some that are just ending. */
const MAX_LANES = 320
/** Lanes and streams of bytes that a peer may have open. */
export const MAX_PEER_STREAMS = MAX_LANES + MAX_STREAMS

type EngineConfig = ReturnType<QuicEngine['config']>

/** What one connection needs of them. */
export interface PathSetting {
  readonly config: EngineConfig
  readonly pathSize: PathSize
  /** The engine sends no longer packets in this connection. */
  readonly largestBytes: number
  readonly bulkRoom: BulkRoom
}

export class PathSettings {
  readonly #engine: QuicEngine
  #identity: Identity
  #ticketKey: Uint8Array
  readonly #capBytes: number
  readonly #configs = new Map<DestinationKind, EngineConfig>()

  /** Throws ERR_SKEIN_BAD_IDENTITY for an identity that TLS cannot use. */
  constructor(engine: QuicEngine, identity: Identity, ticketKey: Uint8Array, capBytes: number = MAX_PACKET_BYTES) {
    this.#engine = engine
    this.#identity = identity
    this.#ticketKey = ticketKey
    this.#capBytes = capBytes
    this.#config('loopback')
  }

  /** Connections made from now on show this one, and tickets sealed with the key before lead nowhere. Throws ERR_SKEIN_BAD_IDENTITY. */
  renew(identity: Identity, ticketKey: Uint8Array): void {
    const before = { identity: this.#identity, ticketKey: this.#ticketKey, configs: [...this.#configs] }
    this.#identity = identity
    this.#ticketKey = ticketKey
    this.#configs.clear()
    try {
      this.#config('loopback')
    } catch (error) {
      this.#identity = before.identity
      this.#ticketKey = before.ticketKey
      for (const [kind, config] of before.configs) this.#configs.set(kind, config)
      throw error
    }
  }

  of(way: Way): PathSetting {
    const kind = kindOfDestination(way.address.host, localHosts(true))
    const largestBytes = this.#limit(kind)
    return {
      config: this.#config(kind),
      pathSize: this.pathSize(way, largestBytes),
      largestBytes,
      bulkRoom: new BulkRoom(kind),
    }
  }

  /** How packet sizes are found on this way. Those of a relay are given: larger ones would be cut in pieces. */
  pathSize(way: Way, largestBytes: number): PathSize {
    const { host } = way.address
    if (way.kind === 'relay') {
      const bytes = Math.min(MIN_INITIAL_BYTES, way.maxBytes)
      return new PathSize({ baseBytes: bytes, maximumBytes: bytes })
    }
    const kind = kindOfDestination(host, localHosts(true))
    const maximumBytes = Math.min(this.#limit(kind), largestBytes, way.maxBytes)
    const baseBytes = Math.min(BASE_PACKET_BYTES[kind], maximumBytes)
    // A tunnel or an overlay looks like a LAN and may be far narrower.
    const safeBytes = Math.min(MIN_INITIAL_BYTES, baseBytes)
    return new PathSize({ baseBytes, safeBytes, maximumBytes, candidates: candidatesFor(kind, isIPv4(host) ? 4 : 6) })
  }

  #limit(kind: DestinationKind): number {
    return Math.min(LARGEST_PACKET_BYTES[kind], this.#capBytes)
  }

  #config(kind: DestinationKind): EngineConfig {
    let config = this.#configs.get(kind)
    if (config === undefined) {
      config = this.#engine.config({
        privateKeyPem: this.#identity.privateKeyPem,
        certificatePem: this.#identity.certificatePem,
        maxPacketBytes: this.#limit(kind),
        idleTimeoutMs: IDLE_TIMEOUT_MS,
        streamWindowBytes: STREAM_WINDOW_BYTES,
        connectionWindowBytes: CONNECTION_WINDOW_BYTES,
        maxStreams: MAX_PEER_STREAMS,
        ticketKey: this.#ticketKey,
      })
      this.#configs.set(kind, config)
    }
    return config
  }
}
