/**
 * Lanes on a connection that the test holds in its hands: who writes first, how bulk is shared, when lanes end, and what
 * a reader may rely on whatever way bytes come in.
 */
import * as assert from 'uvu/assert'
import { Lanes } from '../../transport/lanes.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { HandConnection } from './lanes-by-hand.ts'
import {
  Audience,
  CONTROL,
  DATA,
  doneFrame,
  Full,
  frame,
  KIND,
  Listener,
  markFrame,
  NO_HEAD,
  openFrame,
  Speaker,
} from './lanes-harness.ts'
import { memoryPair } from './lanes-memory.ts'

const SEED = 20261121
const IDLE_MS = 2000
const CONTROL_STREAM = 2
/** The peer's: its control lane and its first others. */
const [PEER_CONTROL, PEER_FIRST, PEER_SECOND] = [3, 7, 11]
const ALL = Number.POSITIVE_INFINITY

const setUp = () => {
  const clock = new VirtualClock()
  const connection = new HandConnection()
  const listener = new Listener()
  const lanes = new Lanes(listener, { clock }).attach(connection)
  listener.whenOpen = () => lanes.acceptLanes()
  connection.open(lanes)
  connection.flush(ALL)
  clock.advance(0)
  return { clock, connection, listener, lanes }
}

/** Makes `speaker` heavy, with its lane open and empty; gives its stream. */
const makeHeavy = (connection: HandConnection, speaker: Speaker): number => {
  for (let i = 0; i < 3; i++) speaker.say(2000)
  connection.flush(ALL)
  return connection.writes.at(-1)!.stream
}

const streamsOf = (connection: HandConnection): number[] =>
  connection.writes.map(({ stream }) => stream).filter((stream, index, all) => stream !== all[index - 1])

const test = suite('lanes')

test('writes control, shared and small dedicated lanes before bulk', () => {
  const { connection, lanes } = setUp()
  const speakers = [0, 1, 2, 3, 4].map((id) => new Speaker(id, lanes))
  const [bulkA, bulkB, small, shared] = speakers as [Speaker, Speaker, Speaker, Speaker]
  const [streamA, streamB, streamSmall] = [bulkA, bulkB, small].map((one) => makeHeavy(connection, one))
  shared.say(1)
  connection.flush(ALL)
  const streamShared = connection.writes.at(-1)!.stream
  connection.writes.length = 0
  for (const bulk of [bulkA, bulkB]) for (let i = 0; i < 10; i++) bulk.say(100_000)
  small.say(100)
  shared.say(100)
  lanes.control(CONTROL, NO_HEAD)
  connection.flush(50_000)
  assert.equal(streamsOf(connection).slice(0, 5), [CONTROL_STREAM, streamShared, streamSmall, streamA, streamB])
  assert.is(connection.roomBytes, 0)
})

test('bulk keeps to its room while light senders are active, and has all of it when they fell silent', () => {
  const { clock, connection, lanes } = setUp()
  const [bulk, light] = [new Speaker(0, lanes), new Speaker(1, lanes)]
  const stream = makeHeavy(connection, bulk)
  clock.advance(IDLE_MS)
  connection.bulkRoom = 20_000
  // One message alone has nobody behind it that would wait.
  light.say(10)
  bulk.say(100_000)
  connection.flush(ALL)
  assert.ok(connection.writtenBytes(stream) > 100_000)
  light.say(10)
  connection.writes.length = 0
  for (let i = 0; i < 5; i++) bulk.say(100_000)
  connection.flush(ALL)
  assert.is(connection.writtenBytes(stream), 20_000)
  connection.bulkRoom = 0
  connection.flush(ALL)
  assert.is(connection.writtenBytes(stream), 20_000)
  clock.advance(IDLE_MS)
  connection.flush(ALL)
  assert.ok(connection.writtenBytes(stream) > 500_000)
})

test(`shares what little room there is evenly among bulk, whatever the sizes of frames and flushes (seed ${SEED})`, () => {
  const random = seededRandom(SEED)
  const { connection, lanes } = setUp()
  const speakers = Array.from({ length: 10 }, (_, id) => new Speaker(id, lanes))
  const streams = speakers.map((one) => makeHeavy(connection, one))
  const stuck = streams[3]!
  connection.streamRoomBytes.set(stuck, 5000)
  connection.writes.length = 0
  for (let flushes = 0; flushes < 400; flushes++) {
    for (const speaker of speakers) {
      // The stuck one has a reader that holds: it may fill its queue, no more.
      if (flushes === 0 || speaker.id !== 3) while (speaker.say(3000 << (speaker.id % 5)));
    }
    connection.flush(Math.floor(random.float() * 100_000))
    assert.is(connection.roomBytes, 0, 'the stuck one keeps nobody from writing')
  }
  assert.is(connection.writtenBytes(stuck), 5000)
  const shares = streams.filter((stream) => stream !== stuck).map((stream) => connection.writtenBytes(stream))
  // One round of a lane is 16 KiB; each of them had more than a hundred.
  assert.ok(Math.max(...shares) <= 1.2 * Math.min(...shares), `shares: ${shares}`)
})

