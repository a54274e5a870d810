/** What DATAGRAM frames hold: kinds, halves, bounds, and whatever a peer may put there. */
import * as assert from 'uvu/assert'
import {
  challenge,
  challengeAnswer,
  type DatagramListener,
  probe,
  probeAnswer,
  QuicDatagrams,
} from '../../transport/quic-datagrams.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('DATAGRAM frames')

const NARROW_BYTES = 1200
const WIDE_BYTES = 1472

const setUp = () => {
  const clock = new VirtualClock()
  const heard: unknown[][] = []
  const messages: Uint8Array[] = []
  const listener: DatagramListener = {
    probed: (size) => heard.push(['probed', size]),
    probeAnswered: (size) => heard.push(['probeAnswered', size]),
    challenged: (nonce) => heard.push(['challenged', [...nonce]]),
    answered: (nonce, usesIt) => heard.push(['answered', [...nonce], usesIt]),
    message: (bytes) => messages.push(bytes),
  }
  return { clock, heard, messages, datagrams: new QuicDatagrams(clock, listener) }
}

const framesOf = (datagrams: QuicDatagrams, packetBytes: number): Uint8Array[] => {
  const frames: Uint8Array[] = []
  for (let frame = datagrams.next(packetBytes); frame !== undefined; frame = datagrams.next(packetBytes))
    frames.push(frame)
  return frames
}

test('every kind arrives as it was sent', () => {
  const { datagrams, heard } = setUp()
  const nonce = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)
  for (const frame of [probe(1452), probeAnswer(1452), challenge(nonce), challengeAnswer(nonce, true)])
    datagrams.receive(frame)
  datagrams.receive(challengeAnswer(nonce, false))
  assert.equal(heard, [
    ['probed', 1452],
    ['probeAnswered', 1452],
    ['challenged', [...nonce]],
    ['answered', [...nonce], true],
    ['answered', [...nonce], false],
  ])
})

test('a message that does not fit goes in halves, which may change places', () => {
  for (const isSwapped of [false, true]) {
    const { datagrams, messages } = setUp()
    const message = seededRandom(3).bytes(1280)
    assert.ok(datagrams.queue(message, NARROW_BYTES))
    const frames = framesOf(datagrams, NARROW_BYTES)
    assert.is(frames.length, 2)
    for (const frame of isSwapped ? frames.reverse() : frames) datagrams.receive(frame)
    assert.equal(messages.map(Buffer.from), [Buffer.from(message)])
  }
  const { datagrams } = setUp()
  datagrams.queue(new Uint8Array(1280), WIDE_BYTES)
  assert.is(framesOf(datagrams, WIDE_BYTES).length, 1)
})

test('a half without the other is forgotten after a while, and when there are many', async () => {
  const { clock, datagrams, messages } = setUp()
  const halves: Uint8Array[][] = []
  for (let i = 0; i < 65; i++) {
    datagrams.queue(new Uint8Array(1200).fill(i), NARROW_BYTES)
    halves.push(framesOf(datagrams, NARROW_BYTES))
  }
  for (const [first] of halves) datagrams.receive(first as Uint8Array)
  datagrams.receive(halves[0]?.[1] as Uint8Array)
  assert.is(messages.length, 0, 'the oldest of too many was forgotten')
  datagrams.receive(halves[64]?.[1] as Uint8Array)
  assert.is(messages.length, 1)
  await clock.run({ untilMs: clock.now() + 1001 })
  datagrams.receive(halves[63]?.[1] as Uint8Array)
  assert.is(messages.length, 1, 'too late')
})

test('what became too long for the path is dropped and does not stop the rest', () => {
  const { datagrams } = setUp()
  datagrams.queue(new Uint8Array(1280), WIDE_BYTES)
  datagrams.queue(new Uint8Array(10), WIDE_BYTES)
  const frames = framesOf(datagrams, NARROW_BYTES)
  assert.equal(
    frames.map((frame) => frame.length),
    [11],
  )
  assert.is(datagrams.dropped, 1)
})

test('the queue is bounded, and goes round without end', () => {
  const { datagrams } = setUp()
  let taken = 0
  while (datagrams.queue(new Uint8Array(8), NARROW_BYTES)) taken++
  assert.ok(taken > 1000 && taken <= 1024, `${taken}`)
  assert.is(framesOf(datagrams, NARROW_BYTES).length, taken)
  for (let i = 0; i < 10_000; i++) {
    assert.ok(datagrams.queue(Uint8Array.of(i & 0xff), NARROW_BYTES))
    if (i >= 3) assert.is(datagrams.next(NARROW_BYTES)?.[1], (i - 3) & 0xff)
  }
  assert.is(datagrams.waiting, 3)
})

test('whatever a peer puts into a frame, no message is longer than the limit', () => {
  const seed = 20261121
  const random = seededRandom(seed)
  const { datagrams, messages } = setUp()
  for (let i = 0; i < 50_000; i++) {
    const frame = random.bytes(Math.floor(random.float() ** 4 * 2000))
    if (frame.length > 0) frame[0] = Math.floor(random.float() * 9)
    if (frame.length > 1) frame[1] = 0
    datagrams.receive(frame)
    for (const message of messages.splice(0)) assert.ok(message.length <= 1280, `seed ${seed}, frame ${i}`)
  }
})

test.run()
