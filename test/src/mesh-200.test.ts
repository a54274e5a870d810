/** Two hundred nodes in one process: a full mesh, a message on every pair, and the same run again from the same seed. */
import * as assert from 'uvu/assert'
import type { Pid } from '../../src/pid.ts'
import type { Self } from '../../src/process/self.ts'
import { type SimulatedCluster, simulatedNodes } from '../../src/testing/index.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { pass, until } from './node-support.ts'

const NODES = 200
/** So early in virtual time two seeds have long gone different ways. */
const EARLY_MS = 200

const test = suite('mesh of 200 nodes', { watchdogMs: 600_000 })

/** Just started; stopped after the test. */
const start = async (t: TestContext, seed: number): Promise<SimulatedCluster> => {
  const cluster = await simulatedNodes(NODES, {
    seed,
    // Ticks are most of what an idle mesh of this size does; they are not what is looked at here.
    liveness: { tickIntervalMs: 5000, downAfterMs: 20_000 },
    fullMeshNodes: NODES,
    network: { logLines: 1 },
  })
  t.defer(() => cluster.stop())
  return cluster
}

/** Asks one node at a time and once a millisecond, because the condition is looked at after every event. */
const meshed = ({ nodes, clock }: SimulatedCluster): (() => boolean) => {
  let full = 0
  let lookedMs = 0
  return () => {
    if (clock.now() - lookedMs < 1) return false
    lookedMs = clock.now()
    while (full < NODES && nodes[full]!.nodes().length === NODES - 1) full++
    return full === NODES
  }
}

interface Run {
  readonly early: string
  readonly fingerprint: string
  readonly endMs: number
}

const runs: Run[] = []

for (const title of ['a full mesh forms, and a message arrives on every way of every pair', 'the same once more']) {
  test(
    title,
    async (t) => {
      const startMs = performance.now()
      const cluster = await start(t, 1)
      const { nodes, clock, network } = cluster
      await pass(cluster, EARLY_MS)
      const early = network.fingerprint()
      await until(cluster, 'a full mesh', meshed(cluster))
      const meshedMs = clock.now()

      const heard = nodes.map(() => new Set<number>())
      let delivered = 0
      const pids = nodes.map(
        (node, to): Pid<number> =>
          node.spawn(async (self: Self<number>) => {
            for await (const from of self) {
              heard[to]!.add(from)
              delivered++
            }
          }),
      )
      for (const [from, node] of nodes.entries()) {
        for (const [to, pid] of pids.entries()) if (to !== from) node.send(pid, from)
      }
      await until(cluster, 'a message on every way', () => delivered >= NODES * (NODES - 1))
      await pass(cluster, 100)
      assert.is(delivered, NODES * (NODES - 1))
      for (const senders of heard) assert.is(senders.size, NODES - 1, 'from each other node, once')
      for (const node of nodes) assert.is(node.nodes().length, NODES - 1)
      runs.push({ early, fingerprint: network.fingerprint(), endMs: clock.now() })
      // Here, since twenty thousand goodbyes take longer than a clean-up may.
      await cluster.stop()
      const tookMs = Math.round(performance.now() - startMs)
      console.log(
        `full mesh after ${Math.round(meshedMs)} ms of virtual time; ${delivered} messages; ${tookMs} ms in all`,
      )
    },
    { deadlineMs: 240_000 },
  )
}

test('the same seed gave the same log of events', () => {
  const [first, again] = runs
  assert.ok(first !== undefined && again !== undefined)
  assert.match(first.fingerprint, /^[0-9a-f]{64}$/)
  assert.is.not(first.early, first.fingerprint)
  assert.equal(again, first)
})

test(
  'another seed gives another',
  async (t) => {
    const cluster = await start(t, 2)
    await pass(cluster, EARLY_MS)
    assert.is.not(cluster.network.fingerprint(), runs[0]?.early)
    await cluster.stop()
  },
  { deadlineMs: 120_000 },
)

test.run()
