/** What others tried without a right: counted, and told in a bounded way. */
import * as assert from 'uvu/assert'
import { Origin } from '../../../src/pid.ts'
import { Forbidden, type ForbiddenAttempt } from '../../../src/process/forbidden.ts'
import { suite } from '../../support/suite.ts'

const test = suite('forbidden attempts')

const originOf = (index: number): Origin => new Origin(`n${index}@x`, String(index).padStart(32, 'a'), '0'.repeat(16))

const scene = () => {
  const clock = { nowMs: 0, now: () => clock.nowMs }
  const told: ForbiddenAttempt[] = []
  return { clock, told, forbidden: new Forbidden(clock, (event) => told.push(event)) }
}

test('the first is told at once, the others together after a while', () => {
  const { clock, told, forbidden } = scene()
  for (let i = 0; i < 1000; i++) forbidden.note(originOf(1), 'send')
  forbidden.note(originOf(1), 'call')
  assert.equal(
    told.map(({ attempt, count }) => [attempt, count]),
    [
      ['send', 1],
      ['call', 1],
    ],
  )
  clock.nowMs += 10_000
  forbidden.note(originOf(1), 'send')
  assert.equal([told[2]?.attempt, told[2]?.count], ['send', 1000])
  assert.is(forbidden.count, 1002)
})

test('however many nodes try, there is a bound, and what is remembered has one too', () => {
  const { clock, told, forbidden } = scene()
  for (let i = 0; i < 20_000; i++) forbidden.note(originOf(i), 'send')
  assert.is(told.length, 256)
  clock.nowMs += 10_000
  forbidden.note(originOf(0), 'send')
  assert.equal([told.length, forbidden.count], [257, 20_001])
  forbidden.note(undefined, 'send')
  assert.is(told.length, 257)
})

test('dead letters of this kind have a bound of their own', () => {
  const { clock, forbidden } = scene()
  let letters = 0
  for (let i = 0; i < 1000; i++) if (forbidden.hasLetter()) letters++
  assert.is(letters, 64)
  clock.nowMs += 10_000
  assert.ok(forbidden.hasLetter())
})

test.run()
