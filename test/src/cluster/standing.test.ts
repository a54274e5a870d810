/** Proving membership anew within a session: both orders of a rotation, thieves, nonsense, floods. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { fingerprintOf, Keyring } from '../../../certs/keyring.ts'
import { type ClusterKeys, deriveKeys } from '../../../certs/keys.ts'
import type { ProofSide } from '../../../certs/proof.ts'
import { CONTROL } from '../../../src/cluster/control.ts'
import { Standing } from '../../../src/cluster/standing.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'

const test = suite('standing')

const random = seededRandom(21)
const [OLD, NEW, OTHER] = ['the old', 'the new', 'another'].map((one) =>
  deriveKeys(Buffer.from(`${one} cookie`), 'demo'),
) as [ClusterKeys, ClusterKeys, ClusterKeys]

interface Frame {
  readonly type: number
  readonly body: Uint8Array
}

class Side {
  readonly ring: Keyring
  readonly standing: Standing
  readonly sent: Frame[] = []
  isIn = true

  constructor(role: 'initiator' | 'acceptor', ring: Keyring, sides: readonly [ProofSide, ProofSide], isAble: boolean) {
    this.ring = ring
    this.standing = new Standing({
      role,
      ring,
      proven: { fingerprint: fingerprintOf(OLD), initiator: sides[0], acceptor: sides[1] },
      isAble,
      nonce: () => random.bytes(32),
      nowMs: 0,
      send: (type, body) => this.sent.push({ type, body: Uint8Array.from(body) }),
    })
    ring.onChange(() => {
      this.isIn = this.standing.review()
    })
  }

  take({ type, body }: Frame, nowMs = 0): void {
    if (type === CONTROL.challenge) this.standing.challenged(body, nowMs)
    else if (type === CONTROL.answer) this.standing.answered(body)
    else assert.unreachable(`frame ${type}`)
  }

  get provenBy(): string {
    return this.standing.provenBy
  }
}

const sideOf = (name: string): ProofSide => ({
  publicKey: random.bytes(32),
  name: `${name}@host`,
  incarnation: '0123456789abcdef',
  nonce: random.bytes(32),
})

/** A session that was proven by the old key. */
const session = (isAble = true): [Side, Side] => {
  const sides = [sideOf('a'), sideOf('b')] as const
  return [new Side('initiator', new Keyring(OLD), sides, isAble), new Side('acceptor', new Keyring(OLD), sides, isAble)]
}

/** Until nobody has anything to say; gives how many frames that took. */
const settle = (a: Side, b: Side): number => {
  for (let frames = 0; ; ) {
    const [forB, forA] = [a.sent.splice(0), b.sent.splice(0)]
    if (forA.length + forB.length === 0) return frames
    for (const frame of forB) b.take(frame)
    for (const frame of forA) a.take(frame)
    frames += forA.length + forB.length
  }
}

const protocolError = (body: () => void): void => {
  try {
    body()
  } catch (error) {
    assert.ok(isSkeinError(error, 'ERR_SKEIN_PROTOCOL'), String(error))
    return
  }
  assert.unreachable('it was taken')
}

test('both accept, then both use, in any order: both are proven by the new key, with four frames', () => {
  for (const order of [
    [0, 1],
    [1, 0],
  ] as const) {
    const sides = session()
    for (const index of order) sides[index]!.ring.accept(NEW)
    assert.is(settle(...sides), 0, 'nobody asks before it uses the new one')
    let frames = 0
    for (const index of order) {
      sides[index]!.ring.use(NEW, 1000)
      frames += settle(...sides)
      assert.is(sides[index]!.provenBy, fingerprintOf(NEW))
    }
    assert.is(frames, 4)
    for (const { ring } of sides) ring.expire(1000)
    for (const side of sides) assert.ok(side.isIn)
    assert.is(settle(...sides), 0)
  }
})

test('who has the key later answers then, and is asked no second time', () => {
  const [a, b] = session()
  a.ring.use(NEW, 1000)
  assert.is(settle(a, b), 1)
  assert.is(a.provenBy, fingerprintOf(OLD))
  b.ring.accept(OTHER)
  assert.is(settle(a, b), 0, 'this is not the one')
  b.ring.accept(NEW)
  assert.is(settle(a, b), 1)
  assert.is(a.provenBy, fingerprintOf(NEW))
  a.ring.expire(1000)
  assert.ok(a.isIn)
})

