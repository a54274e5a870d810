/** A node full of processes that wait: says what they cost. Run with --expose-gc. */
import { genServer, type Self, startNode } from 'skein'
import { serve } from './peer.ts'

/** The limit of a node, of which its own process takes one. */
const MOST = 1_000_000 - 1
const SPAWNED_PER_TURN = 10_000

const idleServer = genServer({
  init: () => ({ state: { count: 0 } }),
  handleCall: (_request: string, _from, state) => ({ reply: state.count }),
  handleCast: (n: number, state) => ({ state: { count: state.count + n } }),
})

const idleFunction = async (self: Self<string>): Promise<void> => {
  for await (const message of self) if (message === 'end') return
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

await serve(async ({ kind, count }) => {
  const node = await startNode({
    name: 'idle@bench',
    cookie: 'idle-bench',
    host: '127.0.0.1',
    port: 0,
    discovery: false,
  })
  const actors = typeof count === 'number' ? count : MOST
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  for (let i = 1; i < actors; i++) {
    if (kind === 'genServer') node.spawn(idleServer)
    else node.spawn(idleFunction)
    if (i % SPAWNED_PER_TURN === 0) await turn()
  }
  // The last of them answers: all have begun.
  const last = await node.start(idleServer)
  await node.call(last, 'count')
  node.exit(last, 'kill')
  await turn()
  globalThis.gc?.()
  const { heapUsed, rss } = process.memoryUsage()
  const ready = { heapBytes: heapUsed - before, residentBytes: rss, actors }
  return { ready, stop: () => Promise.resolve() }
})
