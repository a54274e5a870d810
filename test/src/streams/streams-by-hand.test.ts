/** Streams between two process layers without a network: every order of events written down, and openers that break their word. */
import * as assert from 'uvu/assert'
import type { Self, StreamMessage } from '../../../src/index.ts'
import type { Behaviour } from '../../../src/process/behaviour.ts'
import type { AllowRule } from '../../../src/process/rights.ts'
import type {
  ByteReader,
  ByteReaderHandler,
  ByteStreams,
  ByteWriter,
  ByteWriterHandler,
} from '../../../transport/byte-stream.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { Pair } from '../process/process-support.ts'
import { codeOf, readAll } from './streams-support.ts'

const test = suite('streams by hand')

/** Notes what was opened, expected and cut off, and lets nothing through. */
class HandStreams implements ByteStreams {
  readonly writers = new Map<number, ByteWriterHandler>()
  readonly readers = new Map<number, ByteReaderHandler>()
  readonly told: string[] = []

  open(number: number, priority: string, handler: ByteWriterHandler): ByteWriter {
    this.writers.set(number, handler)
    this.told.push(`open ${number} ${priority}`)
    return {
      write: (bytes) => bytes.length,
      finish: () => this.told.push(`finish ${number}`),
      abort: (why) => this.told.push(`abort ${number} ${why}`),
    }
  }

  expect(number: number, handler: ByteReaderHandler): ByteReader {
    this.readers.set(number, handler)
    return {
      read: () => ({ bytes: 0, finished: false, reset: false }),
      stop: (why) => this.told.push(`stop ${number} ${why}`),
    }
  }
}

const WAY_BACK = 2 ** 31

const setUp = (allow: readonly AllowRule[] = []) => {
  const clock = new VirtualClock()
  const pair = new Pair({ clock, allow })
  const [toB, toA] = [new HandStreams(), new HandStreams()]
  Object.assign(pair.toB, { streams: toB })
  Object.assign(pair.toA, { streams: toA })
  const streams: StreamMessage[] = []
  const target = pair.b.processes.spawn(async (self) => {
    for await (const message of self) streams.push(message as StreamMessage)
  })
  const { streams: opener } = pair.a.processes
  return { clock, pair, toB, toA, streams, target, opener }
}

const turns = async (clock: VirtualClock): Promise<void> => {
  await clock.run({ untilMs: clock.now() + 1 })
}

test('bytes begin when the announcement was answered; the way back is expected before it leaves', async () => {
  const { clock, pair, toB, toA, streams, target, opener } = setUp()
  const opened = opener.open(undefined, target, { duplex: true, priority: 'low', meta: 'x' })
  assert.equal([...toB.readers.keys()], [1 + WAY_BACK])
  assert.equal(toB.told, [])
  pair.flowToB()
  assert.equal([...toA.readers.keys()], [1])
  assert.equal(toA.told, [`open ${1 + WAY_BACK} normal`])
  await turns(clock)
  assert.is(streams[0]?.meta, 'x')
  assert.equal(toB.told, [])
  pair.flowToA()
  await turns(clock)
  await opened
  assert.equal(toB.told, ['open 1 low'])
  assert.is(pair.a.processes.streams.count + pair.b.processes.streams.count, 4)
})

test('a stream that was taken and never begins is given up', async () => {
  const { clock, pair, toA, streams, target, opener } = setUp()
  void opener.open(undefined, target)
  pair.flowToB()
  await turns(clock)
  const read = codeOf(readAll(streams[0]!.readable))
  await clock.run({ untilMs: clock.now() + 29_000 })
  assert.equal(toA.told, [])
  await clock.run({ untilMs: clock.now() + 2000 })
  assert.is(await read, 'ERR_SKEIN_STREAM_ABORTED')
  assert.equal(toA.told, ['stop 1 unexpected'])
  assert.is(pair.b.processes.streams.count, 0)
})

test('one that has begun is not', async () => {
  const { clock, pair, toA, target, opener } = setUp()
  void opener.open(undefined, target)
  pair.flowToB()
  toA.readers.get(1)!.onReadable()
  await clock.run({ untilMs: clock.now() + 60_000 })
  assert.equal(toA.told, [])
  assert.is(pair.b.processes.streams.count, 1)
})

test('announcements without end: so many are taken, the others are refused', async () => {
  const { clock, pair, target, streams } = setUp()
  const announce = (call: number): void => {
    const { route } = { route: pair.toA }
    const signal = { type: 'stream', from: 7, to: target.number, call, stream: call, duplex: false, meta: 0 } as const
    pair.b.processes.deliver(route, signal)
  }
  for (let call = 1; call <= 1000; call++) announce(call)
  await turns(clock)
  assert.is(streams.length, 256)
  const answers = pair.toA.waiting
  assert.is(answers.filter(({ type }) => type === 'reply').length, 256)
  const refused = answers.filter((signal) => signal.type === 'callFailed')
  assert.is(refused.length, 744)
  assert.is((refused[0] as { reason: { refused: string } }).reason.refused, 'ERR_SKEIN_LIMIT')
  // They never begin.
  await clock.run({ untilMs: clock.now() + 31_000 })
  assert.is(pair.b.processes.streams.count, 0)
})

