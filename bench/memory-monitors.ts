/**
 * A process of the memory benchmark: a node with many idle processes. Those of the watching node monitor one each of the
 * watched one's. Both sides say how much memory their whole process takes then.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { type CallMessage, type Pid, type Self, type SkeinNode, startNode } from 'skein'
import { serve } from './peer.ts'

const REST_MS = 4000
/** Pids in one answer. */
const PART = 10_000
const CALL_TIMEOUT_MS = 60_000
const GUIDE = { name: 'guide', node: 'watched@bench' }

const residentBytes = async (): Promise<number> => {
  await pause(REST_MS)
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.()
    await pause(100)
  }
  return process.memoryUsage.rss()
}

/** Its guide gives so many pids of idle processes from a place on, or says what memory it takes. */
const beWatched = (node: SkeinNode, actors: number): void => {
  const pids: Pid[] = []
  for (let i = 0; i < actors; i++) pids.push(node.spawn(async (self) => void (await self.receive())))
  const guide = node.spawn(async (self: Self<CallMessage<number | 'memory'>>) => {
    for await (const { from, request } of self) {
      self.reply(from, request === 'memory' ? await residentBytes() : pids.slice(request, request + PART))
    }
  })
  node.register(GUIDE.name, guide)
}

const watch = async (node: SkeinNode, actors: number): Promise<void> => {
  for (let at = 0; at < actors; at += PART) {
    for (const pid of (await node.call(GUIDE, at, { timeoutMs: CALL_TIMEOUT_MS })) as Pid[]) {
      node.spawn(async (self) => {
        self.monitor(pid)
        await self.receive()
        throw new Error('A monitor fired.')
      })
    }
  }
}

await serve(async ({ name, cookie, watched, actors }) => {
  const node = await startNode({
    name: name as string,
    cookie: cookie as string,
    host: '127.0.0.1',
    port: 0,
    discovery: false,
    logLevel: 'silent',
  })
  const stop = (): Promise<void> => node.stop()
  if (typeof watched !== 'string') {
    beWatched(node, actors as number)
    const address = node.addresses[0]!
    return { ready: { address: `${address.host}:${address.port}` }, stop }
  }
  await node.connect(watched)
  await watch(node, actors as number)
  const watchedBytes = await node.call(GUIDE, 'memory', { timeoutMs: CALL_TIMEOUT_MS })
  return { ready: { watchedBytes, watchingBytes: await residentBytes() }, stop }
})
