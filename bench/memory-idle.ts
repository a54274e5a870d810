/**
 * A process of the memory benchmark: a node as `startNode` makes it, whose peers are whole nodes that do nothing either. It
 * says what part of a core it takes at rest.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { startNode } from 'skein'
import { type Peer, serve, startPeer } from './peer.ts'
import { median } from './report.ts'

/** Processes that the peers are spread over. */
const PROCESSES = 4
/** Packet sizes are found, members known, loads told. */
const REST_MS = 10_000
const LOOKS = 3
const LOOK_MS = 10_000

await serve(async ({ cookie, peers }) => {
  const node = await startNode({
    name: 'idle@bench',
    cookie: cookie as string,
    host: '127.0.0.1',
    port: 0,
    discovery: false,
    logLevel: 'error',
  })
  const address = node.addresses[0]!
  const count = (peers as number) / PROCESSES
  const farEnds: Peer[] = []
  for (let i = 0; i < PROCESSES; i++) {
    const args = { cookie, hub: `${address.host}:${address.port}`, first: i * count, count }
    farEnds.push(await startPeer(new URL('./whole-nodes.ts', import.meta.url), args))
  }
  await pause(REST_MS)
  const parts: number[] = []
  for (let look = 0; look < LOOKS; look++) {
    const cpu = process.cpuUsage()
    const start = performance.now()
    await pause(LOOK_MS)
    const { user, system } = process.cpuUsage(cpu)
    parts.push((user + system) / 1000 / (performance.now() - start))
  }
  const connected = node.nodes().length
  for (const farEnd of farEnds) await farEnd.stop()
  return { ready: { connected, part: median(parts), parts }, stop: () => node.stop() }
})
