/** Nodes over TCP between processes: where UDP gets no answer, and where there is no QUIC at all. */
import * as assert from 'uvu/assert'
import { NodeProcess, type ProcessOptions } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { STREAM_CODES } from './fixtures/stream-loads.ts'
import { failure } from './support.ts'

const WITHOUT_QUIC = new URL('fixtures/without-quic.mjs', import.meta.url).href
const MIB = 1 << 20
/** One address has so long to answer over UDP. */
const CONNECT_TIMEOUT_MS = 2000
const strategy = { connectTimeoutMs: CONNECT_TIMEOUT_MS }

const test = suite('TCP', { watchdogMs: 180_000 })

/** A node on a platform without a QUIC binary: its UDP port is closed, and TCP open if `tcp` says so. */
const startWithoutQuic = async (t: TestContext, options: ProcessOptions): Promise<NodeProcess> => {
  const node = await NodeProcess.spawn(t, options.name, [WITHOUT_QUIC])
  await node.start({ strategy, ...options })
  return node
}

test(
  'a dialler whose UDP gets no answer ends up on TCP; signals, monitors, calls and streams work, and the end is noticed',
  async (t) => {
    const [a, b] = await Promise.all([
      NodeProcess.start(t, { name: 'a', strategy }),
      startWithoutQuic(t, { name: 'b', tcp: true }),
    ])
    const beganMs = performance.now()
    assert.is(await a.do('connect', b.address), b.name)
    assert.ok(performance.now() - beganMs >= CONNECT_TIMEOUT_MS, 'UDP came first')
    await Promise.all([a.up(b.name), b.up(a.name)])
    const counters = await a.do('counters')
    assert.equal([counters.tcpConnections, counters.connections], [1, 0])
    assert.is((await b.do('counters')).tcpAccepted, 1)

    const [left, right] = [await a.puppet('left'), await b.puppet('right')]
    for (let i = 0; i < 500; i++) await left.send(right.pid, i)
    await left.caughtUp(right)
    assert.equal(
      right.mailbox.all.slice(0, 500).map(({ value }) => value),
      Array.from({ length: 500 }, (_, i) => i),
    )
    await right.send(left.pid, Buffer.alloc(3 * MIB, 7))
    await right.caughtUp(left)
    await left.monitor(right.pid)
    await left.caughtUp(right)

    const reader = await b.do('load', 'reader', 'streamReader', ['all'])
    const echo = await b.do('load', 'echo', 'echo', [])
    await a.do('load', 'caller', 'caller', [echo])
    await a.do('load', 'writer', 'streamWriter', [reader, 30, 'close'])
    const written = await a.do('whenDone', 'writer')
    const read = await b.do('whenDone', 'reader')
    await a.do('release', 'caller')
    const caller = await a.do('whenDone', 'caller')
    assert.equal([STREAM_CODES[written.code ?? -1], read.received, read.hash], ['resolved', 30 * MIB, written.hash])
    assert.is(caller.failed, 0)
    console.log(`${caller.answered} calls beside the stream, the slowest took ${Math.round(caller.slowestMs ?? 0)} ms`)

    const killedMs = await b.kill()
    const [down] = await Promise.all([
      left.mailbox.next((message) => typeof message === 'object' && message !== null && 'reason' in message),
      a.down(b.name),
    ])
    assert.is((down.value as { reason: unknown }).reason, 'noconnection')
    console.log(`kill -9 was noticed after ${Math.round(down.atMs - killedMs)} ms`)
    // Nothing listens there any more: both carriers were tried.
    const error = await failure(a.do('connect', b.address))
    assert.equal(
      error.attempts.map(({ what }) => what),
      [b.address, `${b.address} over TCP`],
    )
  },
  { deadlineMs: 60_000 },
)

test(
  'a network that blocks UDP costs the wait once, and UDP that works again is preferred again',
  async (t) => {
    const [a, b, c, d] = await Promise.all([
      NodeProcess.start(t, { name: 'a', strategy, mesh: 'none' }),
      startWithoutQuic(t, { name: 'b', tcp: true, mesh: 'none' }),
      startWithoutQuic(t, { name: 'c', tcp: true, mesh: 'none' }),
      NodeProcess.start(t, { name: 'd', tcp: true, mesh: 'none' }),
    ])
    await a.do('connect', b.address)
    const beganMs = performance.now()
    await a.do('connect', c.address)
    const tookMs = performance.now() - beganMs
    assert.ok(tookMs < CONNECT_TIMEOUT_MS, `${tookMs} ms`)
    assert.is((await a.do('counters')).tcpConnections, 2)
    // Here both would do.
    await a.do('connect', d.address)
    const { accepted, tcpAccepted } = await d.do('counters')
    assert.equal([accepted, tcpAccepted], [1, 0])
    // And what UDP has to say is waited for again.
    await a.do('disconnect', b.name)
    await a.down(b.name)
    const againMs = performance.now()
    await a.do('connect', b.address)
    assert.ok(performance.now() - againMs >= CONNECT_TIMEOUT_MS)
  },
  { deadlineMs: 40_000 },
)

test(
  'nodes without QUIC, and one with it, are one cluster; who does not listen is reached by dialling out',
  async (t) => {
    const hub = await startWithoutQuic(t, { name: 'hub', tcp: true })
    const leaf = await startWithoutQuic(t, { name: 'leaf', seeds: [hub.address] })
    await Promise.all([hub.up(leaf.name), leaf.up(hub.name)])
    const quic = await NodeProcess.start(t, { name: 'quic', tcp: true, strategy, seeds: [hub.address] })
    // The leaf hears of the third from the hub, and dials it.
    await Promise.all([quic.up(hub.name), quic.up(leaf.name), leaf.up(quic.name)])
    assert.equal(await leaf.nodes(), [hub.name, quic.name].sort())
    assert.is(leaf.facts.port, 0, 'it listens nowhere')
    const [one, other] = [await leaf.puppet('one'), await quic.puppet('other')]
    await one.send(other.pid, 'hello')
    await other.mailbox.next((message) => message === 'hello')
    assert.ok((await quic.do('ping', leaf.name)) >= 0)
  },
  { deadlineMs: 40_000 },
)

test(
  'nothing of TCP is left open after a stop',
  async (t) => {
    const hub = await startWithoutQuic(t, { name: 'hub', tcp: true })
    const both = await NodeProcess.start(t, { name: 'both', tcp: true, strategy, seeds: [hub.address] })
    await Promise.all([hub.up(both.name), both.up(hub.name)])
    await both.do('stop')
    const { value } = await hub.down(both.name)
    assert.is(value.type === 'nodedown' && value.reason, 'shutdown')
    await hub.do('stop')
    for (const node of [both, hub]) {
      const { code, signal, stderr } = await node.leave()
      assert.equal([code, signal, stderr], [0, null, ''])
    }
  },
  { deadlineMs: 30_000 },
)

test('a node without QUIC says in its log what is missing', async (t) => {
  const node = await startWithoutQuic(t, {
    name: 'a',
    tcp: true,
    logLevel: 'warn',
    discovery: { mdns: false, dht: true },
  })
  await node.do('stop')
  const { stderr } = await node.leave()
  const [line] = stderr.trim().split('\n')
  const { code, msg } = JSON.parse(line ?? '{}') as { code?: string; msg?: string }
  assert.is(code, 'ERR_SKEIN_PLATFORM')
  assert.ok(msg?.includes('TCP alone') && msg.includes('the DHT needs UDP and is off'), msg)
})

test.run()
