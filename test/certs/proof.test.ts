import * as assert from 'uvu/assert'
import { type ProofParts, type ProofSide, proofMatches, proofOf } from '../../certs/proof.ts'
import { suite } from '../support/suite.ts'

const test = suite('certs/proof')

const filled = (size: number, value: number): Uint8Array => new Uint8Array(size).fill(value)

const KEY = filled(32, 7)
const INITIATOR: ProofSide = {
  publicKey: filled(32, 1),
  name: 'a@host',
  incarnation: '0000000000000001',
  nonce: filled(16, 2),
}
const ACCEPTOR: ProofSide = {
  publicKey: filled(32, 3),
  name: 'bé@host',
  incarnation: '0000000000000002',
  nonce: filled(16, 4),
}
const PARTS: ProofParts = { role: 'initiator', initiator: INITIATOR, acceptor: ACCEPTOR, transcript: filled(32, 5) }

/** Computed with Python's hmac over the fields, each after its length in four bytes. */
test('the proof of known parts', () => {
  const proof = proofOf(KEY, PARTS)
  assert.is(Buffer.from(proof).toString('hex'), '5c3a3a800ee6eb2191181aa859c3d8a1fcf4d62840875116eaf4eef0d503c09b')
  assert.ok(proofMatches(KEY, PARTS, proof))
})

test('every part counts', () => {
  const proof = proofOf(KEY, PARTS)
  const changes: Record<string, ProofParts> = {
    role: { ...PARTS, role: 'acceptor' },
    transcript: { ...PARTS, transcript: filled(32, 6) },
    'sides exchanged': { ...PARTS, initiator: ACCEPTOR, acceptor: INITIATOR },
  }
  const sideChanges: Partial<ProofSide>[] = [
    { publicKey: filled(32, 9) },
    { name: 'c@host' },
    { incarnation: '0000000000000009' },
    { nonce: filled(16, 9) },
  ]
  for (const change of sideChanges) {
    const [field] = Object.keys(change)
    changes[`initiator ${field}`] = { ...PARTS, initiator: { ...INITIATOR, ...change } }
    changes[`acceptor ${field}`] = { ...PARTS, acceptor: { ...ACCEPTOR, ...change } }
  }
  assert.is(Object.keys(changes).length, 11)
  for (const [what, parts] of Object.entries(changes)) assert.not(proofMatches(KEY, parts, proof), what)
  assert.not(proofMatches(filled(32, 8), PARTS, proof), 'key')
})

test('a byte moved from one field to the next makes another proof', () => {
  const moved = { ...INITIATOR, name: 'a@host0', incarnation: '000000000000001' }
  assert.not.equal(proofOf(KEY, { ...PARTS, initiator: moved }), proofOf(KEY, PARTS))
})

test('a proof of another length, or with any bit flipped, does not match', () => {
  const proof = proofOf(KEY, PARTS)
  for (const size of [0, 1, 31]) assert.not(proofMatches(KEY, PARTS, proof.subarray(0, size)))
  assert.not(proofMatches(KEY, PARTS, Uint8Array.of(...proof, 0)))
  for (let bit = 0; bit < proof.length * 8; bit++) {
    const flipped = Uint8Array.from(proof)
    flipped[bit >> 3]! ^= 1 << (bit & 7)
    assert.not(proofMatches(KEY, PARTS, flipped), `bit ${bit}`)
  }
})

test.run()
