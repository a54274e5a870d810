/**
 * Streams between processes: of two nodes on the memory network, and of one. Nobody can tell the difference, so every
 * test runs both ways.
 */
import * as assert from 'uvu/assert'
import { genServer, type Pid, type SkeinNode, stateMachine, supervisor } from '../../../src/index.ts'
import { type Simulation, simulate } from '../../../src/testing/index.ts'
import { suite } from '../../support/suite.ts'
import { actor, codeOf, keeper, pattern, readAll } from './streams-support.ts'

const test = suite('streams to a pid')

const MIB = 1 << 20

interface Stage {
  readonly sim: Simulation
  readonly a: SkeinNode
  readonly b: SkeinNode
}

/** The same with two nodes, and with one that is both. */
const both = (title: string, run: (stage: Stage) => Promise<void>): void => {
  for (const where of ['between nodes', 'within a node'] as const) {
    test(`${title} (${where})`, async () => {
      await simulate({ nodes: ['a', 'b'] }, async (sim) => {
        await sim.meshed()
        const [a, b] = [sim.hosts.a!.node, sim.hosts.b!.node]
        await run({ sim, a, b: where === 'within a node' ? a : b })
      })
    })
  }
}

both('bytes arrive unharmed, and closing resolves when all were read', async ({ a, b }) => {
  const reader = keeper(b)
  const sent = pattern(3 * MIB + 17)
  const opener = await actor(a)
  const { writable, readable } = await opener.openStream(reader.pid, { meta: { name: 'big' } })
  assert.is(readable, undefined)
  const stream = await reader.stream(0)
  assert.equal(stream.meta, { name: 'big' })
  assert.ok(stream.from?.equals(opener.pid))
  assert.is(stream.writable, undefined)
  const writer = writable.getWriter()
  const received = readAll(stream.readable)
  for (let at = 0; at < sent.length; at += 100_001) await writer.write(sent.subarray(at, at + 100_001))
  await writer.close()
  assert.ok(Buffer.from(sent).equals(await received))
})

both(
  'one piece larger than every buffer, and what the writer does to it afterwards does not matter',
  async ({ a, b }) => {
    const reader = keeper(b)
    const { writable } = await a.openStream(reader.pid)
    const sent = pattern(2 * MIB)
    const writer = writable.getWriter()
    const written = writer.write(sent)
    const received = readAll((await reader.stream(0)).readable)
    await written
    sent.fill(0)
    await writer.close()
    assert.ok((await received).equals(pattern(2 * MIB)))
    assert.is((await reader.stream(0)).from, undefined, 'a program outside of any process')
  },
)

both('the announcement comes in order with the other messages of the sender', async ({ sim, a, b }) => {
  const reader = keeper(b)
  const opener = await actor(a)
  const opened: Promise<unknown>[] = []
  for (let i = 0; i < 20; i++) {
    opener.send(reader.pid, i)
    opened.push(opener.openStream(reader.pid, { meta: i }))
    opener.send(reader.pid, { big: 'x'.repeat(i * 1000) })
  }
  await Promise.all(opened)
  await sim.until('all messages', () => reader.messages.length === 60)
  const kinds = reader.messages.map((message) => {
    if (typeof message === 'number') return message
    return 'meta' in (message as object) ? 'stream' : 'big'
  })
  assert.equal(kinds, Array.from({ length: 20 }, (_, i) => [i, 'stream', 'big']).flat())
  assert.equal(
    reader.streams.map((stream) => stream.meta),
    Array.from({ length: 20 }, (_, i) => i),
  )
})

both(
  'a reader that does not read stops its writer and nobody else, and memory stays bounded',
  async ({ sim, a, b }) => {
    const reader = keeper(b)
    const slow = (await a.openStream(reader.pid)).writable.getWriter()
    const other = (await a.openStream(reader.pid)).writable.getWriter()
    let written = 0
    const writing = (async () => {
      for (; written < 8 * MIB; written += 64 * 1024) await slow.write(pattern(64 * 1024, written))
      await slow.close()
    })()
    await sim.sleep(5000)
    const held = written
    // The window of the memory network, the buffer of the writer, and a piece that waits.
    assert.ok(held > 0 && held < MIB, `${held} bytes are under way`)
    const received = readAll((await reader.stream(1)).readable)
    for (let at = 0; at < 2 * MIB; at += 64 * 1024) await other.write(pattern(64 * 1024, at))
    await other.close()
    assert.ok((await received).equals(pattern(2 * MIB)))
    assert.is(written, held)
    const rest = readAll((await reader.stream(0)).readable)
    await writing
    assert.ok((await rest).equals(pattern(8 * MIB)))
  },
)

both('abort: the reader hears of it at once, also while the writer is held up', async ({ sim, a, b }) => {
  const reader = keeper(b)
  const { writable } = await a.openStream(reader.pid)
  const writer = writable.getWriter()
  const held = codeOf(writer.write(pattern(2 * MIB)))
  const closed = codeOf(writer.closed)
  await sim.sleep(100)
  const aborted = writer.abort(new Error('changed my mind'))
  assert.is(await held, 'Error: changed my mind')
  await aborted
  assert.is(await closed, 'Error: changed my mind')
  await sim.sleep(100)
  assert.is(await codeOf(readAll((await reader.stream(0)).readable)), 'ERR_SKEIN_STREAM_ABORTED')
})

