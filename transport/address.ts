/**
 * Network addresses: parsed once at the border, compared by key, printed the usual way ([v6]:port).
 */
import { isIPv6 } from 'node:net'
import { SkeinError } from '../certs/errors.ts'

/** Where a UDP or TCP port is. */
export interface Address {
  /** A literal IPv4 or IPv6 address (with %zone where link-local). */
  readonly host: string
  readonly port: number
}

export const formatAddress = (address: Address): string =>
  isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`

export const sameAddress = (a: Address, b: Address): boolean => a.port === b.port && a.host === b.host

/** An IPv4-mapped IPv6 address as its IPv4 self, any other host as it is. */
export const unmapHost = (host: string): string =>
  host.startsWith('::ffff:') && host.includes('.') ? host.slice(7) : host

export const isPort = (port: unknown): port is number =>
  typeof port === 'number' && Number.isInteger(port) && port >= 0 && port <= 65535

/** Splits "host:port", "[v6]:port" or a bare host; the host may still be a name. Throws ERR_SKEIN_BAD_ADDRESS. */
export const parseHostPort = (text: string, defaultPort?: number): Address => {
  const bad = (why: string): SkeinError =>
    new SkeinError('ERR_SKEIN_BAD_ADDRESS', `"${text.slice(0, 120)}" is not an address: ${why}`)
  const match =
    /^\[([^\]]+)\](?::(\d{1,5}))?$/.exec(text) ??
    (isIPv6(text) ? [text, text, undefined] : /^([^:\s]+)(?::(\d{1,5}))?$/.exec(text))
  if (match === null) throw bad('expected host:port')
  const host = match[1] as string
  const port = match[2] === undefined ? defaultPort : Number(match[2])
  if (port === undefined) throw bad('the port is missing')
  if (!isPort(port) || port === 0) throw bad('the port must be 1 to 65535')
  if (text.startsWith('[') && !isIPv6(host)) throw bad('the brackets hold no IPv6 address')
  if (host.length > 253) throw bad('the host is too long')
  return { host, port }
}
