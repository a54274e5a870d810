/** Datagrams of the BitTorrent DHT: bencode, KRPC, compact addresses and the items of BEP 44. */
import { isDeepStrictEqual } from 'node:util'
import { decodeMessage, encodeMessage } from '../../../discovery/dht/krpc.ts'
import type { KrpcMessage } from '../../../discovery/dht/message.ts'
import { bytesToSign, targetOf } from '../../../discovery/dht/signed-item.ts'
import type { Address } from '../../../transport/address.ts'
import type { Chance } from '../chance.ts'
import { holds, isOneIn, type Target } from '../target.ts'

const addressOf = (chance: Chance): Address => ({
  host: chance.pick(['10.1.2.3', '192.0.2.7', '2001:db8::1', '::1', '127.0.0.1']),
  port: 1 + chance.below(65_535),
})

const itemOf = (chance: Chance) => ({
  value: Buffer.from(chance.pick(['5:hello', 'i7e', 'd1:ai1ee', 'le', '0:'])),
  ...(chance.oneIn(2)
    ? { mutable: { publicKey: chance.bytes(32), signature: chance.bytes(64), sequence: chance.below(2 ** 40) } }
    : {}),
})

const messageOf = (chance: Chance): KrpcMessage => {
  const transaction = chance.bytes(1 + chance.below(4))
  const id = chance.bytes(20)
  const target = chance.bytes(20)
  const token = chance.bytes(1 + chance.below(8))
  const want = chance.pick([[], ['n4'], ['n4', 'n6']] as const)
  const query = { kind: 'query', transaction, id, readOnly: chance.oneIn(3), version: chance.bytes(4) } as const
  switch (chance.below(9)) {
    case 0:
      return { ...query, method: 'ping' }
    case 1:
      return { ...query, method: 'find_node', target, want }
    case 2:
      return { ...query, method: 'get_peers', target, want }
    case 3:
      return { ...query, method: 'announce_peer', target, token, port: chance.oneIn(2) ? undefined : 4433 }
    case 4:
      return { ...query, method: 'get', target, want, sequence: chance.below(9) }
    case 5:
      return { ...query, method: 'put', token, item: itemOf(chance), salt: chance.bytes(4), compareAndSwap: 1 }
    case 6:
      return { kind: 'fault', transaction, code: 201, message: 'no', observed: addressOf(chance) }
    default: {
      const some = <T>(make: () => T): T[] => Array.from({ length: chance.below(4) }, make)
      const nodes = some(() => ({ id: chance.bytes(20), address: addressOf(chance) }))
      const reply = { kind: 'reply', transaction, id, nodes, observed: addressOf(chance) } as const
      if (chance.oneIn(2)) return { ...reply, token, peers: some(() => addressOf(chance)) }
      return { ...reply, item: itemOf(chance) }
    }
  }
}

export const target: Target = {
  name: 'krpc',
  about: 'strangers: every datagram of the DHT (bencode, KRPC, compact addresses, items)',
  dictionary: [
    'd1:ad2:id20:',
    '1:q',
    '1:t2:aa',
    '1:y1:q',
    '1:y1:r',
    '1:y1:e',
    '4:ping',
    '9:find_node',
    '9:get_peers',
    '3:put',
    '3:get',
    '13:announce_peer',
    '6:target20:',
    '9:info_hash20:',
    '5:token',
    '4:wantl2:n42:n6e',
    '5:nodes26:',
    '6:nodes638:',
    '6:valuesl6:',
    '1:v',
    '1:k32:',
    '3:sig64:',
    '3:seqi1e',
    '4:salt',
    '3:casi0e',
    '2:ip6:',
    '2:roi1e',
    '12:implied_porti1e',
    'de',
    'le',
    'i-1e',
    'i0e',
    'e',
  ],
  neverThrows: true,
  sample: (chance) => encodeMessage(messageOf(chance)),
  run: (bytes) => {
    const message = decodeMessage(bytes)
    if (message === undefined) return
    if (message.kind === 'malformed') {
      holds(encodeMessage(message.answer).length <= 1200, 'an answer is short')
      return
    }
    if (!isOneIn(8, bytes)) return
    const again = encodeMessage(message, 4096)
    if (message.kind === 'query' && message.method === 'put') {
      targetOf(message.item, message.salt)
      if (message.item.mutable !== undefined)
        bytesToSign(message.item.mutable.sequence, message.item.value, message.salt)
    }
    const twice = decodeMessage(again)
    // A message can be told from what was left out of it.
    if (message.kind === 'query' && message.method !== 'unknown')
      holds(isDeepStrictEqual(twice, message), 'a query comes back')
    else holds(twice !== undefined, 'what was read can be written')
  },
}
