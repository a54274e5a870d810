/**
 * What all sources of discovery see, as one table for the node layer.
 *
 * A node is one entry, however many sources see it: sightings belong together when they name the same id, or when one of
 * them has no id (a seed) and they share an address. What a seed says beyond that address stays out of a node's entry: a
 * host name may stand for many nodes. An entry is lost when the last source lost it. The table never dials and never
 * judges: two nodes that claim one name are two entries, and the handshake decides. A source that misbehaves (throws or
 * rejects) is a status, never an error.
 */
import ipaddr from 'ipaddr.js'
import { type Address, formatAddress, sameAddress, unmapHost } from '../transport/address.ts'
import { sameSighting } from './sightings.ts'
import type { DiscoveryEvent, DiscoverySource, NodeRecord, Sighting, SourceStatus } from './source.ts'

/** Sightings of all sources together; what comes beyond is counted and left out. */
export const MAX_SIGHTINGS = 4096
/** The best of an entry are kept. */
const MAX_ADDRESSES_PER_ENTRY = 32

/** A node as all sources together see it; its addresses stand in the order to try them. */
export interface KnownNode extends Sighting {
  /** Which sources see it now. */
  readonly sources: readonly string[]
}

/** What the table has learnt from all its sources together. */
export interface TableEvent {
  readonly type: 'found' | 'changed' | 'lost'
  readonly node: KnownNode
  /** Of what changed: its key until now. A new one is that of another node in its place, or of an address whose node is known. */
  readonly formerKey?: string
}

/** What a `DiscoveryTable` is made of. */
export interface DiscoveryTableOptions {
  readonly sources: readonly DiscoverySource[]
  readonly onEvent: (event: TableEvent) => void
  /** A source that has started says that its status is another now. */
  readonly onStatus?: (status: SourceStatus) => void
}

/** One source's sighting, with the order in which they came: the greater, the fresher. */
interface Contribution {
  readonly source: string
  readonly sighting: Sighting
  readonly order: number
}

/** Contributions that are the same node. */
interface Entry {
  readonly contributions: Map<string, Contribution>
  /** What they say together; undefined when there are none. */
  node: KnownNode | undefined
  /** What was told of it last. */
  told: KnownNode | undefined
  freshest: number
}

export class DiscoveryTable {
  readonly #sources: readonly DiscoverySource[]
  readonly #onEvent: (event: TableEvent) => void
  readonly #onStatus: ((status: SourceStatus) => void) | undefined
  readonly #entries = new Set<Entry>()
  readonly #entryOf = new Map<string, Entry>()
  /** Sources that broke the contract, with the reason. */
  readonly #broken = new Map<DiscoverySource, string>()
  #record: NodeRecord | undefined
  #order = 0
  #refused = 0
  #stopping: Promise<void> | undefined

  constructor(options: DiscoveryTableOptions) {
    this.#sources = options.sources
    this.#onEvent = options.onEvent
    this.#onStatus = options.onStatus
  }

