/**
 * What a user may set, in code, by environment variables or in a file: one table, from which docs/configuration.md is made too.
 *
 * Code beats environment beats file (config-file.ts) beats default. Whatever is given is checked here, once, so the rest of the node meets only
 * sound values; an unknown option is an error that names the nearest known one, since a misspelt option that is silently
 * ignored is worse than a node that does not start. The cookie's variables are read by certs/cookie.ts.
 */
import { isIP } from 'node:net'
import type { Environment } from '../certs/config-folder.ts'
import { SkeinError } from '../certs/errors.ts'
import type { Identity } from '../certs/identity.ts'
import { MAX_ACCEPTED } from '../certs/keyring.ts'
import { isPort } from '../transport/address.ts'
import { MAX_PACKET_BYTES, MIN_INITIAL_BYTES } from '../transport/quiche.ts'
import { resolveIds } from './admission-option.ts'
import { resolveAllow } from './allow-option.ts'
import { MAX_ADMISSION_IDS } from './cluster/admission.ts'
import { LIVENESS_PRESETS, type LivenessPresetName } from './cluster/liveness.ts'
import { fullNodeName, isShortName } from './cluster/node-name.ts'
import { RELAY_BYTES_PER_SECOND_RANGE, type RelaySetting } from './cluster/reach/relay-service.ts'
import type { ClusterStrategy, MeshPolicy } from './cluster/strategy.ts'
import { DEFAULT_PORT, type DiscoveryConfig, type DiscoveryOptions, resolveDiscovery } from './discovery-config.ts'
import { bad, boolean, checkKeys, fail, isRecord, oneOf, string, within } from './option-checks.ts'
import type { Allow } from './process/rights.ts'
import type { Tracer } from './process/tracing.ts'
import { resolveStrategy, type StrategyOptions } from './strategy-option.ts'
import { DEFAULT_MAX_MESSAGE_BYTES } from './wire/codec-types.ts'
import { type CompressionOptions, MAX_PACKED_BODY_BYTES } from './wire/packing.ts'

export const DEFAULT_CLUSTER = 'default'
const DEFAULT_LIVENESS: LivenessPresetName = 'lan'
const MAX_MESSAGE_BYTES_RANGE: readonly [number, number] = [1024, 256 * 1024 * 1024]
/** From QUIC's least (RFC 9000 14.1) to what the engine writes at most. */
const DATAGRAM_BYTES_RANGE: readonly [number, number] = [MIN_INITIAL_BYTES, MAX_PACKET_BYTES]
/** Below, packing costs more time than the bytes would take on any path; above nothing is packed. */
const COMPRESSION_BYTES_RANGE: readonly [number, number] = [1024, MAX_PACKED_BODY_BYTES]

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
/** Values of the option `logLevel`, the gravest first. */
export type LogLevel = (typeof LOG_LEVELS)[number]

/** The part of a pino logger that Skein uses; any logger of this shape will do. */
export interface Logger {
  error(details: object, message: string): void
  warn(details: object, message: string): void
  info(details: object, message: string): void
  debug(details: object, message: string): void
}