test('on a busy connection each lane keeps little, and all who wait for room go on', async () => {
  const { connection, lanes } = setUp()
  const senders = Array.from({ length: 40 }, () => lanes.sender())
  const body = new Uint8Array(3000)
  for (const sender of senders) while (sender.send(DATA, NO_HEAD, 0, body));
  // A mebibyte, the lane that went beyond it, and 16 KiB for each of the others.
  const most = (1024 + 256 + 40 * 20) * 1024
  assert.ok(lanes.queuedBytes >= 1024 * 1024 && lanes.queuedBytes <= most, String(lanes.queuedBytes))
  let waiting = senders.length
  const all = senders.map((sender) => sender.drained().then(() => waiting--))
  await Promise.resolve()
  assert.is(waiting, senders.length)
  while (lanes.queuedBytes > 0) connection.flush(64 * 1024)
  await Promise.all(all)
  assert.ok(senders[39]!.send(DATA, NO_HEAD, 0, new Uint8Array(100_000)), 'and may send much again')
})

test('ends a lane that fell idle, waits for the acknowledgement, and begins small again', () => {
  const { clock, connection, lanes } = setUp()
  const speaker = new Speaker(1, lanes)
  const first = makeHeavy(connection, speaker)
  clock.advance(IDLE_MS)
  connection.flush(ALL)
  assert.not(connection.ended.has(first), 'it was busy within the last period')
  clock.advance(IDLE_MS)
  connection.flush(ALL)
  assert.ok(connection.ended.has(first))
  connection.feed(PEER_CONTROL, Buffer.concat([openFrame(KIND.control), doneFrame(first)]))
  connection.writes.length = 0
  speaker.say(10)
  connection.flush(ALL)
  assert.ok(connection.writes.length === 1 && connection.writes[0]!.stream < first, 'on the shared lane')
  clock.advance(IDLE_MS)
  assert.is(clock.pending, 0, 'no lane, no timer')
})

test('writes nothing behind an end before it was acknowledged', () => {
  const { clock, connection, lanes } = setUp()
  const speaker = new Speaker(1, lanes)
  const first = makeHeavy(connection, speaker)
  clock.advance(2 * IDLE_MS)
  connection.flush(ALL)
  assert.ok(connection.ended.has(first))
  connection.writes.length = 0
  speaker.say(10)
  for (let i = 0; i < 3; i++) {
    speaker.say(100_000)
    connection.flush(ALL)
    clock.advance(2 * IDLE_MS)
  }
  assert.equal(connection.writes, [])
  connection.feed(PEER_CONTROL, Buffer.concat([openFrame(KIND.control), doneFrame(first)]))
  connection.flush(ALL)
  const successor = connection.writes[0]!.stream
  assert.ok(successor > first)
  assert.ok(connection.writtenBytes(successor) > 300_000)
  // The sender goes, and the lane with it, also while it had to wait.
  speaker.sender.close()
  connection.flush(ALL)
  assert.ok(connection.ended.has(successor))
})

test('a sender that closes while its lane waits for an acknowledgement loses nothing', () => {
  const { clock, connection, lanes } = setUp()
  const speaker = new Speaker(1, lanes)
  const first = makeHeavy(connection, speaker)
  clock.advance(2 * IDLE_MS)
  connection.flush(ALL)
  connection.writes.length = 0
  speaker.say(10)
  speaker.sender.close()
  speaker.sender.close()
  connection.flush(ALL)
  assert.equal(connection.writes, [])
  connection.feed(PEER_CONTROL, Buffer.concat([openFrame(KIND.control), doneFrame(first)]))
  connection.flush(ALL)
  assert.is(connection.writes.length, 1)
  assert.ok(connection.ended.has(connection.writes[0]!.stream))
})

test('has at most 256 dedicated lanes; who comes later stays on a shared one until there is room', () => {
  const { connection, lanes } = setUp()
  const speakers = Array.from({ length: 270 }, (_, id) => new Speaker(id, lanes))
  const streams = speakers.map((one) => makeHeavy(connection, one))
  // The control lane, two shared ones, and the dedicated.
  assert.is(new Set(streams).size, 256 + 2)
  const [first, last] = [speakers[0]!, speakers.at(-1)!]
  first.sender.close()
  connection.flush(ALL)
  assert.ok(connection.ended.has(streams[0]!))
  const sharedStream = streams.at(-1)!
  assert.is(makeHeavy(connection, last), sharedStream, 'an end counts until it is acknowledged')
  connection.feed(PEER_CONTROL, Buffer.concat([openFrame(KIND.control), doneFrame(streams[0]!)]))
  assert.ok(makeHeavy(connection, last) > Math.max(...streams))
})

