/** Records in the DHT, as a member with the cluster's key may make them: sealed here, so that what is inside is read. */

import { signingKeyFromSeed } from '../../../certs/signing-key.ts'
import { openRecord, sealRecord, signRecord } from '../../../discovery/dht/record.ts'
import { isOneIn, type Target } from '../target.ts'
import { TEXTS } from '../values.ts'

const signer = signingKeyFromSeed(Buffer.alloc(32, 5))
const sealing = Buffer.alloc(32, 6)
const item = Buffer.alloc(32, 7)
const nonce = Buffer.alloc(12, 8)
const clusterTag = '0123456789abcdef'

export const target: Target = {
  name: 'dht-record',
  about: 'members and strangers: values of the DHT, opened, and the record inside',
  dictionary: [
    '1:rd',
    '1:s64:',
    '1:al',
    '1:e',
    '1:g',
    '1:i',
    '1:k32:',
    '1:n',
    '1:r8:',
    '1:t4:cone',
    '1:vi1e',
    '6:',
    '18:',
    'e',
  ],
  neverThrows: true,
  maxBytes: 960,
  sample: (chance) => {
    const texts = TEXTS.filter((text) => text.length < 60)
    const body = {
      name: chance.oneIn(3) ? chance.pick(texts) : 'a@host',
      incarnation: '0123456789abcdef',
      addresses: [
        { host: '10.0.0.1', port: 4433 },
        { host: '2001:db8::1', port: 1 },
      ].slice(chance.below(3)),
      nat: 'cone',
      introducers: chance.oneIn(2) ? [{ host: '10.0.0.2', port: 2 }] : [],
      registrations: chance.oneIn(2) ? [{ name: 'web', metadata: { [chance.pick(texts)]: chance.pick(texts) } }] : [],
      sequence: 1,
      expiresAtMs: chance.pick([2, 7_200_002]),
    } as const
    return signRecord(body, signer, clusterTag)
  },
  run: (bytes) => {
    if (isOneIn(16, bytes)) openRecord(bytes, { sealing, clusterTag }, item)
    openRecord(sealRecord(bytes, sealing, item, nonce), { sealing, clusterTag }, item)
  },
}
