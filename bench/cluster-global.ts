/**
 * Global names: from `register` to visible everywhere, in round trips (simulated, 50 ms); a hundred thousand names until a
 * joining node knows them (simulated, and two processes over QUIC on loopback); `whereis` beside a look into a Map.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type Pid, type SkeinNode, startNode } from 'skein'
import { simulate } from 'skein/testing'
import { startPeer } from './peer.ts'
import { alternate, type Measurement } from './report.ts'

const BENCH = 'cluster'
const ROUND_TRIP_MS = 50
const NODES = ['a', 'b', 'c', 'd', 'e'] as const
const REGISTRATIONS = 20
const NAMES = 100_000
/** A process has 4096 at most. */
const NAMES_PER_PROCESS = 4000
const LOOKS = 1_000_000

/** Registers so many names, with as many processes as that takes. */
export const registerMany = async (node: SkeinNode, count: number): Promise<void> => {
  const wait = async (self: { receive(): Promise<unknown> }): Promise<void> => void (await self.receive())
  for (let i = 0; i < count; i += NAMES_PER_PROCESS) {
    const pid = node.spawn(wait)
    const names = Array.from({ length: Math.min(NAMES_PER_PROCESS, count - i) }, (_, j) => `name/${i + j}`)
    await Promise.all(names.map((name) => node.global.register(name, pid)))
  }
}

const against = (metric: string, unit: Measurement['unit'], value: number, target: number): Measurement => ({
  bench: BENCH,
  metric,
  value,
  unit,
  baseline: 'target',
  baselineValue: target,
  ratio: value / target,
})

/** The longest of some, in milliseconds. */
const toVisible = (): Promise<number> =>
  simulate({ nodes: NODES }, async (sim) => {
    await sim.meshed()
    sim.conditions({ delayMs: ROUND_TRIP_MS / 2 })
    await sim.sleep(5000)
    const nodes = Object.values(sim.hosts).map(({ node }) => node)
    let longestMs = 0
    for (let i = 0; i < REGISTRATIONS; i++) {
      const node = nodes[i % nodes.length] as SkeinNode
      const pid: Pid = node.spawn(async (self) => void (await self.receive()))
      const startMs = sim.nowMs
      void node.global.register(`n${i}`, pid)
      await sim.until('visible', () => nodes.every((each) => pid.equals(each.global.whereis(`n${i}`))))
      longestMs = Math.max(longestMs, sim.nowMs - startMs)
      await sim.sleep(100)
    }
    return longestMs
  })

/** Virtual milliseconds from nodeup until the joining node knows all names, at that round trip and 1 Gbit/s. */
const joinSimulated = (): Promise<number> =>
  simulate({ nodes: ['old', 'young'] }, async (sim) => {
    const { old, young } = sim.hosts
    sim.conditions({ delayMs: ROUND_TRIP_MS / 2 })
    sim.partition([old])
    await registerMany(old.node, NAMES)
    sim.heal()
    await sim.until('nodeup', () => young.node.nodes().length === 1)
    const startMs = sim.nowMs
    await sim.until('all names', () => young.node.global.count === NAMES)
    return sim.nowMs - startMs
  })

/** Milliseconds of the machine, from `connect` on. */
const joinProcesses = async (): Promise<{ tookMs: number; node: SkeinNode; stop: () => Promise<void> }> => {
  const cookie = randomBytes(16).toString('hex')
  const peer = await startPeer(new URL('./cluster-global-peer.ts', import.meta.url), { cookie, names: NAMES })
  const node = await startNode({ name: 'young@bench', cookie, host: '127.0.0.1', port: 0, discovery: false })
  const startMs = performance.now()
  await node.connect(peer.ready.address as string)
  while (node.global.count < NAMES) await pause(5)
  const tookMs = performance.now() - startMs
  const stop = async (): Promise<void> => {
    await node.stop()
    await peer.stop()
  }
  return { tookMs, node, stop }
}

/** Looks per second. */
const rateOf = (look: (name: string) => unknown): number => {
  let found = 0
  const startMs = performance.now()
  for (let i = 0; i < LOOKS; i++) if (look(`name/${i % NAMES}`) !== undefined) found++
  if (found !== LOOKS) throw new Error(`${found} of ${LOOKS} were found`)
  return (LOOKS * 1000) / (performance.now() - startMs)
}

export async function* globalNames(): AsyncGenerator<Measurement> {
  yield against('register-to-visible', 'ms', await toVisible(), 2 * ROUND_TRIP_MS)
  yield against(`join-${NAMES}-names-simulated`, 'ms', await joinSimulated(), 3000)
  const { tookMs, node, stop } = await joinProcesses()
  yield against(`join-${NAMES}-names`, 'ms', tookMs, 3000)
  const plain = new Map(node.global.names().map((name) => [name, node.global.whereis(name)]))
  yield await alternate({
    bench: BENCH,
    metric: 'whereis',
    unit: 'messages/s',
    measure: async () => rateOf((name) => node.global.whereis(name)),
    baseline: 'Map.get',
    measureBaseline: async () => rateOf((name) => plain.get(name)),
  })
  await stop()
}
