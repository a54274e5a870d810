/**
 * What every node tells the others about itself: which behaviours it starts and in which versions, whether it drains, and
 * how busy it is. A node knows the same of itself without telling anybody.
 *
 * The load is looked at every few seconds while there are peers, and told only when it has changed notably.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Timer } from '../../../transport/clock.ts'
import { type CatalogueEntry, isVersion } from '../../process/catalogue.ts'
import { Board } from '../board.ts'
import { Channel, type ChannelPeer, nonsense } from '../channel.ts'
import { channelHost, type ServicesHost } from '../services.ts'
import { differs, IDLE, loadOf, type NodeLoad } from './load.ts'

const SERVICE = 'skein.nodes'
const LOAD_INTERVAL_MS = 2000
/** Of the keys of entries; a behaviour's name follows the first one. */
const BEHAVIOUR = 'behaviour '
const DRAINING = 'draining'
const LOAD = 'load'

/** What a key says. */
type Entry = { readonly version?: string } | true | NodeLoad

export class NodeBoard {
  readonly channel: Channel
  readonly #host: ServicesHost
  readonly #board: Board<Entry>
  readonly #listeners = new Set<() => void>()
  #load: NodeLoad = IDLE
  #timer: Timer | undefined
  #isDraining = false
  #stopped = false

  constructor(host: ServicesHost) {
    this.#host = host
    const changed = (): void => this.#changed()
    const drainingNow = (owner: ChannelPeer, key: string): void => {
      if (key === DRAINING) host.emit({ type: 'draining', node: owner.node })
    }
    this.#board = new Board<Entry>(() => this.channel, host.clock, {
      accept,
      put: (owner, key, _value, previous) => {
        if (previous === undefined) drainingNow(owner, key)
        if (key !== LOAD) changed()
      },
      removed: changed,
      synced: changed,
    })
    this.channel = new Channel(SERVICE, channelHost(host), {
      peerUp: (peer) => {
        this.#board.peerUp(peer)
        this.#watchLoad()
      },
      received: (peer, message) => {
        if (!this.#board.received(peer, message)) throw nonsense('what is no board')
      },
      peerDown: (peer) => {
        this.#board.peerDown(peer)
        changed()
      },
    })
    const { catalogue } = host.processes
    for (const entry of catalogue.list()) this.#tell(entry)
    catalogue.onChange((entry) => this.#tell(entry))
  }

  get isDraining(): boolean {
    return this.#isDraining
  }

  /** Everybody hears that nothing more is to be started here. */
  drain(): void {
    if (this.#isDraining) return
    this.#isDraining = true
    this.#board.set(DRAINING, true)
    this.#host.emit({ type: 'draining', node: this.#host.self.name })
    this.#changed()
  }

  /** Names of this node and of all whose entries are complete. */
  members(): string[] {
    const peers = this.channel.peers().filter((peer) => this.#board.isSynced(peer))
    return [this.#host.self.name, ...peers.map(({ node }) => node)]
  }

  /** Undefined for a node that is not connected, or has not told yet. */
  behavioursOf(node: string): CatalogueEntry[] | undefined {
    const entries = this.#entries(node)
    if (entries === undefined) return undefined
    return Array.from(entries)
      .filter(([key]) => key.startsWith(BEHAVIOUR))
      .map(([key, entry]) => ({ name: key.slice(BEHAVIOUR.length), version: (entry as { version?: string }).version }))
  }

  /** By its own account. */
  canStart(node: string, behaviour: string, version: string | undefined): boolean {
    const entry = this.#entries(node)?.get(`${BEHAVIOUR}${behaviour}`) as { version?: string } | undefined
    return entry !== undefined && (version === undefined || entry.version === version)
  }

  drains(node: string): boolean {
    return this.#entries(node)?.has(DRAINING) === true
  }

  loadOf(node: string): NodeLoad {
    if (node === this.#host.self.name) return this.#load
    return (this.#entries(node)?.get(LOAD) as NodeLoad | undefined) ?? IDLE
  }

  /** Told after every change of who is there, can start what and drains; loads are looked at when they are needed. */
  onChange(listener: () => void): void {
    this.#listeners.add(listener)
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #entries(node: string): ReadonlyMap<string, Entry> | undefined {
    if (node === this.#host.self.name) return this.#board.own
    const peer = this.channel.peerOn(node)
    return peer !== undefined && this.#board.isSynced(peer) ? this.#board.of(peer) : undefined
  }

  #tell({ name, version }: CatalogueEntry): void {
    this.#board.set(`${BEHAVIOUR}${name}`, version === undefined ? {} : { version })
    this.#changed()
  }

  #watchLoad(): void {
    if (this.#timer !== undefined || this.#stopped) return
    const look = (): void => {
      this.#timer = undefined
      this.#lookAtLoad()
      if (this.channel.peers().length > 0) this.#watchLoad()
    }
    this.#timer = this.#host.clock.after(LOAD_INTERVAL_MS, look, true)
  }

  #lookAtLoad(): void {
    const load = loadOf(this.#host.processes, this.#host.loopMeter)
    if (!differs(load, this.#load)) return
    this.#load = load
    this.#board.set(LOAD, load)
  }

  #changed(): void {
    for (const listener of this.#listeners) listener()
  }
}

const accept = (value: unknown, key: string): Entry => {
  if (key === DRAINING && value === true) return true
  const fields = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>
  if (key.startsWith(BEHAVIOUR)) {
    const { version } = fields
    if (version === undefined) return {}
    if (isVersion(version)) return { version }
  }
  if (key === LOAD) {
    const { utilisation, processes, messages } = fields
    if (isAmount(utilisation) && isAmount(processes) && isAmount(messages)) return { utilisation, processes, messages }
  }
  throw new SkeinError('ERR_SKEIN_PROTOCOL', 'A node says something about itself that makes no sense.')
}

const isAmount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0
