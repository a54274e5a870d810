/**
 * Frames of the control lane: what two nodes, not their processes, say to each other. Encoding and bounded decoding only;
 * docs/handshake.md describes them for other implementations.
 *
 * Hello is a list of fields (number, length, bytes): a receiver skips numbers it does not know, so later versions may add
 * some. A field twice, a missing one or a value out of range is an error.
 */
import { isIP } from 'node:net'
import { isNodeId } from '../../certs/node-id.ts'
import { type Address, isPort } from '../../transport/address.ts'
import { ByteReader, ByteWriter, malformed } from '../wire/bytes.ts'
import { isNodeName, MAX_NODE_NAME_BYTES } from './node-name.ts'

/** Frame types of the control lane. */
export const CONTROL = {
  hello: 1,
  proof: 2,
  ready: 3,
  /** Sign of life; carries the checksum of the membership the sender sees. */
  tick: 4,
  goodbye: 5,
  askPeers: 6,
  peers: 7,
  ping: 8,
  pong: 9,
  /** From protocol version 2 on: sight.ts, and idle-connections.ts. 10 to 13 are those of membership/frames.ts. */
  sight: 20,
  idle: 21,
  /** Only between nodes with the capability `keys`: wire/key-tables.ts. */
  keys: 22,
  keysKnown: 23,
  /** Only between nodes with the capability `reproof`: standing.ts. */
  challenge: 24,
  answer: 25,
  /** Only between nodes with the capability `reach`: reach/reach.ts. */
  observed: 30,
  relayAsk: 31,
  relayOpened: 32,
  relayRefused: 33,
  relayIncoming: 34,
  relayClose: 35,
  punchPlan: 36,
} as const

export const MAX_HELLO_BYTES = 8 * 1024
export const NONCE_BYTES = 32
/** HMAC-SHA256. */
const MAC_BYTES = 32
const MAX_CAPABILITIES = 64
const MAX_CAPABILITY_BYTES = 64
/** Addresses a node may tell of itself. */
export const MAX_NODE_ADDRESSES = 16
const MAX_HOST_BYTES = 64
export const INCARNATION = /^[0-9a-f]{16}$/
/** One peers frame: even with the longest names and all addresses it fits the 64 KiB of a control frame. */
export const MAX_PEERS_IN_FRAME = 48
const MAX_GOODBYE_BYTES = 256

export interface Hello {
  /** Oldest and newest protocol version spoken. */
  readonly versions: readonly [number, number]
  readonly capabilities: readonly string[]
  readonly name: string
  readonly incarnation: string
  /** 32 fresh bytes. */
  readonly nonce: Uint8Array
  /** Keyed with the cookie: shows that the sender has it. */
  readonly cookieCheck: Uint8Array
  /** Keyed with the cookie, over the cluster's name: equal cookies and unequal clusters can be told apart. */
  readonly clusterCheck: Uint8Array
  /** Where the sender listens: hints for third parties. */
  readonly addresses: readonly Address[]
  /** Stays out of nodes() and of meshes. */
  readonly hidden: boolean
  /** The sender has lost an earlier connection of this incarnation: tear it down. */
  readonly replace: boolean
}

const FIELD = {
  versions: 1,
  capabilities: 2,
  name: 3,
  incarnation: 4,
  nonce: 5,
  cookieCheck: 6,
  clusterCheck: 7,
  addresses: 8,
  flags: 9,
} as const

const FLAG_HIDDEN = 1
const FLAG_REPLACE = 2

export const encodeHello = (hello: Hello): Uint8Array => {
  const field = (): ByteWriter => new ByteWriter()
  const capabilities = field().u16(hello.capabilities.length)
  for (const capability of hello.capabilities) capabilities.text(capability)
  const out = new ByteWriter()
  out.u8(FIELD.versions).bytes(field().u16(hello.versions[0]).u16(hello.versions[1]).done())
  out.u8(FIELD.capabilities).bytes(capabilities.done())
  out.u8(FIELD.name).text(hello.name)
  out.u8(FIELD.incarnation).text(hello.incarnation)
  out.u8(FIELD.nonce).bytes(hello.nonce)
  out.u8(FIELD.cookieCheck).bytes(hello.cookieCheck)
  out.u8(FIELD.clusterCheck).bytes(hello.clusterCheck)
  out.u8(FIELD.addresses).bytes(writeAddresses(field(), hello.addresses).done())
  out.u8(FIELD.flags).bytes(Buffer.of((hello.hidden ? FLAG_HIDDEN : 0) | (hello.replace ? FLAG_REPLACE : 0)))
  return out.done()
}

