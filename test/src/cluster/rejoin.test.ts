/** After a partition has healed everybody is connected again within seconds, however long it lasted. */
import * as assert from 'uvu/assert'
import type { Identity } from '../../../certs/identity.ts'
import { SimulatedCluster, type SimulatedHost, simulate } from '../../../src/testing/index.ts'
import { suite } from '../../support/suite.ts'

const test = suite('rejoin', { watchdogMs: 300_000 })

const nodes = Array.from({ length: 16 }, (_, index) => `n${index}`)
/** What the cluster promises is 10 s; from the healing to a full mesh it takes no longer than this. */
const REJOIN_MS = 6000

const makeIdentities = async (count: number): Promise<Identity[]> => {
  const cluster = new SimulatedCluster({ seed: 77 })
  const made: Identity[] = []
  while (made.length < count) made.push(await cluster.identity())
  return made
}

const identities = await makeIdentities(nodes.length)

const seeds = Number(process.env.SKEIN_TEST_SEEDS ?? 10)

test(
  `8 and 8 nodes are one mesh within 6 s of the healing (seeds 1 to ${seeds})`,
  async () => {
    let worstMs = 0
    await simulate({ nodes, identities, runs: seeds }, async (sim) => {
      const hosts: SimulatedHost[] = Object.values(sim.hosts)
      if (sim.seed % 2 === 0) sim.conditions({ delayMs: 25, jitterMs: 10, loss: 0.02 })
      await sim.meshed()
      sim.partition(hosts.slice(0, 8))
      await sim.sleep(5000 + sim.random.float() * 25_000)
      for (const { node } of hosts) assert.is(node.nodes().length, 7, `seed ${sim.seed}`)
      const healedMs = sim.nowMs
      sim.heal()
      await sim.meshed({ withinMs: REJOIN_MS })
      worstMs = Math.max(worstMs, sim.nowMs - healedMs)
    })
    console.log(`worst: ${Math.round(worstMs)} ms`)
  },
  { deadlineMs: 300_000 },
)

test.run()
