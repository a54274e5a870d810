/** Code as somebody types it: what is complete, what goes on, and what await becomes. */
import * as assert from 'uvu/assert'
import { parse } from '../../../src/attach/code.ts'
import { suite } from '../../support/suite.ts'

const test = suite('code to evaluate')

const typesOf = (codes: readonly string[]): string[] => codes.map((code) => parse(code).type)

test('what ends too early goes on', () => {
  const codes = [
    'foo(',
    'function f() {',
    '[1, 2,',
    '`a\n',
    'if (x) {',
    'await foo(',
    'const x = await f(1,',
    '({',
    'for (const a of await b) {',
  ]
  assert.equal(
    typesOf(codes),
    codes.map(() => 'incomplete'),
  )
})

test('what is complete runs, also with await', () => {
  const codes = [
    '1',
    'a.b',
    '{ a: 1 }',
    '{ f() }',
    'const x = 1; x',
    'await f()',
    'const { a, b } = await f();',
    'let x = await 1, y = 2',
    'for (const a of await b) {}',
    'const s = await f(); s.x',
    '',
    '"await"',
    '// await',
  ]
  assert.equal(
    typesOf(codes),
    codes.map(() => 'script'),
  )
})

test('what can never be right is an error, however it goes on', () => {
  const codes = ['foo bar', 'foo(1 2)', ')', 'const = 1', 'await )', '"a', 'await foo bar']
  assert.equal(
    typesOf(codes),
    codes.map(() => 'bad'),
  )
})

test.run()
