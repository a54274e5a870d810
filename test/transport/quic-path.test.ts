/** Paths that change under a QUIC connection: addresses that move, datagram sizes that pass, and sizes that pass no more. */
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import { dial, pattern } from './compliance.ts'
import { exchange, openPair, Relay, until } from './quic-support.ts'

const BASE_BYTES = 1350
/** What passes everywhere: where a black hole leads back to. */
const SAFE_BYTES = 1200
const LARGEST_BYTES = 16_383
/** What a network of today carries: nothing longer than this passes. */
const NARROW_BYTES = 2000

const test = suite('QUIC port: paths')

test(
  'a NAT that forgets its table again and again costs neither the connection nor the order of bytes',
  async (t) => {
    let relay!: Relay
    const pair = await openPair(t, {}, async (b) => {
      relay = await Relay.open(t, b)
      return relay.address
    })
    const { initiator, acceptor } = pair
    const ports = new Set<number>()
    for (let round = 0; round < 12; round++) {
      // In the middle of a transfer, both ways.
      const there = initiator.send(pattern(600_000, round))
      const back = acceptor.send(pattern(600_000, 1000 + round))
      const halfway = acceptor.receivedBytes + 200_000
      await until(() => acceptor.receivedBytes > halfway, 'it is under way')
      let lost = 0
      relay.passes = (_bytes, direction) => direction === 'toServer' || ++lost < 0
      acceptor.send(pattern(100_000, 2000 + round))
      await until(() => lost > 10, 'the NAT has forgotten, and the acceptor does not know')
      await relay.rebind()
      relay.passes = () => true
      await until(() => acceptor.finished.has(there.stream) && initiator.finished.has(back.stream), `round ${round}`)
      assert.ok(Buffer.compare(acceptor.received(there.stream), there.bytes) === 0, 'there')
      assert.ok(Buffer.compare(initiator.received(back.stream), back.bytes) === 0, 'back')
      ports.add(acceptor.connection.remote.port)
    }
    assert.is(ports.size, 12, 'the acceptor followed every time')
    assert.equal([...initiator.closes, ...acceptor.closes], [])
    assert.is(pair.acceptors.length, 1)
  },
  { deadlineMs: 30_000 },
)

test('a rebinding while nothing is sent is noticed with the next packet', async (t) => {
  let relay!: Relay
  const { initiator, acceptor } = await openPair(t, {}, async (b) => {
    relay = await Relay.open(t, b)
    return relay.address
  })
  assert.ok(await exchange(initiator, acceptor, pattern(100, 1)))
  const port = acceptor.connection.remote.port
  await relay.rebind()
  assert.ok(await exchange(initiator, acceptor, pattern(100, 2)))
  assert.ok(await exchange(acceptor, initiator, pattern(100_000, 3)))
  assert.is.not(acceptor.connection.remote.port, port)
})

test('on loopback datagrams grow to the largest', async (t) => {
  const { initiator, acceptor } = await openPair(t)
  for (const party of [initiator, acceptor])
    await until(() => party.connection.stats().pathSizeBytes === LARGEST_BYTES, 'the largest size')
  assert.ok(await exchange(initiator, acceptor, pattern(1_000_000, 1)))
})

for (const maxPacketBytes of [1350, 5000]) {
  test(`no datagram is longer than maxPacketBytes ${maxPacketBytes}`, async (t) => {
    let largest = 0
    const { initiator, acceptor } = await openPair(t, { maxPacketBytes }, async (b) => {
      const relay = await Relay.open(t, b)
      relay.passes = (bytes) => {
        largest = Math.max(largest, bytes.length)
        return true
      }
      return relay.address
    })
    await until(() => initiator.connection.stats().pathSizeBytes === maxPacketBytes, 'the allowed size')
    const [there, back] = [pattern(1_000_000, 1), pattern(1_000_000, 2)]
    const [first, second] = [exchange(initiator, acceptor, there), exchange(acceptor, initiator, back)]
    assert.ok((await first) && (await second))
    assert.is(largest, maxPacketBytes)
  })
}

