import * as assert from 'uvu/assert'
import { SECRET_LIFETIME_MS, TOKEN_BYTES, Tokens } from '../../../discovery/dht/tokens.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'

const test = suite('tokens')
const target = new Uint8Array(20).fill(1)
const other = new Uint8Array(20).fill(2)

test('a token is good for its host and target only', () => {
  const tokens = new Tokens(seededRandom(1), 1000)
  const token = tokens.make('192.0.2.1', target, 1000)
  assert.is(token.length, TOKEN_BYTES)
  assert.ok(tokens.check(token, '192.0.2.1', target, 1000))
  assert.ok(tokens.check(token, '::ffff:192.0.2.1', target, 1000), 'the same host')
  assert.not(tokens.check(token, '192.0.2.2', target, 1000))
  assert.not(tokens.check(token, '192.0.2.1', other, 1000))
  assert.not(new Tokens(seededRandom(2), 1000).check(token, '192.0.2.1', target, 1000), 'a token of somebody else')
  for (let i = 0; i < TOKEN_BYTES * 8; i++) {
    const changed = Uint8Array.from(token)
    changed[i >> 3]! ^= 1 << (i & 7)
    assert.not(tokens.check(changed, '192.0.2.1', target, 1000))
  }
  for (const length of [0, 7, 9, 20]) assert.not(tokens.check(new Uint8Array(length), '192.0.2.1', target, 1000))
})

test('a token lives through one change of the secret, and not through two', () => {
  for (const offsetMs of [0, 1, SECRET_LIFETIME_MS - 1]) {
    const tokens = new Tokens(seededRandom(1), 0)
    const token = tokens.make('192.0.2.1', target, offsetMs)
    assert.ok(tokens.check(token, '192.0.2.1', target, offsetMs + SECRET_LIFETIME_MS))
    assert.ok(tokens.check(token, '192.0.2.1', target, 2 * SECRET_LIFETIME_MS - 1))
    assert.not(tokens.check(token, '192.0.2.1', target, 2 * SECRET_LIFETIME_MS))
  }
  const tokens = new Tokens(seededRandom(1), 0)
  const token = tokens.make('192.0.2.1', target, 0)
  assert.not(tokens.check(token, '192.0.2.1', target, 50.5 * SECRET_LIFETIME_MS), 'after a long silence')
  const fresh = tokens.make('192.0.2.1', target, 50.9 * SECRET_LIFETIME_MS)
  assert.ok(tokens.check(fresh, '192.0.2.1', target, 51.1 * SECRET_LIFETIME_MS), 'the rhythm is kept')
})

test.run()
