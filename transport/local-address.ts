/**
 * Which addresses this machine has, and which it can send to from a socket: what the QUIC port asks the machine, in one
 * place.
 */
import { isIPv4, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'
import { type Address, unmapHost } from './address.ts'

/** None where the machine does not say: some sandboxes forbid it, and without a free file descriptor it cannot. */
export const listInterfaces = (): ReturnType<typeof networkInterfaces> => {
  try {
    return networkInterfaces()
  } catch {
    return {}
  }
}

/** This machine's addresses, loopback last; link-local IPv6 is left out, as its zone means nothing elsewhere. */
export const localHosts = (withIPv6: boolean): string[] => {
  const all = Object.values(listInterfaces()).flatMap((addresses) => addresses ?? [])
  const usable = all.filter((one) => (one.family === 'IPv4' || withIPv6) && !one.address.startsWith('fe80:'))
  return usable.sort((a, b) => Number(a.internal) - Number(b.internal)).map((one) => one.address)
}

/** It is on a network that this machine is on as well, or it is this machine. */
export const isOnLink = (host: string): boolean => {
  if (!ipaddr.isValid(host)) return false
  const address = ipaddr.parse(host)
  return Object.values(listInterfaces()).some((interfaces) =>
    interfaces?.some(({ cidr }) => {
      if (cidr === null) return false
      const [network, bits] = ipaddr.parseCIDR(cidr)
      return network.kind() === address.kind() && address.match(network, bits)
    }),
  )
}

/** quiche knows no zones, so link-local addresses that need one are out of its reach. */
export const hasZone = (host: string): boolean => host.includes('%')

/** The address as a port bound to `boundHost` sends to it; undefined for what it cannot reach. */
export const wireAddress = (remote: Address, boundHost: string, dualStack: boolean): Address | undefined => {
  const { port } = remote
  const host = unmapHost(remote.host)
  if (port < 1 || port > 65_535) return undefined
  if (isIPv4(host)) return dualStack || isIPv4(boundHost) ? { host, port } : undefined
  return isIPv6(host) && isIPv6(boundHost) && !hasZone(host) ? remote : undefined
}
