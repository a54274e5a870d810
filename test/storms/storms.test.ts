/** Every storm in a small size; and the judge of storms sees what nothing explains. */
import * as assert from 'uvu/assert'
import { suite, type TestContext } from '../support/suite.ts'
import { STORMS } from './list.ts'
import { runStorm } from './run-storm.ts'
import type { Storm } from './storm.ts'

const MEMBERS = 3
const SECONDS = 3
const SEED = 1

const test = suite('storms', { watchdogMs: 600_000 })

const small = (t: TestContext) => ({ members: MEMBERS, seconds: SECONDS, seed: SEED, context: t, say: () => {} })

for (const storm of STORMS) {
  test(
    `${storm.name} (seed ${SEED})`,
    async (t) => {
      const report = await runStorm(storm, small(t))
      assert.equal(report.violations, [], JSON.stringify(report, undefined, 2))
      assert.type(report.wholeAfterSeconds, 'number')
      assert.is(report.memory.length, MEMBERS)
    },
    { deadlineMs: 100_000 },
  )
}

test(
  'a member that goes down without a cause, and a storm that did not happen, are violations',
  async (t) => {
    const storm: Storm = {
      name: 'canary',
      what: 'Kills a member and says nothing of it.',
      proof: ['nothing'],
      run: async (stage) => {
        await stage.open()
        const last = stage.members.length - 1
        const next = stage.newMember(last, stage.members[last])
        await next.prepare()
        await stage.members[last]!.kill()
        stage.members[last] = next
        await next.start()
        return stage.close()
      },
    }
    const { violations } = await runStorm(storm, small(t))
    assert.ok(
      violations.some((text) => /lost m3@.*, and nothing is wrong/.test(text)),
      violations.join('\n'),
    )
    assert.ok(violations.includes('it did not happen: nothing'))
  },
  { deadlineMs: 60_000 },
)

test.run()
