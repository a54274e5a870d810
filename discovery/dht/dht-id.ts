/**
 * Ids of 160 bits: the XOR metric of Kademlia, and BEP 42, which binds a node's id to its public address.
 *
 * With BEP 42 whoever has one address has eight places of 2^21 to sit in, and cannot settle beside a key of his choice.
 * Hosts on private, loopback and link-local networks are exempt: their address means nothing to others.
 */
import type { Random } from '../../transport/random.ts'
import { hostBytes, IPV4_BYTES } from './compact-address.ts'
import type { DhtKey } from './message.ts'

export const DHT_ID_BYTES = 20
export const DHT_ID_BITS = 160

export const sameKey = (a: DhtKey, b: DhtKey): boolean => {
  for (let i = 0; i < DHT_ID_BYTES; i++) if (a[i] !== b[i]) return false
  return true
}

/** An id as text, to look things up by. */
export const keyText = (key: DhtKey): string => Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString('hex')

/** Negative if `a` is closer to the target than `b`, positive if farther, 0 if they are the same. */
export const compareDistance = (target: DhtKey, a: DhtKey, b: DhtKey): number => {
  for (let i = 0; i < DHT_ID_BYTES; i++) {
    if (a[i] === b[i]) continue
    return (a[i]! ^ target[i]!) - (b[i]! ^ target[i]!)
  }
  return 0
}

/** The first 48 bits of the distance of two ids: a number to sort by where equal beginnings do not matter. */
export const roughDistance = (a: DhtKey, b: DhtKey): number => {
  const high = ((a[0]! ^ b[0]!) << 16) | ((a[1]! ^ b[1]!) << 8) | (a[2]! ^ b[2]!)
  const low = ((a[3]! ^ b[3]!) << 16) | ((a[4]! ^ b[4]!) << 8) | (a[5]! ^ b[5]!)
  return high * 2 ** 24 + low
}

/** How many bits two ids share from the first on, 0 to 160. */
export const commonPrefixBits = (a: DhtKey, b: DhtKey): number => {
  for (let i = 0; i < DHT_ID_BYTES; i++) {
    const difference = a[i]! ^ b[i]!
    if (difference !== 0) return i * 8 + Math.clz32(difference) - 24
  }
  return DHT_ID_BITS
}

export const randomId = (random: Random): DhtKey => Uint8Array.from(random.bytes(DHT_ID_BYTES))

/** An id that a host may have under BEP 42. Any id will do for one that is exempt or not an IP address. */
export const idForHost = (host: string, random: Random): DhtKey => {
  const id = randomId(random)
  const bytes = hostBytes(host)
  if (bytes === undefined || isExempt(bytes)) return id
  const prefix = prefixFor(bytes, id[DHT_ID_BYTES - 1]!)
  id[0] = prefix >>> 24
  id[1] = prefix >>> 16
  id[2] = ((prefix >>> 8) & 0xf8) | (id[2]! & 0x07)
  return id
}

/** Whether a host may have this id under BEP 42. */
export const idFitsHost = (id: DhtKey, host: string): boolean => {
  const bytes = hostBytes(host)
  if (bytes === undefined || isExempt(bytes)) return true
  const prefix = prefixFor(bytes, id[DHT_ID_BYTES - 1]!)
  const own = (id[0]! << 24) | (id[1]! << 16) | (id[2]! << 8)
  return (prefix ^ own) >>> (32 - PREFIX_BITS) === 0
}

/** Whether BEP 42 asks nothing of a host's id. */
export const isExemptHost = (host: string): boolean => {
  const bytes = hostBytes(host)
  return bytes === undefined || isExempt(bytes)
}

const isExempt = (host: Uint8Array): boolean => {
  const [first, second] = host as Uint8Array & [number, number]
  if (host.length === IPV4_BYTES) {
    return (
      first === 10 ||
      first === 127 ||
      (first === 172 && (second & 0xf0) === 16) ||
      (first === 192 && second === 168) ||
      (first === 169 && second === 254)
    )
  }
  const isUniqueLocal = (first & 0xfe) === 0xfc
  const isLinkLocal = first === 0xfe && (second & 0xc0) === 0x80
  return isUniqueLocal || isLinkLocal || host.every((byte, i) => byte === (i === 15 ? 1 : 0))
}

/** How much of an id follows from the address. */
const PREFIX_BITS = 21
/** The bits of an address that count: ever fewer towards the end, where they are cheaper to have. */
const IPV4_MASK = [0x03, 0x0f, 0x3f, 0xff]
/** Of IPv6 only the network half counts. */
const IPV6_MASK = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff]

/** CRC-32C of the masked address with three chosen bits in front; the last byte of an id tells them. */
const prefixFor = (host: Uint8Array, lastByte: number): number => {
  const masked = (host.length === IPV4_BYTES ? IPV4_MASK : IPV6_MASK).map((mask, i) => mask & host[i]!)
  masked[0]! |= (lastByte & 0x07) << 5
  return crc32c(masked)
}

/** Castagnoli's polynomial, its bits reversed (RFC 3720 appendix B.4). */
const CRC32C_POLYNOMIAL = 0x82f63b78

/** Bit by bit: a table would save nothing on 8 bytes. */
const crc32c = (bytes: readonly number[]): number => {
  let crc = -1
  for (const byte of bytes) {
    crc ^= byte
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? CRC32C_POLYNOMIAL : 0)
  }
  return ~crc
}
