/**
 * The only file that knows the package multicast-dns: one socket on one interface, packets in and out.
 *
 * What the package leaves to its user, and what happens here: errors of the socket, of sending and of decoding are
 * events, never thrown; group, interface, reach and loopback are set here, because the package lets an exception of the
 * system escape there, and binds the wrong address; packets become typed and checked; nothing larger than
 * MAX_PACKET_BYTES leaves. The package cannot express the QU bit, so we never ask for unicast answers; where several
 * processes share port 5353 only multicast reaches all of them anyway.
 */
import { createSocket, type Socket } from 'node:dgram'
import type { EventEmitter } from 'node:events'
import { isIPv4, isIPv6 } from 'node:net'
import multicastDns from 'multicast-dns'
import type { Address } from '../../transport/address.ts'
import type { MulticastInterface } from './interfaces.ts'
import {
  MAX_PACKET_BYTES,
  type Packet,
  packetBytes,
  type Question,
  type QuestionType,
  type RecordType,
  type ResourceRecord,
  type ServiceRecord,
  TYPE_NUMBERS,
} from './packet.ts'

export const MDNS_PORT = 5353
const MDNS_IPV4 = '224.0.0.251'
const MDNS_IPV6 = 'ff02::fb'

/** RFC 6762 section 11. */
const MULTICAST_TTL = 255

const AUTHORITATIVE_FLAG = 1 << 10
const TRUNCATED_FLAG = 1 << 9
/** How the decoder spells class IN with the QU bit set. */
const CLASS_IN_QU = 'UNKNOWN_32769'
const MAX_LABEL_BYTES = 63
/** Of one packet. More come only from those who want to keep us busy. */
const MAX_QUESTIONS = 256
const MAX_RECORDS = 1024
/** 255 on the wire, with the length of the first label and the empty one that ends the name. */
const MAX_NAME_BYTES = 253

/** RFC 1035 section 4.1: the header; the least that a question has (a root name, type, class) and a record (TTL, length too). */
const HEADER_BYTES = 12
const MIN_QUESTION_BYTES = 5
const MIN_RECORD_BYTES = 11

export interface SocketHandler {
  onPacket(packet: Packet, from: Address): void
  /** A datagram that is no DNS packet. */
  onMalformed(): void
  /** The socket does not do what it should: the system's error code, or a message. */
  onError(reason: string): void
}

/** A socket of multicast DNS on one interface. */
export interface MulticastSocket {
  /** To the multicast group, or to one host. */
  send(packet: Packet, to?: Address): void
  /** Resolves when all that was sent is with the kernel and the socket is closed. */
  close(): Promise<void>
}

/** Opens a socket; never rejects, problems are reported to the handler. */
export type OpenSocket = (face: MulticastInterface, port: number, handler: SocketHandler) => Promise<MulticastSocket>

export const openMulticastSocket: OpenSocket = async (face, port, handler) => {
  const group = groupOf(face)
  const { type, bind } = group
  const socket = createSocket({ type, reuseAddr: true, ipv6Only: type === 'udp6' })
  const mdns = multicastDns({ socket, type, ip: group.ip, interface: group.face, bind, port, multicast: false })
  guard(socket, () => handler.onMalformed())
  mdns.on('packet', (packet: WirePacket, from: { address: string; port: number }) =>
    handler.onPacket(fromWire(packet), { host: from.address, port: from.port }),
  )
  mdns.on('warning', (error: NodeJS.ErrnoException) => {
    // Decoding errors come the same way as those of the socket; only the latter name a system call.
    if (error.syscall === undefined) handler.onMalformed()
    else handler.onError(reasonOf(error))
  })
  const usable = await new Promise<boolean>((resolve) => {
    mdns.on('ready', () => resolve(joined(socket, group, handler)))
    mdns.on('error', (error: NodeJS.ErrnoException) => {
      handler.onError(reasonOf(error))
      resolve(false)
    })
  })
  let pending = 0
  let idle = (): void => {}
  return {
    send(packet, to) {
      if (!usable || packetBytes(packet) > MAX_PACKET_BYTES) return
      pending++
      const sent = (error?: NodeJS.ErrnoException | null): void => {
        pending--
        // That one host cannot be reached says nothing about multicast.
        if (error && to === undefined) handler.onError(reasonOf(error))
        if (pending === 0) idle()
      }
      if (to === undefined) mdns.send(toWire(packet), sent)
      else mdns.send(toWire(packet), { address: to.host, port: to.port }, sent)
    },
    async close() {
      if (pending > 0) {
        await new Promise<void>((resolve) => {
          idle = resolve
        })
      }
      await new Promise<void>((resolve) => mdns.destroy(resolve))
    },
  }
}

