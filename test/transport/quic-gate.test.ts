/** The QUIC port towards strangers: silent to all who lack the gate's tag; version negotiation for those who have it. */
import * as assert from 'uvu/assert'
import { GATE_TAG_BYTES, Gate } from '../../transport/gate.ts'
import { parseLongHeader, supportedVersion } from '../../transport/quic-header.ts'
import { seededRandom, systemRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'
import { addressOf, dial, pattern, serve } from './compliance.ts'
import { count, exchange, firstFlights, GATE_KEY, openPort, Stranger, until } from './quic-support.ts'

const SEED = 20261122
const MIN_INITIAL_BYTES = 1200
const UNKNOWN_VERSION = 0x1a2a3a4a

const sealed = (bytes: Uint8Array, key: Uint8Array = GATE_KEY): Uint8Array => {
  const datagram = new Uint8Array(bytes.length + GATE_TAG_BYTES)
  datagram.set(bytes)
  new Gate([key]).seal(datagram, bytes.length)
  return datagram
}

/** A long header of a version that nobody speaks, with ids of 8 bytes, padded. */
const hello = (sizeBytes: number, version = UNKNOWN_VERSION): Uint8Array => {
  const bytes = Buffer.alloc(sizeBytes)
  bytes[0] = 0xc0
  bytes.writeUInt32BE(version, 1)
  bytes[5] = 8
  bytes.write('to whom!', 6)
  bytes[14] = 8
  bytes.write('by whom!', 15)
  return bytes
}

const test = suite('QUIC port: gate and versions')

test('a member with another cookie hears nothing at all, and no TLS begins', async (t) => {
  const port = await openPort(t)
  const parties = serve(port)
  const other = await openPort(t, { gateKeys: [systemRandom.bytes(32)] })
  const party = dial(other, addressOf(port), 500)
  await until(() => party.closes.length > 0, 'the dial ends')
  assert.is(party.closes[0]?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  assert.is(party.closes[0]?.byPeer, false)
  assert.is(count(other, 'received'), 0)
  assert.ok(count(port, 'gated') > 0)
  assert.is(count(port, 'gated'), count(port, 'received'))
  assert.is(count(port, 'accepted'), 0)
  assert.is(count(port, 'sent'), 0)
  assert.is(parties.length, 0)
})

test('an old and a new gate key meet during a rotation', async (t) => {
  const newKey = systemRandom.bytes(32)
  const rotated = await openPort(t, { gateKeys: [newKey, GATE_KEY] })
  const rotatedParties = serve(rotated)
  const old = dial(await openPort(t), addressOf(rotated), 300)
  // It is let in, and then the new key seals what the old node cannot open.
  await until(() => count(rotated, 'accepted') === 1, 'the old key opens')
  await until(() => old.closes.length > 0, 'the old node gives up')
  assert.is(old.opened, 0)
  const both = dial(await openPort(t, { gateKeys: [GATE_KEY, newKey] }), addressOf(rotated))
  await until(() => both.isOpen && rotatedParties.some((party) => party.isOpen), 'nodes that know both connect')
})

test('version negotiation is for those who pass the gate with a full datagram', async (t) => {
  const port = await openPort(t)
  serve(port)
  const stranger = await Stranger.open(t)
  const to = addressOf(port)
  await stranger.send(hello(MIN_INITIAL_BYTES), to)
  await stranger.send(sealed(hello(MIN_INITIAL_BYTES), systemRandom.bytes(32)), to)
  await stranger.send(sealed(hello(MIN_INITIAL_BYTES - 1)), to)
  // A negotiation is never answered by another (RFC 9000 section 6.1).
  await stranger.send(sealed(hello(MIN_INITIAL_BYTES, 0)), to)
  await stranger.send(sealed(hello(MIN_INITIAL_BYTES)), to)
  // Loopback keeps the order: an answer to an earlier one would come first.
  await until(() => stranger.heard.length > 0 && count(port, 'received') === 5, 'the answer')
  assert.is(stranger.heard.length, 1)
  assert.is(count(port, 'negotiations'), 1)
  assert.is(count(port, 'gated'), 4)
  assert.is(count(port, 'accepted'), 0)
  const answer = stranger.heard[0] as Buffer
  const length = new Gate([GATE_KEY]).open(answer)
  assert.ok(length > 0, 'the answer is sealed as well')
  const header = parseLongHeader(answer.subarray(0, length))
  assert.is(header?.type, 'negotiation')
  assert.is(Buffer.from(header?.destinationId ?? []).toString(), 'by whom!')
  assert.is(Buffer.from(header?.sourceId ?? []).toString(), 'to whom!')
  const versions = answer.subarray(23, length)
  const offered = Array.from({ length: versions.length / 4 }, (_, i) => versions.readUInt32BE(4 * i))
  assert.ok(offered.includes(supportedVersion), `offered ${offered}`)
})

test('whatever a stranger sends, nothing comes back', async (t) => {
  const port = await openPort(t)
  serve(port)
  const stranger = await Stranger.open(t)
  const to = addressOf(port)
  const random = seededRandom(SEED)
  let sent = 0
  const send = async (bytes: Uint8Array): Promise<void> => {
    await stranger.send(bytes, to)
    sent++
  }
  for (let i = 0; i < 300; i++) {
    // Short headers with ids made up, long headers, and first bytes that nobody uses.
    const short = random.bytes(40 + (i % 1000))
    short[0] = 0x40 | ((short[0] as number) & 0x3f)
    short[1] = (short[1] as number) | 0x80
    await send(short)
    const long = random.bytes(MIN_INITIAL_BYTES + (i % 100))
    long[0] = (long[0] as number) | 0x80
    await send(long)
    await until(() => count(port, 'received') === sent, 'all of it arrived')
  }
  const [genuine] = await firstFlights(t, 1)
  await send((genuine as Buffer).subarray(0, (genuine as Buffer).length - GATE_TAG_BYTES))
  await send((genuine as Buffer).subarray(0, (genuine as Buffer).length - 1))
  await until(() => count(port, 'received') === sent, 'all of it arrived')
  assert.is(count(port, 'sent'), 0)
  assert.is(count(port, 'resets'), 0)
  assert.is(count(port, 'accepted'), 0)
  assert.is(count(port, 'gated') + count(port, 'unknown') + count(port, 'unconnected'), sent)
  assert.ok(count(port, 'unconnected') >= 300)
  // The very same datagram with its tag is answered, so the silence was not for want of reaching the port.
  await stranger.send(genuine as Buffer, to)
  await until(() => stranger.heard.length > 0, 'the answer to a member')
  console.log(`seed ${SEED}`)
})

test('a first flight that is heard twice makes one connection', async (t) => {
  const port = await openPort(t)
  const parties = serve(port)
  const [genuine] = await firstFlights(t, 1)
  const [one, two] = [await Stranger.open(t), await Stranger.open(t)]
  for (const stranger of [one, two, one]) await stranger.send(genuine as Buffer, addressOf(port))
  await until(() => count(port, 'received') === 3, 'all three')
  await until(() => one.heard.length > 0, 'the answer to the first')
  assert.is(count(port, 'accepted'), 1)
  assert.is(parties.length, 1)
  // And it does no harm to a real client that comes meanwhile.
  const party = dial(await openPort(t), addressOf(port))
  await until(() => parties.length === 2 && party.isOpen && parties[1]?.isOpen === true, 'a real client connects')
  assert.ok(await exchange(party, parties[1]!, pattern(10_000, 1)))
})

test.run()
