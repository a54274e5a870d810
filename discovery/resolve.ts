/**
 * Host names to addresses, by a name service that is injected: what seeds, DNS and the DHT's bootstrap addresses share.
 */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Address } from '../transport/address.ts'

/** A name may stand for a whole service; that many of its addresses are enough to begin with. */
export const MAX_ADDRESSES_PER_NAME = 16

/** All addresses of a host name; may reject. */
export type ResolveAddress = (host: string) => Promise<readonly string[]>

/** The system's name service. */
export const resolveBySystem: ResolveAddress = async (host) =>
  (await lookup(host, { all: true })).map((found) => found.address)

/** Literal addresses of one; rejects as the name service does. */
export const resolveOne = async ({ host, port }: Address, resolve: ResolveAddress): Promise<Address[]> => {
  const hosts = isIP(host) !== 0 ? [host] : await resolve(host)
  const literal = [...new Set(hosts)].filter((one) => isIP(one) !== 0)
  return literal.slice(0, MAX_ADDRESSES_PER_NAME).map((one) => ({ host: one, port }))
}

/** Literal addresses of all of these; a name that has none is left out. Never rejects. */
export const resolveAll = async (addresses: readonly Address[], resolve: ResolveAddress): Promise<Address[]> => {
  const resolved = await Promise.all(addresses.map((address) => resolveOne(address, resolve).catch(() => [])))
  return resolved.flat()
}
