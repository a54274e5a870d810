/**
 * KRPC messages to and from bytes: BEP 5 with what BEP 32, 42, 43 and 44 add.
 *
 * Decoding judges the type and size of every field, and ignores keys it does not know. A query that is broken but says to
 * which transaction an answer belongs gives the error to answer with; anything else that is broken gives silence, as does
 * every broken reply. Only what decorates a message, 'ip' and 'v', is left out where it is odd: old nodes write other
 * forms. Nobody can send to port 0 or a multicast address: such contacts and peers are left out one by one.
 *
 * Encoding never makes a reply longer than it is told: what does not fit is left out. Decoding never throws.
 */
import type { Address } from '../../transport/address.ts'
import { type Bencoded, type Encodable, encode, judge, Verbatim } from './bencode.ts'
import { addressOf, compactAddress, IPV4_BYTES, IPV6_BYTES, PORT_BYTES } from './compact-address.ts'
import { DHT_ID_BYTES } from './dht-id.ts'
import {
  type Contact,
  type DhtKey,
  FAULT,
  type Fault,
  type ItemBody,
  type KrpcMessage,
  type Query,
  type Reply,
  type Want,
} from './message.ts'

/** Fits any path in one piece, and keeps replies poor tools for an amplification attack. */
export const MAX_REPLY_BYTES = 1200
/** Of a reply to a host that has not proven to be where it says, in bytes for each byte of its query. */
export const MAX_AMPLIFICATION = 4
/** A query for an item is this long, so that the largest one can be had from a node that has never heard of us. */
const ITEM_QUERY_BYTES = MAX_REPLY_BYTES / MAX_AMPLIFICATION
/** A value in bencoded form (BEP 44). */
export const MAX_VALUE_BYTES = 1000
/** BEP 44. */
export const MAX_SALT_BYTES = 64
export const PUBLIC_KEY_BYTES = 32
export const SIGNATURE_BYTES = 64
/** Programs in use need 2 to 8. With 16 the largest item there is still fits a reply. */
const MAX_TRANSACTION_BYTES = 16
/** Programs in use need 4 to 20. */
const MAX_TOKEN_BYTES = 64
const MAX_METHOD_BYTES = 32
const MAX_VERSION_BYTES = 16
const MAX_FAULT_TEXT = 100

const IPV4_PEER_BYTES = IPV4_BYTES + PORT_BYTES
const IPV6_PEER_BYTES = IPV6_BYTES + PORT_BYTES

/** A query that cannot be served, with the answer to give. */
export interface Malformed {
  readonly kind: 'malformed'
  readonly answer: Fault
}

/** What a datagram says; undefined: nothing that deserves an answer. */
export const decodeMessage = (datagram: Uint8Array): KrpcMessage | Malformed | undefined => {
  const message = judge(datagram)
  const transaction = bytesOf(message, 't', 1, MAX_TRANSACTION_BYTES)
  const kind = message?.get('y')
  if (message === undefined || transaction === undefined || kind === undefined) return undefined
  if (kind.is('r')) return decodeReply(message, transaction)
  if (kind.is('e')) return decodeFault(message, transaction)
  if (!kind.is('q')) return undefined
  const query = decodeQuery(message, transaction)
  if (!isRefusal(query)) return query
  return { kind: 'malformed', answer: { kind: 'fault', transaction, code: query.code, message: query.why } }
}

/** The bytes of a message. A reply or fault has at most `maxBytes`, unless not even its bare form fits. */
export const encodeMessage = (message: KrpcMessage, maxBytes = MAX_REPLY_BYTES): Uint8Array => {
  switch (message.kind) {
    case 'query':
      return encodeQuery(message)
    case 'reply':
      return encodeReply(message, maxBytes)
    case 'fault':
      return encodeFault(message, maxBytes)
  }
}

// ---- decoding

/** Why a query is not served. */
interface Refusal {
  readonly code: number
  readonly why: string
}

type Writable<T> = { -readonly [K in keyof T]: T[K] }
type QueryHead = Pick<Query, 'kind' | 'transaction' | 'id' | 'readOnly' | 'version'>

const refuse = (why: string, code: number = FAULT.protocol): Refusal => ({ code, why })

const isRefusal = (result: Query | Refusal): result is Refusal => 'code' in result

