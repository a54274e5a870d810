/**
 * Side ways: straight from a socket of their own to one address. A node behind a NAT that gives every destination
 * another port opens many for a punch, and keeps those on which the other end was heard.
 *
 * A side belongs to one attempt and one target. Until the other end is heard on it, it hears nothing but probes; then
 * whatever else the target sends goes to the transport. A kept one is closed when it is released, or when nothing has been heard on it
 * for so long that the NAT has forgotten it; so none leaks, whoever forgets to release it.
 */
import { type Address, sameAddress } from '../../../transport/address.ts'
import type { Clock, Timer } from '../../../transport/clock.ts'
import { classify } from '../../../transport/demux.ts'
import type { SideSocket, SideSockets } from '../../../transport/side-sockets.ts'
import type { Way } from '../../../transport/way.ts'
import { SPREAD_SOCKETS } from './spread.ts'

/** Sides on which the other end was heard. While there are as many, there is no spread. */
const MAX_KEPT = 64
/** A NAT keeps what is in use for two minutes at least (RFC 4787, REQ-5), and a way in use is never silent for so long. */
const MAX_SILENCE_MS = 120_000
const LOOK_MS = 15_000

export interface SideWaysHost {
  readonly clock: Clock
  openSideSockets(count: number, receive: (bytes: Buffer, from: Address, socket: SideSocket) => void): SideSockets
  /** From a side that is kept: what is no probe. */
  receive(way: Way, datagram: Uint8Array): void
  /** A probe, from the target of this side. */
  probe(side: Side, bytes: Uint8Array): void
  /** This way is no more. */
  gone(way: Way): void
}

/** Whose side it is: for comparison only. */
type Owner = object

export interface Side {
  readonly punch: Owner
  readonly target: Address
  readonly way: Way
  /** The other end was heard. */
  readonly isHeard: boolean
  /** No further than so many routers. */
  send(bytes: Uint8Array, hops?: number): void
  /** The other end was heard: the side is kept. False: too many are, and it is not. */
  hear(): boolean
  close(): void
}

export class SideWays {
  readonly #host: SideWaysHost
  #sockets: SideSockets | undefined
  readonly #sides = new Map<SideSocket, OneSide>()
  /** By key of its way. */
  readonly #kept = new Map<string, OneSide>()
  #look: Timer | undefined
  #stopped = false

  constructor(host: SideWaysHost) {
    this.#host = host
  }

  get count(): number {
    return this.#sides.size
  }

  get isFull(): boolean {
    return this.#kept.size >= MAX_KEPT
  }

  /** A socket towards this address; undefined if there is none to be had. */
  async open(punch: Owner, target: Address, maxBytes: number): Promise<Side | undefined> {
    if (this.#stopped) return undefined
    this.#sockets ??= this.#host.openSideSockets(SPREAD_SOCKETS + MAX_KEPT, (bytes, from, socket) =>
      this.#receive(bytes, from, socket),
    )
    const socket = await this.#sockets.open()
    if (socket === undefined) return undefined
    if (this.#stopped) {
      socket.close()
      return undefined
    }
    const side = new OneSide(this, punch, socket, target, maxBytes)
    this.#sides.set(socket, side)
    return side
  }

  /** No connection uses this way any more. */
  release({ key }: Way): void {
    const side = this.#kept.get(key)
    if (side !== undefined) this.close(side)
  }

  stop(): void {
    this.#stopped = true
    this.#look?.cancel()
    this.#sockets?.close()
    this.#sides.clear()
    this.#kept.clear()
  }

  /** @internal */
  keep(side: OneSide): boolean {
    if (this.isFull || !this.#sides.has(side.socket)) return false
    this.#kept.set(side.way.key, side)
    side.heardMs = this.#host.clock.now()
    this.#lookLater()
    return true
  }

  /** @internal */
  close(side: OneSide): void {
    if (!this.#sides.delete(side.socket)) return
    this.#kept.delete(side.way.key)
    side.socket.close()
    if (side.isHeard) this.#host.gone(side.way)
  }

  #receive(bytes: Buffer, from: Address, socket: SideSocket): void {
    const side = this.#sides.get(socket)
    if (side === undefined || !sameAddress(from, side.target)) return
    if (classify(bytes) === 'probe') return this.#host.probe(side, bytes)
    if (!side.isHeard) return
    side.heardMs = this.#host.clock.now()
    this.#host.receive(side.way, bytes)
  }

  #lookLater(): void {
    if (this.#look !== undefined || this.#kept.size === 0 || this.#stopped) return
    this.#look = this.#host.clock.after(
      LOOK_MS,
      () => {
        this.#look = undefined
        const dueMs = this.#host.clock.now() - MAX_SILENCE_MS
        for (const side of [...this.#kept.values()]) if (side.heardMs < dueMs) this.close(side)
        this.#lookLater()
      },
      true,
    )
  }
}

class OneSide implements Side {
  readonly #all: SideWays
  readonly punch: Owner
  readonly socket: SideSocket
  readonly target: Address
  readonly way: Way
  heardMs = Number.NEGATIVE_INFINITY

  constructor(all: SideWays, punch: Owner, socket: SideSocket, target: Address, maxBytes: number) {
    this.#all = all
    this.punch = punch
    this.socket = socket
    this.target = target
    this.way = {
      kind: 'socket',
      key: `socket ${socket.port} ${target.host} ${target.port}`,
      address: target,
      maxBytes,
      send: (bytes, length) => socket.send(bytes, length, target),
    }
  }

  get isHeard(): boolean {
    return this.heardMs > Number.NEGATIVE_INFINITY
  }

  send(bytes: Uint8Array, hops?: number): void {
    this.socket.send(bytes, bytes.length, this.target, hops)
  }

  hear(): boolean {
    return this.isHeard || this.#all.keep(this)
  }

  close(): void {
    this.#all.close(this)
  }
}