test('the handshake, its tags included, keeps to maxPacketBytes when there is much to send at once', async (t) => {
  const maxPacketBytes = 1350
  let largest = 0
  let relay!: Relay
  const { a, initiator, acceptors } = await openPair(t, { maxPacketBytes }, async (b) => {
    relay = await Relay.open(t, b)
    relay.passes = (bytes) => {
      largest = Math.max(largest, bytes.length)
      return true
    }
    return relay.address
  })
  for (let i = 1; i < 10; i++) {
    // What waits to be written goes into the very datagrams that end the handshake.
    const party = dial(a, relay.address)
    const job = party.send(pattern(50_000, i))
    await until(() => acceptors[i]?.finished.has(job.stream) === true, 'all of it')
  }
  assert.ok(initiator.isOpen)
  assert.ok(largest <= maxPacketBytes, `${largest} bytes`)
})

test(
  'where large datagrams never pass, the size stays and traffic flows',
  async (t) => {
    let dropped = 0
    const { initiator, acceptor } = await openPair(t, {}, async (b) => {
      const relay = await Relay.open(t, b)
      relay.passes = (bytes) => {
        if (bytes.length <= NARROW_BYTES) return true
        dropped++
        return false
      }
      return relay.address
    })
    const [first, second] = [
      exchange(initiator, acceptor, pattern(2_000_000, 1)),
      exchange(acceptor, initiator, pattern(2_000_000, 2)),
    ]
    assert.ok((await first) && (await second))
    await until(() => dropped > 0, 'larger ones were tried')
    for (const party of [initiator, acceptor]) assert.is(party.connection.stats().pathSizeBytes, BASE_BYTES)
  },
  { deadlineMs: 20_000 },
)

for (const chatty of [false, true]) {
  const what = chatty ? ', though small ones keep coming from the other side' : ''
  test(
    `where large datagrams pass no more, the size falls back and traffic flows again${what}`,
    async (t) => {
      let relay!: Relay
      const { initiator, acceptor } = await openPair(t, {}, async (b) => {
        relay = await Relay.open(t, b)
        return relay.address
      })
      await until(() => initiator.connection.stats().pathSizeBytes === LARGEST_BYTES, 'the largest size')
      assert.ok(await exchange(initiator, acceptor, pattern(1_000_000, 1)))
      let dropped = 0
      relay.passes = (bytes) => {
        if (bytes.length <= NARROW_BYTES) return true
        dropped++
        return false
      }
      if (chatty) {
        const chat = setInterval(() => acceptor.send(pattern(50, 7)), 5)
        t.defer(() => clearInterval(chat))
      }
      assert.ok(await exchange(initiator, acceptor, pattern(3_000_000, 2), 10_000))
      assert.ok(dropped > 0)
      assert.is(initiator.connection.stats().pathSizeBytes, SAFE_BYTES)
      assert.ok(await exchange(initiator, acceptor, pattern(3_000_000, 3), 5000))
      assert.equal([...initiator.closes, ...acceptor.closes], [])
    },
    { deadlineMs: 25_000 },
  )
}

test(
  'a peer that pauses is no reason to doubt the size',
  async (t) => {
    let relay!: Relay
    const { initiator, acceptor } = await openPair(t, {}, async (b) => {
      relay = await Relay.open(t, b)
      return relay.address
    })
    await until(() => initiator.connection.stats().pathSizeBytes === LARGEST_BYTES, 'the largest size')
    for (let round = 0; round < 3; round++) {
      assert.ok(await exchange(initiator, acceptor, pattern(3_000_000, round)))
      // Everything is held up for many loss timeouts, then all of it arrives.
      const held: Buffer[] = []
      relay.passes = (bytes, direction) => {
        if (direction === 'toServer') held.push(bytes)
        return false
      }
      const job = initiator.send(pattern(300_000, round))
      // Each loss timeout sends up to two packets of the safe size.
      await until(() => held.filter((bytes) => bytes.length === SAFE_BYTES).length >= 8, 'loss timeouts')
      relay.passes = () => true
      for (const bytes of held) await relay.inject(bytes)
      await until(() => acceptor.finished.has(job.stream), 'it arrives')
    }
    assert.is(initiator.connection.stats().pathSizeBytes, LARGEST_BYTES)
  },
  { deadlineMs: 25_000 },
)

test.run()
