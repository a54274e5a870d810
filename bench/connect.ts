/**
 * How soon a node is connected to another over a path of 50 ms there and back: the first time, and again with the ticket
 * of the time before. From the call of `connect` until it resolves. A relay on loopback makes the path, since not every
 * kernel can; both nodes are in this process, which costs them next to nothing beside 50 ms.
 */
import { type SkeinNode, startNode } from 'skein'
import { Relay } from '../test/transport/quic-support.ts'
import { type Measurement, median } from './report.ts'

const ROUND_TRIP_MS = 50
const ROUNDS = 9
const COOKIE = 'a cookie for the bench'

interface Round {
  readonly firstMs: number
  readonly resumedMs: number
}

export async function* connect(): AsyncGenerator<Measurement> {
  // One for nothing: it pays for loading and compiling.
  await once()
  const rounds: Round[] = []
  for (let round = 0; round < ROUNDS; round++) rounds.push(await once())
  const first = median(rounds.map(({ firstMs }) => firstMs))
  const resumed = median(rounds.map(({ resumedMs }) => resumedMs))
  yield { bench: 'connect', metric: 'first-p50', value: first, unit: 'ms' }
  yield {
    bench: 'connect',
    metric: 'resumed-p50',
    value: resumed,
    unit: 'ms',
    baseline: 'first',
    baselineValue: first,
    ratio: median(rounds.map(({ firstMs, resumedMs }) => resumedMs / firstMs)),
  }
  const saved = median(rounds.map(({ firstMs, resumedMs }) => firstMs - resumedMs))
  yield {
    bench: 'connect',
    metric: 'saved-p50',
    value: saved,
    unit: 'ms',
    baseline: 'a round trip',
    baselineValue: ROUND_TRIP_MS,
    ratio: saved / ROUND_TRIP_MS,
  }
}

const nodeDown = async (node: SkeinNode): Promise<void> => {
  for await (const event of node.events) if (event.type === 'nodedown') return
}

/** Two fresh nodes that connect, part, and connect again. */
const once = async (): Promise<Round> => {
  const cleanUps: (() => unknown)[] = []
  try {
    const options = { cookie: COOKIE, host: '127.0.0.1', port: 0, discovery: false } as const
    const here = await startNode({ ...options, name: 'here@bench' })
    cleanUps.push(() => here.stop())
    const there = await startNode({ ...options, name: 'there@bench' })
    cleanUps.push(() => there.stop())
    const path = await Relay.open({ defer: (cleanUp) => cleanUps.push(cleanUp) }, there.addresses[0]!)
    path.delayMs = ROUND_TRIP_MS / 2
    const target = `${path.address.host}:${path.address.port}`
    const timed = async (): Promise<number> => {
      const startMs = performance.now()
      await here.connect(target)
      return performance.now() - startMs
    }
    const firstMs = await timed()
    const down = nodeDown(there)
    await here.disconnect(there.name)
    await down
    const resumedMs = await timed()
    if (there.counters().resumed !== 1) throw new Error('the second connection was not resumed')
    return { firstMs, resumedMs }
  } finally {
    for (const cleanUp of cleanUps.reverse()) await cleanUp()
  }
}