test('who has only the old key is out with it, and so is who knows none of this', () => {
  for (const isAble of [true, false]) {
    const [a, b] = session(isAble)
    a.ring.use(NEW, 1000)
    assert.is(settle(a, b), isAble ? 1 : 0)
    assert.ok(a.isIn)
    a.ring.expire(1000)
    assert.not(a.isIn)
  }
})

test('a key that is used, given up and used again is asked for again', () => {
  const [a, b] = session()
  a.ring.use(NEW, 1000)
  settle(a, b)
  a.ring.use(OTHER, 1000)
  settle(a, b)
  a.ring.use(NEW, 1000)
  settle(a, b)
  b.ring.accept(NEW)
  settle(a, b)
  assert.is(a.provenBy, fingerprintOf(NEW))
})

test('a key that was asked for in vain, before another that was answered, is asked for again', () => {
  const [a, b] = session()
  b.ring.accept(OTHER)
  a.ring.use(NEW)
  a.ring.use(OTHER)
  settle(a, b)
  assert.is(a.provenBy, fingerprintOf(OTHER))
  a.ring.use(NEW, 1000)
  settle(a, b)
  b.ring.accept(NEW)
  settle(a, b)
  assert.is(a.provenBy, fingerprintOf(NEW))
  a.ring.expire(1000)
  assert.ok(a.isIn)
})

test('an answer that comes after the next change does not stand for the new key', () => {
  const [a, b] = session()
  b.ring.accept(NEW)
  a.ring.use(NEW, 1000)
  const [challenge] = a.sent.splice(0)
  b.take(challenge!)
  a.ring.use(OTHER, 1000)
  settle(a, b)
  assert.is(a.provenBy, fingerprintOf(NEW))
  a.ring.expire(1000)
  assert.not(a.isIn, 'that of a key that is over is worth nothing')
})

test('an answer to a key that was dropped meanwhile changes nothing', () => {
  const [a, b] = session()
  b.ring.accept(NEW)
  a.ring.use(NEW, 1000)
  const [challenge] = a.sent.splice(0)
  a.ring.use(OLD)
  a.ring.drop(NEW)
  b.take(challenge!)
  settle(a, b)
  assert.is(a.provenBy, fingerprintOf(OLD))
  assert.ok(a.isIn)
})

test('frames of one session are worth nothing in another, nor to their sender', () => {
  const [a, b] = session()
  const [c, d] = session()
  for (const side of [b, d]) side.ring.accept(NEW)
  for (const side of [a, c]) side.ring.use(NEW, 1000)
  const [challenge] = a.sent.splice(0)
  const [other] = c.sent.splice(0)
  d.take(challenge!)
  assert.equal(d.sent, [], 'to d it is a challenge by a key that it does not have')
  b.take(challenge!)
  d.take(other!)
  const [answer] = b.sent.splice(0)
  const [foreign] = d.sent.splice(0)
  protocolError(() => c.take(answer!))
  protocolError(() => a.take(foreign!))
  // Turned round it is no answer either: the role is in it.
  protocolError(() => a.take({ type: CONTROL.answer, body: challenge!.body }))
  a.take(challenge!)
  assert.equal(a.sent, [])
})

test('nonsense is a protocol error: lengths, answers to nothing, wrong ones, an answer twice', () => {
  const [a, b] = session()
  b.ring.accept(NEW)
  a.ring.use(NEW, 1000)
  for (const type of [CONTROL.challenge, CONTROL.answer])
    for (const length of [0, 1, 32, 63, 65, 60_000]) protocolError(() => b.take({ type, body: new Uint8Array(length) }))
  protocolError(() => b.take({ type: CONTROL.answer, body: random.bytes(64) }))
  const [challenge] = a.sent.splice(0)
  b.take(challenge!)
  const [answer] = b.sent.splice(0)
  const bent = Uint8Array.from(answer!.body)
  bent[63]! ^= 1
  protocolError(() => a.take({ type: CONTROL.answer, body: bent }))
  a.take(answer!)
  protocolError(() => a.take(answer!))
})

test('a flood of challenges ends the session, and costs no memory before', () => {
  const [, b] = session()
  let taken = 0
  protocolError(() => {
    for (; taken < 1000; taken++) b.take({ type: CONTROL.challenge, body: random.bytes(64) })
  })
  assert.is(taken, 64)
  assert.equal(b.sent, [])
})

test.run()
