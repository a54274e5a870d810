/**
 * A short soak run: all kinds of work at once, connections that drop, members that leave, join and are killed; nothing is
 * lost or comes twice, nothing is left over, and every process ends by itself. Whether memory grows takes an hour to say:
 * `npm run soak`; here it only may not double.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import { failuresOf, reportOf } from './report.ts'
import { soak } from './run.ts'

const test = suite('soak', { watchdogMs: 330_000 })
const DEADLINE_MS = 290_000
const SEED = 8

test(
  'six members under mixed load and churn lose nothing and leave nothing over',
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'skein-soak-test-'))
    t.defer(() => rm(folder, { recursive: true, force: true }))
    const end = new AbortController()
    t.defer(() => end.abort())
    const facts = {
      minutes: 1.1,
      warmUpMinutes: 0.35,
      quietMinutes: 0.35,
      pace: 1,
      recoveryMinutes: 0,
      members: 6,
      changing: 2,
      rate: 1200,
      optimizes: true,
      seed: SEED,
      churnSeconds: 8,
    }
    const lines: string[] = []
    const say = (text: string): void => void lines.push(text)
    const run = await soak({ ...facts, looks: 2, folder, snapshots: undefined, say, signal: end.signal })
    const report = reportOf(facts, run)
    assert.equal(failuresOf(report, { slopes: false }), [], `seed ${SEED}\n${lines.join('\n')}`)
    for (const { member, first, last, what } of report.slopes) {
      assert.ok(last < 2 * first, `${member}: ${what} was ${first} and is ${last}`)
    }
    assert.ok(run.churn.length >= 3, lines.join('\n'))
    for (const what of ['messages received', 'bonds: ends told', 'streams: duplex', 'global names registered']) {
      assert.ok((run.counts[what] ?? 0) > 0, what)
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test.run()
