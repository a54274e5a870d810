/** Lanes on TLS on TCP on loopback: the suite of all carriers. */
import { suite } from '../support/suite.ts'
import { laneCompliance } from './lanes-compliance.ts'
import { tcpPair } from './tcp-support.ts'

const test = suite('lanes on TCP')
laneCompliance(test, tcpPair)
test.run()
