/** Retry tokens: good for one address, one id and ten seconds, worthless to everybody else. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { seededRandom } from '../../transport/random.ts'
import { RetryTokens } from '../../transport/retry-token.ts'
import { suite } from '../support/suite.ts'

const test = suite('retry token')

const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)
console.log(`seed ${seed}`)
const random = seededRandom(seed)

const LIFETIME_MS = 10_000
const tokens = new RetryTokens(random.bytes(32))
const address = { host: '192.0.2.7', port: 4433 }
const original = random.bytes(16)
const source = random.bytes(16)
const issuedMs = 123_456.789

test('a returned token gives the original destination id back, as often as the packet is repeated', () => {
  const token = tokens.issue(address, original, source, issuedMs)
  for (const nowMs of [issuedMs, issuedMs + 40, issuedMs + LIFETIME_MS]) {
    assert.equal(tokens.check(token, address, source, nowMs), new Uint8Array(original))
  }
})

test('ids of every length a client may choose, within the bound on tokens', () => {
  for (let length = 0; length <= 20; length++) {
    const id = random.bytes(length)
    const token = tokens.issue(address, id, source, 0)
    assert.is(token.length, 24 + length)
    assert.equal([...(tokens.check(token, address, source, 0) ?? [0])], [...id])
  }
})

test('an id longer than QUIC allows is never given back', () => {
  assert.is(tokens.check(tokens.issue(address, random.bytes(21), source, 0), address, source, 0), undefined)
})

test('the id given back does not change with the datagram it came in', () => {
  const token = Uint8Array.from(tokens.issue(address, original, source, 0))
  const id = tokens.check(token, address, source, 0)
  token.fill(0)
  assert.equal([...(id ?? [])], [...original])
})

test('time: not after its lifetime, not before its issue', () => {
  const token = tokens.issue(address, original, source, issuedMs)
  assert.is(tokens.check(token, address, source, issuedMs + LIFETIME_MS + 1), undefined)
  assert.is(tokens.check(token, address, source, issuedMs - 1), undefined)
  assert.is(tokens.check(token, address, source, Number.MAX_SAFE_INTEGER), undefined)
  const brief = new RetryTokens(new Uint8Array(32), { lifetimeMs: 50 })
  const briefToken = brief.issue(address, original, source, 0)
  assert.ok(brief.check(briefToken, address, source, 50))
  assert.is(brief.check(briefToken, address, source, 51), undefined)
})

test('place: no other host, port or id', () => {
  const token = tokens.issue(address, original, source, issuedMs)
  for (const other of [
    { ...address, port: 4434 },
    { ...address, host: '192.0.2.8' },
    { host: '2001:db8::7', port: 4433 },
  ]) {
    assert.is(tokens.check(token, other, source, issuedMs), undefined)
  }
  for (const otherId of [original, source.subarray(0, 15), new Uint8Array(0), new Uint8Array(300)]) {
    assert.is(tokens.check(token, address, otherId, issuedMs), undefined)
  }
  assert.ok(
    tokens.check(token, { ...address, host: '::ffff:192.0.2.7' }, source, issuedMs),
    'the same host on a dual-stack socket',
  )
})

test('key: no other node, and not this one after a restart', () => {
  const token = tokens.issue(address, original, source, issuedMs)
  assert.is(new RetryTokens(random.bytes(32)).check(token, address, source, issuedMs), undefined)
})

test('every flipped bit, every cut and noise are refused without an exception', () => {
  const token = tokens.issue(address, original, source, issuedMs)
  for (let bit = 0; bit < token.length * 8; bit++) {
    const bent = Uint8Array.from(token)
    bent[bit >> 3] = bent[bit >> 3]! ^ (1 << (bit & 7))
    assert.is(tokens.check(bent, address, source, issuedMs), undefined, `bit ${bit}`)
  }
  for (let length = 0; length < token.length; length++) {
    assert.is(tokens.check(token.subarray(0, length), address, source, issuedMs), undefined)
  }
  assert.is(tokens.check(Uint8Array.of(...token, 0), address, source, issuedMs), undefined)
  for (let i = 0; i < 20_000; i++) {
    const noise = random.bytes(Math.floor(random.float() * 64))
    if (noise.length > 7) noise.set([1], 0)
    if (noise.length >= 24 && i % 2 === 0) noise[7] = noise.length - 24
    assert.is(tokens.check(noise, address, source, issuedMs), undefined)
  }
})

test('a short key is refused', () => {
  try {
    new RetryTokens(new Uint8Array(8))
  } catch (error) {
    assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_ARGUMENT'))
    return
  }
  assert.unreachable()
})

test.run()
