/** Packet protection of the crafted peer against the vectors of RFC 9001 appendix A. */
import * as assert from 'uvu/assert'
import { expandLabel, initialKeys, PacketKeys } from './packet-protection.ts'
import { suite } from './suite.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

const test = suite('packet protection')

test('keys of Initials (A.1)', () => {
  const { client, server } = initialKeys(hex('8394c8f03e515708'))
  assert.is(client.key.toString('hex'), '1f369613dd76d5467730efcbe3b1a22d')
  assert.is(client.iv.toString('hex'), 'fa044b2f42a3fd3b46fb255c')
  assert.is(client.headerKey.toString('hex'), '9f50449e04a0e810283a1e9933adedd2')
  assert.is(server.key.toString('hex'), 'cf3a5331653c364c88f0f379b6067e37')
  assert.is(server.iv.toString('hex'), '0ac1493ca1905853b0bba03e')
  assert.is(server.headerKey.toString('hex'), 'c206b8d9b9f0f37644430b490eeaa314')
})

test('an Initial of a client (A.2)', () => {
  const { client } = initialKeys(hex('8394c8f03e515708'))
  const header = hex('c300000001088394c8f03e5157080000449e00000002')
  const payload = Buffer.alloc(1162)
  hex(`060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868
    04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578
    616d706c652e636f6dff01000100000a00080006001d00170018001000070005
    04616c706e000500050100000000003300260024001d00209370b2c9caa47fba
    baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400
    0d0010000e0403050306030203080408050806002d00020101001c0002400100
    3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000
    75300901100f088394c8f03e51570806048000ffff`).copy(payload)
  const packet = client.seal(header, 2, payload)
  assert.is(packet.length, 1200)
  assert.is(packet.toString('hex', 0, 22), 'c000000001088394c8f03e5157080000449e7b9aec34')
  assert.is(packet.toString('hex', 22, 38), 'd1b1c98dd7689fb8ec11d242b123dc9b')
  assert.is(packet.toString('hex', 1184), 'e221af44860018ab0856972e194cd934')
  const opened = client.open(packet, 18, 1)
  assert.is(opened?.number, 2)
  assert.is(opened?.first, 0xc3)
  assert.equal(opened?.payload, payload)
})

test('an Initial of a server (A.3)', () => {
  const { server } = initialKeys(hex('8394c8f03e515708'))
  const header = hex('c1000000010008f067a5502a4262b50040750001')
  const payload = hex(`02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf739
    88cfc79825df566dc5430b9a045a1200130100002e00330024001d00209d3c94
    0d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00020304`)
  const packet = server.seal(header, 1, payload)
  assert.is(
    packet.toString('hex'),
    hex(`cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a
    5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3
    dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84
    022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4
    2158407dd074ee`).toString('hex'),
  )
})

test('a short header with ChaCha20, and the secret of the next phase (A.5)', () => {
  const secret = hex('9ac312a7f877468ebe69422748ad00a15443f18203a07d6060f688f30f21632b')
  const keys = new PacketKeys(secret, 'chacha20-poly1305')
  assert.is(keys.key.toString('hex'), 'c6d98ff3441c3fe1b2182094f69caa2ed4b716b65488960a7a984979fb23e1c8')
  assert.is(keys.headerKey.toString('hex'), '25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4')
  assert.is(
    expandLabel(secret, 'quic ku', 32).toString('hex'),
    '1223504755036d556342ee9361d253421a826c9ecdf3c7148684b36b714881f9',
  )
  const packet = keys.seal(hex('4200bff4'), 654360564, hex('01'))
  assert.is(packet.toString('hex'), '4cfe4189655e5cd55c41f69080575d7999c25a5bfb')
  assert.is(keys.open(packet, 1, 654360563)?.number, 654360564)
  assert.equal(keys.open(packet, 1, 654360563)?.payload, hex('01'))
})

test('packets of other keys and bent ones do not open', () => {
  const { client, server } = initialKeys(hex('0102030405060708'))
  const packet = client.seal(hex('4000000007'), 7, Buffer.from('some frames in a packet'))
  assert.is(server.open(packet, 1, 0), undefined)
  assert.is(client.next().open(packet, 1, 0), undefined)
  for (let at = 0; at < packet.length; at++) {
    const bent = Buffer.from(packet)
    bent[at] = bent[at]! ^ 0x08
    assert.is(client.open(bent, 1, 0), undefined, `byte ${at}`)
  }
})

test.run()
