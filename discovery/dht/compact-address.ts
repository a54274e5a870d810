/**
 * Addresses as the DHT writes them: 4 or 16 bytes of host, 2 of port (BEP 5, BEP 32).
 *
 * An IPv4-mapped IPv6 address is its IPv4 self. Hosts read from bytes have the notation of the operating system, so that
 * equal addresses are equal texts. What nobody can send to is no address here: port 0, the unspecified address, multicast
 * and reserved ones, and link-local IPv6, whose zone the bytes cannot tell.
 */
import { type Address, unmapHost } from '../../transport/address.ts'

export const IPV4_BYTES = 4
export const IPV6_BYTES = 16
export const PORT_BYTES = 2

export type Family = 'ip4' | 'ip6'

export const familyOf = (host: string): Family => (unmapHost(host).includes(':') ? 'ip6' : 'ip4')

/** The 4 or 16 bytes of a literal host; undefined if it is none, or has a zone. */
export const hostBytes = (host: string): Uint8Array | undefined => {
  const plain = unmapHost(host)
  return plain.includes(':') ? ipv6Bytes(plain) : ipv4Bytes(plain)
}

/** The address in these 6 or 18 bytes; undefined if nobody can send to it, or for any other length. */
export const addressOf = (compact: Uint8Array): Address | undefined => {
  const hostEnd = compact.length - PORT_BYTES
  if (hostEnd !== IPV4_BYTES && hostEnd !== IPV6_BYTES) return undefined
  const port = compact[hostEnd]! * 256 + compact[hostEnd + 1]!
  const host = hostOf(compact, hostEnd)
  return port === 0 || host === undefined ? undefined : { host, port }
}

/** The 6 or 18 bytes of an address; undefined if `addressOf` would not give it back. */
export const compactAddress = ({ host, port }: Address): Uint8Array | undefined => {
  const bytes = hostBytes(host)
  if (bytes === undefined || port === 0 || hostOf(bytes, bytes.length) === undefined) return undefined
  const compact = new Uint8Array(bytes.length + PORT_BYTES)
  compact.set(bytes)
  compact[bytes.length] = port >> 8
  compact[bytes.length + 1] = port & 0xff
  return compact
}

/** The host in the first 4 or 16 bytes, if it can be sent to. */
const hostOf = (bytes: Uint8Array, length: number): string | undefined => {
  if (length === IPV4_BYTES) return ipv4Text(bytes, 0)
  const zeros = leadingZeros(bytes)
  if (zeros === 10 && bytes[10] === 0xff && bytes[11] === 0xff) return ipv4Text(bytes, 12)
  // Of ::/96, which once held IPv4 addresses (RFC 4291 section 2.5.5.1), only loopback is in use.
  if (zeros >= 12) return zeros === 15 && bytes[15] === 1 ? '::1' : undefined
  const isMulticast = bytes[0] === 0xff
  const isLinkLocal = bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80
  return isMulticast || isLinkLocal ? undefined : ipv6Text(bytes)
}

/** 0.0.0.0/8 is "this host" (RFC 1122); from 224 on all is multicast or reserved. */
const ipv4Text = (bytes: Uint8Array, from: number): string | undefined => {
  const first = bytes[from]!
  if (first === 0 || first >= 224) return undefined
  return `${first}.${bytes[from + 1]}.${bytes[from + 2]}.${bytes[from + 3]}`
}

const leadingZeros = (bytes: Uint8Array): number => {
  let count = 0
  while (count < IPV6_BYTES && bytes[count] === 0) count++
  return count
}

const IPV6_GROUPS = 8

/** Canonical: lower case, the first longest run of two or more zero groups as '::' (RFC 5952). */
const ipv6Text = (bytes: Uint8Array): string => {
  const groups = Array.from({ length: IPV6_GROUPS }, (_, i) => bytes[2 * i]! * 256 + bytes[2 * i + 1]!)
  let bestStart = 0
  let bestLength = 1
  for (let start = 0; start < IPV6_GROUPS; start++) {
    let end = start
    while (groups[end] === 0) end++
    if (end - start > bestLength) {
      bestStart = start
      bestLength = end - start
    }
    start = end
  }
  const hex = groups.map((group) => group.toString(16))
  if (bestLength < 2) return hex.join(':')
  return `${hex.slice(0, bestStart).join(':')}::${hex.slice(bestStart + bestLength).join(':')}`
}

const ipv4Bytes = (text: string): Uint8Array | undefined => {
  const parts = text.split('.')
  if (parts.length !== IPV4_BYTES) return undefined
  const bytes = new Uint8Array(IPV4_BYTES)
  for (let i = 0; i < IPV4_BYTES; i++) {
    const part = parts[i]!
    const value = Number(part)
    if (!/^\d{1,3}$/.test(part) || value > 255) return undefined
    bytes[i] = value
  }
  return bytes
}

const ipv6Bytes = (text: string): Uint8Array | undefined => {
  const halves = text.split('::')
  const head = groupsOf(halves[0]!)
  const tail = groupsOf(halves[1] ?? '')
  if (halves.length > 2 || head === undefined || tail === undefined) return undefined
  const missing = IPV6_GROUPS - head.length - tail.length
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined
  const bytes = new Uint8Array(IPV6_BYTES)
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail]
  for (let i = 0; i < IPV6_GROUPS; i++) {
    bytes[2 * i] = groups[i]! >> 8
    bytes[2 * i + 1] = groups[i]! & 0xff
  }
  return bytes
}

/** The 16-bit groups between colons; the last may be an IPv4 address and counts for two. */
const groupsOf = (text: string): number[] | undefined => {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [index, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) groups.push(Number.parseInt(part, 16))
    else {
      const ipv4 = index === parts.length - 1 ? ipv4Bytes(part) : undefined
      if (ipv4 === undefined) return undefined
      groups.push(ipv4[0]! * 256 + ipv4[1]!, ipv4[2]! * 256 + ipv4[3]!)
    }
  }
  return groups
}
