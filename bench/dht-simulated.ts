/**
 * The DHT in the simulator, against its targets (docs/discovery.md): 60 nodes of which a quarter is dead, 1000 that are far
 * apart and lossy, half of them killed at once, an hour of churn, sybils; and how it does with 5000. Times are virtual.
 */
import {
  churn,
  deadAndLossy,
  deadOnLoopback,
  halfKilled,
  type Lookups,
  sybils,
} from '../test/discovery/dht/scenarios.ts'
import { Simulation } from '../test/discovery/dht/simulation.ts'
import { type Measurement, percentile } from './report.ts'

const BENCH = 'dht'
/** One way: a round trip of 50 ms. */
const DELAY_MS = 25

const against = (metric: string, unit: Measurement['unit'], value: number, target: number): Measurement => ({
  bench: BENCH,
  metric,
  value,
  unit,
  baseline: 'target',
  baselineValue: target,
  ratio: value / target,
})

/** How much of what was looked for was found. */
const part = ({ found, timesMs }: Lookups): number => found / timesMs.length

const together = (all: readonly Lookups[]): Lookups => ({
  timesMs: all.flatMap(({ timesMs }) => timesMs),
  messages: all.flatMap(({ messages }) => messages),
  found: all.reduce((sum, { found }) => sum + found, 0),
})

/** The same scenario with several seeds, one after the other. */
const inTurn = async (seeds: readonly number[], run: (seed: number) => Promise<Lookups>): Promise<Lookups> => {
  const all: Lookups[] = []
  for (const seed of seeds) all.push(await run(seed))
  return together(all)
}

export async function* simulatedDht(): AsyncGenerator<Measurement> {
  const near = await inTurn([1, 2, 3, 4, 5], (seed) => deadOnLoopback({ seed, nodes: 60 }, 45))
  yield against('lookup-60-dead25-p50', 'ms', percentile(near.timesMs, 0.5), 60)
  yield against('lookup-60-dead25-p95', 'ms', percentile(near.timesMs, 0.95), 450)
  yield against('lookup-60-dead25-messages', 'messages', percentile(near.messages, 0.5), 25)

  const { finds, gets } = await deadAndLossy({ seed: 1, nodes: 1000, delayMs: DELAY_MS, lookups: 2000 })
  for (const [name, lookups] of [
    ['lookup', finds],
    ['get', gets],
  ] as const) {
    yield against(`${name}-1000-dead20-loss5-p50`, 'ms', percentile(lookups.timesMs, 0.5), 350)
    yield against(`${name}-1000-dead20-loss5-p95`, 'ms', percentile(lookups.timesMs, 0.95), 1000)
    yield against(`${name}-1000-dead20-loss5-found`, 'part', part(lookups), 0.999)
  }

  const halved = await inTurn([1, 2], (seed) => halfKilled({ seed, nodes: 1000 }, 500, 2))
  yield against('record-half-killed-found', 'part', part(halved), 0.999)

  const size = { nodes: 300, records: 100, minutes: 60, halfLifeMs: 15 * 60_000, gets: 5 }
  const churned = await inTurn([1, 2], (seed) => churn({ seed, ...size }))
  yield against('record-churn-1h-found', 'part', part(churned), 0.995)

  const besieged = await inTurn([1, 2], (seed) => sybils({ seed, nodes: 1000 }, 300))
  yield against('sybils-64-honest', 'part', part(besieged), 0.99)

  yield* many()
}

/** No target: how it does with more nodes than it has to. */
async function* many(): AsyncGenerator<Measurement> {
  const nodes = 5000
  const before = process.memoryUsage().heapUsed
  const simulation = new Simulation({ seed: 1, delayMs: DELAY_MS })
  simulation.grow(nodes, { everyMs: 10, settleMs: 10_000 })
  const heapBytes = (process.memoryUsage().heapUsed - before) / nodes
  const timesMs: number[] = []
  for (let i = 0; i < 100; i++) {
    const { tookMs } = await simulation.timed(() => simulation.any().dht.findNode(simulation.random.bytes(20)))
    timesMs.push(tookMs)
  }
  yield { bench: BENCH, metric: 'lookup-5000-p50', value: percentile(timesMs, 0.5), unit: 'ms' }
  yield { bench: BENCH, metric: 'heap-per-node-5000', value: heapBytes, unit: 'bytes' }
}
