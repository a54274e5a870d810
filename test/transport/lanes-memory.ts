/** Two ports of the memory network for the tests of lanes. */
import type { VerifiedPeer } from '../../certs/certificate.ts'
import type { LinkConditions } from '../../transport/memory-link.ts'
import { MemoryNetwork, type MemoryNetworkOptions } from '../../transport/memory-network.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import type { LaneHarness } from './lanes-harness.ts'

/** Virtual: what takes longer is stuck. */
const PATIENCE_MS = 600_000

export interface MemoryPair extends LaneHarness {
  readonly clock: VirtualClock
  /** Lets virtual time pass. */
  pass(ms: number): Promise<void>
}

const identity = (name: string): VerifiedPeer => ({
  nodeId: name,
  publicKey: Buffer.from(name.padEnd(32)),
  certificate: Buffer.from(`certificate of ${name}`),
})

/** The order of a fast LAN in bulk: large packets make the many megabytes of some tests cheap. */
const GENEROUS = { pathSizeBytes: 16_000, congestionWindowBytes: 1 << 20 }

export const memoryPair = (
  seed: number,
  defaults: Partial<LinkConditions> = {},
  limits: Partial<Omit<MemoryNetworkOptions, 'clock' | 'random' | 'defaults'>> = GENEROUS,
): MemoryPair => {
  const clock = new VirtualClock()
  const streamWindowBytes = limits.streamWindowBytes ?? 256 * 1024
  const network = new MemoryNetwork({ clock, random: seededRandom(seed), defaults, ...limits, streamWindowBytes })
  const a = network.transport({ host: 'a', port: 4433, identity: identity('a') })
  const b = network.transport({ host: 'b', port: 4433, identity: identity('b') })
  return {
    a,
    b,
    clock,
    clockA: network.clockOf('a'),
    clockB: network.clockOf('b'),
    streamWindowBytes,
    until: async (until) => {
      const outcome = await clock.run({ until, untilMs: clock.now() + PATIENCE_MS })
      if (outcome !== 'condition') throw new Error(`waited in vain (seed ${seed}, virtual time ${clock.now()} ms)`)
    },
    pass: async (ms) => {
      await clock.run({ untilMs: clock.now() + ms })
    },
  }
}
