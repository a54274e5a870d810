/**
 * `node.discovery`: what a port mapper is asked, answered by everybody together instead: register, unregister, lookup, list.
 *
 * A node is registered under its own name for as long as it runs. Further names, with metadata, travel in its record
 * through every source that publishes records (mDNS, DHT) and go with it. Names are not locks: two nodes may register the
 * same one, and a lookup gives both where both are seen. Hints, as all that discovery says.
 */
import { SkeinError } from '../certs/errors.ts'
import { MAX_REGISTRATION_BYTES, MAX_REGISTRATIONS } from '../discovery/dht/record.ts'
import type { NodeRecord, Registration, SourceStatus } from '../discovery/source.ts'
import type { DiscoveryTable, KnownNode } from '../discovery/table.ts'
import type { Address } from '../transport/address.ts'
import type { Clock } from '../transport/clock.ts'
import { AddressWatch } from './address-watch.ts'
import { isNodeName, isShortName } from './cluster/node-name.ts'
import { search } from './cluster/search.ts'

const DEFAULT_LOOKUP_TIMEOUT_MS = 3000
const MAX_LOOKUPS = 1024
/** A name and its metadata, as one string of a TXT record. */
const MAX_ONE_BYTES = 200

/** A node as discovery sees it. */
export interface DiscoveredNode {
  /** name@host */
  readonly name: string
  readonly id: string
  readonly incarnation: string
  /** In the order to try. */
  readonly addresses: readonly Address[]
  /** Further names, and what the node says about them and about its own. */
  readonly registrations: readonly Registration[]
  /** Which sources see it: mdns, dht, peers; `self` for this node. */
  readonly sources: readonly string[]
}

export interface NodeDiscoveryParts {
  readonly table: DiscoveryTable
  readonly clock: Clock
  /** Asks all sources and all peers for a name or id. */
  readonly ask: (wanted: string) => Promise<void>
  /** This node without its registrations. */
  readonly self: () => NodeRecord
}

export class NodeDiscovery {
  readonly #parts: NodeDiscoveryParts
  readonly #registrations = new Map<string, Registration>()
  /** Those under way, each with what ends it. */
  readonly #lookups = new Map<() => void, () => void>()
  readonly #addresses: AddressWatch
  #stopping: Promise<void> | undefined

