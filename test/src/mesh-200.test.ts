/** Two hundred nodes in one process: a full mesh, a message on every pair, and the same run again from the same seed. */
import * as assert from 'uvu/assert'
import type { Pid } from '../../src/pid.ts'
import type { Self } from '../../src/process/self.ts'
import { type SimulatedCluster, simulatedNodes } from '../../src/testing/index.ts'
import { suite } from '../support/suite.ts'
import { pass, until } from './node-support.ts'

const NODES = 200
/** Enough for whole runs to be compared. */
const FEWER_NODES = 60
/** So early in virtual time two seeds have long gone different ways. */
const EARLY_MS = 200

const test = suite('mesh of 200 nodes', { watchdogMs: 400_000 })

/** Just started; to be stopped by the test itself, since twenty thousand goodbyes take longer than a clean-up may. */
const start = (count: number, seed: number): Promise<SimulatedCluster> =>
  simulatedNodes(count, {
    seed,
    // Ticks are most of what an idle mesh of this size does; they are not what is looked at here.
    liveness: { tickIntervalMs: 5000, downAfterMs: 20_000 },
    fullMeshNodes: NODES,
    network: { logLines: 1 },
  })

/** Asks one node at a time and once a millisecond, because the condition is looked at after every event. */
const meshed = ({ nodes, clock }: SimulatedCluster): (() => boolean) => {
  let full = 0
  let lookedMs = 0
  return () => {
    if (clock.now() - lookedMs < 1) return false
    lookedMs = clock.now()
    while (full < nodes.length && nodes[full]!.nodes().length === nodes.length - 1) full++
    return full === nodes.length
  }
}

/** A mesh, and a message on every way of every pair. Gives the fingerprints of the run, early and whole. */
const run = async (count: number, seed: number): Promise<{ readonly early: string; readonly whole: string }> => {
  const cluster = await start(count, seed)
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
  await until(cluster, 'a message on every way', () => delivered >= count * (count - 1))
  await pass(cluster, 100)
  assert.is(delivered, count * (count - 1))
  for (const senders of heard) assert.is(senders.size, count - 1, 'from each other node, once')
  for (const node of nodes) assert.is(node.nodes().length, count - 1)
  const whole = `${network.fingerprint()} ${clock.now()}`
  await cluster.stop()
  console.log(`${count} nodes: full mesh after ${Math.round(meshedMs)} ms of virtual time; ${delivered} messages`)
  return { early, whole }
}

test('a full mesh forms, and a message arrives on every way of every pair', () => run(NODES, 1), {
  deadlineMs: 240_000,
})

test(
  'the same seed gives the same log of events, another seed another',
  async () => {
    const first = await run(FEWER_NODES, 3)
    assert.match(first.early, /^[0-9a-f]{64}$/)
    assert.is.not(first.early, first.whole)
    assert.equal(await run(FEWER_NODES, 3), first)
    const cluster = await start(FEWER_NODES, 4)
    await pass(cluster, EARLY_MS)
    assert.is.not(cluster.network.fingerprint(), first.early)
    await cluster.stop()
  },
  { deadlineMs: 120_000 },
)

test.run()
