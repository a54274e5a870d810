/** Certificates of peers, in DER: ours and those of an authority, and the same changed and signed again with the same key. */
import { createPrivateKey, createPublicKey, sign, verify, X509Certificate } from 'node:crypto'
import { parseAuthorities, voucherOf } from '../../../certs/authorities.ts'
import { verifyCertificate } from '../../../certs/certificate.ts'
import { createIdentity } from '../../../certs/identity.ts'
import { authority, authorityKey, WALL_MS } from '../authority.ts'
import { holds, isOneIn, type Target } from '../target.ts'

const SIGNATURE_BYTES = 64
const HEAD_BYTES = 4
const trusted = parseAuthorities(authority.certificatePem)
const identities = await Promise.all(
  [1, 2, 3, 4].map((seed) =>
    createIdentity({
      wallNowMs: WALL_MS,
      random: () => Buffer.alloc(32, seed),
      ...(seed > 2 && { authority }),
    }),
  ),
)
/** Of whoever has signed. */
const keys = identities.map((identity) =>
  identity.authority === undefined ? createPrivateKey(identity.privateKeyPem) : authorityKey,
)

const signedPart = (bytes: Buffer): Buffer =>
  bytes.subarray(HEAD_BYTES, HEAD_BYTES + 4 + ((bytes[6] ?? 0) << 8) + (bytes[7] ?? 0))

/** The signed part of a certificate with its key, signed again: so that more than the signature is looked at. */
const resigned = (bytes: Buffer, key: (typeof keys)[number]): Buffer => {
  const whole = Buffer.from(bytes)
  whole.set(sign(null, signedPart(bytes), key), whole.length - SIGNATURE_BYTES)
  return whole
}

export const target: Target = {
  name: 'certificate',
  about: 'whoever opens a connection: DER certificates',
  dictionary: [
    Buffer.of(0x30, 0x80),
    Buffer.of(0x30, 0x82),
    Buffer.of(0x06, 3, 0x2b, 0x65, 0x70),
    Buffer.of(0x17, 13),
    Buffer.of(0x18, 15),
    Buffer.of(3, 0x21, 0),
    '300101000000Z',
    '20300101000000Z',
    '99991231235959Z',
    Buffer.of(0xa3),
    Buffer.of(0x84, 0xff, 0xff, 0xff, 0xff),
    '-----BEGIN CERTIFICATE-----\n',
  ],
  sample: (chance) => {
    const at = chance.below(identities.length)
    const bytes = Buffer.from(identities[at]!.certificate)
    if (chance.oneIn(4)) return Buffer.from(identities[at]!.certificatePem)
    if (chance.oneIn(2)) bytes[HEAD_BYTES + 4 + chance.below(bytes.length - SIGNATURE_BYTES - 20)] = chance.below(256)
    return chance.oneIn(2) ? resigned(bytes, keys[at]!) : bytes
  },
  run: (bytes) => {
    const { publicKey, certificate } = verifyCertificate(bytes, WALL_MS)
    holds(publicKey.length === 32 && Buffer.compare(certificate, bytes) === 0, 'a certificate is what was shown')
    if (voucherOf(trusted, bytes, WALL_MS) !== undefined) {
      const signature = bytes.subarray(-SIGNATURE_BYTES)
      const isSigned = verify(null, signedPart(bytes), createPublicKey(authorityKey), signature)
      holds(isSigned, 'an authority vouches for what it has signed alone')
    }
    if (!isOneIn(8, bytes)) return
    holds(new X509Certificate(certificate).publicKey.asymmetricKeyType === 'ed25519', 'its key is of the kind we know')
  },
}