test('a lane whose end found the connection full is ended later', () => {
  const { connection, lanes } = setUp()
  const [ending, other] = [new Speaker(1, lanes), new Speaker(2, lanes)]
  const stream = makeHeavy(connection, ending)
  const otherStream = makeHeavy(connection, other)
  ending.sender.close()
  other.say(100)
  // Room for the other one's frame exactly: length, type, head, body.
  connection.flush(4 + 1 + 14 + 100)
  assert.is(connection.writes.at(-1)!.stream, otherStream)
  connection.flush(ALL)
  assert.ok(connection.ended.has(stream))
})

test(
  'frames survive any cut into reads, and any holds',
  () => {
    for (let seed = SEED; seed < SEED + 200; seed++) {
      const random = seededRandom(seed)
      const dice = (below: number): number => Math.floor(random.float() * below)
      const { clock, connection, listener, lanes } = setUp()
      const audience = new Audience()
      const full = new Full()
      let holds = 0
      listener.take = (type, bytes) => {
        if (full.isWaitedFor) audience.faults.push('a frame while its receiver was full')
        audience.hear(type, bytes)
        if (dice(10) > 0) return undefined
        holds++
        return full
      }
      // What another node writes: its dedicated lane without the marks, which are tested elsewhere.
      const other = setUp()
      const speaker = new Speaker(1, other.lanes)
      speaker.sender.send(DATA, NO_HEAD, 0, Buffer.alloc(5000))
      other.connection.flush(ALL)
      other.connection.writes.length = 0
      const sizes = [() => dice(100), () => 16_300 + dice(120), () => dice(70_000), () => dice(400_000)]
      for (let frames = 10 + dice(60); frames > 0; frames--) speaker.say(sizes[Math.min(3, dice(9))]!())
      other.connection.flush(ALL)
      const bytes = Buffer.concat([openFrame(KIND.dedicated), ...other.connection.writes.map((write) => write.bytes)])
      const largestCut = [3, 1000, 20_000, 300_000, 2_000_000][dice(5)]!
      for (let at = 0; at < bytes.length; ) {
        const end = Math.min(bytes.length, at + 1 + dice(at < 200 ? 3 : Math.max(largestCut, bytes.length / 200)))
        connection.feed(PEER_FIRST, bytes.subarray(at, end), end === bytes.length)
        at = end
        if (dice(3) === 0) full.relieve()
        if (dice(2) === 0) clock.advance(0)
      }
      const isDone = (): boolean => audience.heard(1) === speaker.sent
      for (let i = 0; i < 1000 && !isDone(); i++) {
        full.relieve()
        clock.advance(0)
      }
      audience.assertFaultless(`seed ${seed}`)
      assert.ok(isDone(), `seed ${seed}: ${audience.heard(1)} of ${speaker.sent} after ${holds} holds`)
      full.relieve()
      clock.advance(0)
      connection.writes.length = 0
      lanes.onFlush()
      const written = Buffer.concat(connection.writes.map((write) => write.bytes))
      assert.ok(written.equals(doneFrame(PEER_FIRST)), `seed ${seed}: the end is acknowledged, once`)
    }
  },
  { deadlineMs: 60_000 },
)

test('a held lane is not read, not even when its turn was already due', () => {
  const { clock, connection, listener } = setUp()
  const full = new Full()
  let heard = 0
  let isFull = false
  listener.take = () => {
    assert.not(full.isWaitedFor)
    heard++
    return isFull ? full : undefined
  }
  // More than one turn reads (512 KiB): the rest is due after input.
  connection.feed(
    PEER_FIRST,
    Buffer.concat([openFrame(KIND.dedicated), ...Array(700).fill(frame(DATA, Buffer.alloc(1000)))]),
  )
  assert.ok(heard < 700)
  isFull = true
  connection.feed(PEER_FIRST, frame(DATA, Buffer.alloc(1000)))
  const before = heard
  clock.advance(0)
  assert.is(heard, before + 1)
  assert.ok(full.isWaitedFor)
  clock.advance(IDLE_MS)
  connection.feed(PEER_FIRST, frame(DATA, Buffer.alloc(1000)))
  assert.is(heard, before + 1)
  isFull = false
  full.relieve()
  clock.advance(0)
  assert.is(heard, 702)
})

