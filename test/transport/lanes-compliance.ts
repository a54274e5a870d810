/** What lanes must do on every carrier. The harness brings two transports and a way to wait. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { wireCodeOf } from '../../transport/close-codes.ts'
import { Lanes } from '../../transport/lanes.ts'
import { seededRandom } from '../../transport/random.ts'
import type { Suite, TestContext } from '../support/suite.ts'
import {
  Audience,
  CONTROL,
  DATA,
  doneFrame,
  Full,
  frame,
  KIND,
  type LaneHarness,
  MARK,
  markFrame,
  NO_HEAD,
  OPEN,
  openFrame,
  openPair,
  openRaw,
  type RawPeer,
  roundTrip,
  Speaker,
} from './lanes-harness.ts'

const SEED = 20261121
/** What send and queue add to what the other side's window takes, at most: the high-water mark and one frame. */
const SLACK_BYTES = 1 << 20
const MAX_FRAME_BYTES = 1 << 20
const KIB = 1024

const PROTOCOL = 'ERR_SKEIN_PROTOCOL'

/** What a peer must not do, by name; stream 0 is its control lane. */
const OFFENCES: readonly [string, (raw: RawPeer) => void][] = [
  ['a length of 0', (raw) => raw.put(0, Uint8Array.of(0, 0, 0, 0))],
  ['a length of ff ff ff ff', (raw) => raw.put(0, Uint8Array.of(255, 255, 255, 255))],
  ['a control frame over the limit', (raw) => raw.put(0, openFrame(KIND.control)).put(0, Uint8Array.of(1, 0, 1, 0))],
  [
    'a frame over the limit',
    (raw) => {
      const length = Buffer.alloc(4)
      length.writeUInt32LE(MAX_FRAME_BYTES + 1)
      raw.put(1, openFrame(KIND.shared)).put(1, length)
    },
  ],
  [
    'a length of ff ff ff ff behind good frames',
    (raw) => raw.put(1, openFrame(KIND.shared)).put(1, frame(DATA)).put(1, Buffer.alloc(4, 255)),
  ],
  ['a first frame that opens nothing', (raw) => raw.put(1, frame(DATA, Buffer.alloc(5)))],
  ['an empty first frame', (raw) => raw.put(1, frame(OPEN))],
  ['an opening that is too long', (raw) => raw.put(1, frame(OPEN, Buffer.alloc(6, 1)))],
  ['an unknown kind of lane', (raw) => raw.put(1, openFrame(4))],
  ['a second control lane', (raw) => raw.put(1, openFrame(KIND.control))],
  ['a first lane that is shared', (raw) => raw.put(0, openFrame(KIND.shared))],
  ['a first lane that is dedicated', (raw) => raw.put(0, openFrame(KIND.dedicated))],
  ['a shared lane behind a mark', (raw) => raw.put(1, openFrame(KIND.shared, 5))],
  ['two lanes behind one mark', (raw) => raw.put(1, openFrame(KIND.dedicated, 5)).put(2, openFrame(KIND.dedicated, 5))],
  ['a lane that opens twice', (raw) => raw.put(1, openFrame(KIND.shared)).put(1, openFrame(KIND.shared))],
  ['a mark on a dedicated lane', (raw) => raw.put(1, openFrame(KIND.dedicated)).put(1, markFrame(1))],
  ['a mark on the control lane', (raw) => raw.put(0, openFrame(KIND.control)).put(0, markFrame(1))],
  ['a mark that is too short', (raw) => raw.put(1, openFrame(KIND.shared)).put(1, frame(MARK, Buffer.alloc(3)))],
  [
    'marks without lanes, without end',
    (raw) => {
      raw.put(1, openFrame(KIND.shared))
      raw.put(1, Buffer.concat(Array.from({ length: 1025 }, (_, i) => markFrame(i + 1))))
    },
  ],
  ['an acknowledgement on a shared lane', (raw) => raw.put(1, openFrame(KIND.shared)).put(1, doneFrame(7))],
  ['an acknowledgement of an unknown lane', (raw) => raw.put(0, openFrame(KIND.control)).put(0, doneFrame(4003))],
  ['an unknown frame of lanes', (raw) => raw.put(1, openFrame(KIND.shared)).put(1, frame(0xff))],
  ['the end of the control lane', (raw) => raw.put(0, openFrame(KIND.control), true)],
  ['the end of a shared lane', (raw) => raw.put(1, openFrame(KIND.shared), true)],
  ['an end before the opening', (raw) => raw.put(1, NO_HEAD, true)],
  ['an end within a length', (raw) => raw.put(1, Buffer.concat([openFrame(KIND.dedicated), Buffer.alloc(3, 1)]), true)],
  [
    'an end within a frame',
    (raw) =>
      raw.put(1, Buffer.concat([openFrame(KIND.dedicated), frame(DATA, Buffer.alloc(99)).subarray(0, 50)]), true),
  ],
  [
    'an end within a large frame',
    (raw) =>
      raw.put(
        1,
        Buffer.concat([openFrame(KIND.dedicated), frame(DATA, Buffer.alloc(99_999)).subarray(0, 50_000)]),
        true,
      ),
  ],
]

