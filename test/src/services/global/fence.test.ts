import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import { Origin } from '../../../../src/pid.ts'
import { Fence, tokenOf } from '../../../../src/services/global/fence.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('fence')

const origin = new Origin('a@h', 'a'.repeat(32), '0123456789abcdef')
const token = (time: number): string => tokenOf(time.toString(16).padStart(16, '0'), origin)

test('admits the greatest and what is greater, nothing less', () => {
  const fence = new Fence()
  assert.is(fence.greatest, undefined)
  assert.ok(fence.admits(token(5)))
  assert.ok(fence.admits(token(5)))
  assert.not(fence.admits(token(4)))
  assert.ok(fence.admits(token(0x10)))
  assert.not(fence.admits(token(0xf)))
  assert.is(fence.greatest, token(0x10))
  assert.is(token(1).length, 64)
})

test('goes on from a token that was kept', () => {
  const fence = new Fence(token(7))
  assert.not(fence.admits(token(6)))
  assert.ok(fence.admits(token(7)))
})

test('what is no token is an error, not a refusal', () => {
  for (const value of ['', 'zzz', `${token(1)}0`, token(1).toUpperCase(), undefined, 7]) {
    assert.throws(
      () => new Fence().admits(value as string),
      (error: unknown) => isSkeinError(error, 'ERR_SKEIN_BAD_ARGUMENT'),
    )
    if (value !== undefined) assert.throws(() => new Fence(value as string))
  }
})

test.run()