/** What `startNode` takes. docs/configuration.md has each with its variable, values and default. */
export interface StartOptions {
  /** name or name@host, unique in the cluster. Default: made up. */
  readonly name?: string
  /** Nodes of other clusters are refused. Default: `default`. */
  readonly cluster?: string
  /** The shared secret of the cluster, 8 to 1024 bytes; it is never sent. Default: the user's own cookie file. */
  readonly cookie?: string | Uint8Array
  /** Up to 3 that count too, while the cookie changes. */
  readonly acceptCookies?: readonly (string | Uint8Array)[]
  /** A file that keeps the key of the node, made if there is none. Default: a new key at each start. */
  readonly identity?: string | Identity
  /** File or PEM with authorities: only nodes whose key one of them has signed are let in. */
  readonly ca?: string
  /** IP address to bind. Default: all addresses. */
  readonly host?: string
  /** UDP port; 0 takes any free one. Default: 4433, or any free one where that is busy. */
  readonly port?: number
  /** Listens on TCP too, on the same port number. Default: false. */
  readonly tcp?: boolean
  /** Asks the router to let in what comes for the port. Default: false. */
  readonly portMapping?: boolean
  /** How other nodes are found. Default: mDNS and a private DHT. */
  readonly discovery?: boolean | DiscoveryOptions
  /** Whom to connect to unasked. Default: 'full'. */
  readonly mesh?: MeshPolicy
  readonly strategy?: StrategyOptions
  /** How soon a silent node counts as down. Alike on every node. Default: 'lan'. */
  readonly liveness?: LivenessPresetName
  /** Connected only to nodes that it dials itself, and listed by nobody: for tools. Default: false. */
  readonly hidden?: boolean
  /** Whether it relays between members that cannot reach each other, and how much. Default: true. */
  readonly relay?: RelaySetting
  /** What other nodes may do here. Default: everything. */
  readonly allow?: Allow
  /** Whether other nodes may evaluate code here. Default: false. */
  readonly attach?: boolean
  /** Ids of nodes that are not let in although they have the cookie. */
  readonly revoked?: readonly string[]
  /** Ids of the only nodes that are let in. Default: whoever has the cookie. */
  readonly members?: readonly string[]
  /** Larger messages are refused where they are sent. Alike on every node. Default: 16 MiB. */
  readonly maxMessageBytes?: number
  /** Datagrams grow up to this, where the path carries them. Default: 16 383. */
  readonly maxDatagramBytes?: number
  /** Which messages are compressed. Default: none. */
  readonly compression?: CompressionOptions
  /** Stays awake while datagrams follow each other closely. Default: true. */
  readonly busyPoll?: boolean
  /** Keeps track of which trace messages belong to. */
  readonly tracing?: Tracer
  /** Default: pino on stderr. */
  readonly logger?: Logger
  /** Of the default logger. Default: 'warn'. */
  readonly logLevel?: LogLevel
  /** A JSON file with options; those given here come first. */
  readonly configFile?: string
}

/** What a configuration file may say of them. */
export type FileOptions = Omit<StartOptions, 'cookie' | 'acceptCookies' | 'tracing' | 'logger' | 'configFile'>

/** Every setting, checked and complete. */
export interface Config {
  /** name@host; undefined: the node makes one up. */
  readonly name: string | undefined
  readonly cluster: string
  /** As option; undefined: certs/cookie.ts finds it. */
  readonly cookie: string | Uint8Array | undefined
  /** As option; undefined: certs/cookie.ts looks for them. */
  readonly acceptCookies: readonly (string | Uint8Array)[] | undefined
  /** A file, an identity, or undefined for one that lives as long as the node. */
  readonly identity: string | Identity | undefined
  /** File with the authorities that must have signed certificates, or their PEM. */
  readonly ca: string | undefined
  /** Literal address to bind; undefined: all of them. */
  readonly host: string | undefined
  readonly port: number
  /** Nobody asked for this very port, so a busy one makes way for any free one. */
  readonly portFallback: boolean
  /** Listens on TCP as well, on the same port number. */
  readonly tcp: boolean
  /** Asks the router to let in what comes for the port. */
  readonly portMapping: boolean
  readonly discovery: DiscoveryConfig
  readonly strategy: ClusterStrategy
  readonly liveness: LivenessPresetName
  readonly hidden: boolean
  readonly relay: RelaySetting
  readonly allow: Allow
  readonly attach: boolean
  readonly revoked: readonly string[] | undefined
  readonly members: readonly string[] | undefined
  readonly maxMessageBytes: number
  readonly maxDatagramBytes: number
  readonly compression: CompressionOptions | undefined
  readonly busyPoll: boolean
  readonly tracing: Tracer | undefined
  readonly logger: Logger | undefined
  readonly logLevel: LogLevel
}

type OptionName = keyof StartOptions

interface Option {
  readonly variable?: string
  readonly values: string
  readonly default: string
  readonly meaning: string
}

