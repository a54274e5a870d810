/**
 * Starting a node on this machine: options to settings, settings to parts, parts to a node.
 *
 * Everything slow or fallible happens here, before the node exists: cookie, identity, port. If one of it fails nothing
 * is left behind.
 */
import { lookup } from 'node:dns/promises'
import { hostname } from 'node:os'
import { pino } from 'pino'
import { resolveCookie } from '../certs/cookie.ts'
import { isSkeinError } from '../certs/errors.ts'
import { createIdentity, type Identity, loadIdentity } from '../certs/identity.ts'
import { deriveKeys } from '../certs/keys.ts'
import { mdnsSource } from '../discovery/mdns/source.ts'
import { seedSource } from '../discovery/seeds.ts'
import type { DiscoverySource, SourceStatus } from '../discovery/source.ts'
import { type Address, formatAddress, sameAddress } from '../transport/address.ts'
import { systemClock } from '../transport/clock.ts'
import { openQuicTransport, type QuicTransportOptions } from '../transport/quic-transport.ts'
import { systemRandom } from '../transport/random.ts'
import type { Transport } from '../transport/transport.ts'
import {
  type Config,
  DEFAULT_PORT,
  type DiscoveryConfig,
  type Logger,
  processEnvironment,
  resolveConfig,
  type StartOptions,
} from './config.ts'
import { type SkeinNode, startNodeOn } from './node.ts'

const DUAL_STACK = '::'
const ALL_IPV4 = '0.0.0.0'
const MADE_UP_NAME_BYTES = 4

/**
 * Starts a node; docs/configuration.md lists the options. Rejects with an error about an option (ERR_SKEIN_BAD_OPTION,
 * _BAD_NAME, _BAD_ADDRESS), the cookie (_BAD_COOKIE, _COOKIE_FILE, _INSECURE_FILE), the identity (_BAD_IDENTITY), the
 * port (_PORT_BUSY, _BIND) or the platform (_PLATFORM).
 */
export const startNode = async (options: StartOptions = {}): Promise<SkeinNode> => {
  const env = processEnvironment()
  const config = resolveConfig(options, env, hostname())
  const name = config.name ?? madeUpName()
  const { cookie } = await resolveCookie({ env, ...(config.cookie === undefined ? {} : { cookie: config.cookie }) })
  const keys = deriveKeys(cookie, config.cluster)
  const identity = await identityFor(config)
  const transport = await openPort(config, identity, keys.gate)
  return startNodeOn({
    name,
    cluster: config.cluster,
    identity,
    keys,
    transport,
    clock: systemClock,
    random: systemRandom,
    logger: config.logger ?? defaultLogger(config, name),
    mesh: config.mesh,
    hidden: config.hidden,
    maxMessageBytes: config.maxMessageBytes,
    sources: sourcesFor(config.discovery, config.host, transport.addresses()),
    absent: absentSources(config.discovery),
    resolve: async (host) => (await lookup(host, { all: true })).map((found) => found.address),
  })
}

const madeUpName = (): string =>
  `node-${Buffer.from(systemRandom.bytes(MADE_UP_NAME_BYTES)).toString('hex')}@${hostname()}`

const identityFor = ({ identity }: Config): Promise<Identity> => {
  const wallNowMs = systemClock.wallNow()
  if (identity === undefined) return createIdentity({ wallNowMs })
  return typeof identity === 'string' ? loadIdentity(identity, { wallNowMs }) : Promise.resolve(identity)
}

/** Nobody chose an address: both families, or IPv4 alone where the machine has no IPv6. */
const openPort = async (config: Config, identity: Identity, gateKey: Uint8Array): Promise<Transport> => {
  const options: QuicTransportOptions = {
    host: config.host ?? DUAL_STACK,
    port: config.port,
    portFallback: config.portFallback,
    identity,
    gateKeys: [gateKey],
    clock: systemClock,
    random: systemRandom,
    maxPacketBytes: config.maxDatagramBytes,
  }
  try {
    return await openQuicTransport(options)
  } catch (error) {
    if (config.host !== undefined || !isSkeinError(error, 'ERR_SKEIN_BIND')) throw error
    return openQuicTransport({ ...options, host: ALL_IPV4 })
  }
}

const defaultLogger = ({ logLevel }: Config, name: string): Logger =>
  pino({ level: logLevel, base: { node: name } }, pino.destination({ dest: 2, sync: true }))

const sourcesFor = (
  discovery: DiscoveryConfig,
  host: string | undefined,
  own: readonly Address[],
): readonly DiscoverySource[] => {
  const clock = systemClock
  const random = systemRandom
  const seeds = [...discovery.seeds]
  const local = localSeed(host)
  const automatic = discovery.mdns || discovery.dht
  const isSelf = own.some(({ port }) => port === DEFAULT_PORT)
  if (automatic && !isSelf && !seeds.some((seed) => sameAddress(seed, local))) seeds.push(local)
  const sources: DiscoverySource[] = []
  // A node that listens on one address of the machine has nothing to say, or to ask, on its other interfaces.
  const interfaces = isAnywhere(host) ? {} : { interfaces: [host] }
  if (discovery.mdns) sources.push(mdnsSource({ clock, random, ...interfaces }))
  if (seeds.length > 0) sources.push(seedSource({ seeds: seeds.map(formatAddress), clock, random }))
  return sources
}

/** Most machines have one node on the default port: through it all nodes of a machine meet where multicast does not work. */
const localSeed = (host: string | undefined): Address => ({
  host: isAnywhere(host) ? '127.0.0.1' : host,
  port: DEFAULT_PORT,
})

const isAnywhere = (host: string | undefined): host is undefined | typeof DUAL_STACK | typeof ALL_IPV4 =>
  host === undefined || host === DUAL_STACK || host === ALL_IPV4

const absentSources = ({ dht, dns }: DiscoveryConfig): readonly SourceStatus[] => {
  const absent = (source: string): SourceStatus => ({
    source,
    state: 'stopped',
    detail: 'not in this version',
    seen: 0,
  })
  return [...(dht ? [absent('dht')] : []), ...(dns === undefined ? [] : [absent('dns')])]
}
