/**
 * What a node takes at rest: memory per connection, memory of a hundred thousand processes with open monitors across two
 * nodes, and processor time beside a hundred peers. Each is measured in processes of its own; memory is what the system
 * counts as theirs (resident), so what is outside V8's heap is in it.
 */
import { randomBytes } from 'node:crypto'
import { startPeer } from './peer.ts'
import type { Measurement } from './report.ts'

const BENCH = 'memory'
const CONNECTIONS = 1000
const ACTORS = 100_000
const IDLE_PEERS = 100
const WITH_COLLECTOR = ['--expose-gc']
const WANTED = { connectionBytes: 96 * 1024, actorsBytes: 400e6, idlePart: 0.01 } as const

const against = (metric: string, unit: Measurement['unit'], value: number, wanted: number): Measurement => ({
  bench: BENCH,
  metric,
  value,
  unit,
  baseline: 'wanted',
  baselineValue: wanted,
  ratio: value / wanted,
})

/** Runs a module of its own and gives what it found, once its processes are gone. */
const measured = async (file: URL, args: Record<string, unknown>): Promise<Record<string, unknown>> => {
  const peer = await startPeer(file, args, WITH_COLLECTOR)
  await peer.stop()
  return peer.ready
}

const mustBe = (connected: unknown, wanted: number): void => {
  if (connected !== wanted) throw new Error(`${connected} of ${wanted} peers are connected`)
}

export async function* memory(): AsyncGenerator<Measurement> {
  const cookie = randomBytes(16).toString('hex')
  const idle = await measured(new URL('./memory-idle.ts', import.meta.url), { cookie, peers: IDLE_PEERS })
  mustBe(idle.connected, IDLE_PEERS)
  yield against(`idle-cpu-${IDLE_PEERS}-peers`, 'part', idle.part as number, WANTED.idlePart)

  const hub = await measured(new URL('./memory-hub.ts', import.meta.url), { cookie, peers: CONNECTIONS })
  mustBe(hub.connected, CONNECTIONS)
  yield against('connection', 'bytes', hub.rssBytes as number, WANTED.connectionBytes)
  yield { bench: BENCH, metric: 'connection-heap', unit: 'bytes', value: hub.heapBytes as number }

  const monitors = new URL('./memory-monitors.ts', import.meta.url)
  const watched = await startPeer(monitors, { name: 'watched@bench', cookie, actors: ACTORS }, WITH_COLLECTOR)
  const both = await measured(monitors, {
    name: 'watching@bench',
    cookie,
    actors: ACTORS,
    watched: watched.ready.address,
  })
  await watched.stop()
  yield against('actors-100k-monitoring', 'bytes', both.watchingBytes as number, WANTED.actorsBytes)
  yield against('actors-100k-monitored', 'bytes', both.watchedBytes as number, WANTED.actorsBytes)
}
