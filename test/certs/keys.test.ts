import * as assert from 'uvu/assert'
import { deriveKeys, hkdfSha256 } from '../../certs/keys.ts'
import { suite } from '../support/suite.ts'

const test = suite('certs/keys')

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))
const hex = (value: Uint8Array): string => Buffer.from(value).toString('hex')
const range = (first: number, last: number): Uint8Array =>
  Uint8Array.from({ length: last - first + 1 }, (_, index) => first + index)
const text = (value: string): Uint8Array => new TextEncoder().encode(value)

const COOKIE = text('correct horse battery staple')

test('RFC 5869 appendix A, cases 1 to 3', () => {
  const secret = new Uint8Array(22).fill(0x0b)
  assert.is(
    hex(hkdfSha256(secret, range(0x00, 0x0c), range(0xf0, 0xf9), 42)),
    '3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865',
  )
  assert.is(
    hex(hkdfSha256(range(0x00, 0x4f), range(0x60, 0xaf), range(0xb0, 0xff), 82)),
    'b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb41c65e590e09' +
      'da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87',
  )
  assert.is(
    hex(hkdfSha256(secret, bytes(''), bytes(''), 42)),
    '8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8',
  )
})

/** Computed with Python's hmac and hashlib from the labels as written: changing them breaks every running cluster. */
test('the keys of a known cookie and cluster', () => {
  const keys = deriveKeys(COOKIE, 'demo')
  assert.is(hex(keys.gate), '5a411a614fa408ab61e0d4546331844ea899a674d7b80341dcfdfa61b9e32b39')
  assert.is(hex(keys.proof), 'b8d5953a84de66d55397fd447fdda2c4a67f26f639bce8b004f65dc7a8c5f80b')
  assert.is(hex(keys.rendezvous), '3d5da699c8afd407eca1c72368e3de7e77c491db4ff35f9d3508d1cd76c5981e')
  assert.is(hex(keys.sealing), '59b05af6c9a3a2bd836239fd835bd95cb03202ee8dd8cdc96f17c256bc0ca452')
  assert.is(hex(keys.clusterCheck), '0d57eb308774316a9d4ec00f346379bee9ba06514444dd6b24fb7cb9807960b7')
  assert.is(keys.clusterTag, 'bd208feab6a6945e')
})

test('another cluster shares the gate and nothing else', () => {
  const here = deriveKeys(COOKIE, 'demo')
  const there = deriveKeys(COOKIE, 'demo2')
  assert.equal(here.gate, there.gate)
  for (const name of ['proof', 'rendezvous', 'sealing', 'clusterCheck', 'clusterTag'] as const) {
    assert.not.equal(here[name], there[name], name)
  }
})

test('another cookie shares nothing', () => {
  const here = deriveKeys(COOKIE, 'demo')
  const there = deriveKeys(text('correct horse battery stapl'), 'demo')
  for (const name of ['gate', 'proof', 'rendezvous', 'sealing', 'clusterCheck', 'clusterTag'] as const) {
    assert.not.equal(here[name], there[name], name)
  }
})

test('no two keys of a cluster are the same', () => {
  const { gate, proof, rendezvous, sealing, clusterCheck } = deriveKeys(COOKIE, 'demo')
  const all = [gate, proof, rendezvous, sealing, clusterCheck]
  assert.is(new Set(all.map(hex)).size, all.length)
  for (const key of all) assert.is(key.length, 32)
})

test.run()
