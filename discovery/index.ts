/**
 * Discovery: how nodes find each other. One interface (source.ts), several sources behind it, one table over all.
 *
 * import { mdnsSource, seedSource, DiscoveryTable } from 'skein/discovery'
 */
export { type DhtNodeOptions, type DhtPort, type DhtPortOptions, dhtOn, openDhtPort } from './dht/port.ts'
export { dhtSource, type RendezvousOptions } from './dht/rendezvous.ts'
export { type DnsOptions, dnsSource } from './dns.ts'
export { type MdnsOptions, type MdnsSource, mdnsSource } from './mdns/source.ts'
export { type SeedOptions, seedSource } from './seeds.ts'
export type {
  DiscoveryEvent,
  DiscoverySource,
  NatClass,
  NodeRecord,
  Registration,
  Sighting,
  SourceStatus,
} from './source.ts'
export { DiscoveryTable, type DiscoveryTableOptions, type KnownNode, orderAddresses, type TableEvent } from './table.ts'