/** Throws ERR_SKEIN_PROTOCOL. The result shares no memory with `bytes`. */
export const decodeHello = (bytes: Uint8Array): Hello => {
  if (bytes.length > MAX_HELLO_BYTES) throw malformed(`a hello of ${bytes.length} bytes`)
  const fields = new Map<number, Uint8Array>()
  const reader = new ByteReader(bytes)
  while (reader.left > 0) {
    const number = reader.u8()
    if (fields.has(number)) throw malformed(`field ${number} of a hello twice`)
    fields.set(number, reader.bytes(MAX_HELLO_BYTES))
  }
  const field = (number: number): ByteReader => {
    const value = fields.get(number)
    if (value === undefined) throw malformed(`a hello without field ${number}`)
    return new ByteReader(value)
  }
  const fixed = (number: number, length: number): Uint8Array => {
    const value = fields.get(number)
    if (value?.length !== length) throw malformed(`a hello whose field ${number} is not ${length} bytes`)
    return Uint8Array.from(value)
  }
  const versions = field(FIELD.versions)
  const range: [number, number] = [versions.u16(), versions.u16()]
  if (range[0] > range[1]) throw malformed('a range of versions that ends before it begins')

  const name = Buffer.from(fields.get(FIELD.name) ?? '').toString('latin1')
  if (!isNodeName(name)) throw malformed('a hello with a malformed name')
  const incarnation = Buffer.from(fields.get(FIELD.incarnation) ?? '').toString('latin1')
  if (!INCARNATION.test(incarnation)) throw malformed('a hello with a malformed incarnation')
  const flags = field(FIELD.flags).u8()
  return {
    versions: range,
    capabilities: readCapabilities(field(FIELD.capabilities)),
    name,
    incarnation,
    nonce: fixed(FIELD.nonce, NONCE_BYTES),
    cookieCheck: fixed(FIELD.cookieCheck, MAC_BYTES),
    clusterCheck: fixed(FIELD.clusterCheck, MAC_BYTES),
    addresses: readAddresses(field(FIELD.addresses)),
    hidden: (flags & FLAG_HIDDEN) !== 0,
    replace: (flags & FLAG_REPLACE) !== 0,
  }
}

const readCapabilities = (reader: ByteReader): string[] => {
  const count = reader.u16()
  if (count > MAX_CAPABILITIES) throw malformed(`${count} capabilities`)
  const capabilities: string[] = []
  for (let i = 0; i < count; i++) capabilities.push(reader.text(MAX_CAPABILITY_BYTES))
  return capabilities
}

export const writeAddresses = (writer: ByteWriter, addresses: readonly Address[]): ByteWriter => {
  const told = addresses.slice(0, MAX_NODE_ADDRESSES)
  writer.u8(told.length)
  for (const address of told) writer.text(address.host).u16(address.port)
  return writer
}

export const readAddresses = (reader: ByteReader): Address[] => {
  const count = reader.u8()
  if (count > MAX_NODE_ADDRESSES) throw malformed(`${count} addresses of one node`)
  const addresses: Address[] = []
  for (let i = 0; i < count; i++) {
    const host = reader.text(MAX_HOST_BYTES)
    const port = reader.u16()
    if (isIP(host) === 0 || !isPort(port) || port === 0) throw malformed('a malformed address')
    addresses.push({ host, port })
  }
  return addresses
}

/** What one member tells of another. A hint: only a handshake proves anything. */
export interface PeerHint {
  readonly name: string
  readonly id: string
  readonly incarnation: string
  readonly addresses: readonly Address[]
}

/** At most MAX_PEERS_IN_FRAME of them. */
export const encodePeers = (peers: readonly PeerHint[]): Uint8Array => {
  const told = peers.slice(0, MAX_PEERS_IN_FRAME)
  const out = new ByteWriter().u16(told.length)
  for (const peer of told) writeAddresses(out.text(peer.name).text(peer.id).text(peer.incarnation), peer.addresses)
  return out.done()
}

/** Throws ERR_SKEIN_PROTOCOL. */
export const decodePeers = (bytes: Uint8Array): PeerHint[] => {
  const reader = new ByteReader(bytes)
  const count = reader.u16()
  if (count > MAX_PEERS_IN_FRAME) throw malformed(`${count} peers in one frame`)
  const peers: PeerHint[] = []
  for (let i = 0; i < count; i++) {
    const name = reader.text(MAX_NODE_NAME_BYTES)
    const id = reader.text(32)
    const incarnation = reader.text(16)
    const addresses = readAddresses(reader)
    if (!isNodeName(name) || !isNodeId(id) || !INCARNATION.test(incarnation)) throw malformed('a malformed peer')
    peers.push({ name, id, incarnation, addresses })
  }
  reader.end()
  return peers
}

/** Tick, ping and pong carry one number of 32 bits. */
export const encodeNumber = (value: number): Uint8Array => new ByteWriter().u32(value).done()

/** Throws ERR_SKEIN_PROTOCOL. */
export const decodeNumber = (bytes: Uint8Array): number => {
  const reader = new ByteReader(bytes)
  const value = reader.u32()
  reader.end()
  return value
}

export const encodeGoodbye = (reason: string): Uint8Array => new ByteWriter().text(reason).done()

/** Throws ERR_SKEIN_PROTOCOL. */
export const decodeGoodbye = (bytes: Uint8Array): string => {
  const reader = new ByteReader(bytes)
  const reason = reader.text(MAX_GOODBYE_BYTES)
  reader.end()
  return reason
}
