/** The program for global names finds nothing in the sources as they are, and what is broken on purpose it finds. */
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import { makeIdentities } from './fuzz.ts'
import { fuzzGlobal } from './global.ts'
import { testSubject } from './subject-suite.ts'

const test = suite('global names under simulation', { watchdogMs: 400_000 })

testSubject(test, 'global', 60)

test('a seed does the same each time', async () => {
  const identities = await makeIdentities()
  const logs: string[] = []
  for (let i = 0; i < 2; i++)
    assert.is(await fuzzGlobal(42, identities, { ran: (log) => void logs.push(log) }), undefined)
  const [one, other] = logs
  assert.ok(one !== undefined && one.length > 1000)
  assert.is(one, other)
})

test.run()
