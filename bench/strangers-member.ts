/** A member of the strangers benchmark: answers calls, calls the others at a steady rate, and says how it fares. */
import { type CallMessage, type SkeinNode, startNode } from 'skein'
import { serve } from './peer.ts'
import { forgetPeak, type Resident, resident } from './resident.ts'

export type MemberRequest =
  | { readonly type: 'connect'; readonly address: string }
  /** Calls each of these nodes so often for so long. */
  | { readonly type: 'call'; readonly nodes: readonly string[]; readonly perSecond: number; readonly forMs: number }
  /** Memory's peak begins anew with each. */
  | { readonly type: 'figures' }

export interface Calls {
  readonly us: readonly number[]
  readonly failed: number
}

export interface MemberFigures {
  readonly counters: Readonly<Record<string, number>>
  readonly memory: Resident
  /** Processor time since the start, us. */
  readonly processorUs: number
  readonly nodedowns: number
  readonly nodes: number
}

const EVERY_MS = 5
const CALL_TIMEOUT_MS = 10_000
const PAYLOAD = 'x'.repeat(64)

const call = async (
  node: SkeinNode,
  { nodes, perSecond, forMs }: Extract<MemberRequest, { type: 'call' }>,
): Promise<Calls> => {
  const us: number[] = []
  let failed = 0
  const open = new Set<Promise<void>>()
  const one = async (name: string): Promise<void> => {
    const start = performance.now()
    try {
      await node.call({ name: 'echo', node: name }, PAYLOAD, { timeoutMs: CALL_TIMEOUT_MS })
      us.push((performance.now() - start) * 1000)
    } catch {
      failed++
    }
  }
  const start = performance.now()
  let asked = 0
  await new Promise<void>((resolve) => {
    const timer = setInterval(() => {
      const ran = performance.now() - start
      // What was due while the event loop stood still is asked at once: a stall is seen by as many calls as it was long.
      for (; asked < (ran / 1000) * perSecond; asked++) {
        for (const name of nodes) {
          const asking = one(name).finally(() => open.delete(asking))
          open.add(asking)
        }
      }
      if (ran < forMs) return
      clearInterval(timer)
      resolve()
    }, EVERY_MS)
  })
  await Promise.all(open)
  return { us, failed }
}

await serve(async ({ name, cookie, dht }) => {
  const node = await startNode({
    name: name as string,
    cookie: cookie as string,
    host: '127.0.0.1',
    port: 0,
    discovery: { mdns: false, dht: dht === true, seeds: [] },
    logLevel: 'silent',
  })
  const echo = node.spawn(async (self) => {
    for await (const message of self) {
      const { type, from, request } = message as CallMessage
      if (type === 'call') self.reply(from, request)
    }
  })
  node.register('echo', echo)
  let nodedowns = 0
  const watched = (async () => {
    for await (const event of node.events) if (event.type === 'nodedown') nodedowns++
  })()
  const processorUs = (): number => {
    const { user, system } = process.cpuUsage()
    return user + system
  }
  const figures = (): MemberFigures => {
    const memory = resident()
    forgetPeak()
    return { counters: node.counters(), processorUs: processorUs(), memory, nodedowns, nodes: node.nodes().length }
  }
  const { host, port } = node.addresses[0]!
  return {
    ready: { name: node.name, address: `${host}:${port}`, port },
    answer: async (asked) => {
      const request = asked as MemberRequest
      if (request.type === 'connect') return node.connect(request.address)
      return request.type === 'call' ? call(node, request) : figures()
    },
    stop: async () => {
      await node.stop()
      await watched
    },
  }
})