const decodeQuery = (message: Bencoded, transaction: Uint8Array): Query | Refusal => {
  const method = textOf(message, 'q', MAX_METHOD_BYTES)
  if (method === undefined || !/^[!-~]+$/.test(method)) return refuse('q must name a method')
  const args = message.get('a')
  const id = keyOf(args, 'id')
  if (args === undefined || id === undefined) return refuse('a must hold an id of 20 bytes')
  const readOnly = integerOf(message, 'ro')
  if (readOnly === BROKEN) return refuse('ro must be 0 or 1')
  const head: Writable<QueryHead> = {
    kind: 'query',
    transaction,
    id,
    readOnly: readOnly !== undefined && readOnly !== 0,
  }
  const version = bytesOf(message, 'v', 1, MAX_VERSION_BYTES)
  if (version !== undefined) head.version = version
  return decodeArguments(method, args, head)
}

const decodeArguments = (method: string, args: Bencoded, head: QueryHead): Query | Refusal => {
  switch (method) {
    case 'ping':
      return { ...head, method }
    case 'find_node':
      return decodeLookup(method, args, 'target', head)
    case 'get_peers':
      return decodeLookup(method, args, 'info_hash', head)
    case 'announce_peer':
      return decodeAnnounce(args, head)
    case 'get':
      return decodeGet(args, head)
    case 'put':
      return decodePut(args, head)
    default: {
      const target = keyOf(args, 'target') ?? keyOf(args, 'info_hash')
      return { ...head, method: 'unknown', name: method, ...(target === undefined ? {} : { target }) }
    }
  }
}

const decodeLookup = (
  method: 'find_node' | 'get_peers',
  args: Bencoded,
  name: string,
  head: QueryHead,
): Query | Refusal => {
  const target = keyOf(args, name)
  const want = wantOf(args)
  if (target === undefined) return refuse(`${name} must have 20 bytes`)
  return want === undefined ? refuse('want must be a list of strings') : { ...head, method, target, want }
}

const decodeAnnounce = (args: Bencoded, head: QueryHead): Query | Refusal => {
  const target = keyOf(args, 'info_hash')
  const token = bytesOf(args, 'token', 1, MAX_TOKEN_BYTES)
  const implied = integerOf(args, 'implied_port')
  if (target === undefined) return refuse('info_hash must have 20 bytes')
  if (token === undefined) return refuse('token must be a string')
  if (implied === BROKEN) return refuse('implied_port must be 0 or 1')
  // BEP 5: with implied_port the port is not even looked at.
  if (implied !== undefined && implied !== 0)
    return { ...head, method: 'announce_peer', target, token, port: undefined }
  const port = integerOf(args, 'port')
  if (port === undefined || port === BROKEN || port < 1 || port > 65535) return refuse('port must be 1 to 65535')
  return { ...head, method: 'announce_peer', target, token, port }
}

const decodeGet = (args: Bencoded, head: QueryHead): Query | Refusal => {
  const target = keyOf(args, 'target')
  const want = wantOf(args)
  const sequence = integerOf(args, 'seq')
  if (target === undefined) return refuse('target must have 20 bytes')
  if (want === undefined) return refuse('want must be a list of strings')
  if (sequence === BROKEN) return refuse('seq must be an integer, not negative')
  return { ...head, method: 'get', target, want, ...(sequence === undefined ? {} : { sequence }) }
}

const decodePut = (args: Bencoded, head: QueryHead): Query | Refusal => {
  const value = args.get('v')
  const token = bytesOf(args, 'token', 1, MAX_TOKEN_BYTES)
  if (value === undefined) return refuse('v is missing')
  if (value.sizeBytes > MAX_VALUE_BYTES) return refuse(`v has over ${MAX_VALUE_BYTES} bytes`, FAULT.tooBig)
  const saltBytes = args.get('salt')?.stringBytes ?? 0
  if (saltBytes > MAX_SALT_BYTES) return refuse(`salt has over ${MAX_SALT_BYTES} bytes`, FAULT.saltTooBig)
  if (token === undefined) return refuse('token must be a string')
  const item = itemOf(args, value)
  if (item === undefined) return refuse('a mutable item needs k of 32 bytes, sig of 64 bytes and seq')
  // An immutable item has neither salt nor cas: to it they are unknown keys.
  if (item.mutable === undefined) return { ...head, method: 'put', token, item }
  const query: Writable<Query & { method: 'put' }> = { ...head, method: 'put', token, item }
  if (args.get('salt') !== undefined) {
    const salt = bytesOf(args, 'salt', 0, MAX_SALT_BYTES)
    if (salt === undefined) return refuse('salt must be a string')
    query.salt = salt
  }
  const compareAndSwap = integerOf(args, 'cas')
  if (compareAndSwap === BROKEN) return refuse('cas must be an integer, not negative')
  if (compareAndSwap !== undefined) query.compareAndSwap = compareAndSwap
  return query
}