/**
 * @internal For the tests of the coding. Keeps what cannot be a packet from the package, which reads what this socket gets:
 * it makes room for all that a header counts before it reads on, so that twelve bytes would take two megabytes.
 */
export const guard = (socket: EventEmitter, onMalformed: () => void): void => {
  const readers = socket.listeners('message')
  socket.removeAllListeners('message')
  socket.on('message', (bytes: Buffer, from: unknown) => {
    if (holdsWhatItCounts(bytes)) for (const read of readers) Reflect.apply(read, socket, [bytes, from])
    else onMalformed()
  })
}

const holdsWhatItCounts = (bytes: Buffer): boolean => {
  if (bytes.length < HEADER_BYTES) return false
  const questions = bytes.readUInt16BE(4)
  const records = bytes.readUInt16BE(6) + bytes.readUInt16BE(8) + bytes.readUInt16BE(10)
  return HEADER_BYTES + questions * MIN_QUESTION_BYTES + records * MIN_RECORD_BYTES <= bytes.length
}

/** How a family names the multicast group and the interface. */
interface Group {
  readonly type: 'udp4' | 'udp6'
  readonly ip: string
  readonly face: string
  /** The wildcard: to a socket bound to an address of the interface Linux delivers no multicast. */
  readonly bind: string
}

const groupOf = ({ family, address, interfaceName }: MulticastInterface): Group =>
  family === 4
    ? { type: 'udp4', ip: MDNS_IPV4, face: address, bind: '0.0.0.0' }
    : { type: 'udp6', ip: `${MDNS_IPV6}%${interfaceName}`, face: `::%${interfaceName}`, bind: '::' }

/** Joins the group; false with the reason reported if the system refuses. */
const joined = (socket: Socket, group: Group, handler: SocketHandler): boolean => {
  try {
    socket.addMembership(group.ip, group.face)
    socket.setMulticastInterface(group.face)
    socket.setMulticastTTL(MULTICAST_TTL)
    // Other processes of this machine are to hear us, and we ourselves: that is how a link knows that it works.
    socket.setMulticastLoopback(true)
    return true
  } catch (error) {
    handler.onError(reasonOf(error as NodeJS.ErrnoException))
    return false
  }
}

const reasonOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message

/** A packet as the package wants and gives it. */
export interface WirePacket {
  readonly type: 'query' | 'response'
  readonly id?: number
  readonly flags?: number
  readonly questions: readonly WireQuestion[]
  readonly answers: readonly WireRecord[]
  readonly authorities: readonly WireRecord[]
  readonly additionals: readonly WireRecord[]
}

interface WireQuestion {
  readonly name: string
  readonly type: string
  readonly class?: string
}

interface WireRecord {
  readonly name: string
  readonly type: string
  readonly class?: string
  readonly ttl?: number
  readonly flush?: boolean
  readonly data?: unknown
}

/** @internal For the tests of the coding. */
export const toWire = (packet: Packet): WirePacket => ({
  type: packet.kind,
  id: packet.id,
  flags: (packet.kind === 'response' ? AUTHORITATIVE_FLAG : 0) | (packet.truncated ? TRUNCATED_FLAG : 0),
  questions: packet.questions.map(({ name, type }) => ({ name, type })),
  answers: packet.answers.map(recordToWire),
  authorities: packet.authorities.map(recordToWire),
  additionals: packet.additionals.map(recordToWire),
})

