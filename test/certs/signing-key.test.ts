import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { createIdentity } from '../../certs/identity.ts'
import { isSignedBy, signingKeyFromSeed, signingKeyOf } from '../../certs/signing-key.ts'
import { suite } from '../support/suite.ts'

const test = suite('signing key')

const bytes = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, 'hex'))

// RFC 8032 section 7.1, test 1.
const SEED = bytes('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60')
const PUBLIC_KEY = bytes('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a')
const SIGNATURE = bytes(
  'e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
)
const NOTHING = new Uint8Array(0)

test('keys and signatures are those of RFC 8032', () => {
  const key = signingKeyFromSeed(SEED)
  assert.equal(key.publicKey, PUBLIC_KEY)
  assert.equal(key.sign(NOTHING), SIGNATURE)
  assert.ok(isSignedBy(PUBLIC_KEY, NOTHING, SIGNATURE))
})

test('an identity signs with its own key', async () => {
  const identity = await createIdentity({ wallNowMs: Date.now() })
  const key = signingKeyOf(identity)
  assert.equal(key.publicKey, identity.publicKey)
  const signature = key.sign(SEED)
  assert.ok(isSignedBy(identity.publicKey, SEED, signature))
  assert.not(isSignedBy(PUBLIC_KEY, SEED, signature))
  assert.not(isSignedBy(identity.publicKey, PUBLIC_KEY, signature))
})

test('what is no key or no signature has signed nothing', () => {
  for (const key of [NOTHING, new Uint8Array(31), new Uint8Array(33)]) assert.not(isSignedBy(key, NOTHING, SIGNATURE))
  for (const signature of [NOTHING, SIGNATURE.subarray(1), new Uint8Array(64)])
    assert.not(isSignedBy(PUBLIC_KEY, NOTHING, signature))
  assert.throws(
    () => signingKeyFromSeed(new Uint8Array(31)),
    (error: unknown) => isSkeinError(error, 'ERR_SKEIN_BAD_ARGUMENT'),
  )
})

test.run()