/** The page for people; `satisfies` keeps it complete. */
export const OPTIONS = {
  name: {
    variable: 'SKEIN_NAME',
    values: 'name or name@host',
    default: 'made up',
    meaning: 'Name of the node, unique in its cluster. Without a host it gets the name of this machine.',
  },
  cluster: {
    variable: 'SKEIN_CLUSTER',
    values: '1 to 64 letters, digits, "-", "_", "."',
    default: DEFAULT_CLUSTER,
    meaning: 'Nodes of other clusters are refused.',
  },
  cookie: {
    variable: 'SKEIN_COOKIE',
    values: '8 to 1024 bytes',
    default: "the user's own cookie file",
    meaning: 'The shared secret of the cluster. `SKEIN_COOKIE_FILE` names a file that holds it. It is never sent.',
  },
  acceptCookies: {
    variable: 'SKEIN_ACCEPT_COOKIES_FILE',
    values: `a list of up to ${MAX_ACCEPTED} cookies; as variable a file with one cookie a line`,
    default: 'none',
    meaning: 'These count too, while the cookie of the cluster changes; see [rotation](rotation.md).',
  },
  identity: {
    variable: 'SKEIN_IDENTITY',
    values: 'file name, or an Identity',
    default: 'in memory',
    meaning: 'Where the key of the node is kept. Without a file every start makes a new key, and so a new id.',
  },
  ca: {
    variable: 'SKEIN_CA',
    values: 'file name, or PEM',
    default: 'none: certificates that nodes sign themselves will do',
    meaning:
      'The authorities (CA) of the cluster: nobody is let in whose certificate none of them has signed; see [certificates](certs.md).',
  },
  host: {
    variable: 'SKEIN_HOST',
    values: 'IP address',
    default: 'all addresses',
    meaning: 'Address to bind. 127.0.0.1 keeps the node on this machine.',
  },
  port: {
    variable: 'SKEIN_PORT',
    values: '0 to 65535',
    default: String(DEFAULT_PORT),
    meaning:
      'The one UDP port. 0 takes any free one, and so does the default where it is busy; a chosen port does not.',
  },
  tcp: {
    variable: 'SKEIN_TCP',
    values: 'true or false',
    default: 'false',
    meaning:
      'Listens on TCP too, on the same port number, for nodes whose UDP is blocked; see [TCP](tcp.md). Dials over TCP need no option: they follow where UDP got no answer.',
  },
  portMapping: {
    variable: 'SKEIN_PORT_MAPPING',
    values: 'true or false',
    default: 'false',
    meaning:
      'Behind a NAT: asks the router, by PCP, NAT-PMP or UPnP, to let in what comes for the UDP port; see [NAT](nat.md#port-mapping).',
  },
  discovery: {
    variable: 'SKEIN_DISCOVERY, SKEIN_SEEDS, SKEIN_BOOTSTRAP, SKEIN_DNS',
    values: '`{ mdns, dht, seeds, dns }`, true or false; as variable mdns, dht, both or none',
    default: 'both',
    meaning:
      'How other nodes are found. `dht` is true, false or `{ bootstrap, network, contactsFile }`. `SKEIN_SEEDS` and `SKEIN_BOOTSTRAP` (nodes of the DHT) list host:port, `SKEIN_DNS` names, separated by commas.',
  },
  mesh: {
    variable: 'SKEIN_AUTO_CLUSTER',
    values: 'full, none or a function; as variable true or false',
    default: 'full',
    meaning:
      'full connects to every node found, none only when a node is needed; a function is asked about each node found.',
  },
  strategy: {
    values: '`{ pollIntervalMs, connectTimeoutMs, mesh, autoCluster, fullMeshNodes, preventOverlappingPartitions }`',
    default: '60000, 3000, full, true, 128, true',
    meaning:
      'About how often dht and dns are asked for news; how long one address has to answer; `mesh` as above; `autoCluster: false` is mesh none; up to how many nodes mesh full connects everybody to everybody, and whether a node that lost one which others see leaves those ([partitions](partitions.md)). Set the last two alike on every node.',
  },
  liveness: {
    variable: 'SKEIN_LIVENESS',
    values: Object.keys(LIVENESS_PRESETS).join(', '),
    default: DEFAULT_LIVENESS,
    meaning:
      'How soon a silent node counts as down, by the distance between the nodes; see [membership](membership.md). Set it alike on every node.',
  },
  hidden: {
    values: 'true or false',
    default: 'false',
    meaning: 'A hidden node is connected only to those it dials itself, and nobody lists it: for tools.',
  },
  relay: {
    variable: 'SKEIN_RELAY',
    values: 'true, false or `{ bytesPerSecond }`; as variable true or false',
    default: 'true',
    meaning: `Whether the node relays between members that cannot reach each other directly, and how much for all of them together: ${RELAY_BYTES_PER_SECOND_RANGE.join(' to ')}; see [NAT](nat.md#relay). A hidden node does not.`,
  },
  allow: {
    values: 'default, strict, a list of rules, or `{ preset, rules }`',
    default: 'default: everything is allowed',
    meaning:
      'What other nodes may do here: start behaviours, address names, register names, join groups and rooms, look, supervise; see [security](security.md#what-members-may-do).',
  },
  attach: {
    variable: 'SKEIN_ATTACH',
    values: 'true or false',
    default: 'false',
    meaning:
      'Whether other nodes may evaluate code in this one (`skein attach`), which is everything the program may do; see [attach](attach.md).',
  },
  revoked: {
    values: `a list of up to ${MAX_ADMISSION_IDS} node ids`,
    default: 'none',
    meaning:
      'Nodes that are not let in although they have the cookie; `node.revoke` adds to them. See [security](security.md#revoking-a-node).',
  },
  members: {
    values: `a list of up to ${MAX_ADMISSION_IDS} node ids`,
    default: 'none: whoever has the cookie',
    meaning:
      'Only these nodes are let in; tools (`skein`) and workers have ids of their own. See [security](security.md#revoking-a-node).',
  },
  maxMessageBytes: {
    values: MAX_MESSAGE_BYTES_RANGE.join(' to '),
    default: String(DEFAULT_MAX_MESSAGE_BYTES),
    meaning: 'Larger messages are refused where they are sent. Set it alike on every node.',
  },
  maxDatagramBytes: {
    values: DATAGRAM_BYTES_RANGE.join(' to '),
    default: String(DATAGRAM_BYTES_RANGE[1]),
    meaning: 'Datagrams grow up to this size where probing shows that the path carries them.',
  },
  compression: {
    values: `\`{ aboveBytes }\`, ${COMPRESSION_BYTES_RANGE.join(' to ')}`,
    default: 'none',
    meaning:
      'Messages with a body above this size are compressed where that saves a tenth. It lets sizes tell of contents, so weigh it first: see [security](security.md#compression).',
  },
  busyPoll: {
    variable: 'SKEIN_BUSY_POLL',
    values: 'true or false',
    default: 'true',
    meaning:
      'Stays awake for a fraction of a millisecond while datagrams follow each other closely, which halves a round trip; see [performance](performance.md#busy-polling). False saves power.',
  },
  tracing: {
    values: 'a Tracer',
    default: 'none',
    meaning:
      'Keeps track of which trace messages belong to; see [observability](observability.md#traces) for OpenTelemetry.',
  },
  logger: {
    values: 'a pino logger',
    default: 'pino on stderr',
    meaning: 'Where the node writes its log.',
  },
  logLevel: {
    variable: 'SKEIN_LOG_LEVEL',
    values: LOG_LEVELS.join(', '),
    default: 'warn',
    meaning: 'What the default logger writes.',
  },
  configFile: {
    variable: 'SKEIN_CONFIG',
    values: 'file name',
    default: 'none',
    meaning: 'A JSON file with options; see [below](#the-file).',
  },
} as const satisfies Record<OptionName, Option>

