/** Whole nodes whose network is cut in part: what remains is fully connected, and after the healing everybody is back. */
import * as assert from 'uvu/assert'
import type { Identity } from '../../../certs/identity.ts'
import type { NodeEvent } from '../../../src/event-stream.ts'
import type { SkeinNode } from '../../../src/node.ts'
import { SimulatedCluster, type SimulatedHost, type Simulation, simulate } from '../../../src/testing/index.ts'
import { suite } from '../../support/suite.ts'

const test = suite('overlapping partitions', { watchdogMs: 300_000 })

const NODES = 7
const SEEDS = 10
const HEALED_MS = 10_000

const makeIdentities = async (): Promise<Identity[]> => {
  const cluster = new SimulatedCluster({ seed: 78 })
  const made: Identity[] = []
  while (made.length < NODES) made.push(await cluster.identity())
  return made
}

const identities = await makeIdentities()

/** Events of each node, from its start. */
const recorder = () => {
  const events = new Map<string, NodeEvent[]>()
  const boot = (node: SkeinNode, { name }: SimulatedHost): void => {
    const own: NodeEvent[] = []
    events.set(name, own)
    void (async () => {
      for await (const event of node.events) own.push(event)
    })()
  }
  const named = <T extends NodeEvent['type']>(type: T) =>
    [...events].flatMap(([name, own]) =>
      own
        .filter((event): event is Extract<NodeEvent, { type: T }> => event.type === type)
        .map((event) => ({ name, event })),
    )
  return { boot, named }
}

const seenBy = (host: SimulatedHost): string[] => host.node.nodes().map((name) => name.split('@')[0]!)

/** Connections are mutual, and whoever shares a neighbour is connected: no partitions that overlap. */
const isConsistent = (hosts: readonly SimulatedHost[]): boolean =>
  hosts.every((host) => {
    const side = [host.name, ...seenBy(host)].sort().join(' ')
    return seenBy(host).every((name) => {
      const other = hosts.find((one) => one.name === name)!
      return [other.name, ...seenBy(other)].sort().join(' ') === side
    })
  })

const names3 = ['a', 'b', 'c'] as const

for (const way of ['both ways', 'one way'] as const) {
  test(
    `one link of three nodes cut ${way}: exactly one steps back, and all are back after the healing`,
    async () => {
      let [cuts, steps] = [0, 0]
      for (let seed = 1; seed <= SEEDS; seed++) {
        const { boot, named } = recorder()
        await simulate({ nodes: names3, seed, identities, boot }, async (sim) => {
          const { a, b, c } = sim.hosts
          await sim.meshed()
          const [one, other] = seed % 2 === 0 ? [a, b] : [b, c]
          if (way === 'both ways') sim.partition([one], [other])
          else sim.cut([one], [other])
          await sim.until('one stepped back', () => named('overlappingPartition').length > 0, { withinMs: 30_000 })
          await sim.sleep(1000)
          const [step, ...more] = named('overlappingPartition')
          assert.is(more.length, 0, `seed ${seed}`)
          assert.ok(step?.name === one.name || step?.name === other.name, `one of the two, seed ${seed}`)
          assert.ok(isConsistent([a, b, c]), `seed ${seed}`)
          assert.is(step?.event.lost.length, 1)
          cuts++
          steps += named('overlappingPartition').length
          sim.heal()
          await sim.meshed({ withinMs: HEALED_MS })
        })
      }
      assert.is(steps, cuts)
      console.log(`${cuts} cuts (seeds 1 to ${SEEDS}), ${steps} stepped back`)
    },
    { deadlineMs: 120_000 },
  )
}

test('switched off, the partitions overlap', async () => {
  const { boot, named } = recorder()
  await simulate({ nodes: names3, seed: 3, identities, boot, preventOverlappingPartitions: false }, async (sim) => {
    const { a, b, c } = sim.hosts
    await sim.meshed()
    sim.partition([a], [b])
    await sim.sleep(60_000)
    assert.not(isConsistent([a, b, c]))
    assert.is(named('overlappingPartition').length, 0)
  })
})

const names7 = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const

test(
  'a partial partition of seven nodes: what remains is consistent, healing brings all back',
  async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { boot, named } = recorder()
      await simulate({ nodes: names7, seed, identities, boot }, async (sim) => {
        const hosts = Object.values(sim.hosts)
        sim.conditions({ delayMs: 10, jitterMs: 5, loss: seed % 2 === 0 ? 0.02 : 0 })
        await sim.meshed()
        // Three on each side, and one that sees both.
        sim.partition(hosts.slice(0, 3), hosts.slice(3, 6))
        await sim.until('consistent', () => named('overlappingPartition').length >= 3 && isConsistent(hosts), {
          withinMs: 30_000,
        })
        const stepped = new Set(named('overlappingPartition').map(({ name }) => name))
        assert.is(stepped.size, 3, `one side, seed ${seed}: ${[...stepped]}`)
        assert.ok(named('partitioned').length >= 6, `seed ${seed}`)
        sim.heal()
        await sim.meshed({ withinMs: HEALED_MS })
        await sim.sleep(1000)
        assert.is(named('healed').length, named('partitioned').length, `seed ${seed}`)
      })
    }
    console.log(`seeds 1 to ${SEEDS}`)
  },
  { deadlineMs: 120_000 },
)

const trouble = async (sim: Simulation<(typeof names7)[number]>): Promise<void> => {
  const hosts = Object.values(sim.hosts)
  await sim.meshed()
  sim.conditions({ delayMs: 5, jitterMs: 10, loss: 0.05 })
  const [paused, ...others] = hosts
  for (let round = 0; round < 6; round++) {
    const host = others[Math.floor(sim.random.float() * others.length)]!
    const what = Math.floor(sim.random.float() * 3)
    if (what === 0) {
      paused!.pause()
      await sim.sleep(sim.random.float() * 10_000)
      paused!.resume()
    } else if (what === 1) {
      sim.partition([host])
      await sim.sleep(sim.random.float() * 15_000)
      sim.heal()
    } else {
      host.crash()
      await sim.sleep(sim.random.float() * 15_000)
      await host.restart()
    }
    await sim.sleep(sim.random.float() * 5000)
  }
  sim.conditions({ loss: 0 })
  await sim.meshed({ withinMs: HEALED_MS })
}

test(
  'whole partitions, crashes, pauses and loss make nobody step back',
  async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { boot, named } = recorder()
      await simulate({ nodes: names7, seed, identities, boot }, async (sim) => {
        await trouble(sim)
        assert.equal(
          named('overlappingPartition').map(({ name }) => name),
          [],
          `seed ${seed}`,
        )
      })
    }
    console.log(`seeds 1 to ${SEEDS}`)
  },
  { deadlineMs: 120_000 },
)

test(
  'a node that joins and cannot reach a member steps back',
  async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { boot, named } = recorder()
      await simulate({ nodes: names3, seed, identities, boot }, async (sim) => {
        const { a, b, c } = sim.hosts
        await sim.meshed()
        c.crash()
        sim.partition([c], [b])
        await sim.sleep(8000)
        await c.restart()
        await sim.until('it stepped back', () => named('overlappingPartition').length > 0, { withinMs: 30_000 })
        await sim.sleep(1000)
        assert.equal(
          named('overlappingPartition').map(({ name }) => name),
          ['c'],
          `the younger, seed ${seed}`,
        )
        assert.ok(isConsistent([a, b, c]))
      })
    }
  },
  { deadlineMs: 120_000 },
)

test.run()
