import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { verifyCertificate } from '../../certs/certificate.ts'
import { createIdentity, loadIdentity, renewIdentity } from '../../certs/identity.ts'
import { nodeIdOf } from '../../certs/node-id.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'
import { DAY_MS, NOW_MS, race, rejects, temporaryFolder } from './support.ts'

const test = suite('certs/identity')

/** RFC 8032 section 7.1, test 1. */
const SEED = Buffer.from('9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60', 'hex')
const PUBLIC_KEY = 'd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'

const windows = process.platform === 'win32'

test('a seed makes the key of RFC 8032', async () => {
  const identity = await createIdentity({ wallNowMs: NOW_MS, random: () => SEED })
  assert.is(Buffer.from(identity.publicKey).toString('hex'), PUBLIC_KEY)
  assert.is(identity.nodeId, nodeIdOf(identity.publicKey))
})

test('the same seed and time give the same identity to the last byte, another seed another', async () => {
  const make = (seed: number) => createIdentity({ wallNowMs: NOW_MS, random: (n) => seededRandom(seed).bytes(n) })
  assert.equal(await make(1), await make(1))
  assert.is.not((await make(1)).nodeId, (await make(2)).nodeId)
})

test('without a seed every identity is new', async () => {
  const [one, two] = await Promise.all([createIdentity({ wallNowMs: NOW_MS }), createIdentity({ wallNowMs: NOW_MS })])
  assert.is.not(one.nodeId, two.nodeId)
})

test('a source of randomness that gives too little is refused', async () => {
  await rejects('ERR_SKEIN_BAD_ARGUMENT', () => createIdentity({ wallNowMs: NOW_MS, random: () => new Uint8Array(31) }))
})

test('the parts of an identity belong together', async () => {
  const identity = await createIdentity({ wallNowMs: NOW_MS })
  const signature = sign(null, Buffer.from('message'), identity.privateKeyPem)
  assert.ok(verify(null, Buffer.from('message'), createPublicKey(identity.certificatePem), signature))
  const peer = verifyCertificate(identity.certificate, NOW_MS)
  assert.equal(peer, {
    nodeId: identity.nodeId,
    publicKey: identity.publicKey,
    certificate: identity.certificate,
  })
})

test('making one neither warns nor leaves anything in the process', async (t) => {
  const warnings: string[] = []
  const listener = (warning: Error) => warnings.push(String(warning))
  process.on('warning', listener)
  t.defer(() => process.off('warning', listener))
  await createIdentity({ wallNowMs: NOW_MS })
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(warnings, [])
  assert.not('getMetadata' in Reflect)
  assert.not('getOwnMetadata' in Reflect)
})

test('renewal keeps the key and moves the end', async () => {
  const identity = await createIdentity({ wallNowMs: NOW_MS, validForMs: DAY_MS })
  const renewed = await renewIdentity(identity, { wallNowMs: NOW_MS + DAY_MS, validForMs: DAY_MS })
  assert.is(renewed.privateKeyPem, identity.privateKeyPem)
  assert.is(renewed.nodeId, identity.nodeId)
  assert.is(identity.notAfterMs, NOW_MS + DAY_MS)
  assert.is(renewed.notAfterMs, NOW_MS + 2 * DAY_MS)
})

test('a certificate may end after 2049, where X.509 writes years differently', async () => {
  const identity = await createIdentity({ wallNowMs: Date.UTC(2049, 11, 1) })
  assert.is(identity.notAfterMs, Date.UTC(2050, 11, 1))
})

test('a file is made once and read ever after', async (t) => {
  const folder = join(await temporaryFolder(t), 'skein')
  const file = join(folder, 'identity.pem')
  const first = await loadIdentity(file, { wallNowMs: NOW_MS })
  assert.equal(await loadIdentity(file, { wallNowMs: NOW_MS + DAY_MS }), first)
  assert.equal(await readdir(folder), ['identity.pem'])
  if (windows) return
  assert.is((await stat(file)).mode & 0o777, 0o600)
  assert.is((await stat(folder)).mode & 0o777, 0o700)
})

test(
  'processes that start at once end with the same identity',
  async (t) => {
    const file = join(await temporaryFolder(t), 'skein', 'identity.pem')
    const outputs = await race(t, 4, 'identity', file)
    const { nodeId, privateKeyPem, certificatePem } = await loadIdentity(file, { wallNowMs: NOW_MS })
    const expected = `${JSON.stringify([nodeId, privateKeyPem, certificatePem])}\n`
    assert.equal(outputs, [expected, expected, expected, expected])
  },
  { deadlineMs: 30_000 },
)

test('a certificate near its end, past it, or of a wrong clock is renewed in the file', async (t) => {
  const file = join(await temporaryFolder(t), 'identity.pem')
  const first = await loadIdentity(file, { wallNowMs: NOW_MS })
  for (const wallNowMs of [NOW_MS + 300 * DAY_MS, NOW_MS + 3000 * DAY_MS, NOW_MS]) {
    const renewed = await loadIdentity(file, { wallNowMs })
    assert.is(renewed.nodeId, first.nodeId)
    assert.is(renewed.privateKeyPem, first.privateKeyPem)
    assert.is(renewed.notAfterMs, wallNowMs + 365 * DAY_MS)
    verifyCertificate(renewed.certificate, wallNowMs)
    assert.equal(await loadIdentity(file, { wallNowMs }), renewed)
  }
  assert.equal(await readdir(join(file, '..')), ['identity.pem'])
})

test('a file that others can read is refused', async (t) => {
  if (windows) t.skip('Windows has no file modes')
  const file = join(await temporaryFolder(t), 'identity.pem')
  await loadIdentity(file, { wallNowMs: NOW_MS })
  await chmod(file, 0o640)
  await rejects('ERR_SKEIN_INSECURE_FILE', () => loadIdentity(file, { wallNowMs: NOW_MS }))
})

test('what does not hold an identity is refused and left alone', async (t) => {
  const folder = await temporaryFolder(t)
  const file = join(folder, 'identity.pem')
  const mine = await createIdentity({ wallNowMs: NOW_MS })
  const other = await createIdentity({ wallNowMs: NOW_MS })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ecPem = ec.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const whole = mine.privateKeyPem + mine.certificatePem
  const contents: Record<string, string> = {
    empty: '',
    garbage: 'garbage',
    'the key alone': mine.privateKeyPem,
    'the certificate alone': mine.certificatePem,
    'the certificate of another key': mine.privateKeyPem + other.certificatePem,
    'a key of another kind': ecPem + mine.certificatePem,
    'the first half': whole.slice(0, whole.length / 2),
    'a key of zeros': whole.replace(/MC4C[A-Za-z0-9+/=]+/, (key) => 'A'.repeat(key.length)),
  }
  for (const [what, content] of Object.entries(contents)) {
    await writeFile(file, content, { mode: 0o600 })
    const error = await rejects('ERR_SKEIN_BAD_IDENTITY', () => loadIdentity(file, { wallNowMs: NOW_MS }))
    assert.match(error.message, file, what)
    assert.is(await readFile(file, 'utf8'), content, what)
  }
})

test('a folder, or a path through a file, is refused', async (t) => {
  const folder = await temporaryFolder(t)
  await mkdir(join(folder, 'identity.pem'))
  await writeFile(join(folder, 'file'), '')
  for (const file of [join(folder, 'identity.pem'), join(folder, 'file', 'identity.pem')]) {
    await rejects('ERR_SKEIN_BAD_IDENTITY', () => loadIdentity(file, { wallNowMs: NOW_MS }))
  }
})

test.run()
