import * as assert from 'uvu/assert'
import { encode } from '../../../discovery/dht/bencode.ts'
import {
  bytesToSign,
  immutableTarget,
  isGenuine,
  makeImmutable,
  makeMutable,
  mutableTarget,
  targetOf,
} from '../../../discovery/dht/signed-item.ts'
import { suite } from '../../support/suite.ts'
import { mutableItem, signerOf } from './storage-support.ts'

const test = suite('signed item')
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))
const text = (value: Uint8Array): string => Buffer.from(value).toString('latin1')
const hex = (value: string): Uint8Array => Uint8Array.from(Buffer.from(value, 'hex'))

const HELLO = bytes('12:Hello World!')
const FOOBAR = bytes('foobar')
const BEP_KEY = hex('77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548')
const BEP_SIGNATURE = hex(
  '305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01',
)
const BEP_SALTED_SIGNATURE = hex(
  '6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17ddf9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08',
)

test('the test vectors of BEP 44', () => {
  assert.is(text(bytesToSign(1, HELLO)), '3:seqi1e1:v12:Hello World!')
  assert.is(text(bytesToSign(4, bytes('12:Hello world!'), FOOBAR)), '4:salt6:foobar3:seqi4e1:v12:Hello world!')
  const plain = { value: HELLO, mutable: { publicKey: BEP_KEY, signature: BEP_SIGNATURE, sequence: 1 } }
  const salted = { value: HELLO, mutable: { publicKey: BEP_KEY, signature: BEP_SALTED_SIGNATURE, sequence: 1 } }
  assert.equal(targetOf(plain), hex('4a533d47ec9c7d95b1ad75f576cffc641853b750'))
  assert.equal(targetOf(salted, FOOBAR), hex('411eba73b6f087ca51a3795d9c8c938d365e32c1'))
  assert.equal(targetOf({ value: HELLO }), hex('e5f96f6f38320f0f33959cb4d3d656452117aadb'))
  assert.ok(isGenuine(plain))
  assert.ok(isGenuine(salted, FOOBAR))
  assert.not(isGenuine(plain, FOOBAR))
  assert.not(isGenuine(salted))
})

test('an empty salt is none', () => {
  assert.equal(bytesToSign(1, HELLO, new Uint8Array(0)), bytesToSign(1, HELLO))
  assert.equal(mutableTarget(BEP_KEY, new Uint8Array(0)), mutableTarget(BEP_KEY))
})

test('a signature is good for its key, salt, sequence and value only', () => {
  const signer = signerOf(1)
  const item = mutableItem(signer, 5, 'value', FOOBAR)
  const mutable = item.mutable!
  assert.ok(isGenuine(item, FOOBAR))
  assert.not(isGenuine(item, bytes('foobaz')))
  assert.not(isGenuine({ ...item, mutable: { ...mutable, sequence: 6 } }, FOOBAR))
  assert.not(isGenuine({ ...item, mutable: { ...mutable, publicKey: signerOf(2).publicKey } }, FOOBAR))
  assert.not(isGenuine({ ...item, value: encode('valuf') }, FOOBAR))
  for (let i = 0; i < 64; i++) {
    const signature = Uint8Array.from(mutable.signature)
    signature[i]! ^= 1 << (i % 8)
    assert.not(isGenuine({ ...item, mutable: { ...mutable, signature } }, FOOBAR), `byte ${i}`)
  }
})

test('what is no key or no signature is not genuine, and no exception', () => {
  for (const [keyBytes, signatureBytes] of [
    [0, 64],
    [31, 64],
    [33, 64],
    [32, 0],
    [32, 63],
    [32, 65],
  ] as const) {
    for (const filling of [0, 1, 2, 255]) {
      const publicKey = new Uint8Array(keyBytes).fill(filling)
      const signature = new Uint8Array(signatureBytes).fill(filling)
      assert.not(isGenuine({ value: HELLO, mutable: { publicKey, signature, sequence: 1 } }))
    }
  }
})

test('items are made, signed and bounded', () => {
  const signer = signerOf(3)
  const largest = Uint8Array.from(encode(new Uint8Array(996)))
  assert.is(largest.length, 1000)
  const item = makeMutable({ ...signer, sequence: Number.MAX_SAFE_INTEGER, value: largest, salt: new Uint8Array(64) })
  assert.ok(isGenuine(item, new Uint8Array(64)))
  assert.equal(makeImmutable(largest), { value: largest })
  assert.equal(targetOf(makeImmutable(largest)), immutableTarget(largest))

  const wrong = (parts: object, word: string): void => {
    const make = () => makeMutable({ ...signer, sequence: 1, value: HELLO, ...parts })
    assert.throws(
      make,
      (error: Error & { code?: string }) => error.code === 'ERR_SKEIN_BAD_ARGUMENT' && error.message.includes(word),
    )
  }
  wrong({ value: encode(new Uint8Array(997)) }, '1000')
  wrong({ value: bytes('Hello World!') }, 'bencoded')
  wrong({ value: bytes('i1ei2e') }, 'bencoded')
  wrong({ value: new Uint8Array(0) }, 'bencoded')
  wrong({ salt: new Uint8Array(65) }, 'salt')
  wrong({ publicKey: new Uint8Array(31) }, 'publicKey')
  for (const sequence of [-1, 0.5, 2 ** 53, Number.NaN]) wrong({ sequence }, 'sequence')
  wrong({ sign: () => new Uint8Array(63) }, 'sign')
  assert.throws(() => makeImmutable(bytes('x')), /bencoded/)
})

test('a made item is a copy', () => {
  const value = Uint8Array.from(HELLO)
  const item = makeImmutable(value)
  value.fill(0)
  assert.equal(item.value, HELLO)
})

test.run()
