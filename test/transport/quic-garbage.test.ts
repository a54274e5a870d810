/**
 * Garbage at a live QUIC port: random, truncated and bit-flipped datagrams, from strangers and from the very address of a
 * peer. Everything is counted, nothing is answered to strangers, and the connections go on.
 */
import * as assert from 'uvu/assert'
import { type Random, seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'
import { addressOf, dial, pattern } from './compliance.ts'
import { count, exchange, openPair, openPort, Relay, Stranger, until } from './quic-support.ts'

const SEED = 20261124
const GARBAGE_DATAGRAMS = 10_000
/** Sent before the port is given the time to read them. */
const BATCH = 100
const CAPTURED_AT_MOST = 500
/** In a short header: first byte, id of 16. */
const BEHIND_CONNECTION_ID = 17
const MAX_UDP_PAYLOAD_BYTES = 65_507

const below = (random: Random, bound: number): number => Math.floor(random.float() * bound)

/** One of the captured datagrams spoiled, or bytes from nowhere. */
const garbage = (random: Random, captured: readonly Buffer[]): Uint8Array => {
  const kind = below(random, 4)
  if (kind === 0) return random.bytes(below(random, 1500))
  const spoiled = Buffer.from(captured[below(random, captured.length)] as Buffer)
  if (kind === 1) return spoiled.subarray(0, below(random, spoiled.length))
  // With the connection id left as it is, the datagram reaches its connection.
  const from = kind === 2 ? BEHIND_CONNECTION_ID : 0
  for (let flips = 1 + below(random, 8); flips > 0; flips--) {
    const at = from + below(random, spoiled.length - from)
    spoiled[at] = (spoiled[at] as number) ^ (1 << below(random, 8))
  }
  return spoiled
}

const test = suite('QUIC port: garbage')

test(
  'ten thousand spoiled datagrams at a port with two live connections harm neither',
  async (t) => {
    let relay!: Relay
    const { b, initiator, acceptor, acceptors } = await openPair(t, {}, async (address) => {
      relay = await Relay.open(t, address)
      return relay.address
    })
    const neighbour = dial(await openPort(t), addressOf(b))
    await until(() => neighbour.isOpen && acceptors[1]?.isOpen === true, 'the neighbour connects')
    // What really goes to and fro, both handshake and data.
    const captured: Buffer[] = []
    relay.passes = (bytes) => {
      if (captured.length < CAPTURED_AT_MOST) captured.push(Buffer.from(bytes))
      return true
    }
    dial(await openPort(t), relay.address)
    assert.ok(await exchange(initiator, acceptor, pattern(300_000, 1)))
    assert.ok(await exchange(acceptor, initiator, pattern(300_000, 2)))

    const stranger = await Stranger.open(t)
    const random = seededRandom(SEED)
    const before = { ...b.counters() }
    const heard = stranger.heard.length
    for (let sent = 0; sent < GARBAGE_DATAGRAMS; sent += BATCH) {
      const received = count(b, 'received')
      for (let i = 0; i < BATCH; i++) {
        const bytes = garbage(random, captured)
        if (i % 2 === 0) await stranger.send(bytes, addressOf(b))
        else await relay.inject(bytes)
      }
      await until(() => count(b, 'received') >= received + BATCH, 'the port has read them')
      // Traffic goes on in between, on both connections.
      if (sent % 1000 === 0) {
        assert.ok(await exchange(neighbour, acceptors[1]!, pattern(20_000, sent)))
        assert.ok(await exchange(acceptor, initiator, pattern(20_000, sent)))
      }
    }
    const after = b.counters()
    for (const name of ['gated', 'unknown', 'unconnected', 'invalid', 'probes'])
      assert.ok((after[name] ?? 0) > (before[name] ?? 0), `${name}: ${before[name]} before, ${after[name]} after`)
    assert.ok(await exchange(initiator, acceptor, pattern(300_000, 3)))
    assert.ok(await exchange(neighbour, acceptors[1]!, pattern(300_000, 4)))
    assert.equal(
      [initiator, acceptor, neighbour, acceptors[1]!].flatMap((party) => party.closes),
      [],
    )
    assert.is(stranger.heard.length, heard, 'no stranger was answered')
    console.log(`seed ${SEED}`)
  },
  { deadlineMs: 60_000 },
)

test('the shortest, the longest and the most absurd datagrams are counted drops', async (t) => {
  const { b, initiator, acceptor } = await openPair(t)
  const stranger = await Stranger.open(t)
  const cases: readonly [string, Uint8Array][] = [
    ['unknown', Uint8Array.of()],
    ['unknown', Uint8Array.of(0xff)],
    ['unknown', Uint8Array.of(0xff, 0xff, 0xff, 0xff)],
    ['gated', new Uint8Array(40).fill(0xff)],
    ['gated', new Uint8Array(MAX_UDP_PAYLOAD_BYTES).fill(0xff)],
    ['unconnected', new Uint8Array(MAX_UDP_PAYLOAD_BYTES).fill(0x7f)],
    ['unknown', new Uint8Array(MAX_UDP_PAYLOAD_BYTES).fill(0x64)],
    ['probes', new Uint8Array(MAX_UDP_PAYLOAD_BYTES)],
    ['unknown', Uint8Array.of(0x40)],
    ['unknown', new Uint8Array(20).fill(0x7f)],
    ['unconnected', new Uint8Array(21).fill(0x7f)],
  ]
  for (const [name, bytes] of cases) {
    const before = count(b, name)
    await stranger.send(bytes, addressOf(b))
    await until(() => count(b, name) === before + 1, `${bytes.length} bytes of ${bytes[0]?.toString(16)} as ${name}`)
  }
  assert.equal(stranger.heard, [])
  assert.ok(await exchange(initiator, acceptor, pattern(10_000, 1)))
})

test('what is damaged or repeated on the way of a connection is counted, and is no sign of life', async (t) => {
  let relay!: Relay
  const { b, initiator, acceptor } = await openPair(t, {}, async (address) => {
    relay = await Relay.open(t, address)
    return relay.address
  })
  assert.ok(await exchange(initiator, acceptor, pattern(10_000, 1)))
  // Caught on their way, so the port has never seen them.
  const caught: Buffer[] = []
  relay.passes = (bytes, direction) => {
    if (direction === 'toServer') caught.push(Buffer.from(bytes))
    return false
  }
  initiator.send(pattern(1000, 2))
  await until(() => caught.length > 0, 'a packet')
  const genuine = caught[0] as Buffer
  const { lastHeardMs } = acceptor.connection
  const before = count(b, 'invalid')
  for (let i = 0; i < 50; i++) {
    const spoiled = Buffer.from(genuine)
    const at = BEHIND_CONNECTION_ID + (i % (spoiled.length - BEHIND_CONNECTION_ID))
    spoiled[at] = (spoiled[at] as number) ^ 0x10
    await relay.inject(spoiled)
  }
  await until(() => count(b, 'invalid') === before + 50, 'all are counted')
  assert.is(acceptor.connection.lastHeardMs, lastHeardMs)
  await relay.inject(genuine)
  await until(() => acceptor.connection.lastHeardMs > lastHeardMs, 'the true one is heard')
  assert.is(count(b, 'invalid'), before + 50)
  await relay.inject(genuine)
  await until(() => count(b, 'invalid') === before + 51, 'but only once')
  relay.passes = () => true
  assert.ok(await exchange(initiator, acceptor, pattern(10_000, 3)))
})

test.run()