test('the opener ends while the answer is on its way', async () => {
  const { clock, pair, toB, toA, streams, target } = setUp()
  let opened: Promise<string> | undefined
  const opener = pair.a.processes.spawn(async (self) => {
    opened = codeOf(self.openStream(target))
    await self.receive()
  })
  await turns(clock)
  pair.flowToB()
  await turns(clock)
  pair.a.processes.exit(opener, 'over')
  assert.is(await opened, 'ERR_SKEIN_PROCESS_ENDED')
  pair.flowToA()
  await turns(clock)
  assert.equal(toB.told, [], 'nothing begins')
  const read = codeOf(readAll(streams[0]!.readable))
  pair.flowToB()
  assert.is(await read, 'ERR_SKEIN_STREAM_ABORTED')
  assert.equal(toA.told, ['stop 1 unexpected'], 'the connection expects it no more')
  assert.is(pair.a.processes.streams.count + pair.b.processes.streams.count, 0)
})

test('the opener ends when the answer has just come', async () => {
  const { clock, pair, toB, target } = setUp()
  let opened: Promise<string> | undefined
  const opener = pair.a.processes.spawn(async (self) => {
    opened = codeOf(self.openStream(target))
    await self.receive()
  })
  await turns(clock)
  pair.flowToB()
  await turns(clock)
  pair.flowToA()
  pair.a.processes.exit(opener, 'over')
  assert.is(await opened, 'ERR_SKEIN_PROCESS_ENDED')
  assert.equal(toB.told, ['open 1 normal', 'abort 1 processEnded'])
  assert.is(pair.a.processes.streams.count, 0)
})

test('the connection is lost at every step, and everybody hears of it once', async () => {
  for (const step of ['announced', 'taken', 'answered'] as const) {
    const { clock, pair, streams, target, opener } = setUp()
    const opened = opener.open(undefined, target, { duplex: true })
    const outcome = codeOf(opened.then(({ writable }) => writable.getWriter().closed))
    if (step !== 'announced') pair.flowToB()
    await turns(clock)
    if (step === 'answered') {
      pair.flowToA()
      await turns(clock)
    }
    const there = streams.map((stream) => codeOf(readAll(stream.readable)))
    pair.cut()
    assert.is(await outcome, 'ERR_SKEIN_NOCONNECTION', step)
    for (const code of there) assert.is(await code, 'ERR_SKEIN_NOCONNECTION', step)
    await turns(clock)
    assert.is(pair.a.processes.streams.count + pair.b.processes.streams.count, 0, step)
  }
})

test('an open stream is a use of its connection, at both nodes, until it is over', async () => {
  const { clock, pair, toA, streams, target, opener } = setUp()
  const used = () => [pair.a.processes.uses(pair.toB), pair.b.processes.uses(pair.toA)]
  assert.equal(used(), [false, false])
  const opened = opener.open(undefined, target)
  pair.flowToB()
  pair.flowToA()
  const { writable } = await opened
  assert.equal(used(), [true, true])
  await writable.abort()
  assert.equal(used(), [false, true])
  await turns(clock)
  const read = codeOf(readAll(streams[0]!.readable))
  toA.readers.get(1)!.onAborted('abandoned')
  assert.is(await read, 'ERR_SKEIN_STREAM_ABORTED')
  assert.equal(used(), [false, false])
})

test('opened while the connection may be given up: the way back is expected on the one that carries it', async () => {
  const { clock, pair, toB, target, opener } = setUp()
  let goOn = (): void => {}
  const drained = new Promise<void>((resolve) => {
    goOn = resolve
  })
  const next = new HandStreams()
  Object.assign(pair.toB, { waits: true, drained: () => drained })
  const opened = opener.open(undefined, target, { duplex: true })
  await turns(clock)
  assert.is(toB.readers.size, 0)
  Object.assign(pair.toB, { waits: false, streams: next })
  goOn()
  await turns(clock)
  assert.equal([...next.readers.keys()], [1 + WAY_BACK])
  pair.flowToB()
  pair.flowToA()
  await opened
  assert.equal([toB.told, next.told], [[], ['open 1 normal']])
})

test('guarded processes take no stream, nor do those that the rights of the opener do not reach', async () => {
  const { clock, pair, toA, streams, target, opener } = setUp([{ nodes: '*', send: ['open'] }])
  const guarded: unknown[] = []
  const run = async (self: Self<unknown>): Promise<void> => {
    for await (const message of self) guarded.push(message)
  }
  const behaviour: Behaviour<unknown> = Object.assign(run, { traits: { guarded: true } })
  const guardedPid = pair.b.processes.spawn(behaviour)
  pair.b.processes.register('closed', target)
  await turns(clock)
  for (const pid of [guardedPid, target]) {
    const opened = codeOf(opener.open(undefined, pid, { duplex: true }))
    pair.flowToB()
    pair.flowToA()
    assert.is(await opened, 'ERR_SKEIN_FORBIDDEN')
  }
  assert.is(await codeOf(pair.b.processes.streams.open(undefined, guardedPid)), 'ERR_SKEIN_FORBIDDEN', 'here')
  await turns(clock)
  assert.equal([guarded, streams, toA.told], [[], [], []])
  assert.is(pair.a.processes.streams.count + pair.b.processes.streams.count, 0)
  pair.b.processes.register('open', target)
  const opened = codeOf(opener.open(undefined, target))
  pair.flowToB()
  pair.flowToA()
  assert.is(await opened, 'resolved')
})

test.run()
