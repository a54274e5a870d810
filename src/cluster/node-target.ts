/**
 * What a user may give to `connect`: `name@host`, `name` (of this machine), `ip:port`, `host:port`, or a bare IP address.
 */
import { isIP } from 'node:net'
import { SkeinError } from '../../certs/errors.ts'
import { type Address, parseHostPort } from '../../transport/address.ts'
import { DEFAULT_PORT } from '../discovery-config.ts'
import { fullNodeName } from './node-name.ts'

/** All addresses of a host name; may reject. */
export type ResolveHost = (host: string) => Promise<readonly string[]>

export type ConnectTarget =
  | { readonly type: 'name'; readonly name: string }
  | { readonly type: 'addresses'; readonly addresses: readonly Address[] }

/** Whether it is an address; else it is a name. */
export const isAddressTarget = (text: string): boolean =>
  !text.includes('@') && (text.includes(':') || isIP(text) !== 0)

/** Throws ERR_SKEIN_BAD_ADDRESS, ERR_SKEIN_BAD_NAME or ERR_SKEIN_UNKNOWN_HOST. */
export const parseTarget = async (
  text: string,
  ownHost: string,
  resolve: ResolveHost | undefined,
): Promise<ConnectTarget> => {
  if (typeof text !== 'string' || !isAddressTarget(text)) {
    return { type: 'name', name: fullNodeName(String(text), ownHost) }
  }
  const { host, port } = parseHostPort(text, DEFAULT_PORT)
  if (isIP(host) !== 0) return { type: 'addresses', addresses: [{ host, port }] }
  let hosts: readonly string[] = []
  let cause: unknown
  try {
    hosts = (await resolve?.(host)) ?? []
  } catch (error) {
    cause = error
  }
  if (hosts.length === 0) throw new SkeinError('ERR_SKEIN_UNKNOWN_HOST', `The host ${host} has no address.`, { cause })
  return { type: 'addresses', addresses: hosts.map((one) => ({ host: one, port })) }
}
