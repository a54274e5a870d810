/** Checks that throw or hang, and what others say on one's terminal. */
import * as assert from 'uvu/assert'
import { SkeinError } from '../../../certs/errors.ts'
import { examine, failed, repeated } from '../../../src/doctor/finding.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const test = suite('doctor: findings')

test('a check that throws is a finding, with the hint of a coded error', async () => {
  const clock = new VirtualClock()
  const coded = await examine(clock, 'port', 1000, () => {
    throw new SkeinError('ERR_SKEIN_BIND', 'no such address')
  })
  assert.is(coded[0]?.state, 'failed')
  assert.match(coded[0]?.what ?? '', /no such address \(ERR_SKEIN_BIND\)/)
  assert.match(coded[0]?.remedy ?? '', /belongs to this machine/)
  const other = await examine(clock, 'port', 1000, () => Promise.reject(new Error('odd')))
  assert.match(other[0]?.what ?? '', /could not be looked at: odd/)
  assert.ok((other[0]?.remedy ?? '').length > 0)
})

test('a check that hangs is given up and says so', async () => {
  const clock = new VirtualClock()
  const examined = examine(clock, 'udp', 1000, () => new Promise(() => {}))
  await clock.run({ untilMs: 1500 })
  const [finding] = await examined
  assert.is(finding?.state, 'skipped')
  assert.match(finding?.what ?? '', /longer than 1000 ms/)
  assert.match(finding?.remedy ?? '', /--timeout/)
})

test('what a terminal would obey does not reach it', () => {
  const { what, why, remedy } = failed('members', 'a\nb\u001b[31m', 'c\r\nd', 'e\u202e')
  assert.equal([what, why, remedy], ['a b?[31m', 'c d', 'e?'])
  assert.ok(failed('members', 'a'.repeat(1e6), 'b', 'c').what.length < 10_000)
  assert.is(repeated(Object.create(null)), 'object')
})

test.run()
