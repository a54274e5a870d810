/**
 * The one interface behind which every way of finding nodes stands: mDNS, the DHT, DNS, seeds.
 *
 * A source publishes this node's record and reports others as found, changed or lost. It never dials and never judges:
 * what it says is a hint, and only the handshake proves anything. A source that cannot work says so in its status and
 * stays harmless; it never throws after `start` and never takes the node down.
 */
import type { Address } from '../transport/address.ts'

/**
 * How the way from a node to the world treats it: `open`, there is no NAT; `cone`, everybody sees it at the same address
 * (endpoint-independent mapping, RFC 4787 section 4.1); `symmetric`, each destination sees another port.
 */
export const NAT_CLASSES = ['unknown', 'open', 'cone', 'symmetric'] as const
/** open: there is no NAT. cone: everybody sees the node at one address. symmetric: each sees another port. */
export type NatClass = (typeof NAT_CLASSES)[number]

/** A further name of a node, or its own, with what the node says about it. */
export interface Registration {
  readonly name: string
  readonly metadata: Readonly<Record<string, string>>
}

/** What a node says of itself. */
export interface NodeRecord {
  /** name@host */
  readonly name: string
  /** Hash of the node's key, see certs/node-id.ts. */
  readonly id: string
  /** 16 hex digits, new at each start. */
  readonly incarnation: string
  readonly addresses: readonly Address[]
  /** Keyed hash of cookie and cluster, so that clusters on one LAN leave each other alone. Never a secret. */
  readonly clusterTag: string
  /** Those of other cookies that the node goes by while cookies change: whose nodes are of this cluster, too. */
  readonly acceptedTags?: readonly string[]
  readonly registrations?: readonly Registration[]
  /** Without it the source may find out by itself. */
  readonly nat?: NatClass
  /** Members that those can ask who do not reach this node by its addresses. */
  readonly introducers?: readonly Address[]
}

/** What a source knows of another node: seeds know no more than an address. */
export interface Sighting {
  /** Stable for the same thing within the source. */
  readonly key: string
  readonly name?: string
  readonly id?: string
  readonly incarnation?: string
  readonly addresses: readonly Address[]
  readonly registrations?: readonly Registration[]
  /** By its own account. Public IPv4 addresses of a node behind a NAT are those that others see it at, not to be dialled blindly. */
  readonly nat?: NatClass
  /** Members that lead to it. */
  readonly introducers?: readonly Address[]
}

/** What a source reports of another node. A hint: only the handshake proves who is there. */
export type DiscoveryEvent =
  | { readonly type: 'found'; readonly source: string; readonly sighting: Sighting }
  | { readonly type: 'changed'; readonly source: string; readonly sighting: Sighting }
  | { readonly type: 'lost'; readonly source: string; readonly sighting: Sighting }

/** How a source of discovery does: `node.discovery.status()`, and the event `discoveryStatus`. */
export interface SourceStatus {
  /** 'mdns', 'seeds', ... */
  readonly source: string
  readonly state: 'starting' | 'working' | 'degraded' | 'failed' | 'stopped'
  /** For people: what works, or why it does not and what to do. */
  readonly detail: string
  /** How many other nodes it sees now. */
  readonly seen: number
}

/** A way of finding nodes. */
export interface DiscoverySource {
  readonly source: string
  /**
   * Begins publishing and watching; resolves when it works or has settled into a failed state. Never rejects. `turned` is
   * called when its status has become another later on, and people should hear of it; never often.
   */
  start(record: NodeRecord, emit: (event: DiscoveryEvent) => void, turned?: () => void): Promise<void>
  /** Publishes a changed record. */
  update(record: NodeRecord): void
  /**
   * Looks again now, because someone is asked for who is not known, or no longer where he was: by `wanted`, a name or an
   * id, if the source can look for one. A promise resolves when the answer is in.
   */
  refresh(wanted?: string): void | Promise<void>
  /** Another source sees a node at these addresses. */
  learn?(addresses: readonly Address[]): void
  status(): SourceStatus
  /** Takes the record back (goodbye) and frees everything; bounded in time, idempotent, never rejects. */
  stop(): Promise<void>
}