  /** Starts all sources at once; resolves when each works or has settled into a failed state. Never rejects. */
  async start(record: NodeRecord): Promise<void> {
    if (this.#record !== undefined || this.#stopping !== undefined) return
    this.#record = record
    const start = (source: DiscoverySource): Promise<void> => {
      const turned = (): void => {
        if (this.#stopping === undefined) this.#onStatus?.(source.status())
      }
      return source.start(record, (event) => this.#handle(event), turned)
    }
    await Promise.all(this.#sources.map((source) => this.#guard(source, () => start(source))))
  }

  /** Publishes a changed record through every source; before `start` there is none to change. */
  update(record: NodeRecord): void {
    if (this.#record === undefined) return
    this.#record = record
    for (const source of this.#sources) void this.#guard(source, () => source.update(record))
  }

  /** Asks every source to look again now; resolves when those that can tell have their answer. */
  async refresh(wanted?: string): Promise<void> {
    await Promise.all(this.#sources.map((source) => this.#guard(source, () => source.refresh(wanted))))
  }

  /** The nodes of this id, name or registered name, the freshest first. A name without @host fits any host. */
  find(nameOrId: string): KnownNode[] {
    const isMeant = (name: string): boolean => name === nameOrId || name.split('@')[0] === nameOrId
    return this.#sorted(
      ({ id, name, registrations = [] }) =>
        id === nameOrId || (name !== undefined && isMeant(name)) || registrations.some((one) => isMeant(one.name)),
    )
  }

  /** Everything known, the freshest first; sightings without a name among it. */
  all(): KnownNode[] {
    return this.#sorted(() => true)
  }

  status(): SourceStatus[] {
    return this.#sources.map((source) => {
      const reason = this.#broken.get(source)
      return reason === undefined
        ? source.status()
        : { source: source.source, state: 'failed', detail: reason, seen: 0 }
    })
  }

  /** How many sightings found no room. */
  get refused(): number {
    return this.#refused
  }

  /** Stops all sources; nothing is told afterwards. Idempotent, never rejects. */
  stop(): Promise<void> {
    this.#stopping ??= Promise.all(this.#sources.map((source) => this.#guard(source, () => source.stop()))).then(
      () => {},
    )
    return this.#stopping
  }

  async #guard(source: DiscoverySource, call: () => unknown): Promise<void> {
    try {
      await call()
    } catch (error) {
      this.#broken.set(source, `broke its contract: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #handle({ type, source, sighting }: DiscoveryEvent): void {
    if (this.#stopping !== undefined) return
    const key = `${source}\n${sighting.key}`
    if (type === 'lost' || this.#isSelf(sighting)) {
      this.#take(key)
      return
    }
    if (!this.#entryOf.has(key) && this.#entryOf.size >= MAX_SIGHTINGS) {
      this.#refused++
      return
    }
    this.#put(key, { source, sighting, order: ++this.#order })
  }

  #isSelf({ id, incarnation }: Sighting): boolean {
    return id !== undefined && id === this.#record?.id && incarnation === this.#record.incarnation
  }

  #put(key: string, contribution: Contribution): void {
    const before = this.#entryOf.get(key)
    if (before !== undefined) this.#remove(before, key)
    const related = [...this.#entries].filter((entry) => belongs(entry, contribution.sighting))
    const identified = related.find((entry) => entry.node?.id !== undefined)
    // An entry that this contribution filled alone goes on as the same node, even with a new id (a restart).
    const emptied = before?.node === undefined ? before : undefined
    const entry = identified ?? related[0] ?? emptied ?? newEntry()
    this.#entries.add(entry)
    this.#add(entry, key, contribution)
    for (const other of related) {
      if (other === entry || other.node?.id !== undefined) continue
      for (const [otherKey, moved] of [...other.contributions]) {
        this.#remove(other, otherKey)
        this.#add(entry, otherKey, moved)
      }
      this.#tell(other)
    }
    if (before !== undefined && before !== entry) this.#tell(before)
    this.#tell(entry)
  }

  #take(key: string): void {
    const entry = this.#entryOf.get(key)
    if (entry === undefined) return
    this.#remove(entry, key)
    this.#tell(entry)
  }

  #add(entry: Entry, key: string, contribution: Contribution): void {
    entry.contributions.set(key, contribution)
    entry.freshest = Math.max(entry.freshest, contribution.order)
    entry.node = this.#nodeOf(entry)
    this.#entryOf.set(key, entry)
  }

  #remove(entry: Entry, key: string): void {
    entry.contributions.delete(key)
    entry.node = this.#nodeOf(entry)
    this.#entryOf.delete(key)
  }

