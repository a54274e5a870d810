/**
 * Around midnight a record is looked up in two places. If one of them had missed that the node took it back, its older
 * record counted again: the stopped node was found.
 */
import * as assert from 'uvu/assert'
import { createIdentity } from '../../certs/identity.ts'
import { Keyring } from '../../certs/keyring.ts'
import { deriveKeys } from '../../certs/keys.ts'
import { signingKeyOf } from '../../certs/signing-key.ts'
import { RecordFinder } from '../../discovery/dht/finder.ts'
import { daysAt, itemKey } from '../../discovery/dht/places.ts'
import { RECORD_LIFETIME_MS, sealRecord, signRecord } from '../../discovery/dht/record.ts'
import { Sightings } from '../../discovery/sightings.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { addressesOf, EventLog, idOf } from '../discovery/support.ts'
import { suite } from '../support/suite.ts'

const test = suite('taken back at midnight')

const DAY_MS = 24 * 60 * 60_000
const keys = deriveKeys(Buffer.from('a cookie for tests'), 'test')
const identity = await createIdentity({ wallNowMs: Date.now() })

for (const missed of [0, 1]) {
  test(`a record that is taken back stays so where place ${missed} of two has the older one`, async () => {
    const wallMs = 20_000 * DAY_MS + 60_000
    const clock = Object.assign(new VirtualClock(), { wallNow: () => wallMs })
    const log = new EventLog()
    const places = daysAt(wallMs).map((day) => itemKey(keys.rendezvous, day, 'id', identity.nodeId).publicKey)
    const envelope = (isTakenBack: boolean): Uint8Array =>
      signRecord(
        {
          name: 'app@host',
          incarnation: '0'.repeat(16),
          registrations: [],
          addresses: isTakenBack ? [] : addressesOf('10.77.0.2:4433'),
          nat: 'unknown',
          introducers: [],
          sequence: isTakenBack ? wallMs : wallMs - 1000,
          expiresAtMs: isTakenBack ? 0 : wallMs - 1000 + RECORD_LIFETIME_MS,
        },
        signingKeyOf(identity),
        keys.clusterTag,
      )
    const dht = {
      getItem: async ({ publicKey }: { readonly publicKey: Uint8Array }) => {
        const place = places.findIndex((one) => Buffer.compare(one, publicKey) === 0)
        // The place that missed it answers last.
        if (place === missed) await new Promise<void>((resolve) => clock.after(10, resolve))
        return {
          value: sealRecord(envelope(place !== missed), keys.sealing, publicKey, new Uint8Array(12)),
          sequence: 1,
          signature: new Uint8Array(64),
          publicKey,
        }
      },
    }
    const finder = new RecordFinder({
      dht: dht as never,
      clock,
      keys: new Keyring(keys),
      ownId: idOf(1),
      sightings: new Sightings('dht', log.emit),
    })
    const looking = finder.lookUp(identity.nodeId)
    await clock.run()
    await looking
    assert.is(places.length, 2)
    assert.equal(log.take(), [])
    assert.is(finder.size, 0)
  })
}

test.run()
