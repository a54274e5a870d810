/** Places in groups as keys: every one comes back as it was, and nothing else is taken for one. */
import * as fc from 'fast-check'
import * as assert from 'uvu/assert'
import { MAX_KEY_LENGTH } from '../../../../src/services/board.ts'
import { keyOf, MAX_GROUP_LENGTH, MAX_SCOPE_LENGTH, placeOf } from '../../../../src/services/groups/place.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('places in groups')

test('property: a place is what its key says, and no two have the same', () => {
  const text = (maxLength: number) => fc.string({ minLength: 1, maxLength, unit: 'binary' })
  const number = fc.oneof(
    fc.integer({ min: 1, max: 20 }),
    fc.maxSafeNat().map((value) => Math.max(1, value)),
  )
  const place = fc.record(
    { scope: text(MAX_SCOPE_LENGTH), group: text(MAX_GROUP_LENGTH), number },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(
      place.filter(({ scope, group }) => scope.length <= MAX_SCOPE_LENGTH && group.length <= MAX_GROUP_LENGTH),
      (one) => {
        const key = keyOf(one)
        assert.ok(key.length <= MAX_KEY_LENGTH)
        assert.equal(placeOf(key), one)
      },
    ),
    { numRuns: 2000 },
  )
})

test('what is no place', () => {
  const longest = keyOf({
    scope: 's'.repeat(MAX_SCOPE_LENGTH),
    group: 'g'.repeat(MAX_GROUP_LENGTH),
    number: Number.MAX_SAFE_INTEGER,
  })
  assert.ok(longest.length <= MAX_KEY_LENGTH && placeOf(longest) !== undefined)
  const nonsense = ['', 'a', '0:1:ab', '01:1:ab', '1:0:ab', '1:2:ab', '1:3:ab', '1:01:ab', '-1:1:ab', '1.5:1:ab']
  for (const key of [...nonsense, '9999999999999999:1:ab', `1:65:${'s'.repeat(65)}g`, `1:1:s${'g'.repeat(161)}`]) {
    assert.is(placeOf(key), undefined, key)
  }
})

test.run()
