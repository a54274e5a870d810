/**
 * What is said to a router about a mapped UDP port: PCP (RFC 6887) and NAT-PMP (RFC 6886), which share a port and start
 * with their version, 2 and 0. Encoding and bounded decoding only; what is no answer to the request is none at all.
 */
import { hostBytes, IPV4_BYTES, IPV6_BYTES } from '../../../discovery/dht/compact-address.ts'
import type { Address } from '../../../transport/address.ts'
import type { MapRequest } from './mapping-protocol.ts'

/** Where routers listen for both (RFC 6886 section 3.1, RFC 6887 section 19). */
export const GATEWAY_PORT = 5351
/** RFC 6887 section 11.1. */
export const PCP_NONCE_BYTES = 12

const NAT_PMP_VERSION = 0
const PCP_VERSION = 2
const IS_ANSWER = 0x80
const UDP_PROTOCOL = 17
const UNSUPPORTED_VERSION = 1
const SUCCESS = 0

const NAT_PMP_EXTERNAL = 0
const NAT_PMP_MAP_UDP = 1
const NAT_PMP_HEAD_BYTES = 8
const NAT_PMP_EXTERNAL_BYTES = 12
const NAT_PMP_MAP_BYTES = 16

const PCP_MAP = 1
const PCP_HEAD_BYTES = 24
const PCP_MAP_BYTES = PCP_HEAD_BYTES + 36

/** `refused`: the router's word, in the words of its RFC. `versionless`: it does not speak PCP. */
export type MapAnswer =
  | {
      readonly type: 'mapped'
      readonly host: string | undefined
      readonly port: number
      readonly lifetimeSeconds: number
    }
  | { readonly type: 'refused'; readonly reason: string }
  | { readonly type: 'versionless' }

/** `clientHost` is the address that the router sees the request come from: it compares them (section 8.1). */
export const encodePcpMap = (request: MapRequest, clientHost: string, nonce: Uint8Array): Uint8Array => {
  const bytes = Buffer.alloc(PCP_MAP_BYTES)
  bytes[0] = PCP_VERSION
  bytes[1] = PCP_MAP
  bytes.writeUInt32BE(request.lifetimeSeconds, 4)
  bytes.set(mappedBytes(clientHost), 8)
  bytes.set(nonce.subarray(0, PCP_NONCE_BYTES), 24)
  bytes[36] = UDP_PROTOCOL
  bytes.writeUInt16BE(request.internalPort, 40)
  // Of a mapping that is taken back, and of an address that is left to the router, nothing is suggested (section 11.2).
  bytes.writeUInt16BE(request.lifetimeSeconds === 0 ? 0 : request.wantedPort, 42)
  bytes.set(mappedBytes('0.0.0.0'), 44)
  return bytes
}

/** The answer to this very request; undefined for anything else. */
export const decodePcpMap = (bytes: Uint8Array, internalPort: number, nonce: Uint8Array): MapAnswer | undefined => {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  // How a router that speaks NAT-PMP alone answers (RFC 6886 section 3.5).
  if (view[0] === NAT_PMP_VERSION && view.length >= 4) return { type: 'versionless' }
  if (view[0] !== PCP_VERSION || view[1] !== (PCP_MAP | IS_ANSWER) || view.length < PCP_HEAD_BYTES) return undefined
  const code = view[3]!
  if (code === UNSUPPORTED_VERSION) return { type: 'versionless' }
  if (view.length < PCP_MAP_BYTES) return undefined
  const isOurs =
    view.subarray(24, 36).equals(nonce) && view[36] === UDP_PROTOCOL && view.readUInt16BE(40) === internalPort
  if (!isOurs) return undefined
  if (code !== SUCCESS) return { type: 'refused', reason: PCP_RESULTS[code] ?? `result ${code}` }
  const lifetimeSeconds = view.readUInt32BE(4)
  return { type: 'mapped', host: hostIn(view.subarray(44, 60)), port: view.readUInt16BE(42), lifetimeSeconds }
}