/** The environment, the only place outside certs/cookie.ts where Skein reads it. */
export const processEnvironment = (): Environment => process.env

/**
 * Checks options and environment and fills in what the file says, and the defaults; `hostname` completes a name without
 * a host. Throws ERR_SKEIN_BAD_OPTION, ERR_SKEIN_BAD_NAME or ERR_SKEIN_BAD_ADDRESS.
 */
export const resolveConfig = (
  options: StartOptions,
  env: Environment,
  hostname: string,
  file: FileOptions = {},
): Config => {
  if (!isRecord(options)) throw bad('the options', 'an object', options)
  checkKeys(options, Object.keys(OPTIONS), 'option')
  const variable = (name: string): string | undefined => (env[name] === '' ? undefined : env[name])
  const flag = (name: string): boolean | undefined => textToBoolean(name, variable(name))
  const name = options.name ?? variable('SKEIN_NAME') ?? file.name
  const port = options.port ?? textToPort(variable('SKEIN_PORT')) ?? file.port
  return {
    name: name === undefined ? undefined : fullNodeName(string('name', name), hostname),
    cluster: clusterName(options.cluster ?? variable('SKEIN_CLUSTER') ?? file.cluster ?? DEFAULT_CLUSTER),
    cookie: cookie(options.cookie),
    acceptCookies: acceptCookies(options.acceptCookies),
    // That of a node in the environment of which a tool was started: the two would displace each other.
    identity: identity(options.identity ?? (options.hidden ? undefined : variable('SKEIN_IDENTITY')) ?? file.identity),
    ca: ca(options.ca ?? variable('SKEIN_CA') ?? file.ca),
    host: host(options.host ?? variable('SKEIN_HOST') ?? file.host),
    port: isPort(port ?? DEFAULT_PORT) ? (port ?? DEFAULT_PORT) : fail('port', '0 to 65535', port),
    portFallback: port === undefined,
    tcp: boolean('tcp', options.tcp ?? flag('SKEIN_TCP') ?? file.tcp ?? false),
    portMapping: boolean('portMapping', options.portMapping ?? flag('SKEIN_PORT_MAPPING') ?? file.portMapping ?? false),
    discovery: resolveDiscovery(
      options.discovery,
      {
        kinds: variable('SKEIN_DISCOVERY'),
        seeds: variable('SKEIN_SEEDS'),
        bootstrap: variable('SKEIN_BOOTSTRAP'),
        dns: variable('SKEIN_DNS'),
      },
      file.discovery,
    ),
    strategy: resolveStrategy(options, flag('SKEIN_AUTO_CLUSTER'), file),
    liveness: oneOf(
      'liveness',
      Object.keys(LIVENESS_PRESETS) as LivenessPresetName[],
      options.liveness ?? variable('SKEIN_LIVENESS') ?? file.liveness ?? DEFAULT_LIVENESS,
    ),
    hidden: boolean('hidden', options.hidden ?? file.hidden ?? false),
    relay: relay(options.relay ?? flag('SKEIN_RELAY') ?? file.relay ?? true),
    allow: resolveAllow(options.allow ?? file.allow),
    attach: boolean('attach', options.attach ?? flag('SKEIN_ATTACH') ?? file.attach ?? false),
    revoked: resolveIds('revoked', options.revoked ?? file.revoked),
    members: resolveIds('members', options.members ?? file.members),
    maxMessageBytes: within(
      'maxMessageBytes',
      MAX_MESSAGE_BYTES_RANGE,
      options.maxMessageBytes ?? file.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
    ),
    maxDatagramBytes: within(
      'maxDatagramBytes',
      DATAGRAM_BYTES_RANGE,
      options.maxDatagramBytes ?? file.maxDatagramBytes ?? DATAGRAM_BYTES_RANGE[1],
    ),
    compression: compression(options.compression ?? file.compression),
    busyPoll: boolean('busyPoll', options.busyPoll ?? flag('SKEIN_BUSY_POLL') ?? file.busyPoll ?? true),
    tracing: tracing(options.tracing),
    logger: logger(options.logger),
    logLevel: oneOf('logLevel', LOG_LEVELS, options.logLevel ?? variable('SKEIN_LOG_LEVEL') ?? file.logLevel ?? 'warn'),
  }
}

