/**
 * Which hosts may be one party's: the /24 of an IPv4 address, the /64 of an IPv6 one.
 *
 * Whoever wants many places among the nodes of a DHT needs addresses for them, and addresses of one network are cheap. So
 * tables and lookups take few nodes of a network and one of an address. On private, loopback and link-local networks, where
 * all nodes of a cluster may sit together, this is left aside, and so it is for networks that the user names.
 */
import ipaddr from 'ipaddr.js'
import { SkeinError } from '../../certs/errors.ts'
import { type Address, unmapHost } from '../../transport/address.ts'
import { hostBytes } from './compact-address.ts'
import { isExemptHost } from './dht-id.ts'

export interface Location {
  /** What there may be one node of: a host where hosts count, otherwise host and port. */
  readonly place: string
  /** What there may be few nodes of; undefined where hosts do not count. */
  readonly network: string | undefined
}

export class Networks {
  readonly #trusted: readonly [ipaddr.IPv4 | ipaddr.IPv6, number][]

  /** Networks in CIDR notation whose nodes need not be spread. Throws ERR_SKEIN_BAD_OPTION for what is none. */
  constructor(trusted: readonly string[] = []) {
    this.#trusted = trusted.map((text) => {
      if (!ipaddr.isValidCIDR(text))
        throw new SkeinError('ERR_SKEIN_BAD_OPTION', `"${text}" is not a network in CIDR form`)
      return ipaddr.parseCIDR(text)
    })
  }

  /** What an address counts for. */
  locate({ host, port }: Address): Location {
    const plain = unmapHost(host)
    if (isExemptHost(plain) || this.#isTrusted(plain)) return { place: `${plain} ${port}`, network: undefined }
    if (!plain.includes(':')) return { place: plain, network: plain.slice(0, plain.lastIndexOf('.')) }
    return { place: plain, network: hostBytes(plain)!.subarray(0, 8).join('.') }
  }

  #isTrusted(host: string): boolean {
    if (this.#trusted.length === 0) return false
    const address = ipaddr.process(host)
    return this.#trusted.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits))
  }
}
