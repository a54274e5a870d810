/**
 * Making a node's self-signed certificate: X.509 through @peculiar/x509, signatures through node:crypto.
 *
 * WebCrypto's Ed25519 warns of being experimental on Node 20 and works in the thread pool, so the library is handed a
 * `Crypto` of ours for the one call, whose `sign` is node:crypto's. Nothing is registered with its process-wide
 * provider. The same key and period give the same bytes: the serial number is derived, Ed25519 is deterministic.
 */
import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { createRequire } from 'node:module'
import type * as X509Library from '@peculiar/x509'
import { nodeIdOf, rawPublicKey } from './node-id.ts'

/** RFC 5280 section 4.1.2.2 allows 20 bytes; 16 cannot collide by chance and leave room for a leading zero. */
const SERIAL_NUMBER_BYTES = 16

interface CertificateRequest {
  readonly privateKey: KeyObject
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** A self-signed certificate for an Ed25519 key, DER. */
export const issueCertificate = async (request: CertificateRequest): Promise<Uint8Array> => {
  const { privateKey, notBeforeMs, notAfterMs } = request
  const x509 = x509Library()
  const key = createPublicKey(privateKey)
  const publicKey = key.export({ type: 'spki', format: 'der' })
  const subject = `CN=${nodeIdOf(rawPublicKey(key))}`
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject,
      issuer: subject,
      serialNumber: serialNumber(publicKey, notBeforeMs, notAfterMs),
      notBefore: new Date(notBeforeMs),
      notAfter: new Date(notAfterMs),
      publicKey,
      signingKey: { algorithm: { name: 'Ed25519' }, extractable: false, type: 'private', usages: ['sign'] },
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
      ],
    },
    signingCrypto(privateKey),
  )
  return new Uint8Array(certificate.rawData)
}

const serialNumber = (publicKey: Uint8Array, notBeforeMs: number, notAfterMs: number): string =>
  createHash('sha256')
    .update(publicKey)
    .update(`${notBeforeMs}/${notAfterMs}`)
    .digest('hex')
    .slice(0, 2 * SERIAL_NUMBER_BYTES)

/** The part of WebCrypto that the generator calls when key and serial number are given: one signature. */
const signingCrypto = (privateKey: KeyObject) => ({
  subtle: {
    sign: async (_algorithm: unknown, _key: unknown, bytes: Uint8Array) =>
      sign(null, new Uint8Array(bytes), privateKey),
  },
})

/**
 * Loads @peculiar/x509 when first needed: a tenth of a second that a node with a saved certificate never spends.
 *
 * Its dependency container (tsyringe) refuses to load without the reflect-metadata polyfill. It asks the polyfill for the
 * constructor types of its classes, once each, while they are declared; these constructors take nothing, so there is
 * nothing to find. A polyfill that finds nothing, there for the duration of one synchronous `require`, is enough and
 * leaves the process-wide Reflect as it was. Where the application loaded the real one, that one serves.
 */
const x509Library = (): typeof X509Library => {
  const require = createRequire(import.meta.url)
  if ('getMetadata' in Reflect) return require('@peculiar/x509')
  const findsNothing = { value: () => undefined, configurable: true }
  Object.defineProperties(Reflect, { getMetadata: findsNothing, getOwnMetadata: findsNothing })
  try {
    return require('@peculiar/x509')
  } finally {
    Reflect.deleteProperty(Reflect, 'getMetadata')
    Reflect.deleteProperty(Reflect, 'getOwnMetadata')
  }
}
