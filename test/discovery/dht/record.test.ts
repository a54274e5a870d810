import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import { createIdentity } from '../../../certs/identity.ts'
import { deriveKeys } from '../../../certs/keys.ts'
import { type SigningKey, signingKeyOf } from '../../../certs/signing-key.ts'
import { encode, judge, Verbatim } from '../../../discovery/dht/bencode.ts'
import { compactAddress } from '../../../discovery/dht/compact-address.ts'
import { MAX_VALUE_BYTES } from '../../../discovery/dht/krpc.ts'
import { daysAt, itemKey, meetingPoint } from '../../../discovery/dht/places.ts'
import {
  openRecord,
  type PublishedRecord,
  RECORD_LIFETIME_MS,
  sealRecord,
  signRecord,
} from '../../../discovery/dht/record.ts'
import { NAT_CLASSES } from '../../../discovery/source.ts'
import { suite } from '../../support/suite.ts'
import { addressesOf } from '../support.ts'

const test = suite('dht record')

const NOW_MS = Date.UTC(2026, 0, 5, 12)
const KEYS = deriveKeys(Buffer.from('a cookie for tests'), 'test')
const OTHER_KEYS = deriveKeys(Buffer.from('another cookie'), 'test')
const ITEM = itemKey(KEYS.rendezvous, 20_000, 'name', 'app1@host').publicKey

const newSigner = async (): Promise<SigningKey & { id: string }> => {
  const identity = await createIdentity({ wallNowMs: NOW_MS })
  return { ...signingKeyOf(identity), id: identity.nodeId }
}

const said = (change: Partial<PublishedRecord> = {}): Omit<PublishedRecord, 'id'> => ({
  name: 'app1@host',
  incarnation: '01a1fd57eb4d4118',
  addresses: addressesOf('192.0.2.7:4433', '[2001:db8::7]:4433'),
  nat: 'unknown',
  introducers: addressesOf('198.51.100.1:6881'),
  registrations: [{ name: 'web', metadata: { port: '80', path: '/' } }],
  sequence: NOW_MS,
  expiresAtMs: NOW_MS + RECORD_LIFETIME_MS,
  ...change,
})

const seal = (envelope: Uint8Array, item = ITEM): Uint8Array =>
  sealRecord(envelope, KEYS.sealing, item, randomBytes(12))

test('what is sealed is opened as it was, by whoever has the key', async () => {
  const signer = await newSigner()
  const value = seal(signRecord(said(), signer, KEYS.clusterTag))
  assert.equal(openRecord(value, KEYS, ITEM), { ...said(), id: signer.id })
})

test('class and introducers come through; a class this version does not know, or none at all, is unknown', async () => {
  const signer = await newSigner()
  const introducers = addressesOf('198.51.100.1:6881', '[2001:db8::1]:4433', '203.0.113.9:1')
  for (const nat of NAT_CLASSES) {
    const opened = openRecord(seal(signRecord(said({ nat, introducers }), signer, KEYS.clusterTag)), KEYS, ITEM)
    assert.equal([opened?.nat, opened?.introducers], [nat, introducers])
  }
  // As other versions may write it: the same record with another `t`, or without.
  const body = judge(signRecord(said(), signer, KEYS.clusterTag))!.get('r')!
  for (const nat of [undefined, 'carrier', '', 'Open', 7, ['open'], new Uint8Array(400)]) {
    const fields = Object.fromEntries([...'aegiknrsv'].map((key) => [key, new Verbatim(body.get(key)!.raw())]))
    const other = encode(nat === undefined ? fields : { ...fields, t: nat })
    const envelope = encode({
      r: new Verbatim(other),
      s: signer.sign(Buffer.concat([Buffer.from(`skein v1 record\0${KEYS.clusterTag}\0`), other])),
    })
    assert.is(openRecord(seal(envelope), KEYS, ITEM)?.nat, 'unknown')
  }
})

test('of more than three introducers a reader takes three', async () => {
  const introducers = addressesOf('198.51.100.1:1', '198.51.100.2:1', '198.51.100.3:1', '198.51.100.4:1')
  const value = seal(signRecord(said({ introducers }), await newSigner(), KEYS.clusterTag))
  assert.equal(openRecord(value, KEYS, ITEM)?.introducers, introducers.slice(0, 3))
})

test('a stranger opens nothing, and the value of one item means nothing in another', async () => {
  const value = seal(signRecord(said(), await newSigner(), KEYS.clusterTag))
  assert.is(openRecord(value, OTHER_KEYS, ITEM), undefined)
  assert.is(openRecord(value, KEYS, itemKey(KEYS.rendezvous, 20_001, 'name', 'app1@host').publicKey), undefined)
})

const TELLING_BYTES = 8

test('a value has one of two sizes, fits BEP 44, and holds no name, address, id or key in clear', async () => {
  const signer = await newSigner()
  const sizes = new Set<number>()
  for (let count = 0; count <= 16; count++) {
    const addresses = Array.from({ length: count }, (_, i) => ({ host: `2001:db8::${i + 1}`, port: 4433 }))
    for (const name of ['a@b', 'app1@webhost', `${'n'.repeat(64)}@${'h'.repeat(190)}`]) {
      const introducers = addressesOf('[2001:db8:1::1]:4433', '[2001:db8:2::1]:4433', '[2001:db8:3::1]:4433')
      const nat = count % 2 === 0 ? 'symmetric' : 'open'
      const value = seal(signRecord(said({ addresses, name, nat, introducers }), signer, KEYS.clusterTag))
      assert.ok(value.length <= MAX_VALUE_BYTES, `${value.length} bytes`)
      sizes.add(value.length)
      const texts = [name, signer.id, signer.publicKey, ...addresses.map((one) => compactAddress(one)!)]
      // What is short stands in random bytes by chance.
      for (const text of texts) if (text.length >= TELLING_BYTES) assert.is(Buffer.from(value).indexOf(text), -1)
      assert.is(openRecord(value, KEYS, ITEM)?.name, name)
    }
  }
  assert.is(sizes.size, 2)
})

