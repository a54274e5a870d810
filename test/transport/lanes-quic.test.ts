/** Lanes on real QUIC on loopback: the suite of all carriers. */
import { suite } from '../support/suite.ts'
import { laneCompliance } from './lanes-compliance.ts'
import { quicPair } from './lanes-quic.ts'

for (const [name, maxPacketBytes] of [
  ['lanes on QUIC, 1350 bytes', 1350],
  ['lanes on QUIC, path size', 16_383],
] as const) {
  const test = suite(name)
  laneCompliance(test, quicPair(maxPacketBytes))
  test.run()
}
