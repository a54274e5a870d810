/**
 * What a user may set about how what is found becomes connections: the options `mesh` and `strategy`. See config.ts, of
 * which this is a part.
 */
import { type ClusterStrategy, DEFAULT_STRATEGY, type MeshPolicy } from './cluster/strategy.ts'
import { boolean, checkKeys, fail, isRecord, oneOf, within } from './option-checks.ts'

/** More often nobody needs to ask, more seldom is never. */
const POLL_INTERVAL_MS_RANGE: readonly [number, number] = [1000, 24 * 60 * 60_000]
const CONNECT_TIMEOUT_MS_RANGE: readonly [number, number] = [100, 60_000]
const FULL_MESH_NODES_RANGE: readonly [number, number] = [2, 4096]

/** How what is found becomes connections. */
export interface StrategyOptions {
  /** About how often dht and dns are asked for news, milliseconds. Default: 60 000. */
  readonly pollIntervalMs?: number
  /** How long one address has to answer, milliseconds. Default: 3000. */
  readonly connectTimeoutMs?: number
  /** As the option `mesh`, which comes first. */
  readonly mesh?: MeshPolicy
  /** False is mesh 'none'. Default: true. */
  readonly autoCluster?: boolean
  /** Up to so many nodes mesh 'full' connects everybody to everybody, beyond it to some neighbours. Default: 128. */
  readonly fullMeshNodes?: number
  /** Of two nodes that cannot reach each other one leaves those who see both. Default: true. */
  readonly preventOverlappingPartitions?: boolean
}

const STRATEGY_KEYS = [
  'pollIntervalMs',
  'connectTimeoutMs',
  'mesh',
  'autoCluster',
  'fullMeshNodes',
  'preventOverlappingPartitions',
] as const satisfies readonly (keyof StrategyOptions)[]

interface Given {
  readonly mesh?: MeshPolicy
  readonly strategy?: StrategyOptions
}

/** Options beat the variable beats the configuration file beats defaults. Throws ERR_SKEIN_BAD_OPTION. */
export const resolveStrategy = (option: Given, byVariable: boolean | undefined, inFile: Given): ClusterStrategy => {
  const numbers = { ...DEFAULT_STRATEGY, ...checked(inFile), ...checked(option) }
  const { pollIntervalMs, connectTimeoutMs, fullMeshNodes, preventOverlappingPartitions } = numbers
  const policy: unknown = policyOf(option) ?? policyFor(byVariable) ?? policyOf(inFile) ?? DEFAULT_STRATEGY.mesh
  return {
    pollIntervalMs: within('strategy.pollIntervalMs', POLL_INTERVAL_MS_RANGE, pollIntervalMs),
    connectTimeoutMs: within('strategy.connectTimeoutMs', CONNECT_TIMEOUT_MS_RANGE, connectTimeoutMs),
    mesh: isFunction(policy) ? policy : oneOf<'full' | 'none'>('mesh', ['full', 'none'], policy),
    fullMeshNodes: within('strategy.fullMeshNodes', FULL_MESH_NODES_RANGE, fullMeshNodes),
    preventOverlappingPartitions: boolean('strategy.preventOverlappingPartitions', preventOverlappingPartitions),
  }
}

const checked = ({ strategy = {} }: Given): StrategyOptions => {
  if (!isRecord(strategy)) return fail('strategy', 'an object', strategy)
  checkKeys(strategy, STRATEGY_KEYS, 'option strategy.')
  return strategy
}

const policyOf = ({ mesh, strategy }: Given): MeshPolicy | undefined => {
  const isAutomatic = strategy?.autoCluster
  if (isAutomatic !== undefined) boolean('strategy.autoCluster', isAutomatic)
  return mesh ?? strategy?.mesh ?? policyFor(isAutomatic)
}

const policyFor = (isAutomatic: boolean | undefined): 'full' | 'none' | undefined =>
  isAutomatic === undefined ? undefined : isAutomatic ? 'full' : 'none'

const isFunction = (value: unknown): value is Extract<MeshPolicy, (...args: never) => unknown> =>
  typeof value === 'function'
