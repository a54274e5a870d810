/** Acknowledgements stay small and retransmission stays bounded, however many packets were lost before. */
import * as assert from 'uvu/assert'
import type { DataPacket, Frame } from '../../transport/memory-packet.ts'
import { Recovery } from '../../transport/memory-recovery.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'

const test = suite('memory recovery')

const PING: readonly Frame[] = [{ type: 'ping' }]

const packet = (sender: Recovery, number: number | undefined): DataPacket => ({
  kind: 'data',
  end: 0,
  number,
  frames: number === undefined ? [] : PING,
  sizeBytes: 100,
  ackedBelow: sender.receivedBelow,
  ackedAbove: sender.receivedAbove,
  unresolvedFrom: sender.unresolvedFrom,
  gate: undefined,
})

test('forgets the numbers of lost packets on both sides', () => {
  const seed = 11
  const random = seededRandom(seed)
  const [sender, receiver] = [new Recovery(), new Recovery()]
  let resent = 0
  for (let now = 0; now < 10_000; now++) {
    const toSend = [...sender.takeLost(now), PING]
    resent += toSend.length - 1
    for (const frames of toSend) {
      const sent = packet(sender, sender.sent(frames, 100, now))
      if (random.float() < 0.1) continue
      receiver.received(sent, now)
      sender.received(packet(receiver, undefined), now)
    }
    assert.ok(receiver.receivedAbove.length <= 32, `seed ${seed}: ${receiver.receivedAbove.length} numbers kept`)
    assert.ok(sender.inFlightBytes <= 3200, `seed ${seed}: ${sender.inFlightBytes} bytes in flight`)
  }
  assert.ok(resent > 800 && resent < 1300, `seed ${seed}: ${resent} sent again for about 1100 lost`)
  assert.is(sender.lostPackets, resent)
})

test('knows a duplicate, early or late', () => {
  const [sender, receiver] = [new Recovery(), new Recovery()]
  const packets = [0, 1, 2].map((now) => packet(sender, sender.sent(PING, 100, now)))
  const arrivals = [2, 2, 0, 0, 1, 1, 2].map((index) => receiver.received(packets[index]!, 10))
  assert.equal(arrivals, [true, false, true, false, true, false, false])
  assert.is(receiver.receivedBelow, 3)
})

test('probes at longer and longer intervals, up to a second', () => {
  const sender = new Recovery()
  sender.sent(PING, 100, 0)
  // One answer after 10 ms makes the round trip known.
  const answer = { ...packet(new Recovery(), undefined), ackedBelow: 1 }
  sender.received(answer, 10)
  sender.sent(PING, 100, 10)
  const intervals: number[] = []
  let now = 10
  for (let i = 0; i < 9; i++) {
    const deadline = sender.deadlineMs()
    assert.is(sender.takeProbe(deadline - 0.001), undefined)
    intervals.push(deadline - now)
    now = deadline
    sender.sent(sender.takeProbe(now)!, 100, now)
  }
  assert.equal(intervals, [31, 62, 124, 248, 496, 992, 1000, 1000, 1000])
})

test.run()
