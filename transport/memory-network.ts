/**
 * The memory network: hosts, the links between them, and all that can go wrong, in one process and in virtual time.
 *
 * Its ports are transports like any other, so a whole cluster runs on it unchanged. Every chance is drawn from one seeded
 * source in the order of events: the same seed and the same program give the same run. It knows no routers, no address
 * translation and no CPU time: code runs in no time at all.
 */
import { createHash } from 'node:crypto'
import type { VerifiedPeer } from '../certs/certificate.ts'
import { SkeinError } from '../certs/errors.ts'
import { type Address, formatAddress } from './address.ts'
import { MAX_STREAMS } from './byte-stream.ts'
import type { Clock } from './clock.ts'
import type { ConnectionLimits } from './memory-connection.ts'
import { type ClockSkew, type HostState, MemoryHost } from './memory-host.ts'
import { CLEAN_LINK, Link, type LinkConditions } from './memory-link.ts'
import type { Packet } from './memory-packet.ts'
import { MemoryTransport, type Wire } from './memory-transport.ts'
import type { Random } from './random.ts'
import type { Transport } from './transport.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** Between two ports of one host, unless said otherwise: a kernel's loopback. */
const LOOPBACK_DELAY_MS = 0.05
/** Where port 0 begins to look: IANA's dynamic range (RFC 6335, section 6). */
const FIRST_DYNAMIC_PORT = 49_152
const LAST_PORT = 65_535

/** Small enough that tests run into every limit soon; a real port is more generous. */
const DEFAULT_LIMITS: ConnectionLimits = {
  streamWindowBytes: 256 * 1024,
  connectionWindowBytes: 16 * 1024 * 1024,
  maxStreams: 320 + MAX_STREAMS,
  congestionWindowBytes: 64 * 1024,
  pathSizeBytes: 1350,
  idleTimeoutMs: 10_000,
}

/** What a `MemoryNetwork` is made with. */
export interface MemoryNetworkOptions extends Partial<ConnectionLimits> {
  readonly clock: VirtualClock
  readonly random: Random
  /** Of all links that `conditions` says nothing about. */
  readonly defaults?: Partial<LinkConditions>
  /** Keeps up to this many lines of `log`, and its fingerprint; 0, the default, keeps none. */
  readonly logLines?: number
}

/** A port of a memory network: what a node opens there instead of a UDP port. */
export interface MemoryPortOptions {
  /** Any name or address: one host is one machine. */
  readonly host: string
  /** 0 for any free port. */
  readonly port: number
  readonly identity: VerifiedPeer
  /** As the gate's keys of a real port: the first marks our handshakes, any of them opens. None: the port is open. */
  readonly gate?: Uint8Array | readonly Uint8Array[]
}

export class MemoryNetwork {
  /** What happened to every packet, oldest first, up to `logLines`. */
  readonly log: readonly string[]
  readonly #log: string[] = []
  readonly #logLines: number
  readonly #fingerprint = createHash('sha256')
  readonly #clock: VirtualClock
  readonly #random: Random
  readonly #defaults: LinkConditions
  readonly #limits: ConnectionLimits
  readonly #hosts = new Map<string, MemoryHost>()
  /** By sending host, then by receiving host. */
  readonly #links = new Map<string, Map<string, Link>>()
  /** By host, then by port. */
  readonly #ports = new Map<string, Map<number, MemoryTransport>>()
  readonly #wire: Wire
  #connectionIds = 0

