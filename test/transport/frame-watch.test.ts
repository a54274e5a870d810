/** The bound on frames that carry nothing, with packets as the engine leaves them: in plain text. */
import * as assert from 'uvu/assert'
import { FrameWatch } from '../../transport/frame-watch.ts'
import { seededRandom } from '../../transport/random.ts'
import * as frames from '../support/crafted-frames.ts'
import { suite } from '../support/suite.ts'

const SEED = 20261123
const HEADER = Buffer.from([0x41, ...Buffer.alloc(16, 7), 0, 1])
const TAG = Buffer.alloc(16)

const packet = (...content: readonly Uint8Array[]): Buffer => Buffer.concat([HEADER, ...content, TAG])

/** Tells the watch of packets, each counted where that is asked for; the offence and how many it took. */
const feed = (watch: FrameWatch, count: number, make: (index: number) => Uint8Array, everyMs = 0): [string, number] => {
  for (let i = 0; i < count; i++) {
    const nowMs = i * everyMs
    const offence = watch.packet(packet(make(i)), 0, nowMs, watch.isAlert(nowMs) ? true : undefined)
    if (offence !== undefined) return [offence, i]
  }
  return ['', count]
}

const many = (count: number, make: (index: number) => Uint8Array): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, index) => make(index)))

const test = suite('frame watch')

test('what the engine keeps for ever, or searches for long, ends soon', () => {
  const eight = Buffer.alloc(8)
  const token = Buffer.alloc(16)
  const cases: Record<string, (index: number) => Uint8Array> = {
    'path challenges': () => many(100, () => frames.pathChallenge(eight)),
    'path responses': () => many(100, () => frames.pathResponse(eight)),
    'new ids': (index) => many(30, (i) => frames.newConnectionId(index * 30 + i, 0, token, token)),
    'retired ids': () => many(100, () => frames.retireConnectionId(1)),
    'crypto frames': (index) => many(100, (i) => frames.crypto(1e6 + index * 1000 + i * 2, eight.subarray(0, 1))),
    'new tokens': () => frames.newToken(Buffer.alloc(1000)),
    'ranges of acknowledgements': () =>
      frames.ack(
        1e6,
        0,
        Array.from({ length: 8000 }, () => 0),
      ),
    pings: () => many(1000, () => frames.PING),
    credit: () => many(400, (i) => frames.maxData(i)),
    datagrams: () => many(400, () => frames.datagram(eight)),
    'streams that are cut off': () => many(300, () => frames.resetStream(2)),
  }
  for (const [what, make] of Object.entries(cases)) {
    const [offence, packets] = feed(new FrameWatch(), 2000, make)
    assert.ok(offence !== '' && packets <= 500, `${what}: ${packets} packets, ${offence}`)
  }
})

test('one TLS message after the handshake is no more than a ticket', () => {
  const watch = new FrameWatch()
  assert.is(feed(watch, 4, () => frames.crypto(0, Buffer.alloc(300)))[0], '')
  const slowly = feed(watch, 100_000, (i) => frames.crypto(i * 4, Buffer.alloc(1)), 500)
  assert.is(slowly[0], 'TLS went on after the handshake')
  assert.ok(slowly[1] < 300, `${slowly[1]}`)
})

test('pieces behind gaps are bounded, on one stream and on many', () => {
  for (const streams of [1, 300]) {
    const piece = (i: number): Buffer =>
      frames.stream(2 + 4 * (i % streams), 100 + 2 * Math.floor(i / streams), Buffer.of(1))
    const [offence, packets] = feed(new FrameWatch(), 2000, (index) => many(100, (i) => piece(index * 100 + i)))
    assert.is(offence, 'too many pieces of streams that cannot be read')
    assert.ok(packets < 250, `${packets}`)
  }
})

test('single bytes in order that nobody reads are bounded too', () => {
  const [offence] = feed(new FrameWatch(), 5000, (index) =>
    many(100, (i) => frames.stream(2, index * 100 + i, Buffer.of(1))),
  )
  assert.is(offence, 'too many pieces of streams that cannot be read')
})

