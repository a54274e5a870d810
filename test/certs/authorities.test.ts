/** Authorities: what they sign, and what of that others believe. */
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { createAuthority, loadAuthority, parseAuthorities, voucherOf } from '../../certs/authorities.ts'
import { CLOCK_SKEW_TOLERANCE_MS, verifyCertificate } from '../../certs/certificate.ts'
import { isSkeinError } from '../../certs/errors.ts'
import {
  createIdentity,
  type Identity,
  inspectIdentity,
  isDueForRenewal,
  loadIdentity,
  renewIdentity,
  saveIdentity,
} from '../../certs/identity.ts'
import { issueCertificate } from '../../certs/issuer.ts'
import { suite } from '../support/suite.ts'

const test = suite('authorities')

const NOW_MS = Date.UTC(2030, 0, 1)
const DAY_MS = 24 * 60 * 60_000
const YEAR_MS = 365 * DAY_MS

const newAuthority = () => createAuthority({ wallNowMs: NOW_MS, validForMs: YEAR_MS })

const codeOf = async (work: () => unknown): Promise<string | undefined> => {
  try {
    await work()
    return undefined
  } catch (error) {
    return isSkeinError(error) ? error.code : String(error)
  }
}

test('a certificate that an authority has signed is vouched for by it alone, in its period and that of the authority', async () => {
  const [ours, other] = await Promise.all([newAuthority(), newAuthority()])
  const trusted = parseAuthorities(`${other.certificatePem}beside it\n${ours.certificatePem}`)
  assert.equal(
    trusted.map(({ id }) => id),
    [other.id, ours.id],
  )
  const { certificate, nodeId, authority } = await createIdentity({
    wallNowMs: NOW_MS,
    validForMs: DAY_MS,
    authority: ours,
  })
  assert.is(authority, ours.id)
  assert.is(verifyCertificate(certificate, NOW_MS).nodeId, nodeId)
  assert.is(voucherOf(trusted, certificate, NOW_MS), ours.id)
  assert.is(voucherOf(parseAuthorities(other.certificatePem), certificate, NOW_MS), undefined)
  assert.is(voucherOf(trusted, certificate, NOW_MS + DAY_MS + CLOCK_SKEW_TOLERANCE_MS + 1000), undefined)
  assert.is(voucherOf(trusted, certificate, NOW_MS - CLOCK_SKEW_TOLERANCE_MS - 1000), undefined)
  const own = await createIdentity({ wallNowMs: NOW_MS })
  assert.is(own.authority, undefined)
  assert.is(voucherOf(trusted, own.certificate, NOW_MS), undefined)
  assert.is(voucherOf(trusted, new Uint8Array([0x30, 0]), NOW_MS), undefined)
})

test('a certificate of an authority ends no later than the authority', async () => {
  const authority = await newAuthority()
  const { notAfterMs } = await createIdentity({ wallNowMs: NOW_MS + DAY_MS, authority })
  assert.is(notAfterMs, NOW_MS + YEAR_MS)
  assert.is(await codeOf(() => createIdentity({ wallNowMs: NOW_MS + YEAR_MS, authority })), 'ERR_SKEIN_BAD_AUTHORITY')
})

test('no bit of a signed certificate can be changed, and naming an authority is not being signed by it', async () => {
  const authority = await newAuthority()
  const trusted = parseAuthorities(authority.certificatePem)
  const { certificate } = await createIdentity({ wallNowMs: NOW_MS, authority })
  for (let bit = 0; bit < certificate.length * 8; bit += 5) {
    const changed = Uint8Array.from(certificate)
    changed[bit >> 3] = (changed[bit >> 3] as number) ^ (1 << (bit & 7))
    assert.is(voucherOf(trusted, changed, NOW_MS), undefined, `bit ${bit}`)
  }
  // A forger signs with a key of its own and puts the name of the authority in.
  const forger = await newAuthority()
  const { privateKeyPem } = await createIdentity({ wallNowMs: NOW_MS })
  const forged = await issueCertificate({
    privateKey: createPrivateKey(privateKeyPem),
    authorityKey: createPrivateKey(forger.privateKeyPem),
    notBeforeMs: NOW_MS,
    notAfterMs: NOW_MS + DAY_MS,
  })
  const at = Buffer.from(forged).indexOf(forger.id)
  Buffer.from(forged.buffer, forged.byteOffset).write(authority.id, at)
  assert.is(new X509Certificate(forged).issuer, `CN=${authority.id}`)
  assert.is(voucherOf(trusted, forged, NOW_MS), undefined)
})

test('a node cannot act as an authority, and what is none is refused with a code', async () => {
  const authority = await newAuthority()
  const node = await createIdentity({ wallNowMs: NOW_MS, authority })
  const many = authority.certificatePem.repeat(9)
  const broken = authority.certificatePem.replace(/\n.{20}/, `\n${'A'.repeat(20)}`)
  // A certificate that can be parsed, with a key that cannot.
  const der = Buffer.from(new X509Certificate(authority.certificatePem).raw)
  const keyInfo = Buffer.from('302a300506032b6570', 'hex')
  der[der.indexOf(keyInfo) + keyInfo.length - 1] = 0x7f
  const keyless = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`
  for (const text of ['', 'nothing', node.certificatePem, many, broken, keyless]) {
    assert.is(await codeOf(() => parseAuthorities(text)), 'ERR_SKEIN_BAD_AUTHORITY', text.slice(0, 40))
  }
  const other = await newAuthority()
  const pairs = [
    [other.privateKeyPem, authority.certificatePem],
    ['no key', authority.certificatePem],
  ] as const
  for (const [key, certificate] of pairs) {
    assert.is(await codeOf(() => loadAuthority(key, certificate)), 'ERR_SKEIN_BAD_AUTHORITY')
  }
  assert.is(loadAuthority(authority.privateKeyPem, authority.certificatePem).id, authority.id)
})

test('a node leaves a certificate of an authority as it is, and does not start with one that has ended', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'skein-authorities-'))
  t.defer(() => rm(folder, { recursive: true }))
  const file = join(folder, 'node.pem')
  const authority = await newAuthority()
  const identity: Identity = await createIdentity({ wallNowMs: NOW_MS, validForMs: 10 * DAY_MS, authority })
  await saveIdentity(file, identity)
  const saved = await readFile(file)
  const loaded = await loadIdentity(file, { wallNowMs: NOW_MS + 9 * DAY_MS })
  assert.is(loaded.notAfterMs, identity.notAfterMs)
  assert.not.ok(isDueForRenewal(loaded, NOW_MS + 9 * DAY_MS))
  assert.equal(await readFile(file), saved)
  assert.is((await inspectIdentity(file))?.authority, authority.id)
  try {
    await loadIdentity(file, { wallNowMs: NOW_MS + 11 * DAY_MS })
    assert.unreachable()
  } catch (error) {
    assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_IDENTITY'))
    assert.match(error.hint, 'skein certs renew')
  }
  const own = await renewIdentity(identity, { wallNowMs: NOW_MS })
  assert.is(own.authority, undefined)
  assert.is(await codeOf(() => saveIdentity(file, own)), 'ERR_SKEIN_BAD_IDENTITY')
  assert.equal(await readFile(file), saved)
})

test.run()
