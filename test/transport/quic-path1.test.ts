/** Paths that change under a QUIC connection: addresses that move, datagram sizes that pass, and sizes that pass no more. */
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import { dial, pattern } from './compliance.ts'
import { exchange, openPair, Relay, until } from './quic-support.ts'

const BASE_BYTES = 1350
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


test.run()
