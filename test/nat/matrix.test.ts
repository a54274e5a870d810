/** A part of the NAT matrix, one pair of each kind; `npm run test:nat` runs all of it. */
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import type { NatType } from './box-rules.ts'
import { MatrixLab } from './matrix.ts'

const test = suite('nat matrix', { watchdogMs: 300_000 })
const ROUND_TRIP_MS = 20
/** Times are goals for the matrix on a quiet machine, not for a test beside others: here a connection only has to be direct. */
const PAIRS: readonly (readonly [NatType, NatType])[] = [
  ['none', 'port'],
  ['port', 'none'],
  ['full', 'addr'],
  ['addr', 'sym'],
  ['port', 'port'],
  ['sym', 'port'],
  ['sym', 'sym'],
  ['blocked', 'port'],
  ['none', 'blocked'],
]

for (const own of ['drop', 'accept'] as const) {
  test(
    `A reaches B through NATs that ${own} UDP to themselves`,
    async (t) => {
      const lab = await MatrixLab.open(t, ROUND_TRIP_MS)
      for (const [a, b] of PAIRS) {
        const { goal, connected, failure } = await lab.run({ a, b, own, roundTripMs: ROUND_TRIP_MS })
        assert.is(failure, '', `${a} to ${b}`)
        if (goal.what === 'direct') assert.ok(connected?.directMs !== undefined, `${a} to ${b} is not direct`)
        else assert.is(connected?.directMs, undefined, `${a} to ${b} is direct, which cannot be`)
      }
    },
    { deadlineMs: 120_000 },
  )
}

test.run()
