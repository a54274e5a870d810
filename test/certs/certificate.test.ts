import { createPrivateKey, sign, X509Certificate } from 'node:crypto'
import * as fc from 'fast-check'
import * as assert from 'uvu/assert'
import { CLOCK_SKEW_TOLERANCE_MS, MAX_CERTIFICATE_BYTES, verifyCertificate } from '../../certs/certificate.ts'
import { isSkeinError } from '../../certs/errors.ts'
import { createIdentity, type Identity } from '../../certs/identity.ts'
import { suite } from '../support/suite.ts'
import { DAY_MS, NOW_MS, rejects } from './support.ts'

const test = suite('certs/certificate')

/** An Ed25519 signature ends the certificate. */
const SIGNATURE_BYTES = 64

const identityOf = (seed: number): Promise<Identity> =>
  createIdentity({ wallNowMs: NOW_MS, random: (size) => new Uint8Array(size).fill(seed), validForMs: DAY_MS })

/** The certificate with one text in its signed part exchanged for another of the same length, signed anew. */
const forge = (identity: Identity, from: Uint8Array, to: Uint8Array, signer: Identity): Uint8Array => {
  const der = Buffer.from(identity.certificate)
  for (let at = der.indexOf(from); at >= 0; at = der.indexOf(from, at + 1)) der.set(to, at)
  // SEQUENCE { signed part, algorithm (7 bytes), BIT STRING header (3 bytes), signature }, with a 4-byte header outside.
  const signed = der.subarray(4, -SIGNATURE_BYTES - 10)
  der.set(sign(null, signed, signer.privateKeyPem), der.length - SIGNATURE_BYTES)
  return new Uint8Array(der)
}

const MINE = await identityOf(1)
const OTHER = await identityOf(2)

/** A self-signed certificate with a P-256 key, from `openssl req -x509 -newkey ec`. */
const P256_CERTIFICATE = Buffer.from(
  'MIIBdjCCARugAwIBAgIUe4DCBCoc8ZH7UAY18K3Rfeccv7kwCgYIKoZIzj0EAwIwDzENMAsGA1UEAwwEcDI1NjAgFw0yNjExMjEwODE0MTNa' +
    'GA8yMTI2MTAyODA4MTQxM1owDzENMAsGA1UEAwwEcDI1NjBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABHx9m1UhdQCGYpCJdbv04EIuk92M' +
    'TVbd7D9bykNtVX9LuVqrO1JqusucADMHAbjeH2VmoGcxdlOkr6rLYx5kvdmjUzBRMB0GA1UdDgQWBBTD5kuEdTG6z3tRzqdhkQgscZPs2TAf' +
    'BgNVHSMEGDAWgBTD5kuEdTG6z3tRzqdhkQgscZPs2TAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0kAMEYCIQDxiXoSWuJFm5qk73I3' +
    '0btZBuBLqn8dYY+gZSM/IEJZlwIhAIzkQ63T5E/Cg9ITQdneQwKpoRXQwTHsgBud2ZTm1AU5',
  'base64',
)

const refused = (code: 'INVALID' | 'EXPIRED' | 'MISSING', der: Uint8Array, wallNowMs = NOW_MS) =>
  rejects(`ERR_SKEIN_CERT_${code}`, () => verifyCertificate(der, wallNowMs))

/** Whatever the bytes are: a peer whose certificate they are, or an error with a code. */
const isJudged = (der: Uint8Array): boolean => {
  try {
    return Buffer.from(verifyCertificate(der, NOW_MS).certificate).equals(der)
  } catch (error) {
    return isSkeinError(error, 'ERR_SKEIN_CERT_INVALID') || isSkeinError(error, 'ERR_SKEIN_CERT_MISSING')
  }
}

test('a good certificate tells who is there', () => {
  const peer = verifyCertificate(MINE.certificate, NOW_MS)
  assert.equal(peer, { nodeId: MINE.nodeId, publicKey: MINE.publicKey, certificate: MINE.certificate })
})

test('what is returned does not change with the buffer that was read', () => {
  const buffer = Uint8Array.from(MINE.certificate)
  const peer = verifyCertificate(buffer, NOW_MS)
  buffer.fill(0)
  assert.equal(peer.certificate, MINE.certificate)
})

test('the forging tool of these tests makes certificates that pass when nothing is wrong with them', () => {
  assert.equal(forge(MINE, Buffer.from('CN'), Buffer.from('CN'), MINE), MINE.certificate)
})

test('no certificate, and one too large', async () => {
  await refused('MISSING', new Uint8Array(0))
  await refused('INVALID', new Uint8Array(MAX_CERTIFICATE_BYTES + 1))
})

