/**
 * Certificates that no Skein node should accept, shown by either side of a connection: each ends in the right code on
 * both sides, and connections beside it notice nothing.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  X509Certificate,
} from 'node:crypto'
import * as assert from 'uvu/assert'
import type { ErrorCode } from '../../certs/errors.ts'
import { createIdentity, type Identity } from '../../certs/identity.ts'
import { suite } from '../support/suite.ts'
import { addressOf, dial, pattern, serve } from './compliance.ts'
import { exchange, newIdentity, openPort, until } from './quic-support.ts'

const DAY_MS = 24 * 60 * 60_000

// ---- a few lines of DER, for certificates that our own issuer would never make

const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  const size = body.length
  const length = size < 0x80 ? [size] : size < 0x100 ? [0x81, size] : [0x82, size >> 8, size & 0xff]
  return Buffer.concat([Buffer.from([tag, ...length]), body])
}
const SEQUENCE = 0x30
const SET = 0x31
const OID = { ed25519: '2b6570', ecdsaWithSha256: '2a8648ce3d040302', commonName: '550403' } as const
const oid = (hex: string): Buffer => der(0x06, Buffer.from(hex, 'hex'))

const certificateOf = (key: KeyObject, signer: KeyObject, commonName: string): Buffer => {
  const isEd25519 = signer.asymmetricKeyType === 'ed25519'
  const algorithm = der(SEQUENCE, oid(isEd25519 ? OID.ed25519 : OID.ecdsaWithSha256))
  const name = der(SEQUENCE, der(SET, der(SEQUENCE, oid(OID.commonName), der(0x0c, Buffer.from(commonName)))))
  const period = der(SEQUENCE, der(0x17, Buffer.from('200101000000Z')), der(0x18, Buffer.from('22000101000000Z')))
  const version3 = der(0xa0, der(0x02, Buffer.from([2])))
  const serial = der(0x02, Buffer.from([1]))
  const publicKey = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const content = der(SEQUENCE, version3, serial, algorithm, name, period, name, publicKey)
  const signature = sign(isEd25519 ? null : 'sha256', content, signer)
  return der(SEQUENCE, content, algorithm, der(0x03, Buffer.from([0]), signature))
}

/** An identity with any key and certificate; TLS itself works with it as far as key and certificate belong together. */
const withCertificate = async (key: KeyObject, certificate: Buffer): Promise<Identity> => ({
  ...(await newIdentity()),
  privateKeyPem: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
  certificate,
  certificatePem: new X509Certificate(certificate).toString(),
})

const ed25519Key = async (): Promise<{ key: KeyObject; nodeId: string }> => {
  const { privateKeyPem, nodeId } = await newIdentity()
  return { key: createPrivateKey(privateKeyPem), nodeId }
}

interface Case {
  readonly what: string
  readonly make: () => Promise<Identity>
  readonly code: ErrorCode
}

const CASES: readonly Case[] = [
  {
    what: 'an expired certificate',
    make: () => createIdentity({ wallNowMs: Date.now() - 10 * DAY_MS, validForMs: DAY_MS }),
    code: 'ERR_SKEIN_CERT_EXPIRED',
  },
  {
    what: 'a certificate of the future',
    make: () => createIdentity({ wallNowMs: Date.now() + DAY_MS }),
    code: 'ERR_SKEIN_CERT_EXPIRED',
  },
  {
    what: 'a certificate signed by another key',
    make: async () => {
      const [{ key, nodeId }, other] = [await ed25519Key(), await ed25519Key()]
      return withCertificate(key, certificateOf(key, other.key, nodeId))
    },
    code: 'ERR_SKEIN_CERT_INVALID',
  },
  {
    what: 'a certificate in the name of another node',
    make: async () => {
      const [{ key }, other] = [await ed25519Key(), await ed25519Key()]
      return withCertificate(key, certificateOf(key, key, other.nodeId))
    },
    code: 'ERR_SKEIN_CERT_INVALID',
  },
  {
    what: 'a certificate that is not Ed25519',
    make: async () => {
      const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      return withCertificate(privateKey, certificateOf(privateKey, privateKey, 'foreign'))
    },
    code: 'ERR_SKEIN_CERT_INVALID',
  },
]

const test = suite('QUIC port: certificates')

test('a certificate made by the same hand, but right, is accepted', async (t) => {
  const { key, nodeId } = await ed25519Key()
  const port = await openPort(t)
  const parties = serve(port)
  const identity = await withCertificate(key, certificateOf(key, key, nodeId))
  const party = dial(await openPort(t, { identity }), addressOf(port))
  await until(() => party.isOpen && parties[0]?.isOpen === true, 'the connection opens')
  assert.is(parties[0]?.connection.peer?.nodeId, nodeId)
})

test('no certificate at all shown by the initiator', async (t) => {
  const port = await openPort(t)
  const parties = serve(port)
  const nameless = await openPort(t, { identity: { ...(await newIdentity()), certificatePem: '' } })
  const party = dial(nameless, addressOf(port))
  await until(() => party.closes.length > 0 && (parties[0]?.closes.length ?? 0) > 0, 'both sides hear of it')
  assert.is(parties[0]?.closes[0]?.code, 'ERR_SKEIN_CERT_MISSING')
  assert.is(party.closes[0]?.code, 'ERR_SKEIN_CERT_MISSING')
  assert.is(parties[0]?.opened, 0)
})

for (const { what, make, code } of CASES) {
  for (const shownBy of ['initiator', 'acceptor'] as const) {
    test(`${what} shown by the ${shownBy}`, async (t) => {
      const bad = await openPort(t, { identity: await make() })
      const good = await openPort(t)
      const [badParties, goodParties] = [serve(bad), serve(good)]
      // A connection of the good node with a third one, before and after.
      const friend = dial(await openPort(t), addressOf(good))
      await until(() => friend.isOpen && goodParties[0]?.isOpen === true, 'the friends connect')
      const friendly = goodParties[0]!

      const dialled = shownBy === 'initiator' ? dial(bad, addressOf(good)) : dial(good, addressOf(bad))
      const answering = (): typeof dialled | undefined => (shownBy === 'initiator' ? goodParties[1] : badParties[0])
      await until(() => dialled.closes.length > 0 && (answering()?.closes.length ?? 0) > 0, 'both sides hear of it')
      const [judge, judged] = shownBy === 'acceptor' ? [dialled, answering()!] : [answering()!, dialled]
      assert.is(judge.closes[0]?.code, code, `the judge: ${judge.closes[0]?.message}`)
      assert.is(judged.closes[0]?.code, code, `the judged: ${judged.closes[0]?.message}`)
      assert.is(judge.opened, 0, 'never open to the one who judges')
      assert.is(judge.connection.peer, undefined)
      for (const party of [judge, judged]) assert.equal(party.untimely, [])

      assert.ok(await exchange(friend, friendly, pattern(50_000, 1)))
      assert.ok(await exchange(friendly, friend, pattern(50_000, 2)))
    })
  }
}

test.run()
