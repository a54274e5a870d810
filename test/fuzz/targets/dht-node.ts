/**
 * A node of the DHT and those who speak with it: queries that it answers and remembers, answers to what it asked, and time.
 * The others know what they were told: where an input has a word for it, the token or the transaction they got is put in.
 */
import { createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { Dht } from '../../../discovery/dht/dht.ts'
import { encodeMessage, MAX_REPLY_BYTES } from '../../../discovery/dht/krpc.ts'
import type { Contact, ItemBody, KrpcMessage } from '../../../discovery/dht/message.ts'
import { makeImmutable, makeMutable, targetOf } from '../../../discovery/dht/signed-item.ts'
import type { Address } from '../../../transport/address.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { Chance } from '../chance.ts'
import { holds, joined, partsOf, type Target } from '../target.ts'

const HOSTS: readonly Address[] = [
  { host: '192.0.2.1', port: 6881 },
  { host: '192.0.2.9', port: 6881 },
  { host: '198.51.100.7', port: 6882 },
  { host: '2001:db8::1', port: 6881 },
]
/** What the node does, or what is sent to it. */
const QUERY = 0
const TIME = 1
const GET_PEERS = 2
const GET_ITEM = 3
const PUT = 4
const ANNOUNCE = 5
/** And to join by one of the others. */
const OPS = 7
/** Lookups cost more than answers. */
const MAX_OWN = 3
const MAX_PARTS = 24
/** Of hours of a node's life: it looks after its table and asks again whom it could not reach. What datagrams cost shows in `krpc`. */
const MAX_ALLOCATION = 64 * 1024 * 1024
/** In place of these bytes stands what the node gave to who sends them. */
const TOKEN = Buffer.from('skeinTOK')
const TRANSACTION = Buffer.from('skTR')
const TOKEN_MARK = Buffer.from('5:token8:')
const TRANSACTION_MARK = Buffer.from('1:t4:')

const PKCS8_HEAD = '302e020100300506032b657004220420'
const key = createPrivateKey({
  key: Buffer.concat([Buffer.from(PKCS8_HEAD, 'hex'), Buffer.alloc(32, 7)]),
  format: 'der',
  type: 'pkcs8',
})
const publicKey = Buffer.from(createPublicKey(key).export({ format: 'jwk' }).x!, 'base64url')
const items: readonly ItemBody[] = [
  makeImmutable(Buffer.from('5:hello')),
  ...[1, 2].map((sequence) =>
    makeMutable({ publicKey, sign: (bytes) => sign(null, bytes, key), sequence, value: Buffer.from(`i${sequence}e`) }),
  ),
]
const KEYS = [Buffer.alloc(20, 1), ...items.slice(0, 2).map((item) => Buffer.from(targetOf(item)))]

const messageOf = (chance: Chance): KrpcMessage => {
  const shared = { transaction: Buffer.from('aa'), id: chance.bytes(20) }
  const query = { ...shared, kind: 'query', readOnly: chance.oneIn(6) } as const
  const target = chance.pick(KEYS)
  const token = TOKEN
  switch (chance.below(9)) {
    case 0:
      return { ...query, method: 'ping' }
    case 1:
      return { ...query, method: 'find_node', target, want: chance.pick([[], ['n4', 'n6']] as const) }
    case 2:
      return { ...query, method: 'get_peers', target, want: [] }
    case 3:
      return { ...query, method: 'announce_peer', target, token, port: chance.oneIn(2) ? undefined : 4433 }
    case 4:
      return { ...query, method: 'get', target, want: [] }
    case 5:
      return { ...query, method: 'put', token, item: chance.pick(items) }
    case 6:
      return { ...shared, kind: 'fault', transaction: TRANSACTION, code: 202, message: 'no' }
    default: {
      const nodes = HOSTS.filter(() => chance.oneIn(2)).map((address): Contact => ({ id: chance.bytes(20), address }))
      const reply = { ...shared, kind: 'reply', transaction: TRANSACTION, nodes, observed: HOSTS[0]!, token } as const
      if (chance.oneIn(2)) return { ...reply, item: chance.pick(items) }
      return chance.oneIn(2) ? reply : { ...reply, peers: [HOSTS[1]!] }
    }
  }
}

/** What one of the others was told. */
interface Told {
  token: Buffer
  /** Of queries that it has not answered. */
  readonly transactions: Buffer[]
}

const replaced = (datagram: Buffer, word: Buffer, by: Buffer | undefined): void => {
  const at = by === undefined ? -1 : datagram.indexOf(word)
  if (at >= 0) by?.copy(datagram, at)
}

const note = (told: Told, sent: Buffer): void => {
  const token = sent.indexOf(TOKEN_MARK)
  if (token >= 0) told.token = sent.subarray(token + TOKEN_MARK.length, token + TOKEN_MARK.length + TOKEN.length)
  const transaction = sent.includes('1:y1:q') ? sent.lastIndexOf(TRANSACTION_MARK) : -1
  if (transaction < 0) return
  const start = transaction + TRANSACTION_MARK.length
  told.transactions.push(sent.subarray(start, start + TRANSACTION.length))
}

export const target: Target = {
  name: 'dht-node',
  about: 'strangers: conversations with a node of the DHT, which stores, looks up and learns contacts',
  isSlow: true,
  neverThrows: true,
  maxBytes: 4096,
  maxAllocation: MAX_ALLOCATION,
  dictionary: [
    TOKEN,
    TRANSACTION,
    ...KEYS,
    'd1:ad2:id20:',
    '1:t4:skTR',
    '5:token8:skeinTOK',
    '1:y1:r',
    '1:y1:q',
    '5:nodes26:',
    '6:nodes638:',
    '6:valuesl6:',
    '2:ip6:',
    '3:seqi2e',
    '3:casi1e',
    '2:roi1e',
  ],
  sample: (chance) =>
    joined(
      Array.from({ length: 1 + chance.below(6) }, () => {
        const op = chance.oneIn(3) ? chance.below(OPS) : QUERY
        const body = op === QUERY ? encodeMessage(messageOf(chance)) : chance.bytes(1)
        return Buffer.concat([Buffer.of(op, chance.below(HOSTS.length)), body])
      }),
    ),
  run: (bytes) => {
    const clock = new VirtualClock()
    const told = HOSTS.map((): Told => ({ token: TOKEN, transactions: [] }))
    const send = (datagram: Uint8Array, to: Address): void => {
      holds(datagram.length <= MAX_REPLY_BYTES, 'what a node of the DHT sends is short')
      const at = HOSTS.findIndex(({ host, port }) => host === to.host && port === to.port)
      if (at >= 0) note(told[at]!, Buffer.from(datagram))
    }
    const dht = new Dht({ clock, random: new Chance(1), send, families: ['ip4', 'ip6'] })
    let own = 0
    let parts = 0
    for (const part of partsOf(bytes)) {
      if (part.length < 2 || ++parts > MAX_PARTS) break
      const op = part[0]! % OPS
      const at = part[1]! % HOSTS.length
      const about = KEYS[(part[2] ?? 0) % KEYS.length]!
      if (op === QUERY) {
        const datagram = Buffer.from(part.subarray(2))
        replaced(datagram, TOKEN, told[at]!.token)
        if (datagram.includes(TRANSACTION)) replaced(datagram, TRANSACTION, told[at]!.transactions.shift())
        dht.receive(datagram, HOSTS[at]!)
      } else if (op === TIME) clock.advance(2 ** ((part[2] ?? 0) % 23))
      else if (++own > MAX_OWN) continue
      else if (op === GET_PEERS) dht.getPeers(about)
      else if (op === GET_ITEM) dht.getItem(about)
      else if (op === PUT) dht.putImmutable(items[0]!.value)
      else if (op === ANNOUNCE) dht.announce(about)
      else dht.bootstrap([HOSTS[at]!])
    }
    const { items: kept, peers } = dht.status()
    holds(kept + peers <= parts, 'nobody has more stored than was asked for')
    dht.stop()
    clock.advance(0)
  },
}
