/** The memory network passes the suite of all carriers: on clean links, and on bad ones, where only time may differ. */
import type { VerifiedPeer } from '../../certs/certificate.ts'
import type { LinkConditions } from '../../transport/memory-link.ts'
import { MemoryNetwork } from '../../transport/memory-network.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { carrierCompliance, type Harness } from './compliance.ts'

const SEED = 20261121
/** Virtual: what takes longer is stuck. */
const PATIENCE_MS = 300_000
const MAX_STREAMS = 64
const STREAM_WINDOW_BYTES = 128 * 1024
const BAD_LINK: LinkConditions = {
  delayMs: 10,
  jitterMs: 5,
  loss: 0.05,
  reorder: 0.05,
  duplicate: 0.05,
  bandwidth: 10_000_000,
}

const identity = (name: string): VerifiedPeer => ({
  nodeId: name,
  publicKey: Buffer.from(name.padEnd(32)),
  certificate: Buffer.from(`certificate of ${name}`),
})

const makePair =
  (defaults: Partial<LinkConditions>) =>
  async (t: TestContext): Promise<Harness> => {
    const clock = new VirtualClock()
    const random = seededRandom(SEED)
    const limits = { maxStreams: MAX_STREAMS, streamWindowBytes: STREAM_WINDOW_BYTES }
    const network = new MemoryNetwork({ clock, random, defaults, ...limits })
    const [gate, otherGate] = [random.bytes(16), random.bytes(16)]
    const [identityA, identityB] = [identity('a'), identity('b')]
    const a = network.transport({ host: 'a', port: 4433, identity: identityA, gate })
    const b = network.transport({ host: 'b', port: 4433, identity: identityB, gate })
    t.defer(() => Promise.all([a.close(), b.close()]))
    return {
      a,
      b,
      identityA,
      identityB,
      nowhere: { host: 'c', port: 4433 },
      ...limits,
      stranger: async () => network.transport({ host: 's', port: 4433, identity: identity('s'), gate: otherGate }),
      until: async (until) => {
        const outcome = await clock.run({ until, untilMs: clock.now() + PATIENCE_MS })
        if (outcome !== 'condition') throw new Error(`waited in vain (seed ${SEED}, virtual time ${clock.now()} ms)`)
      },
    }
  }

const clean = suite('memory network, clean links')
carrierCompliance(clean, makePair({}))
clean.run()

const bad = suite('memory network, bad links')
carrierCompliance(bad, makePair(BAD_LINK))
bad.run()
