/** Which long headers are worth the hash of their tag: everything that a member sends, and little else. */
import * as assert from 'uvu/assert'
import { CONNECTION_ID_BYTES } from '../../transport/connection-id.ts'
import { GATE_TAG_BYTES, Gate } from '../../transport/gate.ts'
import { longUseOf } from '../../transport/long-form.ts'
import { MIN_INITIAL_BYTES } from '../../transport/quiche.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf, dial, serve } from './compliance.ts'
import { count, firstFlights, GATE_KEY, openPort, Relay, Stranger, until } from './quic-support.ts'

const test = suite('long headers before the hash')

const OPENING_BYTES = MIN_INITIAL_BYTES + GATE_TAG_BYTES
const FIRST = { initial: 0xc0, zeroRtt: 0xd0, handshake: 0xe0, retry: 0xf0 }

const header = (first: number, version: number, idBytes: number, lengthBytes: number): Uint8Array => {
  const bytes = Buffer.alloc(lengthBytes, 7)
  bytes[0] = first
  bytes.writeUInt32BE(version, 1)
  bytes[5] = idBytes
  return bytes
}

test('by version, type and length', () => {
  const cases: readonly (readonly [string, Uint8Array, ReturnType<typeof longUseOf>])[] = [
    ['a whole Initial', header(FIRST.initial, 1, 8, OPENING_BYTES), 'any'],
    ['a shorter one', header(FIRST.initial, 1, 8, OPENING_BYTES - 1), 'known'],
    ['early data of any length', header(FIRST.zeroRtt, 1, 8, 60), 'any'],
    ['a handshake packet', header(FIRST.handshake, 1, 16, OPENING_BYTES), 'known'],
    ['a retry', header(FIRST.retry, 1, 16, OPENING_BYTES), 'known'],
    ['a version negotiation', header(0x80, 0, 16, 60), 'known'],
    ['another version, filling a datagram', header(FIRST.initial, 0x1a2a3a4a, 8, OPENING_BYTES), 'any'],
    ['another version, short', header(FIRST.initial, 0x1a2a3a4a, 8, OPENING_BYTES - 1), 'no'],
    ['an id that is too long', header(FIRST.initial, 1, 21, OPENING_BYTES), 'no'],
    ['the shortest that is told as one', header(FIRST.initial, 1, 8, 7), 'known'],
  ]
  for (const [what, bytes, use] of cases) assert.is(longUseOf(bytes), use, what)
})

/** What goes between two members until they are connected, and its directions. */
const handshake = async (t: TestContext): Promise<Buffer[]> => {
  const port = await openPort(t)
  serve(port)
  const relay = await Relay.open(t, addressOf(port))
  const seen: Buffer[] = []
  relay.passes = (bytes) => {
    if (bytes[0]! >= 0xc0) seen.push(Buffer.from(bytes))
    return true
  }
  const party = dial(await openPort(t), relay.address)
  await until(() => party.isOpen, 'the connection opens')
  assert.is(count(port, 'gated'), 0)
  return seen
}

test('a member sends nothing that is of no use', async (t) => {
  const seen = await handshake(t)
  assert.ok(seen.length >= 2, `${seen.length} long headers`)
  for (const bytes of seen) {
    const use = longUseOf(bytes)
    assert.ok(use === 'any' || (use === 'known' && bytes[5] === CONNECTION_ID_BYTES), bytes.toString('hex', 0, 30))
  }
})

test('a sealed handshake packet for nobody is dropped before the hash, and a whole Initial is let in', async (t) => {
  const port = await openPort(t)
  serve(port)
  const stranger = await Stranger.open(t)
  const late = [FIRST.initial, FIRST.handshake, FIRST.retry].map((first) => {
    const datagram = Buffer.concat([header(first, 1, CONNECTION_ID_BYTES, 100), Buffer.alloc(GATE_TAG_BYTES)])
    new Gate([GATE_KEY]).seal(datagram, 100)
    return datagram
  })
  for (const bytes of late) await stranger.send(bytes, addressOf(port))
  const [first] = await firstFlights(t, 1)
  await stranger.send(first!, addressOf(port))
  await until(() => count(port, 'accepted') === 1, 'the Initial is let in')
  assert.is(count(port, 'gated'), late.length)
  assert.is(count(port, 'unconnected'), 0)
})

test.run()
