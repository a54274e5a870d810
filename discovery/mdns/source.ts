/**
 * Multicast DNS as a source of discovery: one link for each network interface, because what is heard on one says nothing
 * about another.
 *
 * Nodes are merged over the links by name, and the incarnation seen last counts: a process that restarted, with its old key
 * or a new one, takes the place of its predecessor. A link that does not hear its own packets within two seconds does not
 * work; the status says so, and why that may be. Interfaces are looked at again every ten seconds. Nothing here throws
 * after `start`.
 */
import { formatAddress } from '../../transport/address.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import { Sightings } from '../sightings.ts'
import type { DiscoveryEvent, DiscoverySource, NodeRecord, Sighting, SourceStatus } from '../source.ts'
import { Echoes } from './echoes.ts'
import { type MulticastInterface, multicastInterfaces, sameInterface } from './interfaces.ts'
import { ECHO_LIMIT_MS, Link, type LinkCounters, type LinkOptions } from './link.ts'
import { MAX_NAME_BYTES } from './service.ts'
import { MDNS_PORT, type OpenSocket, openMulticastSocket } from './socket.ts'

const SOURCE = 'mdns'
const RESCAN_INTERVAL_MS = 10_000
/** Stopping waits no longer than this for goodbyes to leave. */
const STOP_DEADLINE_MS = 500

const ADVICE =
  'Docker bridges, WSL2 and most Kubernetes networks carry no multicast between machines, and a firewall may block UDP port 5353; give seeds there'

/** What `mdnsSource` takes. */
export interface MdnsOptions {
  readonly clock: Clock
  readonly random: Random
  /** Names or addresses of the interfaces to use; all by default. */
  readonly interfaces?: readonly string[]
  /** UDP port, 5353 by default; nodes on another port find only each other. */
  readonly port?: number
  /** How interfaces are listed and sockets opened: replaced in simulations. */
  readonly listInterfaces?: (only?: readonly string[]) => MulticastInterface[]
  readonly openSocket?: OpenSocket
}

/** Besides what every source has: named counts since the start. */
export interface MdnsSource extends DiscoverySource {
  counters(): Readonly<Record<string, number>>
}

/** A source that finds the nodes of the LAN, and of this machine, by multicast DNS. */
export const mdnsSource = (options: MdnsOptions): MdnsSource => new MulticastDnsSource(options)

type State =
  | { readonly type: 'idle' }
  | { readonly type: 'running'; readonly sinceMs: number; readonly sightings: Sightings }
  | { readonly type: 'unusable'; readonly reason: string }
  | { readonly type: 'stopped' }

class MulticastDnsSource implements MdnsSource {
  readonly source = SOURCE
  readonly #options: MdnsOptions
  readonly #counters: LinkCounters = { sent: 0, received: 0, malformed: 0, offLink: 0, socketErrors: 0, legacy: 0 }
  readonly #echoes = new Echoes()
  readonly #links = new Map<string, Link>()
  readonly #closing = new Set<Promise<void>>()
  #state: State = { type: 'idle' }
  #record: NodeRecord | undefined
  #rescan: Timer | undefined
  #settled = (): void => {}
  #stopping: Promise<void> | undefined

  constructor(options: MdnsOptions) {
    this.#options = options
  }