test('sealed twice, the same record shares no bytes that tell', async () => {
  const envelope = signRecord(said(), await newSigner(), KEYS.clusterTag)
  const [one, other] = [seal(envelope), seal(envelope)]
  const equal = one.filter((byte, i) => byte === other[i]).length
  // "480:" and one byte in 256 of the rest.
  assert.ok(equal < 20, `${equal} bytes are equal`)
})

test('a member cannot make the record of another node', async () => {
  const [victim, forger] = await Promise.all([newSigner(), newSigner()])
  const forged = signRecord(said(), { publicKey: victim.publicKey, sign: forger.sign }, KEYS.clusterTag)
  assert.is(openRecord(seal(forged), KEYS, ITEM), undefined)
  // Nor take the record of a node of one cluster into another one.
  assert.is(openRecord(seal(signRecord(said(), victim, OTHER_KEYS.clusterTag)), KEYS, ITEM), undefined)
})

test('a record lasts no longer than its time, whatever it claims', async () => {
  const signer = await newSigner()
  const eternal = said({ expiresAtMs: NOW_MS + RECORD_LIFETIME_MS + 1 })
  assert.is(openRecord(seal(signRecord(eternal, signer, KEYS.clusterTag)), KEYS, ITEM), undefined)
})

test('one changed bit anywhere, a cut or an addition is no record', async () => {
  const value = seal(signRecord(said(), await newSigner(), KEYS.clusterTag))
  for (let i = 0; i < value.length; i++) {
    const changed = Uint8Array.from(value)
    changed[i]! ^= 1 << (i % 8)
    assert.is(openRecord(changed, KEYS, ITEM), undefined, `byte ${i}`)
  }
  for (const wrong of [value.subarray(1), value.subarray(0, -1), Buffer.concat([value, value]), new Uint8Array(0)])
    assert.is(openRecord(wrong, KEYS, ITEM), undefined)
  for (const size of [0, 1, 30, 479, 480, 481, 960])
    assert.is(openRecord(encode(randomBytes(size)), KEYS, ITEM), undefined)
})

test('what a member seals that is no record is none', async () => {
  const signer = await newSigner()
  const sound = judge(signRecord(said(), signer, KEYS.clusterTag))!.get('r')!
  const wrong: Uint8Array[] = [
    encode([]),
    encode({}),
    encode({ r: 1, s: 'x' }),
    encode({ r: {}, s: new Uint8Array(64) }),
  ]
  for (const envelope of wrong) assert.is(openRecord(seal(envelope), KEYS, ITEM), undefined)
  for (const change of [
    { name: 'a b' },
    { name: 'line\nbreak' },
    { name: '' },
    { incarnation: 'ff' },
    { registrations: Array.from({ length: 9 }, (_, i) => ({ name: `r${i}`, metadata: {} })) },
    { registrations: [{ name: '\u0000', metadata: {} }] },
  ]) {
    const signed = signRecord(said(change), signer, KEYS.clusterTag)
    assert.is(openRecord(seal(signed), KEYS, ITEM), undefined, JSON.stringify(change))
  }
  assert.ok(sound.sizeBytes > 0)
})

test('places are distinct for clusters, days, kinds and names, and the same for all members', () => {
  const again = deriveKeys(Buffer.from('a cookie for tests'), 'test')
  assert.equal(meetingPoint(KEYS.rendezvous, 1), meetingPoint(again.rendezvous, 1))
  assert.equal(itemKey(KEYS.rendezvous, 1, 'id', 'a').publicKey, itemKey(again.rendezvous, 1, 'id', 'a').publicKey)
  const places = [KEYS, OTHER_KEYS, deriveKeys(Buffer.from('a cookie for tests'), 'other')].flatMap(({ rendezvous }) =>
    [1, 2, 12].flatMap((day) => [
      meetingPoint(rendezvous, day),
      ...(['id', 'name'] as const).flatMap((kind) =>
        ['a', '2\0a', 'b'].map((text) => itemKey(rendezvous, day, kind, text).publicKey),
      ),
    ]),
  )
  assert.is(new Set(places.map((place) => Buffer.from(place).toString('hex'))).size, places.length)
})

test('places change with the day, and around midnight those of both days count', () => {
  const midnight = Date.UTC(2026, 0, 5)
  const today = midnight / 86_400_000
  assert.equal(daysAt(midnight + 12 * 3_600_000), [today])
  assert.equal(daysAt(midnight), [today, today - 1])
  assert.equal(daysAt(midnight + 3_599_999), [today, today - 1])
  assert.equal(daysAt(midnight + 3_600_000), [today])
  assert.equal(daysAt(midnight - 1), [today - 1, today])
  assert.equal(daysAt(midnight - 3_600_000), [today - 1])
})

test.run()
