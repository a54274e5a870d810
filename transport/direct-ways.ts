/**
 * The ways straight from a port to an address: one object for each address lately in use, so that a packet costs none.
 *
 * Bounded: beyond MAX_DIRECT_WAYS the one first made is forgotten. That breaks nothing, since ways are equal when their
 * keys are.
 */
import type { Address } from './address.ts'
import { MAX_PACKET_BYTES } from './quiche.ts'
import type { UdpSocket } from './socket.ts'
import type { Way } from './way.ts'

/** Twice the nodes of a large cluster, and some of them at two addresses. */
const MAX_DIRECT_WAYS = 4096

export class DirectWay implements Way {
  readonly kind = 'port'
  readonly key: string
  readonly address: Address
  /** What passes is found by probing. */
  readonly maxBytes = MAX_PACKET_BYTES
  readonly wireHost: string
  readonly port: number
  readonly #socket: UdpSocket

  constructor(socket: UdpSocket, wireHost: string, port: number, key: string) {
    this.#socket = socket
    this.wireHost = wireHost
    this.port = port
    this.key = key
    this.address = { host: wireHost, port }
  }

  send(bytes: Uint8Array, length: number): void {
    this.#socket.send(Uint8Array.from(bytes.subarray(0, length)), this.wireHost, this.port)
  }
}

export class DirectWays {
  readonly #socket: UdpSocket
  readonly #ways = new Map<string, DirectWay>()

  constructor(socket: UdpSocket) {
    this.#socket = socket
  }

  to(wireHost: string, port: number): DirectWay {
    const key = `${port} ${wireHost}`
    let way = this.#ways.get(key)
    if (way !== undefined) return way
    way = new DirectWay(this.#socket, wireHost, port, key)
    this.#ways.set(key, way)
    if (this.#ways.size > MAX_DIRECT_WAYS) {
      for (const oldest of this.#ways.keys()) {
        this.#ways.delete(oldest)
        break
      }
    }
    return way
  }
}
