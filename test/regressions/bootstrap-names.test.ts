/**
 * A bootstrap address given by a name whose node is down was looked up and asked again without any pause: the answer of
 * the name service called for the attempt that had asked for it.
 */
import * as assert from 'uvu/assert'
import { createIdentity } from '../../certs/identity.ts'
import { Keyring } from '../../certs/keyring.ts'
import { deriveKeys } from '../../certs/keys.ts'
import { signingKeyOf } from '../../certs/signing-key.ts'
import { dhtSource } from '../../discovery/dht/rendezvous.ts'
import { type Address, formatAddress } from '../../transport/address.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { nodeRecord } from '../discovery/support.ts'
import { suite } from '../support/suite.ts'

const test = suite('bootstrap names')

const identity = await createIdentity({ wallNowMs: Date.now() })

for (const literal of [[], [{ host: '10.77.0.9', port: 4433 }]]) {
  test(`a name whose node is down is tried at 1, 2, 4 ... 30 s, beside ${literal.length} literal addresses`, async (t) => {
    const clock = new VirtualClock()
    const asked: string[][] = []
    let lookups = 0
    const source = dhtSource({
      dht: {
        id: new Uint8Array(20),
        publicAddress: undefined,
        bootstrap: async (addresses: readonly Address[] = []) => {
          asked.push(addresses.map(formatAddress))
          // So that an endless loop is a failure and not a hang.
          if (asked.length > 100) await new Promise<never>(() => {})
          return 0
        },
        getPeers: async () => [],
        announce: async () => 0,
        getItem: async () => undefined,
        putMutable: () => Promise.reject(new Error('nobody is there')),
        contacts: () => [],
        stop: () => {},
      },
      clock,
      random: seededRandom(1),
      keys: new Keyring(deriveKeys(Buffer.from('a cookie for tests'), 'test')),
      signer: signingKeyOf(identity),
      bootstrap: [...literal, { host: 'boot.example', port: 4433 }],
      resolve: async () => {
        lookups++
        return ['10.77.0.8']
      },
    })
    t.defer(() => source.stop())
    void source.start(nodeRecord(1), () => {})
    await clock.run({ untilMs: 60_000 })
    assert.ok(asked.length >= 6 && asked.length <= 9, `${asked.length} attempts in a minute`)
    assert.is(lookups <= asked.length, true)
    assert.ok(asked.at(-1)?.includes('10.77.0.8:4433'))
  })
}

test.run()
