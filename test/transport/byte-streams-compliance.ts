/** What streams of bytes must do beside the lanes of a connection, on every carrier. */
import * as assert from 'uvu/assert'
import type {
  ByteReader,
  ByteReaderHandler,
  ByteStreams,
  ByteWriter,
  ByteWriterHandler,
  StreamPriority,
} from '../../transport/byte-stream.ts'
import type { Suite, TestContext } from '../support/suite.ts'
import { pattern } from './compliance.ts'
import {
  Audience,
  doneFrame,
  frame,
  KIND,
  type LaneEnd,
  type LaneHarness,
  NO_HEAD,
  openFrame,
  openPair,
  openRaw,
  type RawPeer,
  roundTrip,
  Speaker,
} from './lanes-harness.ts'

/** What may be under way beyond the window of the carrier: the buffer of the writer, and one read with the opening. */
const SLACK_BYTES = 512 * 1024
const STREAM_KIND = 3
/** Comes with the end of a stream. */
const END_BYTE = Uint8Array.of(0)
/** How often the light sender is heard while megabytes are under way. */
const ASKED = 10
const [ABORTED, STOPPED, DELIVERED] = [0xf3, 0xf4, 0xf5]

/** Writes what it is given as there is room, and notes what it hears. */
class Source implements ByteWriterHandler {
  readonly writer: ByteWriter
  readonly heard: string[] = []
  #rest: Uint8Array = NO_HEAD
  #finishes = false

  constructor(streams: ByteStreams, number: number, priority: StreamPriority = 'normal') {
    this.writer = streams.open(number, priority, this)
  }

  /** Bytes that found no room yet. */
  get restBytes(): number {
    return this.#rest.length
  }

  send(bytes: Uint8Array, finish = true): this {
    this.#rest = bytes
    this.#finishes = finish
    this.onRoom()
    return this
  }

  onRoom(): void {
    this.#rest = this.#rest.subarray(this.writer.write(this.#rest))
    if (this.#rest.length === 0 && this.#finishes) this.writer.finish()
  }

  onDelivered(): void {
    this.heard.push('delivered')
  }

  onStopped(why: string): void {
    this.heard.push(why)
  }
}

/** Reads what comes unless it is held, and notes what it hears. */
class Sink implements ByteReaderHandler {
  readonly reader: ByteReader
  readonly heard: string[] = []
  readonly #chunks: Buffer[] = []
  isHeld: boolean

  constructor(streams: ByteStreams, number: number, isHeld = false) {
    this.isHeld = isHeld
    this.reader = streams.expect(number, this)
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks)
  }

  release(): void {
    this.isHeld = false
    this.onReadable()
  }

  onReadable(): void {
    if (this.isHeld) return
    const target = Buffer.alloc(32 * 1024)
    for (;;) {
      const { bytes, finished } = this.reader.read(target)
      if (bytes > 0) this.#chunks.push(Buffer.from(target.subarray(0, bytes)))
      if (finished) this.heard.push('finished')
      if (finished || bytes === 0) return
    }
  }

  onAborted(why: string): void {
    this.heard.push(why)
  }
}

const same = (actual: Buffer, expected: Uint8Array, what: string): void =>
  assert.ok(actual.equals(expected), `${what}: ${actual.length} of ${expected.length} bytes, or others`)

/** Everything about streams is settled at both ends. */
const settled = (h: LaneHarness, { a, b }: { a: LaneEnd; b: LaneEnd }): Promise<void> =>
  h.until(() => a.lanes.streams.size === 0 && b.lanes.streams.size === 0)

/** What a peer must not do, by name. */
const OFFENCES: readonly [string, (raw: RawPeer) => void][] = [
  ['a stream that begins twice', (raw) => raw.put(1, openFrame(STREAM_KIND, 1)).put(2, openFrame(STREAM_KIND, 1))],
  ['an end that is too short', (raw) => raw.put(0, openFrame(KIND.control)).put(0, frame(ABORTED, Buffer.alloc(4)))],
  ['an end that is too long', (raw) => raw.put(0, openFrame(KIND.control)).put(0, frame(DELIVERED, Buffer.alloc(5)))],
  ['an unknown reason', (raw) => raw.put(0, openFrame(KIND.control)).put(0, frame(STOPPED, Buffer.alloc(5, 9)))],
  ['an end on another lane', (raw) => raw.put(1, openFrame(KIND.shared)).put(1, frame(STOPPED, Buffer.alloc(5)))],
  [
    'the delivery of what has not ended',
    (raw) => raw.put(0, openFrame(KIND.control)).put(0, frame(DELIVERED, Uint8Array.of(7, 0, 0, 0))),
  ],
  ['a stream as its control lane', (raw) => raw.put(0, openFrame(STREAM_KIND, 1))],
]