const decodeReply = (message: Bencoded, transaction: Uint8Array): Reply | undefined => {
  const values = message.get('r')
  const id = keyOf(values, 'id')
  if (values === undefined || id === undefined) return undefined
  const nodes: Contact[] = []
  if (!readContacts(values.get('nodes'), IPV4_PEER_BYTES, nodes)) return undefined
  if (!readContacts(values.get('nodes6'), IPV6_PEER_BYTES, nodes)) return undefined
  const reply: Writable<Reply> = { kind: 'reply', transaction, id, nodes }
  if (values.get('token') !== undefined) {
    const token = bytesOf(values, 'token', 1, MAX_TOKEN_BYTES)
    if (token === undefined) return undefined
    reply.token = token
  }
  const peers = values.get('values')
  if (peers !== undefined) {
    const addresses = readPeers(peers)
    if (addresses === undefined) return undefined
    reply.peers = addresses
  }
  const value = values.get('v')
  const sequence = integerOf(values, 'seq')
  if (sequence === BROKEN) return undefined
  if (value !== undefined) {
    const item = value.sizeBytes > MAX_VALUE_BYTES ? undefined : itemOf(values, value)
    if (item === undefined) return undefined
    reply.item = item
  } else if (sequence !== undefined) reply.sequence = sequence
  const observed = observedOf(message)
  if (observed !== undefined) reply.observed = observed
  const version = bytesOf(message, 'v', 1, MAX_VERSION_BYTES)
  if (version !== undefined) reply.version = version
  return reply
}

const decodeFault = (message: Bencoded, transaction: Uint8Array): Fault | undefined => {
  const [first, second] = message.get('e')?.items() ?? []
  const code = first?.integer()
  const text = second?.bytes()
  if (code === undefined || text === undefined) return undefined
  const why = Buffer.from(text).toString('utf8').slice(0, MAX_FAULT_TEXT)
  const observed = observedOf(message)
  return { kind: 'fault', transaction, code, message: why, ...(observed === undefined ? {} : { observed }) }
}

/** Where the answering node sees us, if it says so in a form of today. */
const observedOf = (message: Bencoded): Address | undefined => {
  const compact = message.get('ip')?.bytes()
  return compact && addressOf(compact)
}

/** Stands for a field that is there and is not what it must be. */
const BROKEN = 'broken'

/** A string of so many bytes; undefined if there is none or it is none. */
const bytesOf = (from: Bencoded | undefined, key: string, min: number, max: number): Uint8Array | undefined => {
  const value = from?.get(key)
  const size = value?.stringBytes
  return size === undefined || size < min || size > max ? undefined : value?.bytes()
}

const keyOf = (from: Bencoded | undefined, key: string): DhtKey | undefined =>
  bytesOf(from, key, DHT_ID_BYTES, DHT_ID_BYTES)

const textOf = (from: Bencoded, key: string, max: number): string | undefined => {
  const bytes = bytesOf(from, key, 1, max)
  return bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1')
}

/** KRPC has no use for negative integers. */
const integerOf = (from: Bencoded, key: string): number | undefined | typeof BROKEN => {
  const value = from.get(key)
  if (value === undefined) return undefined
  const integer = value.integer()
  return integer === undefined || integer < 0 ? BROKEN : integer
}

const NO_WANT: readonly Want[] = []

/** Families that are not known are for later protocols (BEP 32). */
const wantOf = (args: Bencoded): readonly Want[] | undefined => {
  const list = args.get('want')
  if (list === undefined) return NO_WANT
  const items = list.items()
  if (items === undefined || items.some((item) => item.stringBytes === undefined)) return undefined
  return (['n4', 'n6'] as const).filter((family) => items.some((item) => item.is(family)))
}

