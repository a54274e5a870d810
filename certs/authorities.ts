/**
 * Authorities (CA): keys that vouch for nodes. Who trusts one lets in no node for which it has not signed a certificate.
 *
 * An authority is an Ed25519 key with a certificate signed by itself. Its name follows from its key, so nobody can take
 * another's. It signs certificates of nodes and nothing else: there are no chains. What it does not do: make a member, for
 * which the cookie is needed as well; hold a list of what it has issued; revoke (the option `revoked` does that).
 */
import { createPrivateKey, type KeyObject, randomBytes, X509Certificate } from 'node:crypto'
import { CLOCK_SKEW_TOLERANCE_MS, MAX_CERTIFICATE_BYTES } from './certificate.ts'
import { SkeinError } from './errors.ts'
import { authorityIdOf, issueAuthority } from './issuer.ts'
import { privateKeyFromSeed, SEED_BYTES } from './signing-key.ts'

/** More than an old and a new one beside a few for clusters that grow together nobody needs. */
const MAX_AUTHORITIES = 8

const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/g

/** What it takes to sign. */
export interface Authority {
  readonly id: string
  /** PKCS #8. */
  readonly privateKeyPem: string
  readonly certificatePem: string
  /** Milliseconds since 1970. */
  readonly notAfterMs: number
}

/** What it takes to check. */
export interface TrustedAuthority {
  readonly id: string
  readonly publicKey: KeyObject
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

export const createAuthority = async (period: {
  readonly wallNowMs: number
  readonly validForMs: number
}): Promise<Authority> => {
  const privateKey = privateKeyFromSeed(randomBytes(SEED_BYTES))
  const notAfterMs = period.wallNowMs + period.validForMs
  const der = await issueAuthority({ privateKey, notBeforeMs: period.wallNowMs, notAfterMs })
  const certificatePem = new X509Certificate(der).toString()
  const privateKeyPem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  return loadAuthority(privateKeyPem, certificatePem)
}

/** Throws ERR_SKEIN_BAD_AUTHORITY for what is none, or has another key. */
export const loadAuthority = (privateKeyPem: string, certificatePem: string): Authority => {
  const [found] = parseAuthorities(certificatePem)
  let isPair = false
  try {
    isPair = new X509Certificate(certificatePem).checkPrivateKey(createPrivateKey(privateKeyPem))
  } catch (cause) {
    throw bad('its key cannot be read', cause)
  }
  if (found === undefined || !isPair) throw bad('the certificate belongs to another key')
  return { id: found.id, privateKeyPem, certificatePem, notAfterMs: found.notAfterMs }
}

/** The authorities in a PEM text, one or more. Throws ERR_SKEIN_BAD_AUTHORITY. */
export const parseAuthorities = (pem: string): readonly TrustedAuthority[] => {
  const blocks = pem.match(PEM_CERTIFICATE) ?? []
  if (blocks.length === 0) throw bad('it holds no certificate')
  if (blocks.length > MAX_AUTHORITIES) throw bad(`it holds more than ${MAX_AUTHORITIES} certificates`)
  return blocks.map(parseAuthority)
}

const parseAuthority = (pem: string): TrustedAuthority => {
  if (pem.length > 2 * MAX_CERTIFICATE_BYTES) throw bad('a certificate in it is too large')
  try {
    return inspect(new X509Certificate(pem))
  } catch (cause) {
    // OpenSSL reads the key only when it is asked for.
    throw cause instanceof SkeinError ? cause : bad('a certificate in it cannot be read', cause)
  }
}

const inspect = (certificate: X509Certificate): TrustedAuthority => {
  const { publicKey } = certificate
  if (publicKey.asymmetricKeyType !== 'ed25519' || !certificate.ca)
    throw bad('a certificate in it is no authority of Skein')
  const id = authorityIdOf(publicKey)
  const isOwn = certificate.subject === `CN=${id}` && certificate.issuer === certificate.subject
  if (!isOwn || !certificate.verify(publicKey)) throw bad('a certificate in it is no authority of Skein')
  const [notBeforeMs, notAfterMs] = [Date.parse(certificate.validFrom), Date.parse(certificate.validTo)]
  if (!(notBeforeMs <= notAfterMs)) throw bad('the period of a certificate in it makes no sense')
  return { id, publicKey, notBeforeMs, notAfterMs }
}

/**
 * Which of these has signed a certificate (DER, and parsed by certificate.ts before), and holds now; undefined: none.
 * Never throws.
 */
export const voucherOf = (
  authorities: readonly TrustedAuthority[],
  der: Uint8Array,
  wallNowMs: number,
): string | undefined => {
  try {
    const certificate = new X509Certificate(der)
    const begun = (from: number): boolean => from <= wallNowMs + CLOCK_SKEW_TOLERANCE_MS
    const lasts = (to: number): boolean => to >= wallNowMs - CLOCK_SKEW_TOLERANCE_MS
    // A connection may be resumed with a certificate that was looked at long ago.
    if (!begun(Date.parse(certificate.validFrom)) || !lasts(Date.parse(certificate.validTo))) return undefined
    return authorities.find(
      ({ id, publicKey, notBeforeMs, notAfterMs }) =>
        certificate.issuer === `CN=${id}` && begun(notBeforeMs) && lasts(notAfterMs) && certificate.verify(publicKey),
    )?.id
  } catch {
    return undefined
  }
}

const bad = (what: string, cause?: unknown): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_AUTHORITY', `This authority (CA) cannot be used: ${what}`, { cause })
