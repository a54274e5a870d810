/** Streams and what becomes of nodes and connections: loss, old protocols, limits, and openers that do not keep their word. */
import * as assert from 'uvu/assert'
import type { SkeinNode } from '../../../src/index.ts'
import { type Simulation, simulate } from '../../../src/testing/index.ts'
import { suite } from '../../support/suite.ts'
import { emptyCluster, settled, until } from '../node-support.ts'
import { actor, codeOf, keeper, pattern, readAll } from './streams-support.ts'

const test = suite('streams and nodes')

const MIB = 1 << 20

const pair = (run: (sim: Simulation, a: SkeinNode, b: SkeinNode) => Promise<void>) => (): Promise<void> =>
  simulate({ nodes: ['a', 'b'] }, async (sim) => {
    await sim.meshed()
    await run(sim, sim.hosts.a!.node, sim.hosts.b!.node)
  }).then(() => {})

test(
  'the end of the connection errors every end once, on both sides',
  pair(async (sim, a, b) => {
    const reader = keeper(b)
    const { writable, readable } = await a.openStream(reader.pid, { duplex: true })
    const writer = writable.getWriter()
    const closing = (await a.openStream(reader.pid)).writable.getWriter()
    const ends = [codeOf(writer.write(pattern(2 * MIB))), codeOf(readAll(readable))]
    await closing.write(pattern(1000))
    ends.push(codeOf(closing.close()))
    const stream = await reader.stream(0)
    const there = [codeOf(readAll((await reader.stream(1)).readable).then(() => stream.readable.getReader().closed))]
    there.push(codeOf(stream.writable!.getWriter().closed))
    await sim.sleep(10)
    sim.partition([sim.hosts.a!])
    const late = codeOf(a.openStream(reader.pid))
    for (const code of await Promise.all(ends.slice(0, 2))) assert.is(code, 'ERR_SKEIN_NOCONNECTION')
    assert.is(await ends[2], 'resolved', 'it was read before')
    for (const code of await Promise.all(there)) assert.is(code, 'ERR_SKEIN_NOCONNECTION')
    assert.is(await late, 'ERR_SKEIN_NOCONNECTION')
    sim.heal()
    await sim.meshed()
    const again = (await a.openStream(reader.pid)).writable.getWriter()
    const received = readAll((await reader.stream(2)).readable)
    await again.write(pattern(100))
    await again.close()
    assert.ok((await received).equals(pattern(100)))
  }),
)

test(
  'a crash of the other node',
  pair(async (sim, a, b) => {
    const reader = keeper(b)
    const writer = (await a.openStream(reader.pid)).writable.getWriter()
    const held = codeOf(writer.write(pattern(2 * MIB)))
    await sim.sleep(10)
    sim.hosts.b!.crash()
    assert.is(await held, 'ERR_SKEIN_NOCONNECTION')
    assert.is(await codeOf(a.openStream(reader.pid)), 'ERR_SKEIN_NOCONNECTION')
  }),
)

test(
  'the other node stops, and this one does',
  pair(async (_sim, a, b) => {
    const reader = keeper(b)
    const back = keeper(a)
    const writer = (await a.openStream(reader.pid)).writable.getWriter()
    const there = (await b.openStream(back.pid)).writable.getWriter()
    const within = (await b.openStream(reader.pid)).writable.getWriter()
    const codes = [writer, there, within].map((one) => codeOf(one.closed))
    await b.stop()
    assert.is(await codes[0], 'ERR_SKEIN_NOCONNECTION')
    assert.is(await codes[1], 'ERR_SKEIN_NOCONNECTION')
    assert.is(await codes[2], 'ERR_SKEIN_STREAM_CANCELLED')
  }),
)

test(
  'whoever gives up opening leaves nothing at the other side',
  pair(async (sim, a, b) => {
    // Its mailbox is full of what holds back the lane of the sender, so the announcement has to wait.
    let goOn = (): void => {}
    const streams: unknown[] = []
    const busy = b.spawnWith({ mailbox: { limit: 10, onFull: 'block' } }, async (self) => {
      await new Promise<void>((resolve) => {
        goOn = resolve
      })
      for await (const message of self) if ((message as { type?: string })?.type === 'stream') streams.push(message)
    })
    const opener = await actor(a)
    for (let i = 0; i < 30; i++) opener.send(busy, 'x'.repeat(5000))
    const opened = codeOf(opener.openStream(busy, { timeoutMs: 200 }))
    assert.is(await opened, 'ERR_SKEIN_CALL_TIMEOUT')
    goOn()
    await sim.until('the announcement', () => streams.length === 1)
    const [stream] = streams as [{ readable: ReadableStream<Uint8Array> }]
    assert.is(await codeOf(readAll(stream.readable)), 'ERR_SKEIN_STREAM_ABORTED')
    const ended = await actor(a)
    const given = codeOf(ended.openStream(busy))
    a.exit(ended.pid, 'over')
    assert.is(await given, 'ERR_SKEIN_PROCESS_ENDED')
    await sim.until('the other announcement', () => streams.length === 2)
    const [, second] = streams as [unknown, { readable: ReadableStream<Uint8Array> }]
    assert.is(await codeOf(readAll(second.readable)), 'ERR_SKEIN_STREAM_ABORTED')
  }),
)

