/** Two ports of QUIC on loopback for the tests of lanes. */
import { createIdentity } from '../../certs/identity.ts'
import { type Clock, systemClock } from '../../transport/clock.ts'
import { STREAM_WINDOW_BYTES } from '../../transport/path-settings.ts'
import { openQuicTransport } from '../../transport/quic-transport.ts'
import { systemRandom } from '../../transport/random.ts'
import type { TestContext } from '../support/suite.ts'
import type { LaneHarness } from './lanes-harness.ts'

const PATIENCE_MS = 9000
/** Lanes fall idle after seconds; for these tests, and for the pauses in them, time runs faster. */
const HASTE = 40

const hastyClock: Clock = {
  ...systemClock,
  after: (ms, fn, background) => systemClock.after(ms / HASTE, fn, background),
}

export const quicPair =
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
