/** Who led lately is known, and who only says so is not. */
import * as assert from 'uvu/assert'
import { Unseated } from '../../../../src/services/supervision/unseated.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('leaders that lead no more')

const scene = () => {
  const claims = new Map<string, readonly string[]>()
  const clock = { nowMs: 0, now: () => clock.nowMs }
  const unseated = new Unseated(clock, (supervisor) => claims.get(supervisor) ?? [])
  const claim = (supervisor: string, ...keys: readonly string[]): void => {
    claims.set(supervisor, keys)
    unseated.look(supervisor)
  }
  return { clock, unseated, claim }
}

test('one that led is known for a minute, and one that leads or never did is not', () => {
  const { clock, unseated, claim } = scene()
  claim('sup', 'a')
  assert.not(unseated.has('sup', 'a'))
  claim('sup')
  assert.ok(unseated.has('sup', 'a'))
  assert.not(unseated.has('sup', 'b'))
  assert.not(unseated.has('another', 'a'))
  claim('sup', 'b')
  clock.nowMs = 60_000
  assert.ok(unseated.has('sup', 'a'))
  clock.nowMs++
  assert.not(unseated.has('sup', 'a'))
})

test('a claim beside a better one is an explanation for a minute, and not for as long as it stands', () => {
  const { clock, unseated, claim } = scene()
  claim('sup', 'a', 'b')
  assert.ok(unseated.has('sup', 'b'))
  assert.not(unseated.has('sup', 'a'))
  clock.nowMs = 60_001
  claim('sup', 'a', 'b', 'c')
  assert.not(unseated.has('sup', 'b'))
  assert.ok(unseated.has('sup', 'c'))
  claim('sup', 'b')
  assert.not(unseated.has('sup', 'b'))
  claim('sup', 'a')
  assert.ok(unseated.has('sup', 'b'))
})

test('what is remembered has a bound', () => {
  const { unseated, claim } = scene()
  for (let i = 0; i <= 4096; i++) {
    claim(`sup${i}`, 'a')
    claim(`sup${i}`)
  }
  assert.not(unseated.has('sup0', 'a'))
  for (const i of [1, 4096]) assert.ok(unseated.has(`sup${i}`, 'a'))
})

test.run()