test(
  'so many streams at once and no more, for a connection each way and for a process',
  pair(async (sim, a, b) => {
    const reader = keeper(b)
    const other = keeper(b)
    const opened = await Promise.all(Array.from({ length: 256 }, () => a.openStream(reader.pid)))
    assert.is(await codeOf(a.openStream(other.pid)), 'ERR_SKEIN_LIMIT')
    assert.is(await codeOf(b.openStream(keeper(a).pid)), 'resolved', 'the other way')
    assert.is(await b.ping(a.name).then(() => 'alive'), 'alive')
    await opened[0]!.writable.abort()
    await sim.sleep(10)
    assert.is(await codeOf(a.openStream(other.pid)), 'resolved')
    const local = await Promise.all(Array.from({ length: 1024 - 255 }, () => codeOf(b.openStream(reader.pid))))
    assert.is(local.filter((code) => code === 'ERR_SKEIN_LIMIT').length, 0)
    assert.is(await codeOf(b.openStream(reader.pid)), 'ERR_SKEIN_LIMIT')
    reader.end()
    await sim.sleep(10)
    for (const { writable } of opened.slice(1))
      assert.is(await codeOf(writable.getWriter().closed), 'ERR_SKEIN_STREAM_CANCELLED')
    await Promise.all(Array.from({ length: 255 }, () => a.openStream(other.pid)))
  }),
)

test(
  'a process with a full mailbox takes no stream',
  pair(async (_sim, a, b) => {
    const full = b.spawnWith({ mailbox: { limit: 5, onFull: 'dropNewest' } }, async (self) => {
      await new Promise((_, reject) => self.signal.addEventListener('abort', reject))
    })
    for (let i = 0; i < 10; i++) b.send(full, i)
    assert.is(await codeOf(a.openStream(full)), 'ERR_SKEIN_MAILBOX_FULL')
    assert.is(await codeOf(b.openStream(full)), 'ERR_SKEIN_MAILBOX_FULL')
  }),
)

test('a node that speaks protocol version 1 gets no stream, and nothing it does not know', async (t) => {
  const cluster = emptyCluster(t)
  const a = await cluster.start(0)
  const b = await cluster.start(1, { protocolVersions: [1, 1], seeded: false })
  const reader = keeper(b)
  // While it is dialled nobody knows its version.
  await settled(cluster, b.connect(a.addresses.map(({ host, port }) => `${host}:${port}`)[0]!))
  assert.is(await settled(cluster, codeOf(a.openStream(reader.pid, { duplex: true }))), 'ERR_SKEIN_UNSUPPORTED')
  await settled(cluster, a.disconnect(b.name))
  await until(cluster, 'it is gone', () => a.nodes().length === 0)
  const opener = await settled(cluster, actor(a))
  opener.send(reader.pid, 'before')
  const opened = codeOf(opener.openStream(reader.pid, { duplex: true }))
  opener.send(reader.pid, 'after')
  const code = await settled(cluster, opened)
  assert.is(code, 'ERR_SKEIN_UNSUPPORTED')
  await until(cluster, 'the messages', () => reader.messages.length === 2)
  assert.equal(reader.messages, ['before', 'after'])
  assert.is(
    await settled(
      cluster,
      a.ping(b.name).then(() => 'alive'),
    ),
    'alive',
  )
})

test('opened while the node is dialled: in order, and the way back works', async (t) => {
  const cluster = emptyCluster(t)
  const a = await cluster.start(0)
  const b = await cluster.start(1)
  await until(cluster, 'a connection', () => a.nodes().length === 1)
  const reader = keeper(b)
  const opener = await settled(cluster, actor(a))
  await settled(cluster, a.disconnect(b.name))
  await until(cluster, 'it is gone', () => a.nodes().length === 0 && b.nodes().length === 0)
  opener.send(reader.pid, 'before')
  const opened = opener.openStream(reader.pid, { duplex: true, meta: 1 })
  opener.send(reader.pid, 'after')
  const { writable, readable } = await settled(cluster, opened)
  const stream = await settled(cluster, reader.stream(0))
  const echoed = stream.readable.pipeTo(stream.writable!)
  const received = readAll(readable)
  const writer = writable.getWriter()
  void writer.write(pattern(1000)).then(() => writer.close())
  assert.ok((await settled(cluster, received)).equals(pattern(1000)))
  await settled(cluster, echoed)
  assert.equal(
    reader.messages.map((message) => (typeof message === 'string' ? message : 'stream')),
    ['before', 'stream', 'after'],
  )
})

test.run()