/** The item of a put or a reply: all three fields of a mutable item, or none. */
const itemOf = (from: Bencoded, value: Bencoded): ItemBody | undefined => {
  if (['k', 'sig', 'seq'].every((key) => from.get(key) === undefined)) return { value: value.raw() }
  const publicKey = bytesOf(from, 'k', PUBLIC_KEY_BYTES, PUBLIC_KEY_BYTES)
  const signature = bytesOf(from, 'sig', SIGNATURE_BYTES, SIGNATURE_BYTES)
  const sequence = integerOf(from, 'seq')
  if (publicKey === undefined || signature === undefined || sequence === undefined || sequence === BROKEN)
    return undefined
  return { value: value.raw(), mutable: { publicKey, signature, sequence } }
}

/** Adds the contacts of a string of ids, each with a compact address behind it. False if it is not such a string. */
const readContacts = (value: Bencoded | undefined, peerBytes: number, contacts: Contact[]): boolean => {
  if (value === undefined) return true
  const size = value.stringBytes
  const step = DHT_ID_BYTES + peerBytes
  if (size === undefined || size % step !== 0) return false
  const bytes = value.bytes()!
  for (let start = 0; start < size; start += step) {
    const address = addressOf(bytes.subarray(start + DHT_ID_BYTES, start + step))
    if (address !== undefined) contacts.push({ id: bytes.subarray(start, start + DHT_ID_BYTES), address })
  }
  return true
}

const readPeers = (value: Bencoded): Address[] | undefined => {
  const items = value.items()
  if (items === undefined) return undefined
  const peers: Address[] = []
  for (const item of items) {
    const size = item.stringBytes
    if (size !== IPV4_PEER_BYTES && size !== IPV6_PEER_BYTES) return undefined
    const address = addressOf(item.bytes()!)
    if (address !== undefined) peers.push(address)
  }
  return peers
}

// ---- encoding

const encodeQuery = (query: Query): Uint8Array => {
  const plain = encodeQueryWith(query, {})
  if (query.method !== 'get') return plain
  const missingBytes = ITEM_QUERY_BYTES - plain.length - '3:pad100:'.length
  return missingBytes < 0 ? plain : encodeQueryWith(query, { pad: new Uint8Array(missingBytes) })
}

const encodeQueryWith = (query: Query, padding: Entries): Uint8Array =>
  encode({
    a: { id: query.id, ...encodeArguments(query), ...padding },
    q: query.method === 'unknown' ? query.name : query.method,
    ro: query.readOnly ? 1 : undefined,
    t: query.transaction,
    v: query.version,
    y: 'q',
  })

type Entries = { readonly [key: string]: Encodable | undefined }

const encodeArguments = (query: Query): Entries => {
  switch (query.method) {
    case 'ping':
      return {}
    case 'find_node':
      return { target: query.target, ...encodeWant(query.want) }
    case 'get_peers':
      return { info_hash: query.target, ...encodeWant(query.want) }
    case 'announce_peer': {
      // BEP 5 wants a port in any case.
      const port = query.port === undefined ? { implied_port: 1, port: 1 } : { implied_port: 0, port: query.port }
      return { info_hash: query.target, token: query.token, ...port }
    }
    case 'get':
      return { target: query.target, seq: query.sequence, ...encodeWant(query.want) }
    case 'put':
      return { ...encodeItem(query.item), cas: query.compareAndSwap, salt: query.salt, token: query.token }
    case 'unknown':
      return { target: query.target }
  }
}

const encodeWant = (want: readonly Want[]): Entries => (want.length === 0 ? {} : { want })

const encodeItem = ({ value, mutable }: ItemBody): Entries => ({
  k: mutable?.publicKey,
  seq: mutable?.sequence,
  sig: mutable?.signature,
  v: new Verbatim(value),
})

const encodeFault = (fault: Fault, maxBytes: number): Uint8Array => {
  const error = [fault.code, fault.message.slice(0, MAX_FAULT_TEXT)]
  const whole = encode({
    e: error,
    ip: fault.observed && compactAddress(fault.observed),
    t: fault.transaction,
    y: 'e',
  })
  return whole.length <= maxBytes ? whole : encode({ e: [fault.code, ''], t: fault.transaction, y: 'e' })
}