both('cancel: the writer hears of it, while it writes and while it does nothing', async ({ sim, a, b }) => {
  const reader = keeper(b)
  const busy = (await a.openStream(reader.pid)).writable.getWriter()
  const idle = (await a.openStream(reader.pid)).writable.getWriter()
  const held = codeOf(busy.write(pattern(2 * MIB)))
  const closed = codeOf(idle.closed)
  await sim.sleep(100)
  await (await reader.stream(0)).readable.cancel('enough')
  assert.is(await held, 'ERR_SKEIN_STREAM_CANCELLED')
  await (await reader.stream(1)).readable.cancel('enough')
  assert.is(await closed, 'ERR_SKEIN_STREAM_CANCELLED')
  assert.is(await codeOf(idle.write(pattern(1))), 'ERR_SKEIN_STREAM_CANCELLED')
})

both('cancel of the message works while somebody reads', async ({ a, b }) => {
  const reader = keeper(b)
  const writer = (await a.openStream(reader.pid)).writable.getWriter()
  const closed = codeOf(writer.closed)
  const stream = await reader.stream(0)
  const read = codeOf(stream.readable.getReader().read())
  stream.cancel()
  stream.cancel()
  assert.is(await read, 'ERR_SKEIN_STREAM_CANCELLED')
  assert.is(await closed, 'ERR_SKEIN_STREAM_CANCELLED')
})

both('the end of the reading process cancels what it has not read', async ({ sim, a, b }) => {
  const reader = keeper(b)
  const writer = (await a.openStream(reader.pid)).writable.getWriter()
  const held = codeOf(writer.write(pattern(2 * MIB)))
  const stream = await reader.stream(0)
  const reading = stream.readable.getReader()
  await reading.read()
  await sim.sleep(100)
  reader.end()
  assert.is(await held, 'ERR_SKEIN_STREAM_CANCELLED')
  assert.is(await codeOf(reading.read()), 'ERR_SKEIN_PROCESS_ENDED')
})

both('the end of the writing process aborts what it has not closed, and nothing else', async ({ sim, a, b }) => {
  const reader = keeper(b)
  const opener = await actor(a)
  const open = (await opener.openStream(reader.pid)).writable.getWriter()
  const closing = (await opener.openStream(reader.pid)).writable.getWriter()
  await open.write(pattern(1000))
  await closing.write(pattern(200_000))
  const closed = codeOf(closing.close())
  await sim.sleep(10)
  a.exit(opener.pid, 'over')
  assert.is(await codeOf(open.write(pattern(1))), 'ERR_SKEIN_PROCESS_ENDED')
  await sim.sleep(100)
  assert.is(await codeOf(readAll((await reader.stream(0)).readable)), 'ERR_SKEIN_STREAM_ABORTED')
  assert.ok((await readAll((await reader.stream(1)).readable)).equals(pattern(200_000)))
  assert.is(await closed, 'resolved')
})

both('duplex: an echo', async ({ a, b }) => {
  const echo = keeper(b)
  const { writable, readable } = await a.openStream(echo.pid, { duplex: true, priority: 'high' })
  const stream = await echo.stream(0)
  const echoed = stream.readable.pipeTo(stream.writable!)
  const writer = writable.getWriter()
  const received = readAll(readable)
  for (let at = 0; at < MIB; at += 64 * 1024) await writer.write(pattern(64 * 1024, at))
  await writer.close()
  assert.ok((await received).equals(pattern(MIB)))
  await echoed
})

both('a reader may bring its own buffer', async ({ a, b }) => {
  const reader = keeper(b)
  const writer = (await a.openStream(reader.pid)).writable.getWriter()
  const written = writer.write(pattern(1000)).then(() => writer.close())
  const byob = (await reader.stream(0)).readable.getReader({ mode: 'byob' })
  let received = Buffer.alloc(0)
  for (;;) {
    const { value, done } = await byob.read(new Uint8Array(300))
    if (value !== undefined) received = Buffer.concat([received, value])
    if (done) break
  }
  await written
  assert.ok(received.equals(pattern(1000)))
})

both('nobody to open a stream to, and bad arguments', async ({ a, b }) => {
  const reader = keeper(b)
  reader.end()
  assert.is(await codeOf(a.openStream(reader.pid)), 'ERR_SKEIN_NOPROC')
  assert.is(await codeOf(a.openStream('name' as never)), 'ERR_SKEIN_BAD_ARGUMENT')
  assert.is(await codeOf(a.openStream(reader.pid, { priority: 'urgent' as never })), 'ERR_SKEIN_BAD_ARGUMENT')
  assert.is(await codeOf(a.openStream(reader.pid, { signal: AbortSignal.abort() })), 'ERR_SKEIN_CALL_ABORTED')
  const next = keeper(b)
  const { writable } = await a.openStream(next.pid)
  assert.is(await codeOf(writable.getWriter().write('text' as never)), 'ERR_SKEIN_BAD_ARGUMENT')
  assert.is(await codeOf(readAll(next.streams[0]!.readable)), 'ERR_SKEIN_STREAM_ABORTED')
})