const recordToWire = (record: ResourceRecord): WireRecord => {
  const { name, type, ttlSeconds: ttl, flush } = record
  const base = { name, type, ttl, flush }
  switch (record.type) {
    case 'PTR':
      return { ...base, data: record.target }
    case 'SRV':
      return {
        ...base,
        data: { priority: record.priority, weight: record.weight, port: record.port, target: record.target },
      }
    case 'TXT':
      return { ...base, data: [...record.strings] }
    case 'A':
    case 'AAAA':
      return { ...base, data: record.host }
    case 'NSEC':
      return { ...base, data: { nextDomain: name, rrtypes: [...record.types] } }
  }
}

/** @internal For the tests of the coding. What we have no use for is left out. */
export const fromWire = (packet: WirePacket): Packet => ({
  kind: packet.type,
  id: packet.id ?? 0,
  questions: packet.questions.slice(0, MAX_QUESTIONS).flatMap(questionFromWire),
  answers: packet.answers.slice(0, MAX_RECORDS).flatMap(recordFromWire),
  authorities: packet.authorities.slice(0, MAX_RECORDS).flatMap(recordFromWire),
  additionals: packet.additionals.slice(0, MAX_RECORDS).flatMap(recordFromWire),
  truncated: ((packet.flags ?? 0) & TRUNCATED_FLAG) !== 0,
})

const RECORD_TYPES = Object.keys(TYPE_NUMBERS) as RecordType[]
const QUESTION_TYPES: readonly QuestionType[] = [...RECORD_TYPES, 'ANY']

/**
 * Whether the encoder can write the name again. The decoder replaces bytes that are no UTF-8 by a longer character, and
 * the encoder does not look at lengths (RFC 1035 section 2.3.4: 63 bytes for a label, 255 for a name) and loses a dot next
 * to a line break.
 */
const isName = (name: string): boolean => (name.length <= MAX_NAME_BYTES && PLAIN_NAME.test(name)) || isOtherName(name)

/** Labels of ASCII characters that can be printed: what nearly all names are. */
const PLAIN_NAME = /^[ -\-/-~]{1,63}(?:\.[ -\-/-~]{1,63})*$/

const isOtherName = (name: string): boolean =>
  !name.includes('\ufffd') &&
  !/[\p{Cc}\u2028\u2029]/u.test(name) &&
  Buffer.byteLength(name) <= MAX_NAME_BYTES &&
  name.split('.').every((label) => label !== '' && Buffer.byteLength(label) <= MAX_LABEL_BYTES)

const questionFromWire = (question: WireQuestion): Question[] => {
  const { name, type, class: kind } = question
  if (!isName(name) || (kind !== 'IN' && kind !== 'ANY' && kind !== CLASS_IN_QU)) return []
  return [{ name, type: QUESTION_TYPES.find((known) => known === type) ?? 'OTHER' }]
}

const recordFromWire = (record: WireRecord): ResourceRecord[] => {
  if (record.class !== 'IN' || !isName(record.name)) return []
  const base = { name: record.name, ttlSeconds: record.ttl ?? 0, flush: record.flush === true }
  const { data } = record
  switch (record.type) {
    case 'PTR':
      return typeof data === 'string' && isName(data) ? [{ ...base, type: 'PTR', target: data }] : []
    case 'SRV': {
      const { priority, weight, port, target } = (data ?? {}) as Partial<ServiceRecord>
      if (priority === undefined || weight === undefined || port === undefined) return []
      if (target === undefined || !isName(target)) return []
      return [{ ...base, type: 'SRV', priority, weight, port, target }]
    }
    case 'TXT':
      return Array.isArray(data) && data.every(Buffer.isBuffer)
        ? [{ ...base, type: 'TXT', strings: data.map((bytes) => bytes.toString()) }]
        : []
    case 'A':
      return typeof data === 'string' && isIPv4(data) ? [{ ...base, type: 'A', host: data }] : []
    case 'AAAA':
      return typeof data === 'string' && isIPv6(data) ? [{ ...base, type: 'AAAA', host: data }] : []
    case 'NSEC': {
      const { rrtypes = [] } = (data ?? {}) as { rrtypes?: readonly string[] }
      return [{ ...base, type: 'NSEC', types: RECORD_TYPES.filter((type) => rrtypes.includes(type)) }]
    }
    default:
      return []
  }
}
