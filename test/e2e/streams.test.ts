/** Streams to a pid between two operating system processes over QUIC. */
import * as assert from 'uvu/assert'
import { NodeProcess } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { STREAM_CODES } from './fixtures/stream-loads.ts'

const test = suite('streams', { watchdogMs: 240_000 })

const MIB = 1 << 20

const startPair = async (t: TestContext): Promise<[NodeProcess, NodeProcess]> => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
  await a.up(b.name)
  return [a, b]
}

const codeOf = (code: number | undefined): string | undefined => STREAM_CODES[code ?? -1]

test(
  '200 MB arrive unharmed, and a light caller beside them is answered',
  async (t) => {
    const [a, b] = await startPair(t)
    const reader = await b.do('load', 'reader', 'streamReader', ['all'])
    const echo = await b.do('load', 'echo', 'echo', [])
    const before = { a: await a.do('memory'), b: await b.do('memory') }
    await a.do('load', 'caller', 'caller', [echo])
    const startMs = performance.now()
    await a.do('load', 'writer', 'streamWriter', [reader, 200, 'close'])
    const written = await a.do('whenDone', 'writer')
    const tookMs = performance.now() - startMs
    const read = await b.do('whenDone', 'reader')
    await a.do('release', 'caller')
    const caller = await a.do('whenDone', 'caller')
    const after = { a: await a.do('memory'), b: await b.do('memory') }
    const growth = [after.a - before.a, after.b - before.b].map((bytes) => Math.round(bytes / MIB))
    console.log(
      `200 MiB in ${Math.round(tookMs)} ms, hashed at both ends; memory ${growth.map((mib) => `+${mib} MiB`).join(', ')}; ` +
        `${caller.answered} calls beside it, the slowest took ${Math.round(caller.slowestMs ?? 0)} ms`,
    )
    assert.is(codeOf(written.code), 'resolved')
    assert.is(codeOf(read.code), 'resolved')
    assert.is(read.received, 200 * MIB)
    assert.is(read.hash, written.hash)
    assert.is(caller.failed, 0)
    assert.ok((caller.answered ?? 0) > 50)
    for (const mib of growth) assert.ok(mib < 150, `${mib} MiB more`)
  },
  { deadlineMs: 90_000 },
)

test(
  'a slow reader holds back its writer, with bounded memory, and nobody else',
  async (t) => {
    const [a, b] = await startPair(t)
    const reader = await b.do('load', 'reader', 'streamReader', ['held'])
    const echo = await b.do('load', 'echo', 'echo', [])
    await a.do('load', 'writer', 'streamWriter', [reader, 40, 'close'])
    await a.do('load', 'caller', 'caller', [echo])
    // The writer comes to a standstill while hundreds of calls go to and fro.
    let [sent, answered] = [-1, 0]
    for (;;) {
      const writer = await a.do('progress', 'writer')
      const caller = await a.do('progress', 'caller')
      if (writer.sent === sent && (caller.answered ?? 0) >= answered + 300) break
      if (writer.sent !== sent) [sent, answered] = [writer.sent ?? 0, caller.answered ?? 0]
    }
    // The window of a stream (4 MiB), the writer's buffer, and what was read with the opening.
    assert.ok(sent <= 5 * MIB, `${sent} bytes under way`)
    assert.is((await b.do('progress', 'reader')).received, 0)
    await b.do('release', 'reader')
    const read = await b.do('whenDone', 'reader')
    const written = await a.do('whenDone', 'writer')
    assert.equal([codeOf(read.code), read.received, read.hash], ['resolved', 40 * MIB, written.hash])
  },
  { deadlineMs: 90_000 },
)

test(
  'cancel and abort',
  async (t) => {
    const [a, b] = await startPair(t)
    const first = await b.do('load', 'first', 'streamReader', ['cancel'])
    await a.do('load', 'endless', 'streamWriter', [first, 0, 'close'])
    assert.is(codeOf((await b.do('whenDone', 'first')).code), 'resolved')
    assert.is(codeOf((await a.do('whenDone', 'endless')).code), 'ERR_SKEIN_STREAM_CANCELLED')
    const second = await b.do('load', 'second', 'streamReader', ['all'])
    await a.do('load', 'aborting', 'streamWriter', [second, 20, 'abort'])
    assert.is(codeOf((await a.do('whenDone', 'aborting')).code), 'resolved')
    assert.is(codeOf((await b.do('whenDone', 'second')).code), 'ERR_SKEIN_STREAM_ABORTED')
    assert.not(a.events.all.some(({ value }) => value.type === 'nodedown'))
  },
  { deadlineMs: 60_000 },
)

for (const victim of ['reader', 'writer'] as const) {
  test(
    `kill -9 of the node of the ${victim}`,
    async (t) => {
      const [a, b] = await startPair(t)
      const reader = await b.do('load', 'reader', 'streamReader', ['all'])
      await a.do('load', 'writer', 'streamWriter', [reader, 0, 'close'])
      for (let received = 0; received < 5 * MIB; ) received = (await b.do('progress', 'reader')).received ?? 0
      const [killed, other, name] = victim === 'reader' ? [b, a, 'writer'] : [a, b, 'reader']
      await killed.kill()
      assert.is(codeOf((await other.do('whenDone', name)).code), 'ERR_SKEIN_NOCONNECTION')
    },
    { deadlineMs: 60_000 },
  )
}

test.run()
