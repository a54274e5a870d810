/** A process of the memory benchmark: a node whose peers are light nodes. It says what a connection at rest costs it. */
import { setTimeout as pause } from 'node:timers/promises'
import { startNode } from 'skein'
import { type Peer, serve, startPeer } from './peer.ts'

/** Connected before the first look, so that what is loaded and compiled once is in it. */
const FIRST_PEERS = 50
/** Packet sizes are found, handshakes forgotten, idle lanes finished. */
const REST_MS = 10_000
/** Objects of a few bytes, and how many of them live at a time. */
const GARBAGE = { objects: 5_000_000, alive: 200_000 } as const

/**
 * V8's young generation grows to its full size with the first garbage, whoever makes it: let it be so before the first
 * look, or connections would be charged with it.
 */
const makeGarbage = (): void => {
  let alive: { readonly number: number }[] = []
  for (let number = 0; number < GARBAGE.objects; number++) {
    if (alive.push({ number }) === GARBAGE.alive) alive = []
  }
}

const settled = async (): Promise<NodeJS.MemoryUsage> => {
  await pause(REST_MS)
  makeGarbage()
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await pause(100)
  }
  return process.memoryUsage()
}

await serve(async ({ cookie, peers }) => {
  const hub = await startNode({
    name: 'hub@bench',
    cookie: cookie as string,
    host: '127.0.0.1',
    port: 0,
    discovery: false,
    // None of these connections is given up as idle, and a machine that stands still for a moment ends none.
    mesh: () => false,
    liveness: 'edge',
    logLevel: 'error',
  })
  const farEnds: Peer[] = []
  const connect = async (first: number, count: number): Promise<void> => {
    const args = { cookie, hubPort: hub.addresses[0]!.port, first, count }
    farEnds.push(await startPeer(new URL('./light-nodes.ts', import.meta.url), args))
  }
  await connect(0, FIRST_PEERS)
  const before = await settled()
  const more = (peers as number) - FIRST_PEERS
  await connect(FIRST_PEERS, more)
  const after = await settled()
  const connected = hub.nodes().length
  for (const farEnd of farEnds) await farEnd.stop()
  return {
    ready: {
      connected,
      rssBytes: (after.rss - before.rss) / more,
      heapBytes: (after.heapUsed - before.heapUsed) / more,
    },
    stop: () => hub.stop(),
  }
})
