/**
 * What a node is made of: everything that touches the machine, so that the same node runs on other parts too.
 */
import type { TrustedAuthority } from '../certs/authorities.ts'
import type { Identity } from '../certs/identity.ts'
import type { Keyring } from '../certs/keyring.ts'
import type { DiscoverySource } from '../discovery/source.ts'
import type { Clock } from '../transport/clock.ts'
import type { Random } from '../transport/random.ts'
import type { Transport } from '../transport/transport.ts'
import type { RenewalSettings } from './certificate-keeper.ts'
import type { LivenessPreset } from './cluster/liveness.ts'
import type { ResolveHost } from './cluster/node-target.ts'
import type { RelaySetting } from './cluster/reach/relay-service.ts'
import type { MeshPolicy } from './cluster/strategy.ts'
import type { Logger, StartOptions } from './config.ts'
import type { DhtReport } from './dht-report.ts'
import type { Allow } from './process/rights.ts'
import type { Tracer } from './process/tracing.ts'
import type { LoopMeter } from './services/supervision/load.ts'
import type { CompressionOptions } from './wire/packing.ts'

/** What the workers of a node take over from it. */
export interface MachineSettings {
  /** The literal address that was asked for; undefined: all of them. */
  readonly host: string | undefined
  /** Neither its name, nor how it finds others, nor what only this thread has. */
  readonly options: StartOptions
}

/** All that a node is made of. */
export interface NodeParts {
  /** name@host */
  readonly name: string
  readonly cluster: string
  readonly identity: Identity
  /** Where its certificate is renewed before it ends, by itself; without it only on demand. */
  readonly renewal?: RenewalSettings
  readonly keys: Keyring
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly mesh: MeshPolicy
  /** Default: 3000. */
  readonly connectTimeoutMs?: number
  /** As strategy.fullMeshNodes. */
  readonly fullMeshNodes?: number
  /** As strategy.preventOverlappingPartitions. */
  readonly preventOverlappingPartitions?: boolean
  readonly sources: readonly DiscoverySource[]
  /** What its DHT node tells, where it has one. */
  readonly dht?: () => DhtReport
  readonly hidden?: boolean
  /** Routers are asked for a port; not unless told to. */
  readonly portMapping?: boolean
  /** Whether it relays for others; it does unless told not to. */
  readonly relay?: RelaySetting
  readonly maxMessageBytes?: number
  /** Large bodies are packed for those who understand that; without it none are. */
  readonly compression?: CompressionOptions | undefined
  readonly liveness?: LivenessPreset
  /** How busy the event loop is, told to other nodes; without it: not at all. */
  readonly loopMeter?: LoopMeter
  /** Where the node runs on a real machine, which can have workers that do too. */
  readonly machine?: MachineSettings
  /** What other nodes may do here; without it everything. */
  readonly allow?: Allow
  /** Whether other nodes may evaluate code here (`skein attach`). Default: false. */
  readonly attach?: boolean
  /** Ids of nodes that are not let in. */
  readonly revoked?: readonly string[] | undefined
  /** Ids of the only nodes that are let in; without it all are. */
  readonly members?: readonly string[] | undefined
  /** Nobody is let in for whom none of these has signed; without it certificates that nodes signed themselves will do. */
  readonly authorities?: readonly TrustedAuthority[] | undefined
  /** Oldest and newest protocol version to speak; all that this code knows unless said otherwise. */
  readonly protocolVersions?: readonly [number, number]
  /** Keeps track of which trace messages belong to. */
  readonly tracing?: Tracer | undefined
  /** For addresses given by host name; without it only literal ones work. */
  readonly resolve?: ResolveHost
}
