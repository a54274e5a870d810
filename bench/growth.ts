/**
 * How the cost of a message grows: over the number of connected peers, of sending processes, and of bytes in a message.
 *
 * A thousand senders of one node send the same number of messages in all, to one peer, or spread over 10, 100 and 1000.
 * The peers are light nodes (light-nodes.ts) in other processes of this machine, which share its processors; so next to
 * the rate by the clock stands the processor time that a message costs the sending process. The rounds with one peer are
 * before and after the others, so that the machine's moods and the compiler hit both.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import { type Self, type SkeinNode, startNode } from 'skein'
import { writeGrowthPlots } from './growth-plots.ts'
import { type Peer, startPeer } from './peer.ts'
import { type Measurement, median } from './report.ts'

const BENCH = 'growth'
const PEERS = [1, 10, 100, 1000] as const
const PEER_SENDERS = 1000
const PEER_MESSAGES = 300_000
const SENDERS = [1, 8, 64, 512, 4096] as const
const SENDER_MESSAGES = 300_000
const SIZES = [16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576] as const
/** Per size as many messages as make so many bytes, within bounds. */
const SIZE_BYTES = 128 << 20
const SIZE_MESSAGES = { least: 64, most: 200_000 } as const
const WARM_UP_ROUNDS = 2
const ROUNDS = 5
const TEXT = 'x'.repeat(68)
const CALL_TIMEOUT_MS = 120_000
/** What a node needs to come to rest after connections or messages: packet sizes are found meanwhile. */
const REST_MS = 4000
const SINK = { name: 'sink', node: 'receiver@bench' }

/** What one round found. */
interface Round {
  readonly perSecond: number
  /** Processor time of this process, all threads, per message. */
  readonly cpuUs: number
}

/** One point of a plot. */
export interface Point extends Round {
  readonly at: number
  /** Of the sending process, afterwards. */
  readonly rssBytes: number
}

export interface Growth {
  readonly peers: readonly Point[]
  readonly senders: readonly Point[]
  readonly sizes: readonly Point[]
}

interface FarEnds {
  readonly process: Peer
  readonly first: number
  readonly count: number
}

/** Encodes to 100 bytes. */
const smallMessage = (sequence: number): unknown => ({ type: 'tick', sequence, text: TEXT })

const timed = async (messages: number, work: () => Promise<void>): Promise<Round> => {
  const cpu = process.cpuUsage()
  const start = performance.now()
  await work()
  const seconds = (performance.now() - start) / 1000
  const { user, system } = process.cpuUsage(cpu)
  return { perSecond: messages / seconds, cpuUs: (user + system) / messages }
}

const medians = (rounds: readonly Round[]): Round => ({
  perSecond: median(rounds.map(({ perSecond }) => perSecond)),
  cpuUs: median(rounds.map(({ cpuUs }) => cpuUs)),
})

const repeat = async (measure: () => Promise<Round>, rounds = ROUNDS): Promise<Round[]> => {
  for (let round = 0; round < WARM_UP_ROUNDS; round++) await measure()
  const found: Round[] = []
  for (let round = 0; round < rounds; round++) found.push(await measure())
  return found
}

const startHub = (cookie: string): Promise<SkeinNode> =>
  startNode({
    name: 'hub@bench',
    cookie,
    host: '127.0.0.1',
    port: 0,
    discovery: false,
    // A policy of its own, so that none of a thousand connections is given up as idle. The peers dial.
    mesh: () => false,
    // A machine that stands still for a moment shall not end connections.
    liveness: 'edge',
    logLevel: 'error',
  })

const startFarEnds = async (hub: SkeinNode, cookie: string, first: number, count: number): Promise<FarEnds> => {
  const args = { cookie, hubPort: hub.addresses[0]!.port, first, count }
  return { process: await startPeer(new URL('./light-nodes.ts', import.meta.url), args), first, count }
}

const sendAll = async (self: Self, to: { name: string; node: string }, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) if (!self.send(to, smallMessage(i))) await self.drained(to)
}

/** A thousand senders, each with its share for one of the peers. */
const spread = (hub: SkeinNode, farEnds: readonly FarEnds[]): Promise<Round> => {
  const peers = farEnds.reduce((sum, { count }) => sum + count, 0)
  const share = PEER_MESSAGES / PEER_SENDERS
  return timed(PEER_MESSAGES, async () => {
    const all = farEnds.map(({ first, count }) => {
      let senders = 0
      for (let i = 0; i < PEER_SENDERS; i++) if (i % peers >= first && i % peers < first + count) senders++
      const counter = { name: 'count', node: `far${first}@bench` }
      return hub.call(counter, senders * share, { timeoutMs: CALL_TIMEOUT_MS })
    })
    for (let i = 0; i < PEER_SENDERS; i++) {
      const to = { name: 'sink', node: `far${i % peers}@bench` }
      hub.spawn((self: Self) => sendAll(self, to, share))
    }
    await Promise.all(all)
  })
}

