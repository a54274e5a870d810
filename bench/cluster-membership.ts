/**
 * Membership in the simulator, against its targets (docs/membership.md): 1000 cores of nodes (src/cluster/membership, with
 * the neighbours of src/cluster/overlay) on a light network with a round trip of 50 ms and 2 % loss agree on a join and on
 * crashes; what a node at rest sends, every frame counted with 70 bytes for each datagram and an acknowledgement of 76 for
 * each; and how often a live node is called down in an hour. Times are virtual.
 */
import { MembershipNetwork } from '../test/src/cluster/membership/simulation.ts'
import type { Measurement } from './report.ts'

const BENCH = 'cluster'
/** One way: a round trip of 50 ms. */
const DELAY_MS = 25
const LOSS = 0.02
const NODES = 1000
const CRASHES = 3
const REST_MS = 10_000
const LIMIT_MS = 60_000
/** For the hour: as many nodes as run through it in about two minutes. */
const HOUR_NODES = 200
const HOUR_MS = 3_600_000
/** They shall be beyond a full mesh, too. */
const HOUR_FULL_MESH_NODES = 64

const against = (metric: string, unit: Measurement['unit'], value: number, target: number): Measurement => ({
  bench: BENCH,
  metric,
  value,
  unit,
  baseline: 'target',
  baselineValue: target,
  ratio: value / target,
})

export async function* membership(): AsyncGenerator<Measurement> {
  const network = new MembershipNetwork({ seed: 1, nodes: NODES, delayMs: DELAY_MS, loss: LOSS })
  network.grow()
  network.run(REST_MS)

  const before = network.nodes.map(({ sentBytes }) => sentBytes)
  network.run(REST_MS)
  const rates = network.nodes.map(({ sentBytes }, index) => (sentBytes - before[index]!) / (REST_MS / 1000))
  yield against('rest-1000-mean', 'bytes', rates.reduce((sum, rate) => sum + rate, 0) / NODES, 2048)
  yield against('rest-1000-max', 'bytes', Math.max(...rates), 2048)

  const timesMs: number[] = []
  for (let i = 0; i < CRASHES; i++) {
    const victim = network.nodes[Math.floor(network.random.float() * NODES)]!
    network.crash(victim)
    const { id } = victim.origin
    const agreed = (): boolean =>
      network.nodes.every((node) => node.hasCrashed || node.membership.view.get(id) === undefined)
    timesMs.push(network.until(agreed, LIMIT_MS) ?? LIMIT_MS)
  }
  yield against('crash-1000-all-agree', 'ms', Math.max(...timesMs), 5000)

  const alive = network.nodes.filter(({ hasCrashed }) => !hasCrashed)
  const fresh = network.add()
  const first = alive[0]!
  network.connect(fresh, first)
  fresh.membership.ask(first.origin.id)
  const joined = (): boolean =>
    fresh.membership.view.size === alive.length &&
    alive.every((node) => node.membership.view.get(fresh.origin.id) !== undefined)
  yield against('join-1000-all-agree', 'ms', network.until(joined, LIMIT_MS) ?? LIMIT_MS, 5000)

  const options = { seed: 2, nodes: HOUR_NODES, delayMs: DELAY_MS, loss: LOSS, fullMeshNodes: HOUR_FULL_MESH_NODES }
  const hour = new MembershipNetwork(options)
  hour.grow()
  hour.run(HOUR_MS)
  const falseDowns = hour.events.filter(({ type }) => type === 'down').length
  yield { bench: BENCH, metric: `false-downs-${HOUR_NODES}-1h-loss2`, value: falseDowns, unit: 'messages' }
  const suspicions = hour.events.filter(({ type }) => type === 'suspect').length / HOUR_NODES
  yield { bench: BENCH, metric: `suspicions-${HOUR_NODES}-1h-loss2`, value: suspicions, unit: 'messages' }
}
