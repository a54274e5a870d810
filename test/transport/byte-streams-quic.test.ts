/** Streams of bytes on real QUIC on loopback: the suite of all carriers. */
import { suite } from '../support/suite.ts'
import { byteStreamCompliance } from './byte-streams-compliance.ts'
import { quicPair } from './lanes-quic.ts'

for (const [name, maxPacketBytes] of [
  ['streams of bytes on QUIC, 1350 bytes', 1350],
  ['streams of bytes on QUIC, path size', 16_383],
] as const) {
  const test = suite(name)
  byteStreamCompliance(test, quicPair(maxPacketBytes))
  test.run()
}