test('the period of validity, with five minutes for clocks that differ', async () => {
  const toleranceMs = CLOCK_SKEW_TOLERANCE_MS
  const expired = NOW_MS + DAY_MS + toleranceMs
  verifyCertificate(MINE.certificate, expired)
  const late = await refused('EXPIRED', MINE.certificate, expired + 1)
  assert.match(late.message, 'expired at 2026-01-02T00:00:00.000Z')
  verifyCertificate(MINE.certificate, NOW_MS - toleranceMs)
  const early = await refused('EXPIRED', MINE.certificate, NOW_MS - toleranceMs - 1)
  assert.match(early.message, 'not valid before 2026-01-01T00:00:00.000Z')
})

test('a certificate signed by another key', async () => {
  const error = await refused('INVALID', forge(MINE, Buffer.from('CN'), Buffer.from('CN'), OTHER))
  assert.match(error.message, 'not signed by its own key')
})

test("a certificate that claims another node's id", async () => {
  const error = await refused('INVALID', forge(MINE, Buffer.from(MINE.nodeId), Buffer.from(OTHER.nodeId), MINE))
  assert.match(error.message, 'not the id of its key')
})

test("a certificate that holds another node's key", async () => {
  await refused('INVALID', forge(MINE, MINE.publicKey, OTHER.publicKey, MINE))
})

test('a period that ends before it begins, or is no time at all', async () => {
  const text = (value: string) => Buffer.from(value)
  const backwards = await refused('INVALID', forge(MINE, text('260102000000Z'), text('250102000000Z'), MINE))
  assert.match(backwards.message, 'period of validity')
  await refused('INVALID', forge(MINE, text('260102000000Z'), text('269902000000Z'), MINE))
})

test('a key of another kind', async () => {
  const error = await refused('INVALID', P256_CERTIFICATE)
  assert.match(error.message, 'not Ed25519')
})

test('PEM, bytes after the end, a second certificate', async () => {
  await refused('INVALID', Buffer.from(MINE.certificatePem))
  await refused('INVALID', Buffer.concat([MINE.certificate, Uint8Array.of(0)]))
  await refused('INVALID', Buffer.concat([MINE.certificate, OTHER.certificate]))
})

test('a length in other bytes than it takes, or of no certificate at all', async () => {
  const body = MINE.certificate.subarray(4)
  for (const head of [
    [0x30, 0x80],
    [0x30, 0x83, 0],
    [0x31, 0x82],
  ]) {
    const length = head[1] === 0x80 ? [] : [body.length >> 8, body.length & 255]
    await refused('INVALID', Uint8Array.from([...head, ...length, ...body]))
  }
  for (const short of [[0x30], [0x30, 0], [0x30, 0x81, 1, 0], [0x30, 0x82, 0, 1, 0]]) {
    await refused('INVALID', Uint8Array.from(short))
  }
})

test('cut off anywhere', async () => {
  for (let size = 1; size < MINE.certificate.length; size++) {
    await refused('INVALID', MINE.certificate.subarray(0, size))
  }
})

test('any single bit flipped', async () => {
  for (let bit = 0; bit < MINE.certificate.length * 8; bit++) {
    const flipped = Uint8Array.from(MINE.certificate)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    await refused('INVALID', flipped)
  }
})

test('damage of any kind ends in a code', () => {
  const certificate = Array.from(MINE.certificate)
  const splice = fc
    .tuple(fc.nat(certificate.length), fc.nat(24), fc.uint8Array({ maxLength: 24 }))
    .map(([at, count, bytes]) =>
      Uint8Array.from([...certificate.slice(0, at), ...bytes, ...certificate.slice(at + count)]),
    )
  fc.assert(fc.property(splice, isJudged), { numRuns: 2000 })
  fc.assert(fc.property(fc.uint8Array({ maxLength: MAX_CERTIFICATE_BYTES + 10 }), isJudged), { numRuns: 200 })
})

test('damage under a valid signature ends in a code', () => {
  const key = createPrivateKey(MINE.privateKeyPem)
  const signedSize = MINE.certificate.length - 4 - SIGNATURE_BYTES - 10
  const change = fc.tuple(fc.nat(signedSize - 1), fc.uint8Array({ minLength: 1, maxLength: 4 }))
  const changed = ([at, bytes]: [number, Uint8Array]): Uint8Array => {
    const der = Uint8Array.from(MINE.certificate)
    der.set(bytes.subarray(0, signedSize - at), 4 + at)
    der.set(sign(null, der.subarray(4, 4 + signedSize), key), der.length - SIGNATURE_BYTES)
    return der
  }
  const isJudgedOrOutOfDate = (der: Uint8Array): boolean => {
    try {
      return verifyCertificate(der, NOW_MS).nodeId === MINE.nodeId
    } catch (error) {
      return isSkeinError(error, 'ERR_SKEIN_CERT_INVALID') || isSkeinError(error, 'ERR_SKEIN_CERT_EXPIRED')
    }
  }
  fc.assert(fc.property(change.map(changed), isJudgedOrOutOfDate), { numRuns: 2000 })
})

test('the certificate says that it serves both roles of TLS and issues nothing', () => {
  const certificate = new X509Certificate(MINE.certificate)
  assert.is(certificate.ca, false)
  assert.equal(certificate.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'])
})

test.run()
