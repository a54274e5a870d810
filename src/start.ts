/**
 * Starting a node on this machine: options to settings, settings to parts, parts to a node.
 *
 * Everything slow or fallible happens here, before the node exists: cookie, identity, port. If one of it fails nothing
 * is left behind.
 */
import { hostname } from 'node:os'
import { pino } from 'pino'
import { resolveAcceptedCookies, resolveCookie } from '../certs/cookie.ts'
import { isSkeinError, type SkeinError } from '../certs/errors.ts'
import { createIdentity, type Identity, loadIdentity } from '../certs/identity.ts'
import { Keyring } from '../certs/keyring.ts'
import { type ClusterKeys, deriveKeys } from '../certs/keys.ts'
import { signingKeyOf } from '../certs/signing-key.ts'
import type { Dht } from '../discovery/dht/dht.ts'
import { dhtOn } from '../discovery/dht/port.ts'
import { dhtSource } from '../discovery/dht/rendezvous.ts'
import { loadTable } from '../discovery/dht/table-file.ts'
import { dnsSource } from '../discovery/dns.ts'
import { mdnsSource } from '../discovery/mdns/source.ts'
import { resolveBySystem } from '../discovery/resolve.ts'
import { MAX_SEEDS, seedSource } from '../discovery/seeds.ts'
import type { DiscoverySource } from '../discovery/source.ts'
import { type Address, formatAddress, sameAddress } from '../transport/address.ts'
import { type Carriers, type CarriersOptions, openCarriers } from '../transport/carriers.ts'
import { type Clock, systemClock } from '../transport/clock.ts'
import { systemRandom } from '../transport/random.ts'
import type { SocketWatch } from '../transport/socket.ts'
import type { Transport } from '../transport/transport.ts'
import { LIVENESS_PRESETS } from './cluster/liveness.ts'
import { type Config, type Logger, processEnvironment, type StartOptions } from './config.ts'
import { loadConfig } from './config-file.ts'
import { reportOf } from './dht-report.ts'
import { DEFAULT_PORT } from './discovery-config.ts'
import { type SkeinNode, startNodeOn } from './node.ts'
import type { MachineSettings } from './node-parts.ts'
import { machineMeter } from './services/supervision/load.ts'
import { trustedBy } from './trust.ts'

const DUAL_STACK = '::'
const ALL_IPV4 = '0.0.0.0'
const MADE_UP_NAME_BYTES = 4

/**
 * Starts a node; docs/configuration.md lists the options. Rejects with an error about an option (ERR_SKEIN_BAD_OPTION,
 * _BAD_NAME, _BAD_ADDRESS), the configuration file (_CONFIG_FILE), the cookie (_BAD_COOKIE, _COOKIE_FILE, _INSECURE_FILE),
 * the identity (_BAD_IDENTITY), the authority (_BAD_AUTHORITY) or the port (_PORT_BUSY, _BIND). On a platform without a
 * QUIC binary the node speaks TCP alone, and says so in its log.
 */
export const startNode = async (options: StartOptions = {}): Promise<SkeinNode> => {
  const { config, environment: env } = await loadConfig(options, processEnvironment(), hostname())
  const { cookie } = await resolveCookie({ env, ...(config.cookie === undefined ? {} : { cookie: config.cookie }) })
  const accepted = await resolveAcceptedCookies({ env, cookies: config.acceptCookies })
  const keysOf = (one: Uint8Array): ClusterKeys => deriveKeys(one, config.cluster)
  return startConfigured(config, new Keyring(keysOf(cookie), accepted.map(keysOf)))
}

/** As `startNode`, with settings that were checked and the keys of the cluster; `clock` may show another calendar time. */
export const startConfigured = async (
  config: Config,
  keys: Keyring,
  watch?: SocketWatch,
  clock: Clock = systemClock,
): Promise<SkeinNode> => {
  const name = config.name ?? madeUpName()
  const identity = await identityFor(config, clock)
  const authorities = await trustedBy(config.ca, identity, clock.wallNow())
  const transport = await openPort(config, identity, keys, { clock, watch })
  try {
    const logger = config.logger ?? defaultLogger(config, name)
    if (transport.missing !== undefined) warnOfMissing(transport.missing, config, logger)
    const sources = sourcesFor(config, transport.addresses())
    const dht = await startDht(config, transport)
    if (dht !== undefined) sources.push(dhtSourceFor(dht, config, { identity, keys }))
    return startNodeOn({
      name,
      cluster: config.cluster,
      identity,
      keys,
      renewal: { file: typeof config.identity === 'string' ? config.identity : undefined },
      transport,
      clock,
      random: systemRandom,
      logger,
      mesh: config.strategy.mesh,
      connectTimeoutMs: config.strategy.connectTimeoutMs,
      fullMeshNodes: config.strategy.fullMeshNodes,
      preventOverlappingPartitions: config.strategy.preventOverlappingPartitions,
      liveness: LIVENESS_PRESETS[config.liveness],
      hidden: config.hidden,
      relay: config.relay,
      portMapping: config.portMapping,
      allow: config.allow,
      attach: config.attach,
      revoked: config.revoked,
      members: config.members,
      authorities,
      machine: machineSettings(config),
      loopMeter: machineMeter(),
      tracing: config.tracing,
      maxMessageBytes: config.maxMessageBytes,
      compression: config.compression,
      sources,
      ...(dht === undefined ? {} : { dht: () => reportOf(dht) }),
      resolve: resolveBySystem,
    })
  } catch (error) {
    await transport.close()
    throw error
  }
}

const madeUpName = (): string =>
  `node-${Buffer.from(systemRandom.bytes(MADE_UP_NAME_BYTES)).toString('hex')}@${hostname()}`

