/** Who is let in besides having the cookie, and the options for it. */
import * as assert from 'uvu/assert'
import { createAuthority, parseAuthorities } from '../../../certs/authorities.ts'
import { isSkeinError } from '../../../certs/errors.ts'
import { createIdentity } from '../../../certs/identity.ts'
import { resolveIds } from '../../../src/admission-option.ts'
import { Admission, isBarring, MAX_ADMISSION_IDS } from '../../../src/cluster/admission.ts'
import { suite } from '../../support/suite.ts'

const test = suite('admission')

const clock = { wallNow: () => 0 }
const YEAR_MS = 365 * 24 * 60 * 60_000
const DIGITS = 'abcdefghijklmnopqrstuvwxyz234567'

const idOf = (index: number): string => {
  let id = ''
  for (let left = index; id.length < 32; left = Math.floor(left / 32)) id = `${DIGITS[left % 32]}${id}`
  return id
}

const codeOf = (work: () => unknown): string | undefined => {
  try {
    work()
  } catch (error) {
    return isSkeinError(error) ? error.code : String(error)
  }
  return undefined
}

test('without anything all are let in; revoked ones are not, list or no list', () => {
  assert.is(new Admission(idOf(0), { clock }).refusal(idOf(1), undefined), undefined)
  const admission = new Admission(idOf(0), { clock, revoked: [idOf(2)], members: [idOf(1), idOf(2)] })
  const codes = [0, 1, 2, 3].map((index) => admission.refusal(idOf(index), undefined)?.code)
  assert.equal(codes, [undefined, undefined, 'ERR_SKEIN_REVOKED', 'ERR_SKEIN_NOT_ADMITTED'])
  assert.equal(
    [0, 1, 2, 3].map((index) => admission.admits(idOf(index))),
    [true, true, false, false],
  )
  assert.ok(admission.unrevoke(idOf(2)))
  assert.is(admission.refusal(idOf(2), undefined), undefined)
})

test('with authorities a certificate is needed that one of them has signed, on the list or not, and now', async () => {
  const authority = await createAuthority({ wallNowMs: 0, validForMs: YEAR_MS })
  const [signed, own] = await Promise.all([
    createIdentity({ wallNowMs: 0, validForMs: YEAR_MS / 2, authority }),
    createIdentity({ wallNowMs: 0 }),
  ])
  const calendar = { nowMs: 0, wallNow: () => calendar.nowMs }
  const members = [signed.nodeId, own.nodeId]
  const authorities = parseAuthorities(authority.certificatePem)
  const admission = new Admission(idOf(0), { clock: calendar, members, authorities })
  const codeFor = ({ nodeId }: { nodeId: string }, certificate?: Uint8Array) =>
    admission.refusal(nodeId, certificate)?.code
  assert.is(codeFor(signed, signed.certificate), undefined)
  assert.is(codeFor(own, own.certificate), 'ERR_SKEIN_CERT_UNTRUSTED')
  assert.is(codeFor(signed), 'ERR_SKEIN_CERT_UNTRUSTED')
  assert.is(codeFor({ nodeId: idOf(1) }, signed.certificate), 'ERR_SKEIN_NOT_ADMITTED')
  admission.revoke(signed.nodeId)
  assert.is(codeFor(signed, signed.certificate), 'ERR_SKEIN_REVOKED')
  admission.unrevoke(signed.nodeId)
  calendar.nowMs = 0.6 * YEAR_MS
  assert.is(codeFor(signed, signed.certificate), 'ERR_SKEIN_CERT_UNTRUSTED')
  assert.ok(['ERR_SKEIN_CERT_UNTRUSTED', 'ERR_SKEIN_NOT_ADMITTED', 'ERR_SKEIN_REVOKED'].every(isBarring))
  assert.not(isBarring('ERR_SKEIN_CERT_EXPIRED'))
})

test('the list of revoked nodes is bounded', () => {
  const revoked = Array.from({ length: MAX_ADMISSION_IDS }, (_, index) => idOf(index + 1))
  const admission = new Admission(idOf(0), { clock, revoked })
  assert.is(
    codeOf(() => admission.revoke(idOf(MAX_ADMISSION_IDS + 1))),
    'ERR_SKEIN_LIMIT',
  )
  assert.not(admission.revoke(idOf(1)), 'it is there already')
  admission.unrevoke(idOf(1))
  assert.ok(admission.revoke(idOf(MAX_ADMISSION_IDS + 1)))
})

test('options are lists of ids, and copied', () => {
  const given = [idOf(1)]
  const taken = resolveIds('members', given)
  given.length = 0
  assert.equal(taken, [idOf(1)])
  assert.is(resolveIds('revoked', undefined), undefined)
  for (const wrong of ['x', [7], ['a@b'], [idOf(1).toUpperCase()], Array(MAX_ADMISSION_IDS + 1).fill(idOf(1))]) {
    assert.is(
      codeOf(() => resolveIds('revoked', wrong)),
      'ERR_SKEIN_BAD_OPTION',
    )
  }
})

test.run()
