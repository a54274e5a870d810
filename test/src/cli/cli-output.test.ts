/**
 * What the command line makes of values, tables and durations.
 */
import * as assert from 'uvu/assert'
import { duration, firstSentence, table, toJson } from '../../../src/cli/output.ts'
import { Origin, Pid } from '../../../src/pid.ts'
import { suite } from '../../support/suite.ts'

const test = suite('cli output')

test('every value that can cross the wire has a JSON form', () => {
  const pid = new Pid(new Origin('a@host', 'id', '0123456789abcdef'), 7)
  const cases: readonly (readonly [value: unknown, json: string])[] = [
    [undefined, 'null'],
    [12345678901234567890n, '"12345678901234567890"'],
    [new Map([['k', 1]]), '[["k",1]]'],
    [new Set([1, 2]), '[1,2]'],
    [new Uint8Array([1, 255]), '[1,255]'],
    [/a+/g, '"/a+/g"'],
    [new Date(0), '"1970-01-01T00:00:00.000Z"'],
    [{ pid }, '{"pid":"<a@host#abcdef.7>"}'],
    [Object.assign(new Error('no'), { code: 'E' }), '{"name":"Error","message":"no","code":"E"}'],
    // Nothing of it steers a terminal, and all of it comes back.
    ['\u001b[2J \u007f\u0080\u009f\u00a0', '"\\u001b[2J \\u007f\\u0080\\u009f\u00a0"'],
  ]
  for (const [value, json] of cases) assert.is(toJson(value), json)
})

test('columns are as wide as what stands in them', () => {
  assert.equal(
    table([
      ['NAME', 'ID'],
      ['a', 'longer'],
      ['much longer', 'b'],
    ]),
    ['NAME         ID', 'a            longer', 'much longer  b'],
  )
})

test('durations are read at a glance', () => {
  assert.equal([0.567, 142.4, 4213].map(duration), ['0.57 ms', '142 ms', '4.21 s'])
})

test('a status is cut after what matters most', () => {
  assert.is(firstSentence('on lo, eth0; no other node seen yet. More.'), 'on lo, eth0')
  assert.is(firstSentence('on 127.0.0.1'), 'on 127.0.0.1')
})

test.run()
