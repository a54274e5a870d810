/** QUIC on loopback passes the suite of all carriers. */
import { createIdentity } from '../../certs/identity.ts'
import { systemClock } from '../../transport/clock.ts'
import { MAX_PEER_STREAMS, STREAM_WINDOW_BYTES } from '../../transport/path-settings.ts'
import { openQuicTransport } from '../../transport/quic-transport.ts'
import { systemRandom } from '../../transport/random.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { carrierCompliance, type Harness } from './compliance.ts'

const PATIENCE_MS = 8000

const makePair =
  (host: string, maxPacketBytes: number) =>
  async (t: TestContext): Promise<Harness> => {
    const gate = systemRandom.bytes(32)
    const open = async (gateKey: Uint8Array) => {
      const identity = await createIdentity({ wallNowMs: Date.now() })
      const options = {
        host,
        port: 0,
        identity,
        gateKeys: [gateKey],
        clock: systemClock,
        random: systemRandom,
        maxPacketBytes,
      }
      const transport = await openQuicTransport(options)
      t.defer(() => transport.close())
      return { transport, identity }
    }
    const [a, b, closed] = [await open(gate), await open(gate), await open(gate)]
    const nowhere = closed.transport.addresses()[0]!
    await closed.transport.close()
    return {
      a: a.transport,
      b: b.transport,
      identityA: a.identity,
      identityB: b.identity,
      nowhere,
      maxStreams: MAX_PEER_STREAMS,
      streamWindowBytes: STREAM_WINDOW_BYTES,
      stranger: async () => (await open(systemRandom.bytes(32))).transport,
      until: async (condition) => {
        const start = performance.now()
        while (!condition()) {
          if (performance.now() - start > PATIENCE_MS) throw new Error('waited in vain')
          await new Promise((resolve) => setTimeout(resolve, 1))
        }
      },
    }
  }

for (const [name, host, maxPacketBytes] of [
  ['QUIC, IPv4, 1350 bytes', '127.0.0.1', 1350],
  ['QUIC, IPv6, path size', '::1', 16_383],
] as const) {
  const test = suite(name)
  carrierCompliance(test, makePair(host, maxPacketBytes))
  test.run()
}
