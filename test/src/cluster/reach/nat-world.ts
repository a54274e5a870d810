/**
 * Two hosts, each behind a NAT or none, and a relay on the open internet, in virtual time. The NATs do what Linux does:
 * one entry per flow, which decides both the port outside and what is let in.
 */

import { Puncher } from '../../../../src/cluster/reach/puncher.ts'
import { type Address, formatAddress, sameAddress } from '../../../../transport/address.ts'
import { type Random, seededRandom } from '../../../../transport/random.ts'
import type { SideSocket, SideSockets } from '../../../../transport/side-sockets.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import type { Way } from '../../../../transport/way.ts'

/** none: no NAT; full, addr, port: one port for all, and who may send to it; sym: a port for each destination; blocked: no UDP. */
export const NAT_TYPES = ['none', 'full', 'addr', 'port', 'sym', 'blocked'] as const
export type NatType = (typeof NAT_TYPES)[number]

const RELAY: Address = { host: '198.51.100.11', port: 4433 }
const PORT = 4433
/** From a host to its NAT. */
const LAN_MS = 0.2
/** Routers that a packet passes if nobody says otherwise. */
const USUAL_HOPS = 64

export interface SiteOptions {
  readonly type: NatType
  /** UDP to the NAT itself is taken, and remembered as a flow. */
  readonly accepts: boolean
  /** One way to the relay. */
  readonly relayMs: number
}

export interface WorldOptions {
  readonly seed: number
  /** One way between the two NATs. */
  readonly latencyMs: number
  readonly loss?: number
  /** Between the two NATs; default 1. */
  readonly routers?: number
  readonly sites: readonly [SiteOptions, SiteOptions]
}

type Deliver = (bytes: Uint8Array, from: Address) => void

export class World {
  readonly clock = new VirtualClock()
  readonly random: Random
  readonly sites: readonly [Site, Site]
  readonly #options: WorldOptions
  packets = 0

  constructor(options: WorldOptions) {
    this.#options = options
    this.random = seededRandom(options.seed)
    const [a, b] = options.sites
    this.sites = [new Site(this, a, '203.0.113.1'), new Site(this, b, '203.0.113.2')]
  }

  /** From the outside of one site. */
  carry(from: Address, to: Address, bytes: Uint8Array, hops: number): void {
    this.packets++
    const { loss = 0, latencyMs, routers = 1 } = this.#options
    if (loss > 0 && this.random.float() < loss) return
    // A router drops what comes with the last hop.
    if (hops <= routers) return
    const copy = Buffer.from(bytes)
    const site = this.sites.find((one) => one.host === to.host)
    if (site !== undefined) this.clock.after(latencyMs, () => site.arrive(from, to.port, copy, hops - routers))
  }

  /** Time passes; promises get their turn each millisecond. */
  async pass(ms: number, until: () => boolean = () => false): Promise<void> {
    const endMs = this.clock.now() + ms
    while (this.clock.now() < endMs && !until()) {
      this.clock.advance(Math.min(2, endMs - this.clock.now()))
      for (let i = 0; i < 4; i++) await undefined
    }
  }
}

interface Flow {
  readonly insidePort: number
  readonly outsidePort: number
}

/** A host and the NAT before it. */
export class Site {
  readonly #world: World
  readonly type: NatType
  readonly #accepts: boolean
  readonly host: string
  readonly relayMs: number
  readonly puncher: Puncher
  /** By inside port and peer, and by outside port and peer. */
  readonly #outgoing = new Map<string, Flow>()
  readonly #incoming = new Map<string, Flow>()
  /** Outside port of the latest flow, by inside port. */
  readonly #latest = new Map<number, number>()
  /** What the NAT took for itself. */
  readonly #taken = new Set<string>()
  readonly #sentTo = new Set<string>()
  /** By inside port. */
  readonly #listeners = new Map<number, Deliver>()
  #nextPort = 30_000
  readonly quic: { readonly way: Way; readonly bytes: Uint8Array }[] = []
  readonly gone: Way[] = []
  /** Sockets that the machine still gives. */
  descriptors = Number.POSITIVE_INFINITY

  constructor(world: World, { type, accepts, relayMs }: SiteOptions, host: string) {
    this.#world = world
    this.type = type
    this.#accepts = accepts
    this.host = host
    this.relayMs = relayMs
    this.puncher = new Puncher({
      clock: world.clock,
      random: world.random,
      sendProbe: (to, bytes, hops) => this.send(PORT, to, bytes, hops),
      openSideSockets: (count, receive) => this.#sideSockets(count, receive),
      direct: (address) => this.direct(address),
      receive: (way, bytes) => void this.quic.push({ way, bytes: Uint8Array.from(bytes) }),
      gone: (way) => void this.gone.push(way),
    })
    this.#listeners.set(PORT, (bytes, from) => this.puncher.receive(bytes, from))
  }

  get openSockets(): number {
    return this.#listeners.size - 1
  }

  direct(address: Address): Way {
    return {
      kind: 'port',
      key: `port ${formatAddress(address)}`,
      address,
      maxBytes: 1350,
      send: (bytes, length) => this.send(PORT, address, bytes.subarray(0, length)),
    }
  }

