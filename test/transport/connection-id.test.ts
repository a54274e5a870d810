/** Connection ids: their form, that strangers cannot make them, and that quiche understands the resets. */
import quiche from '@matrixai/quic/native/quiche.js'
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { createIdentity } from '../../certs/identity.ts'
import { CONNECTION_ID_BYTES, ConnectionIds, connectionKey } from '../../transport/connection-id.ts'
import { classify } from '../../transport/demux.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'

const test = suite('connection id')

const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)
console.log(`seed ${seed}`)

const random = seededRandom(seed)
const make = (from = seed): ConnectionIds => new ConnectionIds(seededRandom(from).bytes(32), random)

test('every id has 16 bytes and begins with a byte >= 0x80', () => {
  const ids = make()
  const seen = new Set<string>()
  const firsts = new Set<number>()
  for (let i = 0; i < 5000; i++) {
    for (const id of [ids.random(), ids.derive(random.bytes(i % 21))]) {
      assert.is(id.length, CONNECTION_ID_BYTES)
      assert.ok(id[0]! >= 0x80)
      assert.ok(ids.isOurs(id))
      firsts.add(id[0]!)
      seen.add(connectionKey(id, 0))
    }
  }
  assert.is(firsts.size, 128)
  assert.ok(seen.size >= 9000, 'ids differ (some short choices repeat)')
})

test('derivation is stable for a key and different for another', () => {
  const chosen = seededRandom(7).bytes(16)
  assert.equal(make(1).derive(chosen), make(1).derive(chosen))
  assert.not.equal(make(1).derive(chosen), make(2).derive(chosen))
  assert.not.equal(make(1).derive(chosen), make(1).derive(chosen.subarray(0, 15)))
})

test('ids of a predecessor with the same key are ours, those of strangers are not', () => {
  const key = seededRandom(3).bytes(32)
  const before = new ConnectionIds(key, random)
  const after = new ConnectionIds(key, random)
  const id = before.random()
  assert.ok(after.isOurs(id))
  assert.is(after.resetToken(id), before.resetToken(id))
  assert.not.ok(make().isOurs(id))
  for (let bit = 0; bit < 128; bit++) {
    const bent = Uint8Array.from(id)
    bent[bit >> 3] = bent[bit >> 3]! ^ (1 << (bit & 7))
    assert.not.ok(after.isOurs(bent), `bit ${bit}`)
  }
  for (const length of [0, 1, 15, 17]) assert.not.ok(after.isOurs(new Uint8Array(length).fill(0xff)))
})

test('a reset token has 128 bits, belongs to one id and does not show in the id', () => {
  const ids = make()
  const id = ids.random()
  const token = ids.resetToken(id)
  assert.ok(token >= 0n && token < 2n ** 128n)
  assert.not.equal(token, ids.resetToken(ids.random()))
  assert.not.ok(token.toString(16).includes(Buffer.from(id.subarray(12)).toString('hex')))
})

test('a stateless reset is a short header, shorter than its cause and never longer than usual', () => {
  const ids = make()
  const id = ids.random()
  for (let causeBytes = 0; causeBytes < 100; causeBytes++) {
    const reset = ids.statelessReset(id, causeBytes)
    assert.is(reset?.length, causeBytes < 22 ? undefined : Math.min(causeBytes - 1, 43))
    if (reset === undefined) continue
    assert.is(classify(reset), 'short')
    assert.ok(reset[1]! >= 0x80)
    assert.is(BigInt(`0x${Buffer.from(reset.subarray(-16)).toString('hex')}`), ids.resetToken(id))
  }
  assert.is(make(seed + 9).statelessReset(id, 100), undefined, 'not for a stranger')
})

test('quiche ends a connection at our reset for its id, and at no other', async () => {
  const { privateKeyPem, certificatePem } = await createIdentity({ wallNowMs: Date.now() })
  const config = () => {
    const pem = (text: string) => [Buffer.from(text)]
    const made = quiche.Config.withBoringSslCtx(true, true, null, pem(privateKeyPem), pem(certificatePem), 'ed25519')
    made.setApplicationProtos(['test'])
    made.setMaxIdleTimeout(30_000)
    return made
  }
  const ids = make()
  const [client, server] = [
    { host: '127.0.0.1', port: 1001 },
    { host: '127.0.0.1', port: 1002 },
  ]
  const buffer = new Uint8Array(1350)
  const clientConfig = config()
  const dialling = quiche.Connection.connect('node', ids.random(), client, server, clientConfig)
  const first = dialling.send(buffer)
  assert.ok(first)
  const initial = buffer.subarray(0, first[0])
  const id = ids.derive(quiche.Header.fromSlice(initial, CONNECTION_ID_BYTES).dcid)
  const serverConfig = config()
  serverConfig.setStatelessResetToken(ids.resetToken(id))
  const accepting = quiche.Connection.accept(id, null, server, client, serverConfig)
  accepting.recv(initial, { from: client, to: server })
  for (let flights = 0; flights < 10; flights++) {
    for (let sent = accepting.send(buffer); sent; sent = accepting.send(buffer)) {
      dialling.recv(buffer.subarray(0, sent[0]), { from: server, to: client })
    }
    for (let sent = dialling.send(buffer); sent; sent = dialling.send(buffer)) {
      accepting.recv(buffer.subarray(0, sent[0]), { from: client, to: server })
    }
  }
  assert.ok(dialling.isEstablished() && accepting.isEstablished())

  const give = (reset: Uint8Array | undefined): void => {
    assert.ok(reset)
    dialling.recv(reset, { from: server, to: client })
  }
  give(ids.statelessReset(ids.random(), 100))
  assert.not.ok(dialling.isClosed())
  give(ids.statelessReset(id, 100))
  assert.ok(dialling.isClosed())
})

test('keys tell any two ids apart, wherever they stand', () => {
  const id = random.bytes(16)
  const key = connectionKey(id, 0)
  assert.is(connectionKey(Buffer.concat([random.bytes(5), id, random.bytes(5)]), 5), key)
  for (let bit = 0; bit < 128; bit++) {
    const bent = Uint8Array.from(id)
    bent[bit >> 3] = bent[bit >> 3]! ^ (1 << (bit & 7))
    assert.is.not(connectionKey(bent, 0), key)
  }
})

test('a short key is refused', () => {
  try {
    new ConnectionIds(new Uint8Array(15), random)
    assert.unreachable()
  } catch (error) {
    assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_ARGUMENT'))
  }
})

test.run()
