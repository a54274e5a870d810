/**
 * What a relay and the two ends of a channel say to each other: control frames, and the head of every relayed datagram.
 * Encoding and bounded decoding only; docs/nat.md describes them.
 *
 * Two members can each be a relay of the other's, over one session. So whatever names a channel also says whether it goes
 * to the relay or comes from it: the number is one of the relay's own.
 */
import { isIP } from 'node:net'
import { isNodeId } from '../../../certs/node-id.ts'
import { type Address, isPort } from '../../../transport/address.ts'
import { ByteReader, ByteWriter, malformed } from '../../wire/bytes.ts'
import { isNodeName, MAX_NODE_NAME_BYTES } from '../node-name.ts'

const TO_RELAY = 1
const FROM_RELAY = 2
export type Direction = 'toRelay' | 'fromRelay'

/** Direction and channel. */
export const RELAY_HEAD_BYTES = 5
/**
 * Longest datagram inside a relayed one, bytes: the first packets of QUIC (RFC 9000 section 14.1) with their gate tag. No
 * more, since all of it has to fit into a packet of the session to the relay.
 */
export const MAX_RELAYED_BYTES = 1216
/** By which both ends know each other's punches; as long as a guess is hopeless. */
export const RELAY_TOKEN_BYTES = 16

const ID_BYTES = 32
const MAX_HOST_BYTES = 64

/**
 * A channel has a number at each end. The asker's is below this, the number of its request, so that it can send before the relay
 * has answered; those that relays give are not.
 */
export const FIRST_GIVEN_NUMBER = 2 ** 31

/** A member asks a relay for a channel to another one. */
export interface RelayAsk {
  /** The asker's number for it, and for the channel if it is a new one. */
  readonly request: number
  readonly target: string
}

export interface RelayOpened {
  readonly request: number
  readonly channel: number
  readonly token: Uint8Array
  /** Where the relay sees the target. */
  readonly observed: Address
}

/** Why there is no channel; the place in the list is the number on the wire. */
const REASONS = ['unknown', 'forbidden', 'full', 'rate'] as const
export type RelayReason = (typeof REASONS)[number]

export interface RelayRefused {
  readonly request: number
  readonly reason: RelayReason
}

/** What the target hears when a channel to it is opened. */
export interface RelayIncoming {
  readonly channel: number
  readonly id: string
  readonly name: string
  readonly token: Uint8Array
  /** Where the relay sees the asker. */
  readonly observed: Address
}

export interface RelayClose {
  readonly direction: Direction
  readonly channel: number
}

export const encodeRelayAsk = ({ request, target }: RelayAsk): Uint8Array =>
  new ByteWriter().u32(request).text(target).done()

/** Throws ERR_SKEIN_PROTOCOL, as all of these. What they give shares no memory with the bytes. */
export const decodeRelayAsk = (bytes: Uint8Array): RelayAsk => {
  const reader = new ByteReader(bytes)
  const request = reader.u32()
  const target = readId(reader)
  reader.end()
  if (request >= FIRST_GIVEN_NUMBER) throw malformed('a request to relay with a number that only relays give')
  return { request, target }
}

export const encodeRelayOpened = ({ request, channel, token, observed }: RelayOpened): Uint8Array =>
  writeAddress(new ByteWriter().u32(request).u32(channel).raw(token), observed).done()

export const decodeRelayOpened = (bytes: Uint8Array): RelayOpened => {
  const reader = new ByteReader(bytes)
  const request = reader.u32()
  const channel = reader.u32()
  const token = readToken(reader)
  const observed = readAddress(reader)
  reader.end()
  return { request, channel, token, observed }
}

export const encodeRelayRefused = ({ request, reason }: RelayRefused): Uint8Array =>
  new ByteWriter().u32(request).u8(REASONS.indexOf(reason)).done()

export const decodeRelayRefused = (bytes: Uint8Array): RelayRefused => {
  const reader = new ByteReader(bytes)
  const request = reader.u32()
  const reason = REASONS[reader.u8()]
  reader.end()
  if (reason === undefined) throw malformed('a refusal to relay for a reason that there is not')
  return { request, reason }
}

export const encodeRelayIncoming = ({ channel, id, name, token, observed }: RelayIncoming): Uint8Array =>
  writeAddress(new ByteWriter().u32(channel).text(id).text(name).raw(token), observed).done()

export const decodeRelayIncoming = (bytes: Uint8Array): RelayIncoming => {
  const reader = new ByteReader(bytes)
  const channel = reader.u32()
  const id = readId(reader)
  const name = reader.text(MAX_NODE_NAME_BYTES)
  if (!isNodeName(name)) throw malformed('a relayed node with a malformed name')
  const token = readToken(reader)
  const observed = readAddress(reader)
  reader.end()
  return { channel, id, name, token, observed }
}

/** The same bytes as the head of a datagram. */
export const encodeRelayClose = ({ direction, channel }: RelayClose): Uint8Array => {
  const bytes = Buffer.alloc(RELAY_HEAD_BYTES)
  writeHead(bytes, direction, channel)
  return bytes
}

export const decodeRelayClose = (bytes: Uint8Array): RelayClose => {
  const channel = channelOf(bytes)
  const direction = directionOf(bytes)
  if (bytes.length !== RELAY_HEAD_BYTES || channel === undefined || direction === undefined)
    throw malformed('a malformed end of a relayed channel')
  return { direction, channel }
}

/** Tells the two directions of a datagram apart, and of the end of a channel, by the head: true for what a relay is to handle. */
export const isForRelay = (bytes: Uint8Array): boolean => directionOf(bytes) === 'toRelay'

/** Puts a head in front of what begins at RELAY_HEAD_BYTES. */
export const writeHead = (bytes: Uint8Array, direction: Direction, channel: number): void => {
  bytes[0] = direction === 'toRelay' ? TO_RELAY : FROM_RELAY
  bytes[1] = channel >>> 24
  bytes[2] = channel >>> 16
  bytes[3] = channel >>> 8
  bytes[4] = channel
}

/** The channel of a datagram in this direction; undefined for one that is none, is empty or is too long. */
export const channelOfDatagram = (bytes: Uint8Array, direction: Direction): number | undefined => {
  const isSound = bytes.length > RELAY_HEAD_BYTES && bytes.length <= RELAY_HEAD_BYTES + MAX_RELAYED_BYTES
  return isSound && directionOf(bytes) === direction ? channelOf(bytes) : undefined
}

const directionOf = (bytes: Uint8Array): Direction | undefined =>
  bytes[0] === TO_RELAY ? 'toRelay' : bytes[0] === FROM_RELAY ? 'fromRelay' : undefined

const channelOf = (bytes: Uint8Array): number | undefined =>
  bytes.length < RELAY_HEAD_BYTES
    ? undefined
    : ((bytes[1]! << 24) | (bytes[2]! << 16) | (bytes[3]! << 8) | bytes[4]!) >>> 0

const readId = (reader: ByteReader): string => {
  const id = reader.text(ID_BYTES)
  if (!isNodeId(id)) throw malformed('a malformed node id')
  return id
}

const readToken = (reader: ByteReader): Uint8Array => Uint8Array.from(reader.raw(RELAY_TOKEN_BYTES))

const writeAddress = (writer: ByteWriter, { host, port }: Address): ByteWriter => writer.text(host).u16(port)

const readAddress = (reader: ByteReader): Address => {
  const host = reader.text(MAX_HOST_BYTES)
  const port = reader.u16()
  if (isIP(host) === 0 || !isPort(port) || port === 0) throw malformed('a malformed address')
  return { host, port }
}
