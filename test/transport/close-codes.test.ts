/** The numbers on the wire stay what they are. */
import * as assert from 'uvu/assert'
import { boundedCloseMessage, codeOfWire, wireCodeOf } from '../../transport/close-codes.ts'
import { suite } from '../support/suite.ts'

const test = suite('close codes')

/** Written down a second time on purpose: a number that changes breaks talk with nodes in the field. */
const STABLE = {
  closed: 0,
  ERR_SKEIN_CONNECTION_LOST: 1,
  ERR_SKEIN_STOPPED: 2,
  ERR_SKEIN_WRONG_COOKIE: 16,
  ERR_SKEIN_WRONG_CLUSTER: 17,
  ERR_SKEIN_NAME_TAKEN: 18,
  ERR_SKEIN_VERSION: 19,
  ERR_SKEIN_SELF: 20,
  ERR_SKEIN_SIMULTANEOUS: 21,
  ERR_SKEIN_STALE_INCARNATION: 22,
  ERR_SKEIN_HANDSHAKE: 23,
  ERR_SKEIN_CERT_INVALID: 32,
  ERR_SKEIN_CERT_EXPIRED: 33,
  ERR_SKEIN_CERT_MISSING: 34,
  ERR_SKEIN_CERT_FOREIGN: 35,
  ERR_SKEIN_PROTOCOL: 48,
  ERR_SKEIN_BAD_MESSAGE: 49,
  ERR_SKEIN_TOO_MANY_CONNECTIONS: 64,
} as const

test('every code has its number and comes back from it', () => {
  for (const [code, number] of Object.entries(STABLE)) {
    assert.is(wireCodeOf(code as keyof typeof STABLE), number)
    assert.is(codeOfWire(number), code)
  }
})

test('unknown numbers, and codes without a number, are a lost connection', () => {
  for (const number of [3, 15, 999, 2 ** 53, -1, Number.NaN]) {
    assert.is(codeOfWire(number), 'ERR_SKEIN_CONNECTION_LOST')
  }
  assert.is(wireCodeOf('ERR_SKEIN_BAD_OPTION'), 1)
})

test('a message is cut to 200 bytes, never within a character', () => {
  assert.is(boundedCloseMessage('short'), 'short')
  assert.is(boundedCloseMessage('x'.repeat(300)), 'x'.repeat(200))
  assert.is(boundedCloseMessage(`x${'ä'.repeat(300)}`), `x${'ä'.repeat(99)}`)
  assert.is(boundedCloseMessage('😀'.repeat(100)), '😀'.repeat(50))
  assert.is(boundedCloseMessage(`xx${'😀'.repeat(100)}`), `xx${'😀'.repeat(49)}`)
})

test.run()