  /** @internal */
  constructor(parts: NodeDiscoveryParts) {
    this.#parts = parts
    this.#addresses = new AddressWatch({
      clock: parts.clock,
      current: () => parts.self().addresses,
      onChange: () => parts.table.update(this.record()),
    })
  }

  /** Each source and how it fares. */
  status(): readonly SourceStatus[] {
    return this.#parts.table.status()
  }

  /**
   * Makes this node known under a further name too, or says something about its own; the same name again replaces what
   * was said. Throws ERR_SKEIN_BAD_NAME, ERR_SKEIN_BAD_ARGUMENT for metadata that are not texts, or ERR_SKEIN_LIMIT: eight
   * names, and 256 bytes in all.
   */
  register(name: string, metadata: Readonly<Record<string, string>> = {}): void {
    if (typeof name !== 'string' || !(isShortName(name) || isNodeName(name))) {
      throw new SkeinError('ERR_SKEIN_BAD_NAME', `"${String(name).slice(0, 100)}" is not a name.`)
    }
    const registration = { name, metadata: textsOf(metadata) }
    const others = [...this.#registrations.values()].filter((one) => one.name !== name)
    const sizeBytes = [...others, registration].reduce((sum, one) => sum + sizeOf(one), 0)
    if (
      others.length >= MAX_REGISTRATIONS ||
      sizeOf(registration) > MAX_ONE_BYTES ||
      sizeBytes > MAX_REGISTRATION_BYTES
    ) {
      throw new SkeinError(
        'ERR_SKEIN_LIMIT',
        `A node registers at most ${MAX_REGISTRATIONS} names, with ${MAX_ONE_BYTES} bytes each and ${MAX_REGISTRATION_BYTES} in all.`,
      )
    }
    this.#registrations.set(name, registration)
    this.#parts.table.update(this.record())
  }

  /** Takes a name back. False if it was not registered here. */
  unregister(name: string): boolean {
    if (!this.#registrations.delete(name)) return false
    this.#parts.table.update(this.record())
    return true
  }

  /**
   * The nodes of this name, registered name or id: those that are known, else those that turn up while all sources look,
   * for `timeoutMs` (3000) at most. Empty if there are none.
   */
  async lookup(nameOrId: string, { timeoutMs = DEFAULT_LOOKUP_TIMEOUT_MS } = {}): Promise<DiscoveredNode[]> {
    const wanted = String(nameOrId)
    const known = this.#find(wanted)
    if (known.length > 0 || this.#stopping !== undefined) return known
    if (this.#lookups.size >= MAX_LOOKUPS) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `${MAX_LOOKUPS} lookups are already under way.`)
    }
    await new Promise<void>((resolve) => {
      const settle = (): void => {
        looking.cancel()
        this.#lookups.delete(look)
        resolve()
      }
      const look = (): void => {
        if (this.#find(wanted).length > 0) settle()
      }
      this.#lookups.set(look, settle)
      const { clock, ask } = this.#parts
      const looking = search({ clock, timeoutMs, ask: () => ask(wanted), onOver: settle })
    })
    return this.#find(wanted)
  }

  /** All nodes that are known now, this one first. */
  list(): DiscoveredNode[] {
    return [this.#self(), ...this.#parts.table.all().flatMap(toDiscovered)]
  }

  /** @internal What this node publishes. */
  record(): NodeRecord {
    return { ...this.#parts.self(), registrations: [...this.#registrations.values()] }
  }

  /** @internal Something of this node's record has changed, and shall not wait for the next look. */
  changed(): void {
    if (this.#stopping === undefined) this.#parts.table.update(this.record())
  }

  /** @internal Something new is known. */
  noticed(): void {
    for (const look of [...this.#lookups.keys()]) look()
  }

  /** @internal Publishes this node, and again whenever its addresses change. Never rejects. */
  start(): Promise<void> {
    if (this.#stopping !== undefined) return Promise.resolve()
    this.#addresses.start()
    return this.#parts.table.start(this.record())
  }

  /** @internal Ends all sources, and lookups with what is known. Idempotent, never rejects. */
  stop(): Promise<void> {
    this.#addresses.stop()
    this.#stopping ??= this.#parts.table.stop()
    for (const settle of [...this.#lookups.values()]) settle()
    return this.#stopping
  }

  #find(wanted: string): DiscoveredNode[] {
    const self = this.#self()
    const { name, id, registrations } = self
    const isMeant = [id, name, name.split('@')[0], ...registrations.map((one) => one.name)].includes(wanted)
    return [...(isMeant ? [self] : []), ...this.#parts.table.find(wanted).flatMap(toDiscovered)]
  }

  #self(): DiscoveredNode {
    const { name, id, incarnation, addresses, registrations = [] } = this.record()
    return { name, id, incarnation, addresses, registrations, sources: ['self'] }
  }
}

const textsOf = (metadata: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
  const isRecord = typeof metadata === 'object' && metadata !== null && !Array.isArray(metadata)
  if (isRecord && Object.values(metadata).every((value) => typeof value === 'string')) return { ...metadata }
  throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'metadata is an object whose values are texts')
}

/** As in a TXT record, where every byte counts. */
const sizeOf = ({ name, metadata }: Registration): number => {
  const texts = [name, ...Object.entries(metadata).flat()]
  return texts.reduce((sum, text) => sum + encodeURIComponent(text).length + 1, 0)
}

/** A sighting without name, id or incarnation is an address, not a node. */
const toDiscovered = ({
  name,
  id,
  incarnation,
  addresses,
  registrations = [],
  sources,
}: KnownNode): DiscoveredNode[] =>
  name === undefined || id === undefined || incarnation === undefined
    ? []
    : [{ name, id, incarnation, addresses, registrations, sources }]
