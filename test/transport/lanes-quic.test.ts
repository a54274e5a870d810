/** Lanes on real QUIC on loopback: the suite of all carriers. */
import { createIdentity } from '../../certs/identity.ts'
import { type Clock, systemClock } from '../../transport/clock.ts'
import { STREAM_WINDOW_BYTES } from '../../transport/path-settings.ts'
import { openQuicTransport } from '../../transport/quic-transport.ts'
import { systemRandom } from '../../transport/random.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { laneCompliance } from './lanes-compliance.ts'
import type { LaneHarness } from './lanes-harness.ts'

const PATIENCE_MS = 9000
/** Lanes fall idle after seconds; for these tests, and for the pauses in them, time runs faster. */
const HASTE = 40

const hastyClock: Clock = {
  ...systemClock,
  after: (ms, fn, background) => systemClock.after(ms / HASTE, fn, background),
}

const makePair =
  (maxPacketBytes: number) =>
  async (t: TestContext): Promise<LaneHarness> => {
    const gate = systemRandom.bytes(32)
    const open = async () => {
      const transport = await openQuicTransport({
        host: '127.0.0.1',
        port: 0,
        identity: await createIdentity({ wallNowMs: Date.now() }),
        gateKeys: [gate],
        clock: systemClock,
        random: systemRandom,
        maxPacketBytes,
      })
      t.defer(() => transport.close())
      return transport
    }
    return {
      a: await open(),
      b: await open(),
      clockA: hastyClock,
      clockB: hastyClock,
      streamWindowBytes: STREAM_WINDOW_BYTES,
      until: async (condition) => {
        const start = performance.now()
        while (!condition()) {
          if (performance.now() - start > PATIENCE_MS) throw new Error('waited in vain')
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
      },
    }
  }

for (const [name, maxPacketBytes] of [
  ['lanes on QUIC, 1350 bytes', 1350],
  ['lanes on QUIC, path size', 16_383],
] as const) {
  const test = suite(name)
  laneCompliance(test, makePair(maxPacketBytes))
  test.run()
}
