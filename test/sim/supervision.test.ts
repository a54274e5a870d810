/** The program for distributed supervisors finds nothing in the sources as they are, and what is broken on purpose it finds. */
import { suite } from '../support/suite.ts'
import { testSubject } from './subject-suite.ts'

const test = suite('distributed supervisors under simulation', { watchdogMs: 400_000 })

testSubject(test, 'supervision', 100)

test.run()