const overPeers = async (): Promise<Point[]> => {
  const cookie = randomBytes(16).toString('hex')
  const hub = await startHub(cookie)
  const farEnds: FarEnds[] = []
  const found: { at: number; rounds: Round[]; rssBytes: number }[] = []
  const measure = async (rounds?: number): Promise<Round[]> => repeat(() => spread(hub, farEnds), rounds)
  let connected = 0
  for (const at of PEERS) {
    farEnds.push(await startFarEnds(hub, cookie, connected, at - connected))
    connected = at
    await pause(REST_MS)
    const rounds = await measure()
    await pause(REST_MS)
    found.push({ at, rounds, rssBytes: process.memoryUsage.rss() })
  }
  for (const { process: far } of farEnds.splice(1)) await far.stop()
  while (hub.nodes().length > 1) await pause(100)
  found[0]?.rounds.push(...(await measure()))
  await hub.stop()
  await farEnds[0]?.process.stop()
  return found.map(({ at, rounds, rssBytes }) => ({ at, rssBytes, ...medians(rounds) }))
}

/** `senders` processes send `messages` in all to the sink of one whole node. */
const flood = (
  node: SkeinNode,
  senders: number,
  messages: number,
  message: (sequence: number) => unknown,
): Promise<Round> => {
  const share = Math.ceil(messages / senders)
  return timed(share * senders, async () => {
    const all = node.call(SINK, share * senders, { timeoutMs: CALL_TIMEOUT_MS })
    for (let i = 0; i < senders; i++) {
      node.spawn(async (self: Self) => {
        for (let j = 0; j < share; j++) if (!self.send(SINK, message(j))) await self.drained(SINK)
      })
    }
    await all
  })
}

const overSendersAndSizes = async (): Promise<Pick<Growth, 'senders' | 'sizes'>> => {
  const cookie = randomBytes(16).toString('hex')
  const peer = await startPeer(new URL('./messages-peer.ts', import.meta.url), { cookie })
  const node = await startNode({ name: 'sender@bench', cookie, host: '127.0.0.1', port: 0, discovery: false })
  await node.connect(peer.ready.address as string)
  const point = async (at: number, measure: () => Promise<Round>): Promise<Point> => {
    const rounds = await repeat(measure)
    return { at, ...medians(rounds), rssBytes: process.memoryUsage.rss() }
  }
  const senders: Point[] = []
  for (const count of SENDERS) senders.push(await point(count, () => flood(node, count, SENDER_MESSAGES, smallMessage)))
  const sizes: Point[] = []
  for (const bytes of SIZES) {
    const body = Buffer.alloc(bytes, 7)
    const messages = Math.min(SIZE_MESSAGES.most, Math.max(SIZE_MESSAGES.least, Math.ceil(SIZE_BYTES / bytes)))
    sizes.push(await point(bytes, () => flood(node, 1, messages, () => body)))
  }
  await node.stop()
  await peer.stop()
  return { senders, sizes }
}

function* measurements(dimension: string, points: readonly Point[], baseline: string): Generator<Measurement> {
  const first = points[0]
  if (first === undefined) return
  for (const { at, perSecond, cpuUs, rssBytes } of points) {
    const metric = `${dimension}-${at}`
    const compared = (value: number, to: number, ratio: number) =>
      at === first.at ? { value } : { value, baseline, baselineValue: to, ratio }
    yield {
      bench: BENCH,
      metric,
      unit: 'messages/s',
      ...compared(perSecond, first.perSecond, perSecond / first.perSecond),
    }
    // The other way round than times elsewhere: how much of the work per processor second is left.
    yield { bench: BENCH, metric: `${metric}-cpu`, unit: 'us', ...compared(cpuUs, first.cpuUs, first.cpuUs / cpuUs) }
    yield { bench: BENCH, metric: `${metric}-rss`, unit: 'bytes', value: rssBytes }
  }
}

/** With `--plots` it also draws docs/plots/growth-*.svg. */
export async function* growth(args: readonly string[]): AsyncGenerator<Measurement> {
  const peers = await overPeers()
  yield* measurements('peers', peers, 'peers-1')
  const { senders, sizes } = await overSendersAndSizes()
  yield* measurements('senders', senders, 'senders-1')
  yield* measurements('bytes', sizes, `bytes-${SIZES[0]}`)
  if (args.includes('--plots')) await writeGrowthPlots({ peers, senders, sizes })
}