const clusterName = (value: unknown): string => {
  if (isShortName(string('cluster', value))) return value as string
  throw new SkeinError('ERR_SKEIN_BAD_NAME', `"${String(value).slice(0, 100)}" is not a name for a cluster.`)
}

const cookie = (value: unknown): string | Uint8Array | undefined =>
  value === undefined || typeof value === 'string' || value instanceof Uint8Array
    ? value
    : fail('cookie', 'a string or a Uint8Array', value)

const acceptCookies = (value: unknown): readonly (string | Uint8Array)[] | undefined => {
  if (value === undefined) return undefined
  const isList = Array.isArray(value) && value.length <= MAX_ACCEPTED
  if (isList && value.every((one) => typeof one === 'string' || one instanceof Uint8Array)) return value
  // Not by `fail`, which shows a text: one that stands where a list should is a cookie.
  throw new SkeinError('ERR_SKEIN_BAD_OPTION', `acceptCookies must be a list of up to ${MAX_ACCEPTED} cookies.`)
}

const identity = (value: string | Identity | undefined): string | Identity | undefined => {
  // The name of a file is shown in errors, and a new file made under it.
  if (typeof value === 'string' && value.includes('-----BEGIN')) {
    throw new SkeinError('ERR_SKEIN_BAD_OPTION', 'identity must be the name of a file, not what is in it.')
  }
  if (value === undefined || (typeof value === 'string' && value !== '')) return value
  if (isRecord(value) && 'nodeId' in value && 'privateKeyPem' in value) return value as Identity
  return fail('identity', 'a file name or an Identity', value)
}