/** Adds the tests to a suite; `makePair` registers its own clean-ups. */
export const laneCompliance = (test: Suite, makePair: (t: TestContext) => Promise<LaneHarness>): void => {
  test(`light and heavy senders, both ways: all frames once, in order, unharmed (seed ${SEED})`, async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h)
    const random = seededRandom(SEED)
    const dice = (below: number): number => Math.floor(random.float() * below)
    const ways = [
      { lanes: a.lanes, clock: h.clockA, audience: new Audience().attend(b.listener) },
      { lanes: b.lanes, clock: h.clockB, audience: new Audience().attend(a.listener) },
    ]
    let talking = 0
    const told = ways.map(({ lanes, clock, audience }) => {
      const speakers = Array.from({ length: 10 }, (_, id) => new Speaker(id, lanes))
      for (const speaker of speakers) {
        talking++
        let bursts = 8
        const burst = (): void => {
          if (bursts-- === 0) {
            talking--
            if (speaker.id % 3 === 0) speaker.sender.close()
            return
          }
          for (let frames = dice(20); frames > 0; frames--)
            speaker.say(speaker.id % 2 === 0 ? dice(200) : dice(4) === 0 ? dice(300_000) : dice(5000))
          // Some pauses end lanes that fell idle, and some end while that is under way.
          clock.after([0, 5, 50, 1990 + dice(60), 4100 + dice(100)][dice(5)]!, burst)
        }
        burst()
      }
      return { speakers, audience }
    })
    await h.until(() => talking === 0 && told.every(({ speakers, audience }) => audience.heardAll(speakers)))
    await roundTrip(h, a, b)
    for (const { speakers, audience } of told) {
      audience.assertFaultless()
      assert.ok(audience.heardAll(speakers), 'nothing twice')
    }
    assert.equal([a.listener.closes, b.listener.closes], [[], []])
  })

  test('frames around every boundary of size', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h, { maxFrameBytes: MAX_FRAME_BYTES })
    const audience = new Audience().attend(b.listener)
    const speaker = new Speaker(1, a.lanes)
    // Chunks of 4 and 64 KiB, frames in a buffer of their own above 16 KiB, reads of 128 KiB, first buffers of 256 KiB.
    const boundaries = [4 * KIB, 16 * KIB, 64 * KIB, 128 * KIB, 256 * KIB]
    const say = async (bodyBytes: number): Promise<void> => {
      if (!speaker.say(bodyBytes)) await h.until(() => audience.heardAll([speaker]))
    }
    for (let bodyBytes = 0; bodyBytes <= 40; bodyBytes++) await say(bodyBytes)
    for (const boundary of boundaries) for (let less = -2; less <= 24; less++) await say(boundary - less)
    // Type and head belong to the frame.
    const longest = MAX_FRAME_BYTES - 1 - 14
    for (let less = 0; less <= 3; less++) await say(longest - less)
    await h.until(() => audience.heardAll([speaker]))
    audience.assertFaultless()
    speaker.say(longest + 1)
    await h.until(() => a.listener.closes.length + b.listener.closes.length === 2)
    assert.is(b.listener.closes[0]!.code, PROTOCOL)
    assert.is(audience.heard(1), speaker.sent - 1)
  })

  test('control frames up to the longest, the first ones sent before the connection is open', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h, {
      accept: false,
      make: (listener, options) => {
        const lanes = new Lanes(listener, options)
        lanes.control(CONTROL, Uint8Array.of(1, 2, 3))
        return lanes
      },
    })
    const sizes = [0, 1, 4091, 4092, 65_526, 65_527, 65_530, 65_531, 65_532, 65_533, 65_534, 65_535]
    for (const size of sizes) a.lanes.control(CONTROL, Buffer.alloc(size, size))
    await h.until(() => b.listener.controls.length === sizes.length + 1)
    assert.equal([...b.listener.controls[0]!.bytes], [1, 2, 3])
    for (const [index, size] of sizes.entries()) {
      const { type, bytes } = b.listener.controls[index + 1]!
      assert.is(type, CONTROL)
      assert.ok(bytes.equals(Buffer.alloc(size, size)), `${size} bytes`)
    }
    a.lanes.control(CONTROL, Buffer.alloc(65_536))
    await h.until(() => b.listener.closes.length === 1)
    assert.is(b.listener.closes[0]!.code, PROTOCOL)
  })

  test('only the control lane until lanes are accepted, on either side', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h, { accept: false })
    const audience = new Audience().attend(b.listener)
    const speakers = [new Speaker(1, a.lanes), new Speaker(2, a.lanes)]
    speakers[0]!.say(10)
    for (let i = 0; i < 10; i++) speakers[1]!.say(2000)
    // Our own side holds back what its senders queue.
    await roundTrip(h, a, b)
    assert.ok(a.lanes.queuedBytes > 20_000)
    a.lanes.acceptLanes()
    await h.until(() => a.lanes.queuedBytes === 0)
    await roundTrip(h, a, b)
    assert.is(audience.total, 0)
    b.lanes.acceptLanes()
    await h.until(() => audience.heardAll(speakers))
    audience.assertFaultless()
  })

  test('a peer that sends lanes early is not read, nor blamed', async (t) => {
    const h = await makePair(t)
    const { raw, b } = await openRaw(h, { accept: false })
    raw.put(0, openFrame(KIND.control))
    // Within the stream's window, this would be refused at once if it were read.
    raw
      .put(1, openFrame(KIND.shared))
      .put(1, frame(DATA, Uint8Array.of(7)))
      .put(2, Buffer.alloc(100, 255))
    raw.put(0, frame(CONTROL))
    await h.until(() => b.listener.controls.length === 1)
    const heardBytes = raw.heardBytes
    b.lanes.control(CONTROL, NO_HEAD)
    await h.until(() => raw.heardBytes > heardBytes)
    assert.equal([b.listener.frames, b.listener.closes], [[], []])
    b.lanes.acceptLanes()
    await h.until(() => b.listener.closes.length === 1)
    assert.is(b.listener.closes[0]!.code, PROTOCOL)
  })

  test('send says false above the high-water mark, drained resolves below the low one', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h, { accept: false })
    a.lanes.acceptLanes()
    const audience = new Audience().attend(b.listener)
    const [slow, other] = [new Speaker(1, a.lanes), new Speaker(2, a.lanes)]
    let isDrained = false
    await other.sender.drained()
    while (slow.say(32 * KIB)) assert.ok(slow.sentBytes < SLACK_BYTES)
    assert.ok(slow.sentBytes >= 256 * KIB, `${slow.sentBytes} bytes`)
    void slow.sender.drained().then(() => {
      isDrained = true
      assert.ok(a.lanes.queuedBytes <= 128 * KIB)
    })
    // The window of the reader fills up, and then the queue, until it says false for good.
    await h.until(() => {
      while (slow.say(32 * KIB)) assert.ok(slow.sentBytes < h.streamWindowBytes + SLACK_BYTES)
      return slow.sentBytes >= h.streamWindowBytes + 256 * KIB
    })
    isDrained = false
    void slow.sender.drained().then(() => {
      isDrained = true
    })
    await roundTrip(h, a, b)
    assert.not(isDrained)
    assert.ok(other.say(10), 'other senders are not concerned')
    b.lanes.acceptLanes()
    await h.until(() => isDrained && audience.heardAll([slow, other]))
    audience.assertFaultless()
  })

  test(
    'the hard limit refuses frames, and the connection lives on',
    async (t) => {
      const h = await makePair(t)
      const { a, b } = await openPair(h, { accept: false })
      a.lanes.acceptLanes()
      const audience = new Audience().attend(b.listener)
      const speakers = [1, 2, 3].map((id) => new Speaker(id, a.lanes))
      const full = (speaker: Speaker): unknown => {
        try {
          for (let i = 0; i < 10_000; i++) speaker.say(64 * KIB)
          return 'never refused'
        } catch (error) {
          return error
        }
      }
      for (const speaker of speakers) {
        const error = full(speaker)
        assert.ok(isSkeinError(error) && error.code === 'ERR_SKEIN_QUEUE_FULL', String(error))
      }
      assert.ok(a.lanes.queuedBytes <= 64 << 20)
      a.lanes.control(CONTROL, Uint8Array.of(1))
      await h.until(() => b.listener.controls.length === 1)
      b.lanes.acceptLanes()
      await h.until(() => audience.heardAll(speakers))
      for (const speaker of speakers) speaker.say(100)
      await h.until(() => audience.heardAll(speakers))
      audience.assertFaultless()
      assert.equal([a.listener.closes, b.listener.closes], [[], []])
    },
    { deadlineMs: 20_000 },
  )

  test('a held sender stops alone, with bounded memory, and goes on where it stopped', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h)
    const audience = new Audience()
    const full = new Full()
    let isFull = true
    b.listener.take = (type, bytes) => {
      const id = audience.hear(type, bytes)
      // In the middle of a read: many small frames follow in the same packets.
      return id === 1 && isFull && audience.heard(1) >= 300 ? full : undefined
    }
    const [held, heavy, light] = [1, 2, 3].map((id) => new Speaker(id, a.lanes)) as [Speaker, Speaker, Speaker]
    for (let i = 0; i < 1000; i++) held.say(100)
    await h.until(() => full.isWaitedFor)
    await h.until(() => {
      while (held.say(i(held))) assert.ok(held.sentBytes < h.streamWindowBytes + 2 * SLACK_BYTES, 'memory is bounded')
      if (heavy.sentBytes < 4 << 20) heavy.say(64 * KIB)
      light.say(10)
      return heavy.sentBytes >= 4 << 20 && held.sentBytes >= h.streamWindowBytes
    })
    await h.until(() => audience.heardAll([heavy, light]))
    assert.is(audience.heard(1), 300)
    isFull = false
    full.relieve()
    await h.until(() => audience.heardAll([held]))
    audience.assertFaultless()
    /** Small frames and large ones. */
    function i(speaker: Speaker): number {
      return speaker.sent % 8 === 0 ? 40_000 : 900
    }
  })

  test('a sender that is held again and again loses nothing', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h)
    const audience = new Audience()
    let holds = 0
    let isHeld = false
    b.listener.take = (type, bytes) => {
      if (isHeld) audience.faults.push('a frame while its receiver was full')
      audience.hear(type, bytes)
      if (audience.total % 7 !== 0) return undefined
      holds++
      const full = new Full()
      isHeld = true
      h.clockB.after(holds % 5, () => {
        isHeld = false
        full.relieve()
      })
      return full
    }
    const speaker = new Speaker(1, a.lanes)
    for (let i = 0; i < 400; i++) speaker.say(i % 10 === 0 ? 100_000 : i % 3 === 0 ? 20_000 : 150)
    await h.until(() => audience.heardAll([speaker]))
    audience.assertFaultless()
    assert.ok(holds > 50)
  })

  test('a shared lane heeds no hold', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h)
    const audience = new Audience()
    const full = new Full()
    b.listener.take = (type, bytes) => {
      audience.hear(type, bytes)
      return full
    }
    const speakers = Array.from({ length: 4 }, (_, id) => new Speaker(id, a.lanes))
    for (let i = 0; i < 8; i++) {
      for (const speaker of speakers) speaker.say(100)
      await h.until(() => audience.heardAll(speakers))
    }
    assert.not(full.isWaitedFor)
    audience.assertFaultless()
  })

  test('heavy senders share within 20 %, and a light one does not wait for them', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h)
    const audience = new Audience()
    const bulk = Array.from({ length: 6 }, (_, id) => new Speaker(id, a.lanes))
    const light = new Speaker(99, a.lanes)
    // A receiver that lags reads half a mebibyte of a lane at once: that has to be little beside a share.
    const totalBytes = 48 << 20
    let shares: number[] | undefined
    let bulkBeforeLight = -1
    b.listener.take = (type, bytes) => {
      const id = audience.hear(type, bytes)
      if (id === 99) bulkBeforeLight = audience.totalBytes
      if (shares === undefined && audience.totalBytes >= totalBytes / 2)
        shares = bulk.map((one) => audience.heardBytes(one.id))
      return undefined
    }
    // Different sizes of frames, the same number of bytes.
    for (const speaker of bulk) while (speaker.sentBytes < totalBytes / bulk.length) speaker.say(1000 << speaker.id)
    await h.until(() => audience.totalBytes > 0)
    light.say(10)
    await h.until(() => audience.heardAll([...bulk, light]))
    audience.assertFaultless()
    assert.ok(bulkBeforeLight < totalBytes / 2, `${bulkBeforeLight} bytes came before the light one's ten`)
    assert.ok(Math.max(...shares!) <= 1.2 * Math.min(...shares!), `shares: ${shares}`)
  })

  test('more heavy senders than lanes', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h)
    const audience = new Audience().attend(b.listener)
    const speakers = Array.from({ length: 300 }, (_, id) => new Speaker(id, a.lanes))
    for (let i = 0; i < 6; i++) for (const speaker of speakers) speaker.say(2000)
    await h.until(() => audience.heardAll(speakers))
    for (const speaker of speakers.slice(0, 100)) speaker.sender.close()
    for (let i = 0; i < 6; i++) for (const speaker of speakers.slice(100)) speaker.say(2000)
    await h.until(() => audience.heardAll(speakers))
    audience.assertFaultless()
    assert.equal([a.listener.closes, b.listener.closes], [[], []])
  })

  test('the end resolves all waiters, and nothing comes after it', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h, { accept: false })
    a.lanes.acceptLanes()
    const speaker = new Speaker(1, a.lanes)
    const light = new Speaker(2, a.lanes)
    while (speaker.sentBytes < h.streamWindowBytes + SLACK_BYTES) speaker.say(64 * KIB)
    let resolved = 0
    const count = (): void => {
      resolved++
    }
    for (const promise of [speaker.sender.drained(), a.lanes.flushed(), speaker.sender.drained()])
      void promise.then(count)
    await roundTrip(h, a, b)
    assert.is(resolved, 0)
    b.lanes.acceptLanes()
    b.lanes.close(0, 'closed', 'that was it')
    await h.until(() => a.listener.closes.length + b.listener.closes.length === 2 && resolved === 3)
    assert.is(a.listener.closes[0]!.byPeer, true)
    const queuedBytes = a.lanes.queuedBytes
    assert.ok(speaker.say(1_000_000) && light.say(10))
    assert.is(a.lanes.queuedBytes, queuedBytes, 'frames vanish')
    a.lanes.control(CONTROL, NO_HEAD)
    a.lanes.acceptLanes()
    speaker.sender.close()
    await Promise.all([speaker.sender.drained(), light.sender.drained(), a.lanes.flushed()])
    a.lanes.close(1, 'ERR_SKEIN_CONNECTION_LOST', 'again')
    assert.equal([a.listener.closes.length, a.listener.untimely, b.listener.untimely], [1, [], []])
    assert.equal(b.listener.frames, [])
  })

  test('a peer that breaks the rules loses its connection, and both sides know why', async (t) => {
    const h = await makePair(t)
    for (const [name, offend] of OFFENCES) {
      const { raw, b } = await openRaw(h, { maxFrameBytes: MAX_FRAME_BYTES })
      offend(raw)
      await h.until(() => b.listener.closes.length === 1 && raw.closes.length === 1)
      const [ours, theirs] = [b.listener.closes[0]!, raw.closes[0]!]
      assert.equal([ours.code, ours.byPeer], [PROTOCOL, false], name)
      assert.equal([theirs.code, theirs.byPeer, theirs.wireCode], [PROTOCOL, true, wireCodeOf(PROTOCOL)], name)
      assert.equal(b.listener.untimely, [], name)
    }
  })

  test('a peer that acknowledges a lane before its end loses its connection', async (t) => {
    const h = await makePair(t)
    const { raw, b } = await openRaw(h)
    raw.put(0, openFrame(KIND.control))
    const speaker = new Speaker(1, b.lanes)
    for (let i = 0; i < 10; i++) speaker.say(2000)
    await h.until(() => raw.heardBytes > 20_000)
    // The acceptor opened its control lane, a shared one, and last the dedicated one.
    raw.put(0, doneFrame(Math.max(...raw.heard)))
    await h.until(() => raw.closes.length === 1)
    assert.is(raw.closes[0]!.code, PROTOCOL)
    assert.ok(raw.closes[0]!.message.includes('has not ended'))
  })
}
