/**
 * Ed25519 keys (RFC 8032) for signatures outside of TLS: made from a seed, taken from an identity, and checked.
 *
 * Keys are raw, 32 bytes, as everywhere in Skein; private ones never leave the closure that signs with them. What a
 * signature covers, and under which name, is the business of whoever signs.
 */
import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { SkeinError } from './errors.ts'
import { rawPublicKey } from './node-id.ts'

export const SEED_BYTES = 32
/** DER of a PKCS #8 Ed25519 key up to its 32-byte seed (RFC 8410 section 7). */
const PKCS8_ED25519_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')

/** A key that signs and is not shown. */
export interface SigningKey {
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array
  /** The signature of these bytes, 64 bytes. */
  readonly sign: (bytes: Uint8Array) => Uint8Array
}

/** Throws ERR_SKEIN_BAD_ARGUMENT unless the seed has 32 bytes. */
export const privateKeyFromSeed = (seed: Uint8Array): KeyObject => {
  if (seed.length !== SEED_BYTES) {
    throw new SkeinError(
      'ERR_SKEIN_BAD_ARGUMENT',
      `The source of randomness gave ${seed.length} bytes, not ${SEED_BYTES}`,
    )
  }
  return createPrivateKey({ key: Buffer.concat([PKCS8_ED25519_PREFIX, seed]), format: 'der', type: 'pkcs8' })
}

/** The same seed gives the same key. */
export const signingKeyFromSeed = (seed: Uint8Array): SigningKey => signingKey(privateKeyFromSeed(seed))

/** The key of an identity. */
export const signingKeyOf = ({ privateKeyPem }: { readonly privateKeyPem: string }): SigningKey =>
  signingKey(createPrivateKey(privateKeyPem))

const signingKey = (privateKey: KeyObject): SigningKey => ({
  publicKey: rawPublicKey(createPublicKey(privateKey)),
  sign: (bytes) => new Uint8Array(sign(null, bytes, privateKey)),
})

/** Whether the signature of these bytes is by this raw public key. Never throws: what is no key has signed nothing. */
export const isSignedBy = (publicKey: Uint8Array, bytes: Uint8Array, signature: Uint8Array): boolean => {
  // As a JSON Web Key (RFC 8037 section 2): a tenth of the time that DER takes.
  const x = Buffer.from(publicKey.buffer, publicKey.byteOffset, publicKey.byteLength).toString('base64url')
  try {
    return verify(null, bytes, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }), signature)
  } catch {
    return false
  }
}
