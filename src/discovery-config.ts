/**
 * What a user may set about discovery, in code or by environment variables. See config.ts, of which this is a part.
 */
import { MAX_DNS_NAMES } from '../discovery/dns.ts'
import { MAX_SEEDS } from '../discovery/seeds.ts'
import { type Address, parseHostPort } from '../transport/address.ts'
import { boolean, checkKeys, fail, isRecord, oneOf, string } from './option-checks.ts'

export const DEFAULT_PORT = 4433

/** How other nodes are found: the option `discovery`. Sources that are not named keep their defaults. */
export interface DiscoveryOptions {
  /** Multicast DNS on the local network. Default: true. */
  readonly mdns?: boolean
  /** The distributed hash table, on the node's own port. Default: true, a private one. */
  readonly dht?: boolean | DhtOptions
  /** Nodes to dial in any case: host:port or a bare host. */
  readonly seeds?: readonly string[]
  /** Names in DNS that stand for nodes: of SRV records ("_skein._udp.nodes.example"), or host or host:port. */
  readonly dns?: string | readonly string[]
}

/** How the node takes part in a DHT. */
export interface DhtOptions {
  /** Nodes of the DHT to begin with, of whatever cluster or none: host:port or a bare host. */
  readonly bootstrap?: readonly string[]
  /** 'public' joins the mainline DHT of BitTorrent. Default: private. */
  readonly network?: 'private' | 'public'
  /** A file that keeps contacts from one run to the next. */
  readonly contactsFile?: string
}

export interface DiscoveryConfig {
  readonly mdns: boolean
  readonly dht: DhtConfig | undefined
  /** The host may still be a name. */
  readonly seeds: readonly Address[]
  readonly dns: readonly string[]
}

export interface DhtConfig {
  /** The host may still be a name. */
  readonly bootstrap: readonly Address[]
  readonly network: 'private' | 'public'
  readonly contactsFile: string | undefined
}

const DISCOVERY_KEYS = ['mdns', 'dht', 'seeds', 'dns'] as const satisfies readonly (keyof DiscoveryOptions)[]
const DHT_KEYS = ['bootstrap', 'network', 'contactsFile'] as const satisfies readonly (keyof DhtOptions)[]

/** What the environment says of discovery. */
export interface DiscoveryVariables {
  readonly kinds: string | undefined
  readonly seeds: string | undefined
  readonly bootstrap: string | undefined
  readonly dns: string | undefined
}

/** Settings, and those of the DHT also where it is off: what comes on top may switch it on. */
interface Layer extends DiscoveryConfig {
  readonly dhtIfOn: DhtConfig
}

const DEFAULT_DHT: DhtConfig = { bootstrap: [], network: 'private', contactsFile: undefined }
const DEFAULTS: Layer = { mdns: true, dht: DEFAULT_DHT, dhtIfOn: DEFAULT_DHT, seeds: [], dns: [] }

/** Options beat variables beat the configuration file beats defaults. Throws ERR_SKEIN_BAD_OPTION or ERR_SKEIN_BAD_ADDRESS. */
export const resolveDiscovery = (
  option: boolean | DiscoveryOptions | undefined,
  variables: DiscoveryVariables,
  inFile: boolean | DiscoveryOptions | undefined,
): DiscoveryConfig => {
  const { mdns, dht, seeds, dns } = withOption(option, withVariables(variables, withOption(inFile, DEFAULTS)))
  return { mdns, dht, seeds, dns }
}

const withVariables = ({ kinds, seeds, bootstrap, dns }: DiscoveryVariables, base: Layer): Layer => {
  const dhtIfOn =
    bootstrap === undefined
      ? base.dhtIfOn
      : { ...base.dhtIfOn, bootstrap: addresses('SKEIN_BOOTSTRAP', textToList(bootstrap)) }
  const chosen = kinds === undefined ? undefined : oneOf('SKEIN_DISCOVERY', ['mdns', 'dht', 'both', 'none'], kinds)
  const isDhtOn = chosen === undefined ? base.dht !== undefined : chosen === 'dht' || chosen === 'both'
  return {
    mdns: chosen === undefined ? base.mdns : chosen === 'mdns' || chosen === 'both',
    dht: isDhtOn ? dhtIfOn : undefined,
    dhtIfOn,
    seeds: seeds === undefined ? base.seeds : addresses('SKEIN_SEEDS', textToList(seeds)),
    dns: dns === undefined ? base.dns : dnsNames(textToList(dns)),
  }
}

const withOption = (option: boolean | DiscoveryOptions | undefined, base: Layer): Layer => {
  if (option === undefined) return base
  if (option === false) return { ...base, mdns: false, dht: undefined, seeds: [], dns: [] }
  if (option === true) return { ...base, mdns: true, dht: base.dhtIfOn }
  if (!isRecord(option)) return fail('discovery', 'an object, true or false', option)
  checkKeys(option, DISCOVERY_KEYS, 'option discovery.')
  const { mdns, dht, seeds, dns } = option
  const chosen = dht === undefined ? base.dht : withDht(dht, base.dhtIfOn)
  return {
    mdns: boolean('discovery.mdns', mdns ?? base.mdns),
    dht: chosen,
    dhtIfOn: chosen ?? base.dhtIfOn,
    seeds: seeds === undefined ? base.seeds : addresses('discovery.seeds', seeds),
    dns: dns === undefined ? base.dns : dnsNames(typeof dns === 'string' ? [dns] : dns),
  }
}

const withDht = (option: boolean | DhtOptions, base: DhtConfig): DhtConfig | undefined => {
  if (option === false) return undefined
  if (option === true) return base
  if (!isRecord(option)) return fail('discovery.dht', 'an object, true or false', option)
  checkKeys(option, DHT_KEYS, 'option discovery.dht.')
  const { bootstrap, network, contactsFile } = option
  return {
    bootstrap: bootstrap === undefined ? base.bootstrap : addresses('discovery.dht.bootstrap', bootstrap),
    network: oneOf('discovery.dht.network', ['private', 'public'], network ?? base.network),
    contactsFile: contactsFile === undefined ? base.contactsFile : string('discovery.dht.contactsFile', contactsFile),
  }
}

const textToList = (text: string): readonly string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

const addresses = (what: string, value: readonly string[]): readonly Address[] => {
  if (!Array.isArray(value) || value.length > MAX_SEEDS) {
    return fail(what, `a list of at most ${MAX_SEEDS} addresses`, value)
  }
  return value.map((one: unknown) => parseHostPort(string(`each of ${what}`, one), DEFAULT_PORT))
}

const dnsNames = (value: readonly string[]): readonly string[] => {
  if (!Array.isArray(value) || value.length > MAX_DNS_NAMES) {
    return fail('discovery.dns', `a name, or a list of at most ${MAX_DNS_NAMES}`, value)
  }
  for (const name of value) parseHostPort(string('each of discovery.dns', name), DEFAULT_PORT)
  return value
}