  /** Tells what became of an entry, if anything did. */
  #tell(entry: Entry): void {
    const { told, node } = entry
    entry.told = node
    if (node === undefined) {
      this.#entries.delete(entry)
      if (told !== undefined) this.#onEvent({ type: 'lost', node: told })
      return
    }
    if (told !== undefined && sameSighting(told, node)) return
    this.#onEvent(told === undefined ? { type: 'found', node } : { type: 'changed', node, formerKey: told.key })
    for (const source of this.#sources) {
      const knows = node.sources.length === 1 && node.sources[0] === source.source
      if (!knows) void this.#guard(source, () => source.learn?.(node.addresses))
    }
  }

  #nodeOf(entry: Entry): KnownNode | undefined {
    const fresh = [...entry.contributions.values()].sort((a, b) => b.order - a.order)
    const newest = fresh[0]
    if (newest === undefined) return undefined
    const identified = fresh.filter(({ sighting }) => sighting.id !== undefined)
    const { key, id, name, incarnation } = (identified[0] ?? newest).sighting
    const registrations = identified.find(({ sighting }) => sighting.registrations !== undefined)?.sighting
      .registrations
    // Those of an older incarnation come last and within their rank: most nodes come back to the same port.
    const isCurrent = ({ sighting }: Contribution): boolean => sighting.incarnation === incarnation
    const speakers = identified.length > 0 ? identified : fresh
    const byAge = [...speakers.filter(isCurrent), ...speakers.filter((one) => !isCurrent(one))]
    const addresses = byAge.flatMap(({ sighting }) => sighting.addresses)
    // Of sources that know about NATs the freshest; what an earlier incarnation said is of where it was.
    const { nat, introducers } =
      identified.filter(isCurrent).find(({ sighting }) => sighting.nat !== undefined)?.sighting ?? {}
    return {
      key: id ?? key,
      ...(id === undefined ? {} : { id }),
      ...(name === undefined ? {} : { name }),
      ...(incarnation === undefined ? {} : { incarnation }),
      addresses: orderAddresses(addresses, this.#record?.addresses ?? []).slice(0, MAX_ADDRESSES_PER_ENTRY),
      ...(registrations === undefined ? {} : { registrations }),
      ...(nat === undefined ? {} : { nat }),
      ...(introducers === undefined ? {} : { introducers }),
      sources: [...new Set(fresh.map(({ source }) => source))].sort(),
    }
  }

  #sorted(fits: (node: KnownNode) => boolean): KnownNode[] {
    return [...this.#entries]
      .sort((a, b) => b.freshest - a.freshest)
      .flatMap(({ node }) => (node !== undefined && fits(node) ? [node] : []))
  }
}

const newEntry = (): Entry => ({ contributions: new Map(), node: undefined, told: undefined, freshest: 0 })

/** Whether a sighting is of the node of this entry. */
const belongs = ({ node }: Entry, sighting: Sighting): boolean => {
  if (node === undefined) return false
  if (node.id !== undefined && sighting.id !== undefined) return node.id === sighting.id
  return node.addresses.some((address) => sighting.addresses.some((other) => sameAddress(address, other)))
}

/**
 * The order to try addresses in: loopback (only nodes of this machine announce it to us, and its datagrams are the
 * largest), then other addresses of this machine, then those of a LAN (private and unique local), then public ones, last
 * link-local ones, which need the right zone. Within a rank the given order stays. Repeated ones are left out.
 */
export const orderAddresses = (addresses: readonly Address[], own: readonly Address[] = []): Address[] => {
  const ownHosts = new Set(own.map((address) => unmapHost(address.host)))
  const distinct = new Map(addresses.map((address) => [formatAddress(address), address]))
  return [...distinct.values()]
    .map((address) => ({ address, rank: rankOf(address.host, ownHosts) }))
    .sort((a, b) => a.rank - b.rank)
    .map(({ address }) => address)
}

const rankOf = (host: string, ownHosts: ReadonlySet<string>): number => {
  const plain = unmapHost(host)
  if (!ipaddr.isValid(plain)) return 5
  const range = ipaddr.parse(plain).range()
  if (range === 'loopback') return 0
  if (ownHosts.has(plain)) return 1
  if (range === 'private' || range === 'uniqueLocal') return 2
  return range === 'linkLocal' ? 4 : 3
}
