/**
 * Judging the certificate of another node.
 *
 * TLS only proves that the peer holds the private key of the certificate it showed. That the certificate is one of ours
 * is decided here, before a single byte of a stream is read: an Ed25519 key, a signature made by that same key or said to
 * be an authority's, the id of that key as the subject, today within its period. Membership is not decided here; proof.ts
 * does that. Nor is what an authority's signature is worth: to who trusts no authority nothing, and TLS has proven the key;
 * to who does, authorities.ts tells.
 *
 * The bytes come from strangers: whatever they hold, the outcome is a VerifiedPeer or a SkeinError. issuer.ts makes
 * certificates.
 */
import { X509Certificate } from 'node:crypto'
import { SkeinError } from './errors.ts'
import { nodeIdOf, rawPublicKey } from './node-id.ts'

/** When a certificate is good, milliseconds since 1970. */
export interface Period {
  readonly notBeforeMs: number
  readonly notAfterMs: number
}

/** Who is at the other end, beyond doubt. */
export interface VerifiedPeer {
  /** Hash of the public key, see node-id.ts. */
  readonly nodeId: string
  /** The raw Ed25519 key, 32 bytes. */
  readonly publicKey: Uint8Array
  /** DER. */
  readonly certificate: Uint8Array
}

/** Ours have about 340 bytes; the rest is room for what a later version may add. */
export const MAX_CERTIFICATE_BYTES = 8 * 1024
/** The tag of a certificate, as of every structure in it (X.690 8.9). */
const SEQUENCE = 0x30

/** As issuer.ts names them. */
const AUTHORITY = /^CN=(ca-[a-z2-7]{32})$/

/** How far the clocks of two machines may differ; Kerberos (RFC 4120 section 8.2) settled on five minutes too. */
export const CLOCK_SKEW_TOLERANCE_MS = 5 * 60_000

const SOON_SHARE = 0.25
const MAX_SOON_MS = 14 * 24 * 60 * 60_000

/**
 * Checks a DER certificate against the calendar time `wallNowMs`.
 *
 * Throws ERR_SKEIN_CERT_MISSING (no bytes), ERR_SKEIN_CERT_INVALID (anything wrong with it) or ERR_SKEIN_CERT_EXPIRED
 * (outside its period, by more than the tolerance).
 */
export const verifyCertificate = (der: Uint8Array, wallNowMs: number): VerifiedPeer => {
  const parsed = parseCertificate(der)
  if (wallNowMs + CLOCK_SKEW_TOLERANCE_MS < parsed.notBeforeMs) {
    throw new SkeinError('ERR_SKEIN_CERT_EXPIRED', `The certificate is not valid before ${isoTime(parsed.notBeforeMs)}`)
  }
  if (wallNowMs - CLOCK_SKEW_TOLERANCE_MS > parsed.notAfterMs) {
    throw new SkeinError('ERR_SKEIN_CERT_EXPIRED', `The certificate expired at ${isoTime(parsed.notAfterMs)}`)
  }
  return parsed.peer
}

/**
 * It is time to see to another one: less than a quarter of its life is left, and less than two weeks. By days alone one
 * that lasts a week would be near its end from its beginning.
 */
export const endsSoon = ({ notBeforeMs, notAfterMs }: Period, wallNowMs: number): boolean =>
  notAfterMs - wallNowMs < Math.min(MAX_SOON_MS, (notAfterMs - notBeforeMs) * SOON_SHARE)

interface ParsedCertificate extends Period {
  readonly peer: VerifiedPeer
  /** The authority that it says has signed it; undefined: its own key has. */
  readonly authority: string | undefined
}

/** All checks but the calendar, and whether an authority has signed it that is named there. */
export const parseCertificate = (der: Uint8Array): ParsedCertificate => {
  if (der.length === 0) throw new SkeinError('ERR_SKEIN_CERT_MISSING', 'The other side showed no certificate')
  if (der.length > MAX_CERTIFICATE_BYTES) {
    throw invalid(`it has ${der.length} bytes, more than ${MAX_CERTIFICATE_BYTES}`)
  }
  try {
    return inspect(der)
  } catch (error) {
    throw error instanceof SkeinError ? error : invalid('it cannot be parsed', error)
  }
}

const inspect = (der: Uint8Array): ParsedCertificate => {
  if (!isOneSequence(der)) throw invalid('it is not exactly one DER certificate')
  const certificate = new X509Certificate(der)
  // The constructor also takes other spellings; one certificate shall have one.
  if (!certificate.raw.equals(der)) throw invalid('it is not exactly one DER certificate')

  const { publicKey } = certificate
  if (publicKey.asymmetricKeyType !== 'ed25519') throw invalid('its key is not Ed25519')
  const authority = AUTHORITY.exec(certificate.issuer)?.[1]
  if (authority === undefined && !certificate.verify(publicKey)) throw invalid('it is not signed by its own key')

  const rawKey = rawPublicKey(publicKey)
  const nodeId = nodeIdOf(rawKey)
  if (certificate.subject !== `CN=${nodeId}`) throw invalid('its subject is not the id of its key')

  const notBeforeMs = Date.parse(certificate.validFrom)
  const notAfterMs = Date.parse(certificate.validTo)
  if (!(notBeforeMs <= notAfterMs)) throw invalid('its period of validity makes no sense')

  const peer = { nodeId, publicKey: rawKey, certificate: new Uint8Array(certificate.raw) }
  return { peer, authority, notBeforeMs, notAfterMs }
}

/**
 * A SEQUENCE that ends where the bytes do, its length in as few bytes as can be (X.690 10.1). What is none, such as PEM,
 * is refused without a parser.
 */
const isOneSequence = (der: Uint8Array): boolean => {
  const [tag, first = 0, second = 0, third = 0] = der
  if (tag !== SEQUENCE) return false
  if (first < 0x80) return der.length === 2 + first
  if (first === 0x81) return second >= 0x80 && der.length === 3 + second
  return first === 0x82 && second > 0 && der.length === 4 + second * 256 + third
}

const invalid = (what: string, cause?: unknown): SkeinError =>
  new SkeinError('ERR_SKEIN_CERT_INVALID', `The certificate is refused: ${what}`, { cause })

const isoTime = (ms: number): string => new Date(ms).toISOString()
