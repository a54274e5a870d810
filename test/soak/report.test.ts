/** What the report of a soak run judges: resident memory and the heap, as they are. */
import * as assert from 'uvu/assert'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'
import { failuresOf, REMEMBERED_BYTES, reportOf, slopeTable } from './report.ts'
import type { SoakRun, TimedSample } from './run.ts'

const test = suite('report of the soak run')
const MIB = 2 ** 20
const MEMBER = 'm@test'
const MINUTES = 40
const FACTS = {
  minutes: MINUTES,
  warmUpMinutes: 0,
  quietMinutes: 0,
  pace: 1,
  recoveryMinutes: 0,
  members: 4,
  changing: 1,
  rate: 1,
  optimizes: true,
  seed: 1,
  churnSeconds: 60,
}

interface Growth {
  /** Bytes by the minute. */
  readonly rss?: number
  readonly heap?: number
  readonly code?: number
  /** Members that go in each minute. */
  readonly gone?: number
}

/** A run of one member with a sample every half minute, which grows so, with a little noise. */
const runOf = ({ rss = 0, heap = 0, code = 0, gone = 0 }: Growth): SoakRun => {
  const random = seededRandom(3)
  const noise = (): number => random.float() * 0.1 * MIB
  const samples = Array.from({ length: 2 * MINUTES }, (_, i): TimedSample => {
    const minutes = i / 2
    return {
      minutes,
      member: MEMBER,
      rss: 150 * MIB + rss * minutes + noise(),
      heapAfterGc: 30 * MIB + heap * minutes + noise(),
      codeAfterGc: 5 * MIB + code * minutes,
      heapUsed: 0,
      external: 0,
      arrayBuffers: 0,
      cpuMicros: 0,
      resources: {},
      figures: {},
      counters: {},
    }
  })
  return {
    samples,
    lasting: [MEMBER],
    judged: [0, MINUTES],
    quiet: {},
    churn: Array.from({ length: gone * MINUTES }, (_, i) => ({ minutes: i / gone, what: 'one stops, two joins' })),
    counts: {},
    violations: [],
  }
}

const failuresWith = (growth: Growth): string[] =>
  failuresOf(reportOf(FACTS, runOf(growth)), { slopes: true }).map((text) => text.replace(/ grows.*/, ''))

test('memory that does not grow passes', () => {
  assert.equal(failuresWith({}), [])
})

test('resident memory that grows does not, nor a heap that grows by more than code and members that went', () => {
  assert.equal(failuresWith({ rss: MIB }), [`${MEMBER}: resident memory`])
  assert.equal(failuresWith({ heap: MIB }), [`${MEMBER}: rest of the heap`])
  assert.equal(failuresWith({ heap: MIB, code: MIB }), [])
  assert.equal(failuresWith({ heap: 10 * REMEMBERED_BYTES, gone: 10 }), [])
})

test('the whole heap, and what V8 compiles of it, are told and not judged', () => {
  const told = slopeTable(reportOf(FACTS, runOf({ heap: MIB, code: MIB })))
  assert.match(told, /compiled code \| 7\.\d \| 42\.\d \| 60\.00 .* not judged/)
  assert.match(told, /heap after gc \| .* not judged/)
})

test.run()
