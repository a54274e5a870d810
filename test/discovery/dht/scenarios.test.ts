/** The targets of the DHT, on networks that are small enough for a test; bench/dht.ts has them in full. */
import * as assert from 'uvu/assert'
import { suite } from '../../support/suite.ts'
import { churn, deadAndLossy, deadOnLoopback, halfKilled, sybils } from './scenarios.ts'
import { percentile } from './simulation.ts'

const test = suite('dht scenarios', { watchdogMs: 120_000 })
/** A few seconds of work each, on a machine that may have other things to do. */
const deadlineMs = 60_000

test(
  '60 nodes on loopback, a quarter of them dead: nobody waits for the dead',
  async () => {
    const { timesMs, messages, found } = await deadOnLoopback({ seed: 1, nodes: 60 }, 60)
    assert.is(found, 60)
    assert.ok(percentile(timesMs, 0.5) < 60, `p50 ${percentile(timesMs, 0.5)} ms`)
    assert.ok(percentile(timesMs, 0.95) < 450, `p95 ${percentile(timesMs, 0.95)} ms`)
    assert.ok(percentile(messages, 0.5) <= 25, `p50 ${percentile(messages, 0.5)} messages`)
  },
  { deadlineMs },
)

test(
  'far apart, a fifth dead, one datagram in twenty lost: everything is found, in time',
  async () => {
    const { finds, gets } = await deadAndLossy({ seed: 2, nodes: 80, delayMs: 25, lookups: 40 })
    for (const { timesMs, found } of [finds, gets]) {
      assert.is(found, 40)
      assert.ok(percentile(timesMs, 0.5) < 350, `p50 ${percentile(timesMs, 0.5)} ms`)
      assert.ok(percentile(timesMs, 0.95) < 1000, `p95 ${percentile(timesMs, 0.95)} ms`)
    }
  },
  { deadlineMs },
)

test(
  'half of the nodes killed at once: every record is found',
  async () => {
    const { found } = await halfKilled({ seed: 3, nodes: 80 }, 20, 2)
    assert.is(found, 40)
  },
  { deadlineMs },
)

test(
  'half of the nodes replaced every 15 minutes, for 20: every record is found',
  async () => {
    const size = { seed: 4, nodes: 40, records: 10, minutes: 20, halfLifeMs: 15 * 60_000, gets: 3 }
    const { found, died } = await churn(size)
    assert.ok(died > 10, `${died} died`)
    assert.is(found, 30)
  },
  { deadlineMs },
)

test(
  '64 sybils at one key, on four networks: the newest honest value is found',
  async () => {
    for (const seed of [5, 6]) assert.is((await sybils({ seed, nodes: 70 }, 30)).found, 30, `seed ${seed}`)
  },
  { deadlineMs },
)

test(
  'the same seed gives the same run',
  async () => {
    const run = async () => (await deadOnLoopback({ seed: 9, nodes: 20 }, 10)).timesMs
    assert.equal(await run(), await run())
  },
  { deadlineMs },
)

test.run()