  /** Where the relay sees the shared port. */
  observed(): Address {
    return { host: this.host, port: this.#outside(PORT, RELAY) }
  }

  send(insidePort: number, to: Address, bytes: Uint8Array, hops = USUAL_HOPS): void {
    const copy = Buffer.from(bytes)
    this.#world.clock.after(LAN_MS, () => {
      if (this.type === 'blocked') return
      this.#world.carry({ host: this.host, port: this.#outside(insidePort, to) }, to, copy, hops - 1)
    })
  }

  arrive(from: Address, port: number, bytes: Uint8Array, hops: number): void {
    const insidePort = this.#inside(from, port)
    if (insidePort === undefined) {
      if (this.#accepts) this.#taken.add(`${port} ${formatAddress(from)}`)
      return
    }
    // The box is a router too.
    if (hops > 1) this.#world.clock.after(LAN_MS, () => this.#listeners.get(insidePort)?.(bytes, from))
  }

  #inside(from: Address, port: number): number | undefined {
    if (this.type === 'blocked') return undefined
    if (this.type === 'none') return port
    const flow = this.#incoming.get(`${port} ${formatAddress(from)}`)
    if (flow !== undefined) return flow.insidePort
    // These two keep the port.
    if (this.type === 'full') return port
    return this.type === 'addr' && this.#sentTo.has(from.host) ? port : undefined
  }

  #outside(insidePort: number, to: Address): number {
    if (this.type === 'none') return insidePort
    const peer = formatAddress(to)
    const key = `${insidePort} ${peer}`
    const known = this.#outgoing.get(key)
    if (known !== undefined) return known.outsidePort
    const isFree = (port: number): boolean =>
      !this.#taken.has(`${port} ${peer}`) && !this.#incoming.has(`${port} ${peer}`)
    // As Linux does: what the socket's latest flow has, if that is free, else its own port, else any.
    const latest = this.#latest.get(insidePort) ?? insidePort
    let outsidePort = isFree(latest) ? latest : insidePort
    while (this.type === 'sym' ? outsidePort === insidePort || !isFree(outsidePort) : !isFree(outsidePort))
      outsidePort = 1024 + Math.floor(this.#world.random.float() * 64_512)
    const flow = { insidePort, outsidePort }
    if (this.type !== 'sym') this.#latest.set(insidePort, outsidePort)
    this.#outgoing.set(key, flow)
    this.#incoming.set(`${outsidePort} ${peer}`, flow)
    this.#sentTo.add(to.host)
    return outsidePort
  }

  #sideSockets(count: number, receive: (bytes: Buffer, from: Address, socket: SideSocket) => void): SideSockets {
    const open = new Set<SideSocket>()
    let isClosed = false
    return {
      open: async () => {
        if (isClosed || open.size >= count || open.size >= this.descriptors) return undefined
        const port = this.#nextPort++
        const socket: SideSocket = {
          port,
          send: (bytes, length, to, hops) => {
            if (open.has(socket)) this.send(port, to, bytes.subarray(0, length), hops)
          },
          close: () => {
            open.delete(socket)
            this.#listeners.delete(port)
          },
        }
        open.add(socket)
        this.#listeners.set(port, (bytes, from) => receive(bytes as Buffer, from, socket))
        return socket
      },
      close: () => {
        isClosed = true
        for (const socket of [...open]) socket.close()
      },
    }
  }
}

/** What a punch of both ends came to. */
export interface Outcome {
  /** From when the relay told of the other until both had found a way; undefined if one did not. */
  readonly openMs: number | undefined
  readonly ways: readonly [readonly Way[], readonly Way[]]
  readonly over: readonly [boolean, boolean]
  readonly packets: number
}

/** After a while without a way the ends try many ports, as upgrade.ts does. */
const MANY_PORTS_AFTER_MS = 700

/** The relay tells both of each other at time 0, and they punch for so long, or until both have found a way. */
export const punch = async (world: World, limitMs: number): Promise<Outcome> => {
  const { clock, sites } = world
  const token = world.random.bytes(16)
  const observed = sites.map((site) => site.observed())
  const ways: [Way[], Way[]] = [[], []]
  const over: [boolean, boolean] = [false, false]
  const startMs = clock.now()
  sites.forEach((site, i) => {
    const other = sites[1 - i]!
    const target = observed[1 - i]!
    clock.after(site.relayMs + LAN_MS, () => {
      const run = site.puncher.begin({
        token,
        targets: [target],
        found: (way) => void ways[i]!.push(way),
        over: () => {
          over[i] = true
        },
      })
      clock.after(MANY_PORTS_AFTER_MS, () => {
        if (ways[i]!.length > 0) return
        if (site.type === 'sym' && other.type !== 'sym') run.spread(target)
        else if (site.type !== 'sym' && other.type === 'sym') run.sweep(target.host)
      })
    })
  })
  const isOpen = (): boolean => ways[0].length > 0 && ways[1].length > 0
  await world.pass(limitMs, isOpen)
  return { openMs: isOpen() ? clock.now() - startMs : undefined, ways, over, packets: world.packets }
}

/** The two ends of a way mean each other: what is sent on the one comes in on the other. */
export const meet = (world: World, [a, b]: readonly [Way, Way]): boolean =>
  a.address.host === world.sites[1].host && b.address.host === world.sites[0].host && !sameAddress(a.address, b.address)
