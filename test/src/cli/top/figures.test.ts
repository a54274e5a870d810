/** Figures of four characters, and text cut to the columns of a terminal. */
import * as assert from 'uvu/assert'
import { age, count, fit, percent, rate } from '../../../../src/cli/top/figures.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('top figures')

test('counts have four characters at most', () => {
  const cases: readonly (readonly [number, string])[] = [
    [0, '0'],
    [0.4, '0'],
    [999, '999'],
    [999.6, '1.0k'],
    [1234, '1.2k'],
    [9949, '9.9k'],
    [9951, '10k'],
    [999_499, '999k'],
    [999_600, '1.0M'],
    [84_000_000, '84M'],
    [3e12, '3.0T'],
    [-5, '0'],
  ]
  for (const [value, text] of cases) assert.is(count(value), text, String(value))
  assert.equal([rate(undefined), rate(1500), percent(0.934)], ['-', '1.5k', '93%'])
})

test('ages', () => {
  assert.equal([0, 59_999, 60_000, 3_600_000, 200_000_000].map(age), ['0s', '59s', '1m', '1h', '2d'])
})

test('text fits its columns, wide characters and marks counted as terminals do', () => {
  assert.is(fit('ab', 4), 'ab  ')
  assert.is(fit('ab', 4, 'right'), '  ab')
  assert.is(fit('abcdef', 4), 'abc+')
  assert.is(fit('abcd', 4), 'abcd')
  assert.is(fit('日本語', 4), '日+ ')
  assert.is(fit('日本', 4), '日本')
  assert.is(fit('e\u0301e\u0301', 3), 'e\u0301e\u0301 ')
  assert.is(fit('a\u001b[31mb\n', 10), 'a?[31mb?  ')
  assert.is(fit('abc', 1), '+')
  assert.is(fit('abc', 0), '')
})

test.run()
