/**
 * Which networks this machine is on, judged by the addresses of its interfaces.
 */
import { networkInterfaces } from 'node:os'
import { type Finding, ok, warning } from './finding.ts'

/** As much of what the system tells as is needed. */
export type Interfaces = Readonly<
  Record<
    string,
    readonly { readonly address: string; readonly family: string; readonly internal: boolean }[] | undefined
  >
>

/** Addresses that a system gives itself where nobody gave it one (RFC 3927, RFC 4291 section 2.5.6). */
const isLinkLocal = (address: string): boolean => address.startsWith('169.254.') || /^fe[89ab]/i.test(address)

export const checkInterfaces = (interfaces: Interfaces = networkInterfaces()): readonly Finding[] => {
  const all = Object.entries(interfaces).map(([name, addresses = []]) => ({ name, addresses }))
  const outer = all
    .map(({ name, addresses }) => ({ name, addresses: addresses.filter(({ internal }) => !internal) }))
    .filter(({ addresses }) => addresses.length > 0)
  const listed = outer.map(({ name, addresses }) => `${name} ${addresses.map(({ address }) => address).join(' ')}`)
  const what = listed.join(', ')
  const usable = outer.flatMap(({ addresses }) => addresses).filter(({ address }) => !isLinkLocal(address))
  if (outer.length === 0) {
    return [
      warning(
        'interfaces',
        'There is no interface but the loopback.',
        'Only nodes of this machine, or of this container, can be reached.',
        'Connect the machine to a network; in a container leave out --network none.',
      ),
    ]
  }
  if (usable.length === 0) {
    return [
      warning(
        'interfaces',
        `Only link-local addresses: ${what}`,
        'Nobody has given this machine an address, and QUIC does not use the zones that link-local IPv6 needs.',
        'Check the cable and the DHCP server, or give the interface an address.',
      ),
    ]
  }
  if (!usable.some(({ family }) => family === 'IPv4')) {
    return [
      warning(
        'interfaces',
        `No IPv4 address: ${what}`,
        'Nodes that have IPv4 alone cannot be reached directly.',
        'Give this machine an IPv4 address, or give the others IPv6.',
      ),
    ]
  }
  return [ok('interfaces', what)]
}