test('accepting lanes in the middle of a read harms no frame of it', () => {
  const clock = new VirtualClock()
  const connection = new HandConnection()
  const listener = new Listener()
  const lanes = new Lanes(listener, { clock }).attach(connection)
  connection.open(lanes)
  listener.whenControlled = () => lanes.acceptLanes()
  connection.feed(PEER_FIRST, Buffer.concat([openFrame(KIND.shared), frame(DATA, Buffer.alloc(2000, 1))]))
  connection.feed(
    PEER_CONTROL,
    Buffer.concat([openFrame(KIND.control), ...[7, 8, 9].map((fill) => frame(CONTROL, Buffer.alloc(100, fill)))]),
  )
  clock.advance(0)
  assert.equal(
    listener.controls.map(({ bytes }) => bytes),
    [7, 8, 9].map((fill) => Buffer.alloc(100, fill)),
  )
  assert.equal(listener.frames, [{ type: DATA, bytes: Buffer.alloc(2000, 1) }])
  assert.equal(connection.closes, [])
})

test('a lane waits for its mark, whichever comes first', () => {
  const { clock, connection, listener } = setUp()
  const take = (): string => {
    clock.advance(0)
    return listener.frames
      .splice(0)
      .map(({ bytes }) => String.fromCharCode(bytes[0]!))
      .join('')
  }
  const letter = (text: string): Buffer => frame(DATA, Buffer.from(text))
  connection.feed(PEER_FIRST, Buffer.concat([openFrame(KIND.shared), letter('a')]))
  connection.feed(PEER_SECOND, Buffer.concat([openFrame(KIND.dedicated, 1), letter('d'), letter('e')]))
  assert.is(take(), 'a')
  connection.feed(PEER_FIRST, Buffer.concat([letter('b'), markFrame(1), letter('c')]))
  assert.is(take(), 'bcde')
  connection.feed(PEER_FIRST, Buffer.concat([letter('f'), markFrame(2), letter('g')]))
  connection.feed(PEER_SECOND + 4, Buffer.concat([openFrame(KIND.dedicated, 2), letter('h')]), true)
  assert.is(take(), 'fgh')
})

test('nothing is delivered once we closed', () => {
  const { clock, connection, listener, lanes } = setUp()
  listener.take = (type, bytes) => {
    listener.frames.push({ type, bytes: Buffer.from(bytes) })
    lanes.close(0, 'closed', 'enough')
    return undefined
  }
  connection.feed(PEER_FIRST, Buffer.concat([openFrame(KIND.shared), frame(DATA), frame(DATA), frame(DATA)]))
  connection.feed(PEER_SECOND, Buffer.concat([openFrame(KIND.shared), frame(DATA)]))
  clock.advance(0)
  assert.is(listener.frames.length, 1)
  assert.is(connection.closes.length, 1)
})

test('an error of the layer above costs the connection, and is thrown at nobody', () => {
  const { connection, listener } = setUp()
  listener.take = () => {
    throw new Error('a defect')
  }
  connection.feed(PEER_FIRST, Buffer.concat([openFrame(KIND.shared), frame(DATA)]))
  assert.is(connection.closes[0]?.code, 'ERR_SKEIN_PROTOCOL')
})

test('a peer that does not read its control lane is cut off', () => {
  const { connection, lanes } = setUp()
  connection.streamRoomBytes.set(CONTROL_STREAM, 0)
  const body = Buffer.alloc(60_000)
  for (let i = 0; i < 200; i++) {
    lanes.control(CONTROL, body)
    connection.flush(ALL)
  }
  assert.is(connection.closes[0]?.code, 'ERR_SKEIN_LIMIT')
  assert.ok(lanes.queuedBytes < 5 << 20)
})

test('a closed connection leaves no timer behind', async (t: TestContext) => {
  const h = memoryPair(SEED)
  t.defer(() => Promise.all([h.a.close(), h.b.close()]))
  const listener = new Listener()
  const lanes = new Lanes(listener, { clock: h.clockA })
  listener.whenOpen = () => lanes.acceptLanes()
  h.b.listen((connection) => {
    const other = new Listener()
    const theirs = new Lanes(other, { clock: h.clockB })
    other.whenOpen = () => theirs.acceptLanes()
    return theirs.attach(connection)
  })
  lanes.attach(h.a.connect(h.b.addresses()[0]!, lanes))
  const speaker = new Speaker(1, lanes)
  for (let i = 0; i < 10; i++) speaker.say(3000)
  await h.until(() => listener.opened === 1 && lanes.queuedBytes === 0)
  assert.ok(h.clock.pending > 0)
  lanes.close(0, 'closed', 'over')
  await h.pass(30_000)
  assert.is(listener.closes.length, 1)
  assert.is(h.clock.pending, 0)
})

test.run()
