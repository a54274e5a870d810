import { readFileSync } from 'node:fs'
import * as assert from 'uvu/assert'
import { describe, type HistoryLine, MARGIN, newest, slowerThan, unrecorded } from '../../bench/guard-history.ts'
import { suite } from '../support/suite.ts'

const test = suite('guard of the hot paths')

const line: HistoryLine = { commit: 'abc1234', date: '2025-01-01', ratios: { codec: 0.5, send: 2 } }

test('a path that is slower by more than the margin is named, with how much', () => {
  const slower = slowerThan(line, { codec: 0.5 * MARGIN * 1.01, send: 2 })
  assert.equal(
    slower.map(({ path }) => path),
    ['codec'],
  )
  assert.match(describe(slower[0]!), /^codec takes 0\.808 .* 0\.500: 1\.62 times as much/)
})

test('as fast, faster, and slower within the margin pass', () => {
  assert.equal(slowerThan(line, { codec: 0.5, send: 2 }), [])
  assert.equal(slowerThan(line, { codec: 0.1, send: 0.2 }), [])
  assert.equal(slowerThan(line, { codec: 0.5 * MARGIN * 0.99, send: 2 * MARGIN * 0.99 }), [])
})

test('a path that was never recorded is named, and one that is not measured any more is not missed', () => {
  assert.equal(slowerThan(line, { newer: 100 }), [])
  assert.equal(unrecorded(line, { newer: 100, codec: 1 }), ['newer'])
})

test('a measurement that gave no number does not pass', () => {
  assert.is(slowerThan(line, { codec: Number.NaN }).length, 1)
})

test('the newest line of a history counts', () => {
  const older = { ...line, commit: 'older12' }
  assert.equal(newest(`${JSON.stringify(older)}\n${JSON.stringify(line)}\n`), line)
})

test('a history without a line that makes sense is an error', () => {
  for (const history of ['', '\n', '{}', 'null', '{"commit":"a","date":"b","ratios":{"codec":0}}']) {
    assert.throws(() => newest(history), /no line to compare with/, history)
  }
})

test('the history in the repository can be compared with', () => {
  const { ratios } = newest(readFileSync(new URL('../../bench/history.jsonl', import.meta.url), 'utf8'))
  assert.ok(Object.keys(ratios).length > 0)
})

test.run()