both('meta that cannot be sent', async ({ a, b }) => {
  const reader = keeper(b)
  const code = await codeOf(a.openStream(reader.pid, { meta: () => {} }))
  assert.is(code, a === b ? 'resolved' : 'ERR_SKEIN_UNSERIALISABLE')
  assert.is(await codeOf(a.openStream(reader.pid)), 'resolved')
})

both('the signal aborts a stream that is open', async ({ sim, a, b }) => {
  const reader = keeper(b)
  const controller = new AbortController()
  const { writable, readable } = await a.openStream(reader.pid, { signal: controller.signal, duplex: true })
  const closed = codeOf(writable.getWriter().closed)
  const read = codeOf(readable.getReader().read())
  await sim.sleep(10)
  controller.abort(new Error('late'))
  assert.is(await closed, 'Error: late')
  assert.is(await read, 'Error: late')
  await sim.sleep(100)
  assert.is(await codeOf(readAll((await reader.stream(0)).readable)), 'ERR_SKEIN_STREAM_ABORTED')
  assert.is(
    await codeOf((await reader.stream(0)).writable!.getWriter().write(pattern(1))),
    'ERR_SKEIN_STREAM_CANCELLED',
  )
})

both('whatever way streams end, they leave room for others', async ({ sim, a, b }) => {
  const opener = await actor(a)
  let reader = keeper(b)
  let index = 0
  for (let round = 0; round < 350; round++) {
    const { writable, readable } = await opener.openStream(reader.pid, { duplex: true })
    const stream = await reader.stream(index++)
    const writer = writable.getWriter()
    writer.write(pattern(5000)).catch(() => {})
    switch (round % 5) {
      case 0: {
        const received = readAll(stream.readable)
        await writer.close()
        await received
        const closed = stream.writable!.close()
        assert.is((await readAll(readable)).length, 0)
        await closed
        break
      }
      case 1:
        await writer.abort('why')
        await readable.cancel()
        break
      case 2:
        await stream.readable.cancel()
        await stream.writable!.abort('why')
        break
      case 3:
        stream.cancel()
        await stream.readable.cancel().catch(() => {})
        break
      default:
        reader.end()
        await sim.sleep(20)
        reader = keeper(b)
        index = 0
    }
  }
  const more = await Promise.all(Array.from({ length: 250 }, () => opener.openStream(reader.pid)))
  await reader.stream(index + 249)
  const received = Promise.all(reader.streams.slice(-250).map((stream) => readAll(stream.readable)))
  for (const { writable } of more) {
    const writer = writable.getWriter()
    await writer.write(pattern(100))
    void writer.close()
  }
  for (const bytes of await received) assert.ok(bytes.equals(pattern(100)))
})

both(
  'a reader that wants more than is left gets what there is, or an error, and the stream is over',
  async ({ a, b }) => {
    const reader = keeper(b)
    const send = async (sizeBytes: number): Promise<string> => {
      const { writable } = await a.openStream(reader.pid)
      const writer = writable.getWriter()
      await writer.write(pattern(sizeBytes))
      return codeOf(writer.close())
    }
    const closed = [send(5), send(6)]
    const atLeast = (await reader.stream(0)).readable.getReader({ mode: 'byob' })
    // Standard, but not in these types yet.
    const options = { min: 10 } as object
    const read = atLeast.read.bind(atLeast) as (view: Uint8Array, options: object) => ReturnType<typeof atLeast.read>
    const { value } = await read(new Uint8Array(20), options)
    assert.equal(value, pattern(5))
    const wide = (await reader.stream(1)).readable.getReader({ mode: 'byob' })
    const first = await wide.read(new Uint32Array(4))
    assert.is(first.value?.length, 1)
    assert.ok(
      await wide.read(new Uint32Array(4)).then(
        () => false,
        (error) => error instanceof TypeError,
      ),
    )
    assert.equal(await Promise.all(closed), ['resolved', 'resolved'])
    assert.is(await codeOf(a.openStream(reader.pid)), 'resolved', 'nothing else is harmed')
  },
)

both('who handles no messages gives up the stream, and its writer hears of it', async ({ a, b }) => {
  const machine = stateMachine({ data: () => 0, initial: 'only', states: { only: {} } })
  const server = genServer({ init: () => ({ state: 0 }) })
  for (const pid of [await b.start(server), await b.start(machine), await b.start(supervisor({ children: [] }))]) {
    const { writable, readable } = await a.openStream(pid as Pid, { duplex: true })
    assert.is(await codeOf(writable.getWriter().closed), 'ERR_SKEIN_STREAM_CANCELLED')
    assert.is(await codeOf(readAll(readable)), 'ERR_SKEIN_STREAM_ABORTED')
  }
})

test.run()