/** 'nodes6' and the length of its string; 'nodes' has less. */
const CONTACTS_OVERHEAD_BYTES = '6:nodes6'.length + '1200:'.length
const PEERS_OVERHEAD_BYTES = '6:values'.length + 'le'.length

const encodeReply = (reply: Reply, maxBytes: number): Uint8Array => {
  const whole = encodeWhole(reply)
  if (whole.length <= maxBytes) return whole
  const { peers: _, ...others } = reply
  const bare: Reply = { ...others, nodes: [] }
  for (const reduce of REDUCTIONS) {
    const reduced = reduce(bare)
    const roomBytes = maxBytes - encodeWhole(reduced).length
    if (roomBytes >= 0) return encodeWhole(fill(reduced, reply, roomBytes))
  }
  return encodeWhole({ kind: 'reply', transaction: reply.transaction, id: reply.id, nodes: [] })
}

const withoutDecorations = ({ version: _, observed: __, ...rest }: Reply): Reply => rest
const withoutToken = ({ token: _, ...rest }: Reply): Reply => rest
/** What a mutable item leaves behind is its sequence number. */
const withoutItem = ({ item, ...rest }: Reply): Reply =>
  item?.mutable === undefined ? rest : { ...rest, sequence: item.mutable.sequence }

/** What a reply goes without for want of room, tried in this order. The value of an item is worth more than a token. */
const REDUCTIONS: readonly ((reply: Reply) => Reply)[] = [
  (reply) => reply,
  ({ version: _, ...rest }) => rest,
  withoutDecorations,
  (reply) => withoutToken(withoutDecorations(reply)),
  (reply) => withoutItem(withoutDecorations(reply)),
  (reply) => withoutItem(withoutToken(withoutDecorations(reply))),
]

/** Contacts and peers in turn, as many as there is room for; they come in the order of their worth. */
const fill = (bare: Reply, { nodes, peers = [] }: Reply, roomBytes: number): Reply => {
  const fitting: { nodes: Contact[]; peers: Address[] } = { nodes: [], peers: [] }
  let left = roomBytes - 2 * CONTACTS_OVERHEAD_BYTES - (peers.length > 0 ? PEERS_OVERHEAD_BYTES : 0)
  for (let i = 0; i < Math.max(nodes.length, peers.length); i++) {
    const contact = nodes[i]
    if (contact !== undefined) left -= DHT_ID_BYTES + sizeOf(contact.address)
    if (contact !== undefined && left >= 0) fitting.nodes.push(contact)
    const peer = peers[i]
    if (peer !== undefined) left -= `${sizeOf(peer)}:`.length + sizeOf(peer)
    if (peer !== undefined && left >= 0) fitting.peers.push(peer)
    if (left < 0) break
  }
  return { ...bare, nodes: fitting.nodes, ...(fitting.peers.length > 0 ? { peers: fitting.peers } : {}) }
}

const sizeOf = ({ host }: Address): number => (host.includes(':') ? IPV6_PEER_BYTES : IPV4_PEER_BYTES)

const encodeWhole = (reply: Reply): Uint8Array =>
  encode({
    ip: reply.observed && compactAddress(reply.observed),
    r: {
      id: reply.id,
      ...encodeContacts(reply.nodes),
      token: reply.token,
      values: reply.peers?.flatMap((peer) => compactAddress(peer) ?? []),
      ...(reply.item === undefined ? { seq: reply.sequence } : encodeItem(reply.item)),
    },
    t: reply.transaction,
    v: reply.version,
    y: 'r',
  })

/** The contacts of each family in one string; undefined where there are none. */
const encodeContacts = (contacts: readonly Contact[]): Entries => {
  const nodes: Uint8Array[] = []
  const nodes6: Uint8Array[] = []
  for (const { id, address } of contacts) {
    const compact = compactAddress(address)
    if (compact !== undefined) (compact.length === IPV4_PEER_BYTES ? nodes : nodes6).push(id, compact)
  }
  return {
    nodes: nodes.length === 0 ? undefined : Buffer.concat(nodes),
    nodes6: nodes6.length === 0 ? undefined : Buffer.concat(nodes6),
  }
}