const identityFor = ({ identity }: Config, clock: Clock): Promise<Identity> => {
  const wallNowMs = clock.wallNow()
  if (identity === undefined) return createIdentity({ wallNowMs })
  return typeof identity === 'string' ? loadIdentity(identity, { wallNowMs }) : Promise.resolve(identity)
}

/** A policy that is a function stays in its thread. */
const machineSettings = (config: Config): MachineSettings => {
  const { cluster, tcp, hidden, relay, allow, maxMessageBytes, maxDatagramBytes, logLevel, liveness } = config
  const { strategy, host, busyPoll } = config
  const { mesh, ...others } = strategy
  const policy = mesh === 'none' ? 'none' : 'full'
  const shared = { cluster, tcp, hidden, relay, allow, maxMessageBytes, maxDatagramBytes, logLevel, liveness, busyPoll }
  const { compression, revoked, members, ca } = config
  const packing = compression && { compression }
  // With `ca` a worker needs an identity of its own that is signed; without one it says so and ends, before it lets anybody in.
  const admission = { ...(revoked && { revoked }), ...(members && { members }), ...(ca && { ca }) }
  return { host, options: { ...shared, ...packing, ...admission, strategy: others, mesh: policy } }
}

/** Nobody chose an address: both families, or IPv4 alone where the machine has no IPv6. */
const openPort = async (
  config: Config,
  identity: Identity,
  keys: Keyring,
  { clock, watch }: { readonly clock: Clock; readonly watch: SocketWatch | undefined },
): Promise<Carriers> => {
  const options: CarriersOptions = {
    host: config.host ?? DUAL_STACK,
    port: config.port,
    portFallback: config.portFallback,
    tcp: config.tcp,
    identity,
    gateKeys: keys.all().map(({ gate }) => gate),
    clock,
    random: systemRandom,
    maxPacketBytes: config.maxDatagramBytes,
    busyPoll: config.busyPoll,
    ...(watch && { watch }),
  }
  try {
    return await openCarriers(options)
  } catch (error) {
    if (config.host !== undefined || !isSkeinError(error, 'ERR_SKEIN_BIND')) throw error
    return openCarriers({ ...options, host: ALL_IPV4 })
  }
}

const defaultLogger = ({ logLevel }: Config, name: string): Logger =>
  pino({ level: logLevel, base: { node: name } }, pino.destination({ dest: 2, sync: true }))

/** There is no QUIC engine for this machine: what that means for the node. */
const warnOfMissing = ({ code, message }: SkeinError, { tcp, discovery }: Config, logger: Logger): void => {
  const reach = tcp ? 'and listens on it' : 'and nobody can dial it (option tcp)'
  const dht = discovery.dht === undefined ? '' : '; the DHT needs UDP and is off'
  logger.warn({ code }, `${message}; the node speaks TCP alone, ${reach}${dht}`)
}

const sourcesFor = (config: Config, own: readonly Address[]): DiscoverySource[] => {
  const { discovery, host, strategy } = config
  const { pollIntervalMs } = strategy
  const clock = systemClock
  const random = systemRandom
  const seeds = [...discovery.seeds]
  const local = localSeed(host)
  const automatic = discovery.mdns || discovery.dht !== undefined
  const isSelf = own.some(({ port }) => port === DEFAULT_PORT)
  const hasRoom = seeds.length < MAX_SEEDS
  if (automatic && hasRoom && !isSelf && !seeds.some((seed) => sameAddress(seed, local))) seeds.push(local)
  const sources: DiscoverySource[] = []
  // A node that listens on one address of the machine has nothing to say, or to ask, on its other interfaces.
  const interfaces = isAnywhere(host) ? {} : { interfaces: [host] }
  if (discovery.mdns) sources.push(mdnsSource({ clock, random, ...interfaces }))
  if (seeds.length > 0) sources.push(seedSource({ seeds: seeds.map(formatAddress), clock, random }))
  if (discovery.dns.length > 0) {
    sources.push(dnsSource({ names: discovery.dns, defaultPort: DEFAULT_PORT, clock, random, pollIntervalMs }))
  }
  return sources
}

/** The node's part in the DHT, on the port that carries its QUIC. */
const startDht = async ({ discovery, hidden }: Config, transport: Transport): Promise<Dht | undefined> => {
  if (discovery.dht === undefined || transport.kind === 'tcp') return undefined
  const { contactsFile, network } = discovery.dht
  const saved = contactsFile === undefined ? undefined : await loadTable(contactsFile)
  return dhtOn(transport, { clock: systemClock, random: systemRandom, network, readOnly: hidden, saved })
}

const dhtSourceFor = (
  dht: Dht,
  { discovery, strategy }: Config,
  { identity, keys }: { readonly identity: Identity; readonly keys: Keyring },
): DiscoverySource =>
  dhtSource({
    dht,
    clock: systemClock,
    random: systemRandom,
    keys,
    signer: signingKeyOf(identity),
    bootstrap: discovery.dht?.bootstrap ?? [],
    contactsFile: discovery.dht?.contactsFile,
    pollIntervalMs: strategy.pollIntervalMs,
    resolve: resolveBySystem,
  })

/** Most machines have one node on the default port: through it all nodes of a machine meet where multicast does not work. */
const localSeed = (host: string | undefined): Address => ({
  host: isAnywhere(host) ? '127.0.0.1' : host,
  port: DEFAULT_PORT,
})

const isAnywhere = (host: string | undefined): host is undefined | typeof DUAL_STACK | typeof ALL_IPV4 =>
  host === undefined || host === DUAL_STACK || host === ALL_IPV4