  async start(record: NodeRecord, emit: (event: DiscoveryEvent) => void): Promise<void> {
    if (this.#state.type !== 'idle') return
    if (Buffer.byteLength(record.name) > MAX_NAME_BYTES) {
      this.#state = { type: 'unusable', reason: `the node name is longer than ${MAX_NAME_BYTES} bytes` }
      return
    }
    const { clock } = this.#options
    this.#record = record
    this.#state = { type: 'running', sinceMs: clock.now(), sightings: new Sightings(SOURCE, emit) }
    const settled = new Promise<void>((resolve) => {
      this.#settled = resolve
    })
    this.#scan('at once')
    if (this.#links.size === 0) return
    const selfTest = clock.after(ECHO_LIMIT_MS, this.#settled)
    await settled
    selfTest.cancel()
  }

  update(record: NodeRecord): void {
    this.#record = record
    for (const link of this.#links.values()) link.publish(record)
  }

  refresh(): void {
    for (const link of this.#links.values()) link.refresh()
  }

  counters(): Readonly<Record<string, number>> {
    const links = [...this.#links.values()]
    const refused = links.reduce((sum, link) => sum + link.refused, 0)
    const foreign = links.reduce((sum, link) => sum + link.foreign, 0)
    return { ...this.#counters, refused, foreign }
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  async #stop(): Promise<void> {
    this.#state = { type: 'stopped' }
    this.#settled()
    this.#rescan?.cancel()
    for (const key of [...this.#links.keys()]) this.#closeLink(key)
    let deadline: Timer | undefined
    await Promise.race([
      Promise.all(this.#closing),
      new Promise<void>((resolve) => {
        deadline = this.#options.clock.after(STOP_DEADLINE_MS, resolve)
      }),
    ])
    deadline?.cancel()
  }

  /** Brings the links in line with the interfaces, opens those again that broke, and tests those that hear nothing. */
  #scan(start: LinkOptions['start']): void {
    const record = this.#record
    if (record === undefined || this.#state.type !== 'running') return
    const { clock, random, interfaces, listInterfaces = multicastInterfaces } = this.#options
    const faces = new Map(listInterfaces(interfaces).map((face) => [face.interfaceName, face]))
    for (const [name, link] of this.#links) {
      const face = faces.get(name)
      const broken = link.problem !== undefined && !link.works
      if (face === undefined || !sameInterface(face, link.face) || broken) this.#closeLink(name)
      else if (!link.works) link.refresh()
    }
    const options: LinkOptions = {
      clock,
      random,
      port: this.#options.port ?? MDNS_PORT,
      openSocket: this.#options.openSocket ?? openMulticastSocket,
      counters: this.#counters,
      echoes: this.#echoes,
      start,
      onChange: (names) => this.#merge(names),
      onVerdict: () => {
        if (this.#isDecided()) this.#settled()
      },
    }
    for (const [name, face] of faces) {
      if (!this.#links.has(name)) this.#links.set(name, new Link(face, record, options))
    }
    this.#rescan = clock.after(RESCAN_INTERVAL_MS, () => this.#scan('spread'), true)
  }

  /** A link to other machines works, or of each link it is known whether it works. */
  #isDecided(): boolean {
    const links = [...this.#links.values()]
    const isDecided = (link: Link): boolean => link.works || link.problem !== undefined
    return links.some((link) => link.works && !link.face.loopback) || links.every(isDecided)
  }

  #closeLink(name: string): void {
    const link = this.#links.get(name)
    if (link === undefined) return
    this.#links.delete(name)
    const closed = link.close().finally(() => this.#closing.delete(closed))
    this.#closing.add(closed)
    this.#merge(new Set([...link.seen].map((seen) => seen.name)))
  }

  /** Makes one sighting of what the links see of each of these names. */
  #merge(names: ReadonlySet<string>): void {
    if (this.#state.type !== 'running') return
    const { sightings } = this.#state
    for (const name of names) {
      const sighting = this.#sightingOf(name)
      if (sighting === undefined) sightings.delete(name)
      else sightings.put(sighting)
    }
  }

  #sightingOf(name: string): Sighting | undefined {
    const all = [...this.#links.values()].flatMap((link) => [...link.seen].filter((seen) => seen.name === name))
    const [first] = all
    if (first === undefined) return undefined
    const { id, incarnation, registrations } = all.reduce(
      (newest, seen) => (seen.sinceMs > newest.sinceMs ? seen : newest),
      first,
    )
    const addresses = all
      .filter((seen) => seen.id === id && seen.incarnation === incarnation)
      .flatMap((seen) => seen.addresses)
    const distinct = new Map(addresses.map((address) => [formatAddress(address), address]))
    const said = registrations.length === 0 ? {} : { registrations }
    return { key: name, name, id, incarnation, addresses: [...distinct.values()], ...said }
  }

  status(): SourceStatus {
    const state = this.#state
    const seen = state.type === 'running' ? state.sightings.size : 0
    const say = (kind: SourceStatus['state'], detail: string): SourceStatus => ({
      source: SOURCE,
      state: kind,
      detail,
      seen,
    })
    if (state.type === 'idle') return say('starting', 'not started')
    if (state.type === 'stopped') return say('stopped', 'stopped')
    if (state.type === 'unusable') return say('failed', state.reason)

    const links = [...this.#links.values()]
    if (links.length === 0) return say('failed', 'no network interface is up; give seeds, or bring an interface up')
    const working = links.filter((link) => link.works)
    const deaf = links.filter((link) => !link.works)
    const problems = deaf.map(problemOf).join(', ')
    if (!this.#isDecided() && this.#options.clock.now() - state.sinceMs < ECHO_LIMIT_MS) {
      return say('starting', 'waiting to hear the own packets')
    }
    if (working.length === 0) {
      const opened = deaf.some((link) => link.problem === undefined)
      return say(opened ? 'degraded' : 'failed', `multicast does not work here (${problems}). ${ADVICE}`)
    }
    const names = working.map((link) => link.face.interfaceName).join(', ')
    const localOnly = working.every((link) => link.face.loopback)
    if (localOnly && deaf.length > 0)
      return say('degraded', `finds nodes of this machine only (${problems}). ${ADVICE}`)
    const scope = localOnly ? `this machine only, on ${names}` : `on ${names}`
    const aside = deaf.length > 0 ? `; not on ${problems}` : ''
    return say('working', seen > 0 ? `${scope}${aside}` : `${scope}${aside}; no other node seen yet. ${ADVICE}`)
  }
}

const problemOf = (link: Link): string => {
  const { interfaceName } = link.face
  return `${interfaceName}: ${link.problem ?? 'the own packets do not come back'}`
}