export const byteStreamCompliance = (test: Suite, makePair: (t: TestContext) => Promise<LaneHarness>): void => {
  test('bytes arrive unharmed, both ways at once, with the same numbers', async (t) => {
    const h = await makePair(t)
    const pair = await openPair(h)
    const { a, b } = pair
    const sizes = [0, 1, 100, 70_000, 300_000, 2_000_000]
    const sinks = sizes.map((_, i) => [new Sink(b.lanes.streams, i + 1), new Sink(a.lanes.streams, i + 1)] as const)
    const sources = sizes.map((size, i) => [
      new Source(a.lanes.streams, i + 1).send(pattern(size, i)),
      new Source(b.lanes.streams, i + 1).send(pattern(size, 100 + i)),
    ])
    await h.until(() => sources.flat().every(({ heard }) => heard.length > 0))
    sizes.forEach((size, i) => {
      same(sinks[i]![0].bytes, pattern(size, i), `stream ${i + 1}`)
      same(sinks[i]![1].bytes, pattern(size, 100 + i), `stream ${i + 1} back`)
    })
    for (const source of sources.flat()) assert.equal(source.heard, ['delivered'])
    for (const sink of sinks.flat()) assert.equal(sink.heard, ['finished'])
    await settled(h, pair)
  })

  test('a reader that does not read holds back its writer and nobody else', async (t) => {
    const h = await makePair(t)
    const pair = await openPair(h)
    const { a, b } = pair
    const held = new Sink(b.lanes.streams, 1, true)
    const other = new Sink(b.lanes.streams, 2)
    const bytes = pattern(h.streamWindowBytes + 2_000_000, 1)
    const source = new Source(a.lanes.streams, 1).send(bytes)
    new Source(a.lanes.streams, 2).send(pattern(1_000_000, 2))
    const audience = new Audience().attend(b.listener)
    const speaker = new Speaker(1, a.lanes)
    for (let i = 0; i < 50; i++) speaker.say(3000)
    await h.until(() => other.heard.length > 0 && audience.heard(1) === 50)
    await roundTrip(h, a, b)
    const underWay = bytes.length - source.restBytes
    assert.ok(underWay <= h.streamWindowBytes + SLACK_BYTES, `${underWay} bytes under way`)
    // What streams have waiting is none of the lanes' business.
    await a.lanes.flushed()
    same(other.bytes, pattern(1_000_000, 2), 'the other stream')
    held.release()
    await h.until(() => source.heard.length > 0)
    same(held.bytes, bytes, 'the held stream')
    await settled(h, pair)
  })

  test('a writer aborts: before its stream has begun, while it is held back, and behind its end', async (t) => {
    const h = await makePair(t)
    const pair = await openPair(h)
    const { a, b } = pair
    const sinks = [1, 2, 3].map((number) => new Sink(b.lanes.streams, number, true))
    const early = new Source(a.lanes.streams, 1)
    early.writer.abort('processEnded')
    const busy = new Source(a.lanes.streams, 2).send(pattern(h.streamWindowBytes + 1_000_000, 2))
    const done = new Source(a.lanes.streams, 3).send(pattern(1000, 3))
    await roundTrip(h, a, b)
    await roundTrip(h, a, b)
    busy.writer.abort('abandoned')
    busy.writer.abort('abandoned')
    done.writer.abort('abandoned')
    await h.until(() => sinks.every(({ heard }) => heard.length > 0))
    assert.equal(
      sinks.map(({ heard }) => heard),
      [['processEnded'], ['abandoned'], ['abandoned']],
    )
    for (const sink of sinks) sink.release()
    await settled(h, pair)
    for (const source of [early, busy, done]) assert.equal(source.heard, [])
    for (const sink of sinks) assert.is(sink.bytes.length, 0)
  })

  test('a reader stops: before the stream has begun, while it is held back, and at its end', async (t) => {
    const h = await makePair(t)
    const pair = await openPair(h)
    const { a, b } = pair
    const sinks = [1, 2, 3].map((number) => new Sink(b.lanes.streams, number, true))
    sinks[0]!.reader.stop('processEnded')
    const sources = [
      new Source(a.lanes.streams, 1).send(pattern(1_000_000, 1)),
      new Source(a.lanes.streams, 2).send(pattern(h.streamWindowBytes + 1_000_000, 2)),
      new Source(a.lanes.streams, 3).send(pattern(1000, 3)),
    ]
    await roundTrip(h, a, b)
    await roundTrip(h, a, b)
    for (const sink of sinks) sink.reader.stop('abandoned')
    await h.until(() => sources.every(({ heard }) => heard.length > 0))
    await settled(h, pair)
    // The first was stopped, and then stopped again as one that nobody expects: it hears the first only.
    assert.is(sources[0]!.heard.length, 1)
    assert.equal([sources[1]!.heard, sources[2]!.heard], [['abandoned'], ['abandoned']])
    for (const sink of sinks) assert.equal([sink.heard, sink.bytes.length], [[], 0])
  })

  test('a stream that nobody expects is stopped; thousands of them leave nothing behind', async (t) => {
    const h = await makePair(t)
    const pair = await openPair(h)
    const { a, b } = pair
    let next = 1
    for (let round = 0; round < 4; round++) {
      const sources = Array.from({ length: 500 }, () =>
        new Source(a.lanes.streams, next++).send(pattern(3000, next), next % 2 === 0),
      )
      await h.until(() => sources.every(({ heard }) => heard.length > 0))
      for (const source of sources) assert.equal(source.heard, ['unexpected'])
    }
    await settled(h, pair)
    const sink = new Sink(b.lanes.streams, next)
    const source = new Source(a.lanes.streams, next).send(pattern(100_000, 1))
    await h.until(() => source.heard.length > 0)
    same(sink.bytes, pattern(100_000, 1), 'one that is expected')
  })

  test('a light sender does not wait for streams', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h)
    const sinks = [1, 2, 3, 4].map((number) => new Sink(b.lanes.streams, number))
    const sources = [1, 2, 3, 4].map((number) => new Source(a.lanes.streams, number).send(pattern(3_000_000, number)))
    const audience = new Audience().attend(b.listener)
    const light = new Speaker(1, a.lanes)
    let said = 0
    await h.until(() => {
      if (audience.heard(1) === said && said < ASKED) {
        light.say(100)
        said++
      }
      return said === ASKED || sources.every(({ heard }) => heard.length > 0)
    })
    assert.is(said, ASKED, 'heard again and again before the streams were through')
    await h.until(() => sources.every(({ heard }) => heard.length > 0))
    assert.ok(sinks.every((sink) => sink.bytes.length === 3_000_000))
  })

  test('when the connection ends nothing more is called', async (t) => {
    const h = await makePair(t)
    const { a, b } = await openPair(h)
    const sink = new Sink(b.lanes.streams, 1, true)
    const source = new Source(a.lanes.streams, 1).send(pattern(h.streamWindowBytes + 1_000_000, 1))
    await roundTrip(h, a, b)
    a.lanes.close(0, 'closed', 'enough')
    await h.until(() => a.listener.closes.length === 1 && b.listener.closes.length === 1)
    source.writer.abort('abandoned')
    source.writer.finish()
    assert.is(source.writer.write(pattern(10, 1)), 10)
    sink.release()
    sink.reader.stop('abandoned')
    const late = new Source(a.lanes.streams, 2).send(pattern(1_000_000, 1))
    const lateSink = new Sink(b.lanes.streams, 2)
    assert.is(a.lanes.streams.size + b.lanes.streams.size, 0)
    assert.equal([source.heard, sink.heard, late.heard, lateSink.heard], [[], [], [], []])
  })

  test('a peer that breaks the rules of streams loses its connection', async (t) => {
    const h = await makePair(t)
    for (const [name, offend] of OFFENCES) {
      const { raw, b } = await openRaw(h)
      new Sink(b.lanes.streams, 1)
      new Source(b.lanes.streams, 7).send(pattern(1000, 1), false)
      offend(raw)
      await h.until(() => b.listener.closes.length === 1 && raw.closes.length === 1)
      assert.is(raw.closes[0]!.code, 'ERR_SKEIN_PROTOCOL', name)
    }
  })

  test('word of streams that are not open is ignored', async (t) => {
    const h = await makePair(t)
    const { raw, b } = await openRaw(h)
    raw.put(0, openFrame(KIND.control))
    for (const type of [ABORTED, STOPPED]) raw.put(0, frame(type, Uint8Array.of(9, 0, 0, 0, 0)))
    raw.put(0, frame(DELIVERED, Uint8Array.of(9, 0, 0, 0)))
    raw.put(1, openFrame(STREAM_KIND, 0), true).put(2, openFrame(STREAM_KIND, 0xffffffff), true)
    const sink = new Sink(b.lanes.streams, 1)
    raw.put(3, Buffer.concat([openFrame(STREAM_KIND, 1), pattern(5000, 1), END_BYTE]), true)
    await h.until(() => sink.heard.length > 0)
    same(sink.bytes, pattern(5000, 1), 'a stream behind all that')
    assert.is(b.listener.closes.length, 0)
    raw.put(0, doneFrame(4003))
    await h.until(() => b.listener.closes.length === 1)
  })
}
