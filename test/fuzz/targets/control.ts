/** Frames of the control lane: hello, peers, numbers, goodbyes, sight, keys. The first byte is the type. */
import { isDeepStrictEqual } from 'node:util'
import {
  CONTROL,
  decodeGoodbye,
  decodeHello,
  decodeNumber,
  decodePeers,
  encodeGoodbye,
  encodeHello,
  encodeNumber,
  encodePeers,
} from '../../../src/cluster/control.ts'
import { decodeSight, encodeSight } from '../../../src/cluster/sight.ts'
import { encodeKeys, learnKeys } from '../../../src/wire/key-tables.ts'
import type { Chance } from '../chance.ts'
import { holds, isOneIn, type Target } from '../target.ts'
import { HERE, TEXTS, THERE } from '../values.ts'

const SENDERS: Readonly<Record<number, (chance: Chance) => Uint8Array>> = {
  [CONTROL.hello]: (chance) =>
    encodeHello({
      versions: [1, chance.pick([1, 2, 65_535])],
      capabilities: ['keys', 'reach', ''].slice(chance.below(4)),
      name: HERE.name,
      incarnation: HERE.incarnation,
      nonce: chance.bytes(32),
      cookieCheck: chance.bytes(32),
      clusterCheck: chance.bytes(32),
      addresses: [{ host: '10.0.0.1', port: 4433 }],
      hidden: chance.oneIn(2),
      replace: chance.oneIn(2),
    }),
  [CONTROL.peers]: (chance) =>
    encodePeers(
      [HERE, THERE]
        .slice(chance.below(3))
        .map((origin) => ({ ...origin, addresses: [{ host: '2001:db8::1', port: 1 }] })),
    ),
  [CONTROL.goodbye]: (chance) => encodeGoodbye(chance.pick(TEXTS)),
  [CONTROL.ping]: (chance) => encodeNumber(chance.next()),
  [CONTROL.keys]: (chance) => encodeKeys(TEXTS.slice(chance.below(TEXTS.length))),
  [CONTROL.sight]: (chance) => {
    const nonce = chance.bytes(12)
    const { id, incarnation } = HERE
    const claim = { id, incarnation, connected: chance.oneIn(2), lost: chance.below(9), oldest: { incarnation, id } }
    const word = { claim, publicKey: chance.bytes(32), signature: chance.bytes(64) }
    return encodeSight(
      chance.pick([
        { type: 'ask', nonce, target: id, relay: true },
        { type: 'relay', nonce, asker: id },
        { type: 'word', nonce, asker: id, word },
        { type: 'answer', nonce, sees: true, word },
      ] as const),
    )
  },
}

const types = Object.keys(SENDERS).map(Number)

export const target: Target = {
  name: 'control',
  about: 'whoever opened a connection: hello; members: peers, goodbye, sight, keys',
  dictionary: [HERE.name, HERE.id, HERE.incarnation, '10.0.0.1', '::1', Buffer.of(0, 32), Buffer.of(0, 16)],
  maxBytes: 3000,
  sample: (chance) => {
    const type = chance.pick(types)
    return Buffer.concat([Buffer.of(type), SENDERS[type]!(chance)])
  },
  run: (bytes) => {
    const body = bytes.subarray(1)
    const isChecked = isOneIn(4, bytes)
    switch (bytes[0]) {
      case CONTROL.hello: {
        const hello = decodeHello(body)
        if (isChecked) holds(isDeepStrictEqual(decodeHello(encodeHello(hello)), hello), 'a hello comes back')
        return
      }
      case CONTROL.peers: {
        const peers = decodePeers(body)
        if (isChecked) holds(isDeepStrictEqual(decodePeers(encodePeers(peers)), peers), 'peers come back')
        return
      }
      case CONTROL.goodbye:
        return decodeGoodbye(body)
      case CONTROL.keys: {
        const known: string[] = []
        learnKeys(known, body)
        holds(known.length <= 128, 'few keys are known')
        return
      }
      case CONTROL.sight: {
        const sight = decodeSight(body)
        if (isChecked) holds(isDeepStrictEqual(decodeSight(encodeSight(sight)), sight), 'a sight comes back')
        return
      }
      default:
        return decodeNumber(body)
    }
  },
}
