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
  if (bytes === undefined || port === 0 || !isUsable(bytes, bytes.length)) return undefined
  const compact = new Uint8Array(bytes.length + PORT_BYTES)
  compact.set(bytes)
  compact[bytes.length] = port >> 8
  compact[bytes.length + 1] = port & 0xff
  return compact
}

/** The host in the first 4 or 16 bytes, if it can be sent to. */
const hostOf = (bytes: Uint8Array, length: number): string | undefined => {
  if (!isUsable(bytes, length)) return undefined
  if (length === IPV4_BYTES) return ipv4Text(bytes, 0)
  return isMapped(bytes) ? ipv4Text(bytes, MAPPED_PREFIX_BYTES) : ipv6Text(bytes)
}

const isUsable = (bytes: Uint8Array, length: number): boolean => {
  if (length === IPV4_BYTES) return isUsableIpv4(bytes[0]!)
  if (isMapped(bytes)) return isUsableIpv4(bytes[MAPPED_PREFIX_BYTES]!)
  const zeros = leadingZeros(bytes)
  // Of ::/96, which once held IPv4 addresses (RFC 4291 section 2.5.5.1), only loopback is in use.
  if (zeros >= MAPPED_PREFIX_BYTES) return zeros === IPV6_BYTES - 1 && bytes[zeros] === 1
  const isMulticast = bytes[0] === 0xff
  const isLinkLocal = bytes[0] === 0xfe && (bytes[1]! & 0xc0) === 0x80
  return !isMulticast && !isLinkLocal
}

/** 0.0.0.0/8 is "this host" (RFC 1122 section 3.2.1.3); from 224 on all is multicast or reserved. */
const isUsableIpv4 = (first: number): boolean => first !== 0 && first < 224

const MAPPED_PREFIX_BYTES = IPV6_BYTES - IPV4_BYTES

const isMapped = (bytes: Uint8Array): boolean =>
  bytes[10] === 0xff && bytes[11] === 0xff && leadingZeros(bytes) === MAPPED_PREFIX_BYTES - 2

const leadingZeros = (bytes: Uint8Array): number => {
  let count = 0
  while (count < IPV6_BYTES && bytes[count] === 0) count++
  return count
}

const ipv4Text = (bytes: Uint8Array, from: number): string =>
  `${bytes[from]}.${bytes[from + 1]}.${bytes[from + 2]}.${bytes[from + 3]}`

/** Canonical: lower case, the first longest run of two or more zero groups as '::' (RFC 5952). */
const ipv6Text = (bytes: Uint8Array): string => {
  let gapStart = IPV6_BYTES
  let gapEnd = IPV6_BYTES
  for (let start = 0; start < IPV6_BYTES; start += 2) {
    let end = start
    while (end < IPV6_BYTES && bytes[end] === 0 && bytes[end + 1] === 0) end += 2
    if (end - start > Math.max(2, gapEnd - gapStart)) {
      gapStart = start
      gapEnd = end
    }
    start = Math.max(start, end)
  }
  let text = ''
  for (let i = 0; i < IPV6_BYTES; i += 2) {
    if (i === gapStart) {
      text += '::'
      i = gapEnd
      if (i === IPV6_BYTES) break
    } else if (i > 0) text += ':'
    text += (bytes[i]! * 256 + bytes[i + 1]!).toString(16)
  }
  return text
}

const DIGIT_0 = 0x30
const DOT = 0x2e

const ipv4Bytes = (text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array(IPV4_BYTES)
  let index = 0
  let value = -1
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : DOT
    if (code === DOT) {
      if (value < 0 || index === IPV4_BYTES) return undefined
      bytes[index++] = value
      value = -1
    } else {
      const digit = code - DIGIT_0
      // A leading zero is refused: some read what follows as octal.
      if (digit < 0 || digit > 9 || value === 0) return undefined
      value = Math.max(0, value) * 10 + digit
      if (value > 255) return undefined
    }
  }
  return index === IPV4_BYTES ? bytes : undefined
}

const ipv6Bytes = (text: string): Uint8Array | undefined => {
  const bytes = new Uint8Array(IPV6_BYTES)
  let length = 0
  /** Where '::' stands. */
  let gap = text.startsWith('::') ? 0 : -1
  let position = gap === 0 ? 2 : 0
  while (position < text.length) {
    const end = hexEnd(text, position)
    const isLastIpv4 = text.charCodeAt(end) === DOT
    const group = isLastIpv4 ? ipv4Bytes(text.slice(position)) : groupBytes(text, position, end)
    if (group === undefined || length + group.length > IPV6_BYTES) return undefined
    bytes.set(group, length)
    length += group.length
    if (isLastIpv4 || end === text.length) break
    position = end + 1
    if (text[end] !== ':' || position === text.length) return undefined
    if (text[position] !== ':') continue
    if (gap >= 0) return undefined
    gap = length
    position++
  }
  if (gap < 0) return length === IPV6_BYTES ? bytes : undefined
  if (length === IPV6_BYTES) return undefined
  const behind = length - gap
  bytes.copyWithin(IPV6_BYTES - behind, gap, length)
  return bytes.fill(0, gap, IPV6_BYTES - behind)
}

/** Where the hexadecimal digits from here on end. */
const hexEnd = (text: string, from: number): number => {
  let end = from
  while (end < text.length && isHexDigit(text.charCodeAt(end))) end++
  return end
}

const isHexDigit = (code: number): boolean => {
  const lower = code | 0x20
  return (code >= DIGIT_0 && code <= DIGIT_0 + 9) || (lower >= 0x61 && lower <= 0x66)
}

const groupBytes = (text: string, start: number, end: number): readonly number[] | undefined => {
  if (end === start || end - start > 4) return undefined
  const value = Number.parseInt(text.slice(start, end), 16)
  return [value >> 8, value & 0xff]
}
