/**
 * Whole clusters in one process and in virtual time: every node on a host of its own of a memory network, the first one
 * the seed of all others. The same seed and the same program give the same run, down to the last event.
 *
 *   const cluster = await simulatedNodes(5, { seed: 42 })
 *   await cluster.clock.run({ until: () => cluster.nodes.every((node) => node.nodes().length === 4) })
 */
import { createIdentity, type Identity } from '../../certs/identity.ts'
import { Keyring } from '../../certs/keyring.ts'
import { type ClusterKeys, deriveKeys } from '../../certs/keys.ts'
import { signingKeyOf } from '../../certs/signing-key.ts'
import { dhtOn } from '../../discovery/dht/port.ts'
import { dhtSource } from '../../discovery/dht/rendezvous.ts'
import { seedSource } from '../../discovery/seeds.ts'
import { type Address, formatAddress } from '../../transport/address.ts'
import { MemoryNetwork, type MemoryNetworkOptions } from '../../transport/memory-network.ts'
import { type Random, seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import type { LivenessPreset } from '../cluster/liveness.ts'
import type { MeshPolicy } from '../cluster/strategy.ts'
import type { Logger } from '../config.ts'
import { DEFAULT_PORT } from '../discovery-config.ts'
import { type SkeinNode, startNodeOn } from '../node.ts'
import type { NodeParts } from '../node-parts.ts'
import type { Allow } from '../process/rights.ts'
import type { CompressionOptions } from '../wire/packing.ts'

/** How a simulated cluster is set up. */
export interface SimulationOptions {
  /** Decides every chance of the run. Default: 1. */
  readonly seed?: number
  readonly cluster?: string
  readonly cookie?: string
  readonly mesh?: MeshPolicy
  /** As the options of the strategy. */
  readonly fullMeshNodes?: number
  readonly preventOverlappingPartitions?: boolean
  /** How nodes find each other: the first one is the seed of the others, or their bootstrap node in a DHT. Default: seeds. */
  readonly discovery?: 'seeds' | 'dht'
  readonly liveness?: LivenessPreset
  /** As the option of startNode. */
  readonly allow?: Allow
  readonly compression?: CompressionOptions
  /** Delay, loss and limits of the network. */
  readonly network?: Omit<MemoryNetworkOptions, 'clock' | 'random'>
}

/** What one node may have differently from the others. */
export interface SimulatedNodeOptions {
  readonly name?: string
  readonly cluster?: string
  readonly cookie?: string
  /** As the option of startNode. */
  readonly acceptCookies?: readonly string[]
  readonly identity?: Identity
  /** As the options of startNode. */
  readonly allow?: Allow
  readonly revoked?: readonly string[]
  readonly members?: readonly string[]
  readonly mesh?: MeshPolicy
  readonly hidden?: boolean
  /** False: it knows no seed. */
  readonly seeded?: boolean
  /** Oldest and newest protocol version it speaks. */
  readonly protocolVersions?: readonly [number, number]
  /** How busy its event loop is said to be, from 0 to 1. Default: 0. */
  readonly loopMeter?: () => number
}

const SEED_BYTES = 6
const HOSTS_PER_NET = 250

/** The host of the node with this number, counted from 0. */
export const simulatedHost = (index: number): string =>
  `10.0.${Math.floor(index / HOSTS_PER_NET)}.${(index % HOSTS_PER_NET) + 1}`

export class SimulatedCluster {
  readonly clock = new VirtualClock()
  readonly network: MemoryNetwork
  /** In the order of their start; a stopped or crashed one stays in its place. */
  readonly nodes: SkeinNode[] = []
  readonly #options: SimulationOptions
  readonly #random: Random
  /** They do not hear a `stop`. */
  readonly #crashed = new Set<SkeinNode>()

  constructor(options: SimulationOptions = {}) {
    this.#options = options
    this.#random = seededRandom(options.seed ?? 1)
    this.network = new MemoryNetwork({ ...options.network, clock: this.clock, random: this.#random })
  }

  /** A new identity, from the cluster's own randomness. To be made before time runs: it uses the machine's thread pool. */
  identity(): Promise<Identity> {
    return createIdentity({ wallNowMs: this.clock.wallNow(), random: (count) => this.#random.bytes(count) })
  }

  /** Starts a node on host `index`, which may have crashed before. */
  async start(index: number, options: SimulatedNodeOptions = {}): Promise<SkeinNode> {
    const { seeded = true } = options
    const { liveness, cluster: sharedCluster = 'test', cookie: sharedCookie = 'a cookie for tests' } = this.#options
    const cluster = options.cluster ?? sharedCluster
    const identity = options.identity ?? (await this.identity())
    const host = simulatedHost(index)
    const clock = this.network.clockOf(host)
    const random = seededRandom(Buffer.from(this.#random.bytes(SEED_BYTES)).readUIntBE(0, SEED_BYTES))
    const keysOf = (cookie: string): ClusterKeys => deriveKeys(Buffer.from(cookie), cluster)
    const keys = new Keyring(keysOf(options.cookie ?? sharedCookie), options.acceptCookies?.map(keysOf))
    const verified = { nodeId: identity.nodeId, publicKey: identity.publicKey, certificate: identity.certificate }
    const first: Address = { host: simulatedHost(0), port: DEFAULT_PORT }
    const known = seeded && index > 0 ? [first] : []
    const transport = this.network.transport({
      host,
      port: DEFAULT_PORT,
      identity: verified,
      gate: keys.all().map(({ gate }) => gate),
    })
    const hidden = options.hidden ?? false
    const source =
      this.#options.discovery === 'dht'
        ? dhtSource({
            dht: dhtOn(transport, { clock, random, readOnly: hidden }),
            clock,
            random,
            keys,
            signer: signingKeyOf(identity),
            bootstrap: known,
            resolve: () => Promise.resolve([]),
          })
        : seedSource({ seeds: known.map(formatAddress), clock, random })
    const allow = options.allow ?? this.#options.allow
    const parts: NodeParts = {
      name: options.name ?? `n${index}@${host}`,
      cluster,
      identity,
      keys,
      transport,
      clock,
      random,
      logger: SILENT,
      mesh: options.mesh ?? this.#options.mesh ?? 'full',
      hidden,
      ...(this.#options.fullMeshNodes === undefined ? {} : { fullMeshNodes: this.#options.fullMeshNodes }),
      ...(this.#options.preventOverlappingPartitions === false ? { preventOverlappingPartitions: false } : {}),
      sources: [source],
      ...(options.loopMeter && { loopMeter: options.loopMeter }),
      ...(options.protocolVersions && { protocolVersions: options.protocolVersions }),
      ...(liveness === undefined ? {} : { liveness }),
      ...(allow === undefined ? {} : { allow }),
      revoked: options.revoked,
      members: options.members,
      compression: this.#options.compression,
    }
    const node = startNodeOn(parts)
    this.nodes[index] = node
    return node
  }

  /** kill -9 for the node on host `index`: it is gone, and nobody is told. */
  crash(index: number): void {
    const node = this.nodes[index]
    if (node !== undefined) this.#crashed.add(node)
    this.network.crash(simulatedHost(index))
  }

  /** Lets a paused host go on. */
  resume(index: number): void {
    this.network.resume(simulatedHost(index))
  }

  /** Stops all nodes, running time for as long as that takes. */
  async stop(): Promise<void> {
    let stopped = false
    const alive = this.nodes.filter((node) => !this.#crashed.has(node))
    const stopping = Promise.all(alive.map((node) => node.stop())).then(() => {
      stopped = true
    })
    await this.clock.run({ until: () => stopped })
    await stopping
  }
}

const ignore = (): void => {}
const SILENT: Logger = { error: ignore, warn: ignore, info: ignore, debug: ignore }

/** A cluster of `count` nodes that have just been started and do not know each other yet: let time run. */
export const simulatedNodes = async (count: number, options: SimulationOptions = {}): Promise<SimulatedCluster> => {
  const cluster = new SimulatedCluster(options)
  const identities: Identity[] = []
  for (let i = 0; i < count; i++) identities.push(await cluster.identity())
  for (const [index, identity] of identities.entries()) await cluster.start(index, { identity })
  return cluster
}