const ca = (value: unknown): string | undefined => {
  if (value === undefined) return undefined
  return string('ca', value) === '' ? fail('ca', 'a file name or PEM', value) : string('ca', value)
}

const host = (value: unknown): string | undefined => {
  if (value === undefined) return undefined
  const text = string('host', value)
  return isIP(text) === 0 ? fail('host', 'an IP address', text) : text
}

const textToPort = (text: string | undefined): number | undefined => {
  if (text === undefined) return undefined
  return /^\d{1,5}$/.test(text) ? Number(text) : fail('SKEIN_PORT', '0 to 65535', text)
}

const compression = (value: CompressionOptions | undefined): CompressionOptions | undefined => {
  if (value === undefined) return undefined
  if (!isRecord(value)) return fail('compression', '{ aboveBytes }', value)
  checkKeys(value, ['aboveBytes'], 'option compression.')
  return { aboveBytes: within('compression.aboveBytes', COMPRESSION_BYTES_RANGE, value.aboveBytes) }
}

const relay = (value: RelaySetting): RelaySetting => {
  if (!isRecord(value)) return boolean('relay', value)
  checkKeys(value, ['bytesPerSecond'], 'option relay.')
  return { bytesPerSecond: within('relay.bytesPerSecond', RELAY_BYTES_PER_SECOND_RANGE, value.bytesPerSecond) }
}

const textToBoolean = (variable: string, text: string | undefined): boolean | undefined =>
  text === undefined ? undefined : /true|1/.test(oneOf(variable, ['true', '1', 'false', '0'], text))

const tracing = (value: Tracer | undefined): Tracer | undefined => {
  if (value === undefined) return undefined
  return isRecord(value) && 'run' in value && 'current' in value ? value : fail('tracing', 'a Tracer', value)
}

const logger = (value: Logger | undefined): Logger | undefined => {
  if (value === undefined) return undefined
  const isLogger = isRecord(value) && (['error', 'warn', 'info', 'debug'] as const).every((level) => level in value)
  return isLogger ? value : fail('logger', 'a logger such as pino', value)
}