export const encodeNatPmpMap = ({ internalPort, wantedPort, lifetimeSeconds }: MapRequest): Uint8Array => {
  const bytes = Buffer.alloc(12)
  bytes[1] = NAT_PMP_MAP_UDP
  bytes.writeUInt16BE(internalPort, 4)
  // To take it back both port and lifetime are 0 (RFC 6886 section 3.4).
  bytes.writeUInt16BE(lifetimeSeconds === 0 ? 0 : wantedPort, 6)
  bytes.writeUInt32BE(lifetimeSeconds, 8)
  return bytes
}

/** The host is told by another answer. */
export const decodeNatPmpMap = (bytes: Uint8Array, internalPort: number): MapAnswer | undefined => {
  const view = natPmpAnswer(bytes, NAT_PMP_MAP_UDP)
  if (view === undefined) return undefined
  const reason = natPmpRefusal(view)
  if (reason !== undefined) return { type: 'refused', reason }
  if (view.length < NAT_PMP_MAP_BYTES || view.readUInt16BE(8) !== internalPort) return undefined
  return { type: 'mapped', host: undefined, port: view.readUInt16BE(10), lifetimeSeconds: view.readUInt32BE(12) }
}

export const encodeNatPmpExternal = (): Uint8Array => Uint8Array.of(NAT_PMP_VERSION, NAT_PMP_EXTERNAL)

/** The router's address outside, or why it tells none. */
export const decodeNatPmpExternal = (bytes: Uint8Array): { host: string } | { reason: string } | undefined => {
  const view = natPmpAnswer(bytes, NAT_PMP_EXTERNAL)
  if (view === undefined) return undefined
  const reason = natPmpRefusal(view)
  if (reason !== undefined) return { reason }
  if (view.length < NAT_PMP_EXTERNAL_BYTES) return undefined
  return { host: view.subarray(8, 12).join('.') }
}

/** Where a mapping leads to from outside; undefined where the router gave no port or no address. */
export const outsideOf = (host: string | undefined, port: number): Address | undefined =>
  host === undefined || host === '0.0.0.0' || port === 0 ? undefined : { host, port }

const natPmpAnswer = (bytes: Uint8Array, opcode: number): Buffer | undefined => {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  const isAnswer = view[0] === NAT_PMP_VERSION && view[1] === (opcode | IS_ANSWER)
  return isAnswer && view.length >= NAT_PMP_HEAD_BYTES ? view : undefined
}

const natPmpRefusal = (view: Buffer): string | undefined => {
  const code = view.readUInt16BE(2)
  return code === SUCCESS ? undefined : (NAT_PMP_RESULTS[code] ?? `result ${code}`)
}

/** RFC 6886 section 3.5. */
const NAT_PMP_RESULTS: Readonly<Record<number, string>> = {
  1: 'unsupported version',
  2: 'not authorized: port mapping is switched off at the router',
  3: 'network failure: the router has no address itself',
  4: 'out of resources: the router has no port left',
  5: 'unsupported opcode',
}

/** RFC 6887 section 7.4. */
const PCP_RESULTS: Readonly<Record<number, string>> = {
  2: 'not authorized: port mapping is switched off at the router, or the mapping belongs to another node',
  3: 'malformed request',
  4: 'unsupported opcode',
  5: 'unsupported option',
  6: 'malformed option',
  7: 'network failure: the router has no address itself',
  8: 'no resources: the router has no room',
  9: 'unsupported protocol',
  10: 'quota exceeded: this machine has too many mappings',
  11: 'cannot provide external address',
  12: 'address mismatch: there is another NAT before the router',
  13: 'excessive remote peers',
}

/** 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 6887 section 5). */
const mappedBytes = (host: string): Uint8Array => {
  const bytes = hostBytes(host) ?? new Uint8Array(IPV4_BYTES)
  if (bytes.length === IPV6_BYTES) return bytes
  return Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, ...bytes)
}

/** IPv4 alone: over IPv6 there is nothing to be mapped. */
const hostIn = (bytes: Uint8Array): string | undefined => {
  const isIpv4 = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff
  return isIpv4 ? bytes.subarray(12).join('.') : undefined
}
