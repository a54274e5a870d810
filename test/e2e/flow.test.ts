/** Many messages between processes on real QUIC: order for each sender, and a slow receiver that holds back only its own. */
import * as assert from 'uvu/assert'
import { NodeProcess } from '../support/node-process.ts'
import { suite } from '../support/suite.ts'

const test = suite('flow', { watchdogMs: 240_000 })

const MIB = 1 << 20

test(
  'one sender of 50 000 messages from 1 B to 100 KB among 20 others: each in order, exactly once',
  async (t) => {
    const a = await NodeProcess.start(t, { name: 'a' })
    const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
    await a.up(b.name)
    const checker = await b.do('load', 'checker', 'checker', [21])
    const counts = [50_000, ...Array.from({ length: 20 }, () => 1000)]
    const startMs = performance.now()
    for (const [i, count] of counts.entries()) await a.do('load', `sender${i}`, 'sender', [checker, count])
    const progress = await b.do('whenDone', 'checker')
    console.log(`${progress.received} messages in ${Math.round(performance.now() - startMs)} ms`)
    assert.equal(progress, { received: 70_000, wrong: 0 })
    assert.ok(((await a.do('progress', 'sender0')).held ?? 0) > 0, 'there was backpressure to heed')
  },
  { deadlineMs: 90_000 },
)

test(
  'a sink that takes nothing: its sender is held back, nobody else is, and afterwards everything is there in order',
  async (t) => {
    const a = await NodeProcess.start(t, { name: 'a' })
    const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
    await a.up(b.name)
    const sink = await b.do('load', 'sink', 'sink', [])
    const echo = await b.do('load', 'echo', 'echo', [])
    const before = { a: await a.do('memory'), b: await b.do('memory') }
    await a.do('load', 'bulk', 'bulk', [sink])
    await a.do('load', 'caller', 'caller', [echo])

    // The bulk comes to a standstill: nothing more is sent while hundreds of calls go to and fro.
    let [sent, answered] = [-1, 0]
    for (;;) {
      const bulk = await a.do('progress', 'bulk')
      const caller = await a.do('progress', 'caller')
      if (bulk.sent === sent && (caller.answered ?? 0) >= answered + 300) break
      if (bulk.sent !== sent) [sent, answered] = [bulk.sent ?? 0, caller.answered ?? 0]
    }
    const held = { a: await a.do('memory'), b: await b.do('memory') }
    const growth = { a: (held.a - before.a) / MIB, b: (held.b - before.b) / MIB }
    console.log(
      `held back after ${sent} messages of 64 KiB; sender +${Math.round(growth.a)} MiB, receiver +${Math.round(growth.b)} MiB`,
    )
    assert.ok(growth.a < 200, `the sender took ${growth.a} MiB more`)
    assert.ok(growth.b < 200, `the receiver took ${growth.b} MiB more`)
    assert.is((await b.do('progress', 'sink')).received, 0)

    await b.do('release', 'sink')
    // It flows again: thousands more, without the memory of either growing with them.
    for (let now = 0; now < sent + 3000; ) now = (await a.do('progress', 'bulk')).sent ?? 0
    await a.do('release', 'bulk')
    await a.do('whenDone', 'bulk')
    const total = (await a.do('progress', 'bulk')).sent
    for (let received: number | undefined; received !== total; ) {
      received = (await b.do('progress', 'sink')).received
      assert.ok((received ?? 0) <= (total ?? 0), 'nothing arrives twice')
    }
    assert.is((await b.do('progress', 'sink')).wrong, 0)
    const after = { a: await a.do('memory'), b: await b.do('memory') }
    assert.ok(after.a - before.a < 200 * MIB, `sender: ${(after.a - before.a) / MIB} MiB`)

    await a.do('release', 'caller')
    const caller = await a.do('whenDone', 'caller')
    console.log(`${caller.answered} calls meanwhile, the slowest took ${Math.round(caller.slowestMs ?? 0)} ms`)
    assert.is(caller.failed, 0)
  },
  { deadlineMs: 90_000 },
)

test.run()
