/** The keys a node goes by: which count, until when, and who hears of it. */
import * as assert from 'uvu/assert'
import { fingerprintOf, Keyring, MAX_ACCEPTED, type RingChange } from '../../certs/keyring.ts'
import { type ClusterKeys, deriveKeys } from '../../certs/keys.ts'
import { suite } from '../support/suite.ts'
import { rejects } from './support.ts'

const test = suite('keyring')

const keysOf = (cookie: string): ClusterKeys => deriveKeys(Buffer.from(`the cookie ${cookie}`), 'demo')
const [A, B, C, D, E] = ['a', 'b', 'c', 'd', 'e'].map(keysOf) as [
  ClusterKeys,
  ClusterKeys,
  ClusterKeys,
  ClusterKeys,
  ClusterKeys,
]

const heard = (ring: Keyring): RingChange[] => {
  const changes: RingChange[] = []
  ring.onChange((change) => changes.push(change))
  return changes
}

const shown = (ring: Keyring): string[] => ring.entries().map(({ fingerprint }) => fingerprint)

test('a rotation: accepted, used, over', () => {
  const ring = new Keyring(A)
  const changes = heard(ring)
  ring.accept(B)
  assert.equal(ring.all(), [A, B])
  assert.is(ring.nextEndMs, undefined)
  ring.use(B, 1000)
  assert.equal(ring.all(), [B, A])
  assert.is(ring.nextEndMs, 1000)
  ring.expire(999)
  assert.equal(ring.all(), [B, A])
  ring.expire(1000)
  assert.equal(ring.all(), [B])
  const [a, b] = [fingerprintOf(A), fingerprintOf(B)]
  assert.equal(changes, [
    { added: [b], primary: undefined, dropped: [] },
    { added: [], primary: b, dropped: [] },
    { added: [], primary: undefined, dropped: [a] },
  ])
})

test('a fingerprint is 8 hex digits of what is public already, and entries hold nothing else', () => {
  const ring = new Keyring(A, [B])
  assert.match(fingerprintOf(A), /^[0-9a-f]{8}$/)
  assert.ok(A.clusterTag.startsWith(fingerprintOf(A)))
  assert.equal(ring.entries(), [
    { fingerprint: fingerprintOf(A), primary: true, endMs: undefined },
    { fingerprint: fingerprintOf(B), primary: false, endMs: undefined },
  ])
})

test('the same cookie again is no second key; only its end is a new one', () => {
  const ring = new Keyring(A, [A, B, B])
  const changes = heard(ring)
  assert.equal(ring.all(), [A, B])
  ring.accept(keysOf('b'), 50)
  ring.accept(keysOf('a'))
  ring.use(keysOf('a'), 10)
  assert.equal(shown(ring), [fingerprintOf(A), fingerprintOf(B)])
  assert.is(ring.nextEndMs, 50)
  assert.equal(changes, [], 'nobody hears of what changes nothing')
})

test('back and forth: the cookie before can be used again', () => {
  const ring = new Keyring(A, [B])
  ring.use(B, 1000)
  ring.use(A, 2000)
  assert.equal(ring.all(), [A, B])
  assert.is(ring.nextEndMs, 2000)
})

test('at most three are accepted, and a refused change changes nothing', async () => {
  const ring = new Keyring(A, [B, C, D])
  assert.is(MAX_ACCEPTED, 3)
  const changes = heard(ring)
  for (const change of [() => ring.accept(E), () => ring.use(E, 1000)]) {
    await rejects('ERR_SKEIN_LIMIT', change)
    assert.equal(ring.all(), [A, B, C, D])
  }
  ring.use(C, 1000)
  assert.is(ring.all().length, 4)
  assert.is(changes.length, 1)
  await rejects('ERR_SKEIN_LIMIT', () => new Keyring(A, [B, C, D, E]))
})

test('an accepted one can be dropped, the primary cannot', async () => {
  const ring = new Keyring(A, [B])
  assert.is(ring.drop(B), true)
  assert.is(ring.drop(B), false)
  await rejects('ERR_SKEIN_BAD_ARGUMENT', () => ring.drop(A))
  assert.equal(ring.all(), [A])
})

test('a ring takes over another one whole', () => {
  const ring = new Keyring(A, [B])
  const changes = heard(ring)
  ring.replace(new Keyring(C, [A]).all())
  assert.equal(ring.all(), [C, A])
  assert.equal(changes, [{ added: [fingerprintOf(C)], primary: fingerprintOf(C), dropped: [fingerprintOf(B)] }])
})

test('who does not want to hear any more does not', () => {
  const ring = new Keyring(A)
  const changes: RingChange[] = []
  const forget = ring.onChange((change) => changes.push(change))
  forget()
  ring.accept(B)
  assert.equal(changes, [])
})

test.run()
