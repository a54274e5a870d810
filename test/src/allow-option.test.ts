/** The option `allow`: what is taken, and what is refused with which words. */
import * as assert from 'uvu/assert'
import { isSkeinError, type SkeinError } from '../../certs/errors.ts'
import { resolveAllow } from '../../src/allow-option.ts'
import { suite } from '../support/suite.ts'

const test = suite('option allow')

const refusal = (value: unknown): SkeinError => {
  try {
    resolveAllow(value)
  } catch (error) {
    assert.ok(isSkeinError(error, 'ERR_SKEIN_BAD_OPTION'))
    return error as SkeinError
  }
  return assert.unreachable(JSON.stringify(value)) as never
}

test('an id in capitals, which would match nobody, is refused', () => {
  const id = 'abcdefghijklmnopqrstuvwxyz234567'
  assert.equal(resolveAllow([{ nodes: id, spawn: 'none' }]).rules, [{ nodes: [id], spawn: 'none' }])
  assert.match(refusal([{ nodes: [id.toUpperCase()], spawn: 'none' }]).message, /small letters/)
})

test('rules are taken as they are; none are none', () => {
  assert.equal(resolveAllow(undefined), { preset: 'default', rules: [] })
  assert.equal(resolveAllow([]), { preset: 'default', rules: [] })
  assert.equal(resolveAllow('strict'), { preset: 'strict', rules: [] })
  assert.equal(resolveAllow({ preset: 'strict' }), { preset: 'strict', rules: [] })
  const given = [
    { nodes: ['web-*', 'a@host'], spawn: ['page'], send: 'none' as const },
    { nodes: '*', send: [] },
  ]
  const taken = resolveAllow({ preset: 'strict', rules: given }).rules
  assert.equal(taken, [
    { nodes: ['web-*', 'a@host'], spawn: ['page'], send: 'none' },
    { nodes: ['*'], send: [] },
  ])
  given.length = 0
  assert.is(taken.length, 2)
})

test('what is wrong is named, with what was probably meant', () => {
  const cases: readonly (readonly [unknown, RegExp, RegExp?])[] = [
    ['all', /^allow must be default, strict, not "all"/],
    [7, /^allow must be a list/],
    [{ preset: 'lax' }, /^allow.preset must be default, strict/],
    [{ rules: [] }, /^allow.preset must be/],
    [{ preset: 'strict', rule: [] }, /There is no option allow.rule/, /"rules"/],
    [{ preset: 'strict', rules: ['x'] }, /^allow.rules\[0\] must be a rule/],
    [[{ nodes: '*', observe: 'some' }], /observe must be all, nodes, none, not "some"/],
    [[{ nodes: '*', attach: ['a'] }], /attach must be all, none, not object/],
    [[{ nodes: '*', unnamed: ['x'] }], /unnamed must be all, none/],
    [[{ nodes: '*', groups: ['a\n'] }], /groups must be a list of names/],
    [['x'], /^allow\[0\] must be a rule/],
    [[{ nodes: '*' }], /^allow\[0\] allows and forbids nothing/, /one or more of spawn, send, register/],
    [[{ spawn: 'all' }], /^allow\[0\]\.nodes must be a list of 1 to/],
    [[{ nodes: [], spawn: 'all' }], /nodes must be a list of 1 to/],
    [[{ nodes: 'a b', spawn: 'all' }], /nodes must be a list of node names or ids.*not "a b"/],
    [[{ nodes: '*', spwan: 'all' }], /There is no option allow\[0\]\.spwan/, /Did you mean "spawn"/],
    [[{ nodes: '*', spawn: 'non' }], /spawn must be all, none or a list of names, not "non"/, /Did you mean none/],
    [[{ nodes: '*', send: 'orders' }], /send must be all/, /Did you mean \['orders'\]/],
    [[{ nodes: '*', send: ['ok', 7] }], /send must be a list of names, in which/],
    [[{ nodes: '*', spawn: ['a/b'] }], /not "a\/b"/],
    [[{ nodes: '*', send: 7 }], /send must be a list of at most/],
    [Array(1001).fill({ nodes: '*', send: 'all' }), /at most 1000 rules/],
  ]
  for (const [value, message, hint] of cases) {
    const error = refusal(value)
    assert.match(error.message, message)
    if (hint !== undefined) assert.match(error.hint, hint)
  }
})

test.run()
