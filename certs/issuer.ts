/**
 * Making certificates: a node's own, signed by itself or by an authority, and an authority's. X.509 through @peculiar/x509,
 * signatures through node:crypto.
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

interface Period {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

interface CertificateRequest extends Period {
  /** Of the node. */
  readonly privateKey: KeyObject
  /** Of the authority that signs; without it the node's own does. */
  readonly authorityKey?: KeyObject | undefined
}

/** The name of an authority follows from its key, as that of a node does; none is ever the other's. */
export const authorityIdOf = (key: KeyObject): string => `ca-${nodeIdOf(rawPublicKey(key))}`

/** A certificate for the Ed25519 key of a node, DER. */
export const issueCertificate = async (request: CertificateRequest): Promise<Uint8Array> => {
  const { privateKey, authorityKey } = request
  const x509 = x509Library()
  const key = createPublicKey(privateKey)
  const subject = `CN=${nodeIdOf(rawPublicKey(key))}`
  return sign509(x509, {
    ...request,
    key,
    subject,
    issuer: authorityKey === undefined ? subject : `CN=${authorityIdOf(createPublicKey(authorityKey))}`,
    signingKey: authorityKey ?? privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth, x509.ExtendedKeyUsage.clientAuth]),
    ],
  })
}

/** The certificate of an authority, DER: signed by itself, and good for certificates of nodes alone. */
export const issueAuthority = async ({ privateKey, ...period }: CertificateRequest): Promise<Uint8Array> => {
  const x509 = x509Library()
  const key = createPublicKey(privateKey)
  const subject = `CN=${authorityIdOf(key)}`
  return sign509(x509, {
    ...period,
    key,
    subject,
    issuer: subject,
    signingKey: privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  })
}

interface Content extends Period {
  readonly key: KeyObject
  readonly subject: string
  readonly issuer: string
  readonly signingKey: KeyObject
  readonly extensions: X509Library.Extension[]
}

const sign509 = async (x509: typeof X509Library, content: Content): Promise<Uint8Array> => {
  const { key, subject, issuer, signingKey, extensions, notBeforeMs, notAfterMs } = content
  const publicKey = key.export({ type: 'spki', format: 'der' })
  const certificate = await x509.X509CertificateGenerator.create(
    {
      subject,
      issuer,
      serialNumber: serialNumber(publicKey, notBeforeMs, notAfterMs),
      notBefore: new Date(notBeforeMs),
      notAfter: new Date(notAfterMs),
      publicKey,
      signingKey: { algorithm: { name: 'Ed25519' }, extractable: false, type: 'private', usages: ['sign'] },
      extensions,
    },
    signingCrypto(signingKey),
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