test('bulk with losses, lanes that are not read for long and small messages in order do not pass the bounds', () => {
  const random = seededRandom(SEED)
  const watch = new FrameWatch()
  // 40 MB in pieces of 1300 bytes, of which one in ten comes late, some twice; read as far as there is no gap.
  let read = 0
  const late: number[] = []
  const body = Buffer.alloc(1300)
  for (let i = 0; i < 30_000; i++) {
    const isLate = random.float() < 0.1
    if (isLate) late.push(i)
    const sent = isLate ? [] : [i]
    while (late.length > 0 && late[0]! < i - 200) sent.push(late.shift()!, i)
    for (const piece of sent) {
      const offence = watch.packet(packet(frames.ack(i), frames.stream(2, piece * 1300, body)), 0, i, true)
      assert.is(offence, undefined)
    }
    const readable = (late[0] ?? i + 1) * 1300
    if (readable > read) watch.read(2, readable - read, false)
    read = Math.max(read, readable)
  }
  // 4 MB of messages of 40 bytes each on 20 lanes, and nobody reads.
  const parked = new FrameWatch()
  for (let i = 0; i < 100_000; i++) {
    const frame = frames.stream(6 + 4 * (i % 20), Math.floor(i / 20) * 40, body.subarray(0, 40))
    assert.is(parked.packet(packet(frame), 0, i, true), undefined)
  }
  // A million of them that are read at once.
  const quick = new FrameWatch()
  for (let i = 0; i < 1_000_000; i++) {
    assert.is(quick.packet(packet(frames.stream(6, i * 40, body.subarray(0, 40))), 0, i / 100, true), undefined)
    quick.read(6, 40, false)
  }
  console.log(`seed ${SEED}`)
})

test('ids that come and go with a change of way each second never pass a bound', () => {
  const token = Buffer.alloc(16)
  const [offence] = feed(
    new FrameWatch(),
    100_000,
    (i) => Buffer.concat([frames.newConnectionId(i + 4, i, token, token), frames.retireConnectionId(i)]),
    1000,
  )
  assert.is(offence, '')
})

test('odd packets that come often are counted for good, those of changes of way every few hours are not', () => {
  const alertAfter = (everyMs: number): boolean => {
    const watch = new FrameWatch()
    feed(watch, 100, (i) => frames.retireConnectionId(i), everyMs)
    return watch.isAlert(200 * everyMs)
  }
  assert.ok(alertAfter(5000))
  assert.not(alertAfter(2 * 60 * 60_000))
})

test('what the engine did not count is not booked, and what it blanked shows nothing', () => {
  const watch = new FrameWatch()
  const odd = packet(many(300, () => frames.pathChallenge(Buffer.alloc(8))))
  assert.is(watch.packet(odd, 0, 0), undefined)
  assert.ok(watch.isAlert(1))
  for (let i = 0; i < 10_000; i++) assert.is(watch.packet(odd, 0, 1, false), undefined)
  const blanked = new FrameWatch()
  assert.is(feed(blanked, 10_000, () => Buffer.alloc(1300))[0], '')
  assert.not(blanked.isAlert(0))
})

test('an id that comes again is noticed, one that is repeated before it was given back is not', () => {
  const id = Buffer.alloc(16)
  const fresh = new FrameWatch()
  feed(fresh, 10, (i) => frames.newConnectionId(1 + (i % 3), 0, id, id))
  assert.not(fresh.idsComeAgain)
  fresh.gaveBack(0)
  feed(fresh, 1, () => frames.newConnectionId(4, 1, id, id))
  assert.not(fresh.idsComeAgain)
  feed(fresh, 1, () => frames.newConnectionId(0, 0, id, id))
  assert.ok(fresh.idsComeAgain)
  for (const [number, retirePriorTo] of [
    [3, 0],
    [2 ** 60, 0],
  ] as const) {
    const other = new FrameWatch()
    feed(other, 1, () => frames.newConnectionId(9, 9, id, id))
    feed(other, 1, () => frames.newConnectionId(number, retirePriorTo, id, id))
    assert.ok(other.idsComeAgain)
  }
})

test('any bytes at all are read to their end and no further', () => {
  const random = seededRandom(SEED)
  for (let i = 0; i < 50_000; i++) {
    const bytes = random.bytes(Math.floor(random.float() * 80))
    const watch = new FrameWatch()
    watch.packet(bytes, 0, 0, true)
    watch.packet(packet(bytes), 0, 0, true)
  }
})

test('a handshake may not go on for ever', () => {
  const watch = new FrameWatch()
  let taken = 0
  for (; watch.admitsHandshake; taken += 1200) watch.handshake(1200)
  assert.ok(taken >= 20_000 && taken < 60_000, `${taken}`)
})

test.run()
