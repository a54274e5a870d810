/** Streams of bytes on TLS on TCP on loopback: the suite of all carriers. */
import { suite } from '../support/suite.ts'
import { byteStreamCompliance } from './byte-streams-compliance.ts'
import { tcpPair } from './tcp-support.ts'

const test = suite('streams of bytes on TCP')
byteStreamCompliance(test, tcpPair)
test.run()
