/** TLS on TCP on loopback passes the suite of all carriers. */
import { MAX_PEER_STREAMS, STREAM_WINDOW_BYTES } from '../../transport/path-settings.ts'
import { systemRandom } from '../../transport/random.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf, carrierCompliance, type Harness } from './compliance.ts'
import { newIdentity, openTcpPort, until } from './tcp-support.ts'

const makePair =
  (host: string) =>
  async (t: TestContext): Promise<Harness> => {
    const gateKeys = [systemRandom.bytes(32)]
    const [identityA, identityB] = [await newIdentity(), await newIdentity()]
    const closed = await openTcpPort(t, { host })
    const nowhere = addressOf(closed)
    await closed.close()
    return {
      a: await openTcpPort(t, { host, gateKeys, identity: identityA }),
      b: await openTcpPort(t, { host, gateKeys, identity: identityB }),
      identityA,
      identityB,
      nowhere,
      maxStreams: MAX_PEER_STREAMS,
      streamWindowBytes: STREAM_WINDOW_BYTES,
      stranger: () => openTcpPort(t, { host }),
      until,
    }
  }

for (const [name, host] of [
  ['TCP, IPv4', '127.0.0.1'],
  ['TCP, IPv6', '::1'],
] as const) {
  const test = suite(name)
  carrierCompliance(test, makePair(host))
  test.run()
}