  constructor(options: MemoryNetworkOptions) {
    const { clock, random, defaults, logLines = 0, ...limits } = options
    this.log = this.#log
    this.#clock = clock
    this.#random = random
    this.#defaults = { ...CLEAN_LINK, ...defaults }
    this.#limits = { ...DEFAULT_LIMITS, ...limits }
    this.#logLines = logLines
    this.#wire = {
      newConnectionId: () => this.#connectionIds++,
      carry: (from, to, packet) => this.#carry(from, to, packet),
      release: (port) => this.#release(port),
    }
  }

  /** Opens a port. Throws ERR_SKEIN_PORT_BUSY. */
  transport(options: MemoryPortOptions): Transport {
    const { host: hostName, gate = [] } = options
    // Peers are shown the public part and no more, even if a whole identity was given.
    const { nodeId, publicKey, certificate } = options.identity
    const ports = getOrMake(this.#ports, hostName, () => new Map<number, MemoryTransport>())
    const port = options.port === 0 ? freePort(ports) : options.port
    if (ports.has(port)) throw new SkeinError('ERR_SKEIN_PORT_BUSY', `Port ${port} of ${hostName} is in use.`)
    const keys = gate instanceof Uint8Array ? [gate] : gate
    const transport = new MemoryTransport({
      host: this.#host(hostName),
      address: { host: hostName, port },
      identity: { nodeId, publicKey, certificate },
      gates: keys.map((key) => Buffer.from(key).toString('hex')),
      limits: this.#limits,
      wire: this.#wire,
    })
    ports.set(port, transport)
    return transport
  }

  /** The clock of what runs on a host: it stops when the host is paused, and for ever when it crashes. */
  clockOf(host: string): Clock {
    return this.#host(host).clock
  }

  /** Changes the link between two hosts, both ways. A host with itself: between its own ports. */
  conditions(a: string, b: string, conditions: Partial<LinkConditions>): void {
    for (const link of [this.#link(a, b), this.#link(b, a)]) link.conditions = { ...link.conditions, ...conditions }
  }

  /** From now on nothing passes between the two groups, in either direction; what is under way is lost. */
  partition(groupA: readonly string[], groupB: readonly string[]): void {
    this.cut(groupA, groupB)
    this.cut(groupB, groupA)
  }

  /** From now on nothing passes from one group to the other; the way back stays open. */
  cut(from: readonly string[], to: readonly string[]): void {
    for (const a of from) for (const b of to) if (a !== b) this.#link(a, b).isCut = true
    this.#note(`cut ${from.join(',')} > ${to.join(',')}`)
  }

  /** Ends all partitions and cuts. */
  heal(): void {
    for (const links of this.#links.values()) for (const link of links.values()) link.isCut = false
    this.#note('heal')
  }

  /** kill -9: nothing on the host runs any more, and nobody is told. A port opened there later is on a new start. */
  crash(host: string): void {
    this.#host(host).crash()
    this.#hosts.delete(host)
    this.#ports.delete(host)
    this.#note(`crash ${host}`)
  }

  /** The host stands still (a debugger, a suspended laptop): packets wait in its socket buffer, timers do not run. */
  pause(host: string): void {
    this.#host(host).pause()
    this.#note(`pause ${host}`)
  }

  resume(host: string): void {
    this.#note(`resume ${host}`)
    this.#host(host).resume()
  }

  /** The clock of a host runs at another rate, or its calendar is wrong, until the host crashes. Throws ERR_SKEIN_BAD_ARGUMENT. */
  skewClock(host: string, skew: Partial<ClockSkew>): void {
    const { rate = 1, wallOffsetMs = 0 } = skew
    if (!(rate > 0 && Number.isFinite(rate) && Number.isFinite(wallOffsetMs))) {
      throw new SkeinError(
        'ERR_SKEIN_BAD_ARGUMENT',
        'The rate of a clock is greater than 0, and its offset is a number.',
      )
    }
    this.#host(host).skewClock(skew)
    this.#note(`skew ${host} ${rate} ${wallOffsetMs}`)
  }

  stateOf(host: string): HostState {
    return this.#host(host).state
  }

  /** A hash over all lines of the log so far, also those that were not kept. Empty without a log. */
  fingerprint(): string {
    return this.#logLines === 0 ? '' : this.#fingerprint.copy().digest('hex')
  }

  #host(name: string): MemoryHost {
    return getOrMake(this.#hosts, name, () => new MemoryHost(name, this.#clock))
  }

  #link(from: string, to: string): Link {
    const links = getOrMake(this.#links, from, () => new Map<string, Link>())
    return getOrMake(links, to, () => {
      return new Link(from === to ? { ...CLEAN_LINK, delayMs: LOOPBACK_DELAY_MS } : this.#defaults, this.#random)
    })
  }

  #carry(from: MemoryTransport, to: Address, packet: Packet): void {
    let fate: string = 'nowhere'
    // Addresses come from peers too: only hosts that exist get a link, so that the table stays bounded.
    if (this.#ports.has(to.host)) {
      const link = this.#link(from.address.host, to.host)
      fate = link.carry(this.#clock.now(), packet.sizeBytes, (delayMs) => {
        this.#clock.after(delayMs, () => this.#arrive(link, from.address, to, packet))
      })
    }
    this.#trace(fate, from.address, to, packet)
  }

  #arrive(link: Link, from: Address, to: Address, packet: Packet): void {
    const port = this.#ports.get(to.host)?.get(to.port)
    const fate = link.isCut ? 'cut' : port === undefined ? 'nowhere' : port.host.hasRoom ? 'arrived' : 'overflow'
    this.#trace(fate, from, to, packet)
    if (fate === 'arrived') port?.host.enterPacket(() => port.receive(packet, from))
  }

  #release(port: MemoryTransport): void {
    const ports = this.#ports.get(port.address.host)
    if (ports?.get(port.address.port) === port) ports.delete(port.address.port)
  }

  #trace(what: string, from: Address, to: Address, packet: Packet): void {
    if (this.#logLines === 0) return
    const number = 'number' in packet && packet.number !== undefined ? ` #${packet.number}` : ''
    const end = 'end' in packet ? ` @${packet.end}` : ''
    this.#note(
      `${what} ${formatAddress(from)} > ${formatAddress(to)} ${packet.kind}${end}${number} ${packet.sizeBytes}B`,
    )
  }

  #note(text: string): void {
    if (this.#logLines === 0) return
    const line = `${this.#clock.now()} ${text}`
    this.#fingerprint.update(line)
    if (this.#log.length < this.#logLines) this.#log.push(line)
  }
}

const getOrMake = <K, V>(map: Map<K, V>, key: K, make: () => V): V => {
  let value = map.get(key)
  if (value === undefined) {
    value = make()
    map.set(key, value)
  }
  return value
}

const freePort = (ports: ReadonlyMap<number, MemoryTransport>): number => {
  for (let port = FIRST_DYNAMIC_PORT; port <= LAST_PORT; port++) if (!ports.has(port)) return port
  throw new SkeinError('ERR_SKEIN_PORT_BUSY', 'All dynamic ports are in use.')
}
