/**
 * The network interfaces of this machine on which multicast DNS is worth trying, and which senders are neighbours there.
 */
import { BlockList, isIPv4 } from 'node:net'
import { listInterfaces } from '../../transport/local-address.ts'
import type { Scope } from './service.ts'

/** Machines with more have them for containers; one socket for each would help nobody. */
const MAX_INTERFACES = 16

export interface MulticastInterface extends Scope {
  readonly family: 4 | 6
  /** What the socket joins with: an IPv4 address, or the link-local IPv6 one with its zone. */
  readonly address: string
  /** Every address of the interface with its network, as 10.0.0.7/24. */
  readonly networks: readonly string[]
}

/**
 * All interfaces that are up, the loopback among them: there the processes of a machine without network find each other.
 * IPv4 where there is any, since that is one socket less; IPv6 where there is nothing else. `only` names interfaces or
 * their addresses.
 */
export const multicastInterfaces = (only?: readonly string[]): MulticastInterface[] => {
  const found: MulticastInterface[] = []
  for (const [interfaceName, addresses = []] of Object.entries(listInterfaces())) {
    if (only?.some((wanted) => wanted === interfaceName || addresses.some((one) => one.address === wanted)) === false)
      continue
    const v4 = addresses.find((one) => one.family === 'IPv4')
    const v6 = addresses.find((one) => one.family === 'IPv6' && one.scopeid !== 0)
    const chosen = v4 ?? v6
    if (chosen === undefined) continue
    found.push({
      interfaceName,
      loopback: chosen.internal,
      family: v4 === undefined ? 6 : 4,
      address: v4 === undefined ? `${chosen.address}%${interfaceName}` : chosen.address,
      networks: addresses.map((one) => one.cidr).filter((cidr) => cidr !== null),
    })
  }
  return found.slice(0, MAX_INTERFACES)
}

/** True while the two need the same socket and see the same neighbours. */
export const sameInterface = (a: MulticastInterface, b: MulticastInterface): boolean =>
  a.interfaceName === b.interfaceName && a.address === b.address && a.networks.join() === b.networks.join()

/** Whether a packet that came from `host` was sent on this interface: RFC 6762 section 11 drops all others. */
export type IsNeighbour = (host: string) => boolean

/**
 * Sockets bound to the wildcard address hear what arrives on any interface, so this also keeps a packet from being
 * handled once for every socket.
 */
export const neighboursOf = (face: MulticastInterface): IsNeighbour => {
  const networks = new BlockList()
  for (const cidr of face.networks) {
    const [address = '', prefix = ''] = cidr.split('/')
    networks.addSubnet(address, Number(prefix), isIPv4(address) ? 'ipv4' : 'ipv6')
  }
  return (host) => {
    const [address = '', zone] = host.split('%')
    if (zone !== undefined && zone !== face.interfaceName) return false
    return networks.check(address, isIPv4(address) ? 'ipv4' : 'ipv6')
  }
}

/** Whether `host` is this machine's own address on the interface. */
export const isOwnAddress = (face: MulticastInterface, host: string): boolean => {
  const [address] = host.split('%')
  return face.networks.some((cidr) => cidr.split('/')[0] === address)
}
