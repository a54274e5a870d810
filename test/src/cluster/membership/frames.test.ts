/** Frames and statements: what is written is read again, what was changed is not genuine, and noise is refused with a code. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import { nodeIdOf } from '../../../../certs/node-id.ts'
import { signingKeyFromSeed } from '../../../../certs/signing-key.ts'
import {
  BUCKETS,
  bucketOf,
  decodeDigest,
  decodeGossip,
  decodeProbe,
  decodeProbed,
  encodeDigest,
  encodeGossip,
  encodeProbe,
  encodeProbed,
} from '../../../../src/cluster/membership/frames.ts'
import { type GossipItem, Notary, type Statement } from '../../../../src/cluster/membership/statements.ts'
import { seededRandom } from '../../../../transport/random.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('membership frames')

const random = seededRandom(1)
const key = signingKeyFromSeed(random.bytes(32))
const notary = new Notary(key, 'tag')
const id = nodeIdOf(key.publicKey)
const subject = nodeIdOf(signingKeyFromSeed(random.bytes(32)).publicKey)
const incarnation = '0123456789abcdef'
const addresses = [
  { host: '10.0.0.1', port: 4433 },
  { host: 'fe80::1', port: 1 },
]

const announcement = notary.announce({ name: 'a@b', incarnation, refutation: 3, hasLeft: true, addresses })
const doubt = notary.doubt({ level: 'down', subject, incarnation, refutation: 2 ** 32 - 1 })
const ITEMS: readonly GossipItem[] = [
  { ...announcement, seenAt: addresses.slice(0, 1) },
  doubt,
  notary.doubt({ level: 'suspect', subject, incarnation, refutation: 0 }),
  { kind: 'hint', hint: { name: 'c@d', id: subject, incarnation, addresses } },
]

/** Bytes as text: a Buffer is as good as any. */
const plain = (items: readonly GossipItem[]): object[] =>
  items.map((item) =>
    Object.fromEntries(
      Object.entries(item).map(([name, value]) => [
        name,
        value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
      ]),
    ),
  )

const codeOf = (work: () => unknown): string => {
  try {
    work()
  } catch (error) {
    return isSkeinError(error) ? error.code : String(error)
  }
  return 'nothing was thrown'
}

test('what is written is read again', () => {
  assert.equal(decodeProbe(encodeProbe({ nonce: 2 ** 32 - 1, subject })), { nonce: 2 ** 32 - 1, subject })
  assert.equal(decodeProbed(encodeProbed({ nonce: 7, isAlive: true })), { nonce: 7, isAlive: true })
  const buckets = Array.from({ length: BUCKETS }, (_, index) => index * 67_108_863)
  assert.equal(decodeDigest(encodeDigest(buckets)), buckets)
  const [frame, ...more] = encodeGossip(ITEMS)
  assert.is(more.length, 0)
  assert.equal(plain(decodeGossip(frame!)), plain(ITEMS))
})

test('statements are genuine after the way, and belong to the node whose key signed them', () => {
  const read = decodeGossip(encodeGossip(ITEMS)[0]!).filter((item): item is Statement => item.kind !== 'hint')
  assert.is(read.length, 3)
  for (const statement of read) {
    assert.ok(notary.isGenuine(statement))
    assert.is(statement.signer, id)
  }
  assert.not(new Notary(key, 'another tag').isGenuine(announcement))
})

test('no bit of a statement can be changed, and no kind passes for another', () => {
  for (const statement of [announcement, doubt]) {
    for (let bit = 0; bit < statement.body.length * 8; bit += 3) {
      const body = Uint8Array.from(statement.body)
      body[bit >> 3] = body[bit >> 3]! ^ (1 << (bit & 7))
      assert.not(notary.isGenuine({ ...statement, body }), `bit ${bit}`)
    }
  }
  assert.not(notary.isGenuine({ ...announcement, kind: 'doubt', level: 'down', subject }))
})

test('many items take several frames, none larger than a control frame may be', () => {
  const items = Array.from({ length: 2000 }, () => announcement)
  const frames = encodeGossip(items)
  assert.ok(frames.every((frame) => frame.length <= 32 * 1024))
  assert.is(frames.flatMap((frame) => decodeGossip(frame)).length, 2000)
})

test('frames cut short, with bytes too many or of noise are refused with a code, or say something harmless', () => {
  const frames: [(bytes: Uint8Array) => unknown, Uint8Array][] = [
    [decodeProbe, encodeProbe({ nonce: 1, subject })],
    [decodeProbed, encodeProbed({ nonce: 1, isAlive: false })],
    [decodeDigest, encodeDigest([])],
    [decodeGossip, encodeGossip(ITEMS)[0]!],
  ]
  for (const [decode, bytes] of frames) {
    for (let length = 0; length < bytes.length; length++) {
      assert.is(
        codeOf(() => decode(bytes.subarray(0, length))),
        'ERR_SKEIN_PROTOCOL',
      )
    }
    assert.is(
      codeOf(() => decode(Buffer.concat([bytes, Buffer.of(0)]))),
      'ERR_SKEIN_PROTOCOL',
    )
    for (let round = 0; round < 500; round++) {
      const noise = Uint8Array.from(bytes)
      for (let change = 0; change <= round % 8; change++) {
        noise[Math.floor(random.float() * noise.length)] = Math.floor(random.float() * 256)
      }
      assert.ok(['ERR_SKEIN_PROTOCOL', 'nothing was thrown'].includes(codeOf(() => decode(noise))))
    }
  }
})

test('members are spread over all parts of a digest', () => {
  const seen = new Set<number>()
  for (let i = 0; i < 2000; i++) seen.add(bucketOf(nodeIdOf(random.bytes(32))))
  assert.is(seen.size, BUCKETS)
  assert.ok(Math.max(...seen) < BUCKETS)
})

test.run()
