/**
 * Lookups among 60 nodes on loopback, a quarter of which have just died without a word: ours, bittorrent-dht's and
 * dht-rpc's in the same run. No node looks up more than one random key, so that it has not learnt yet who is dead.
 * The peers come from bench/peers, which is installed apart: npm ci --prefix bench/peers. Without it ours runs alone.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { openDhtPort } from '../discovery/dht/port.ts'
import { systemClock } from '../transport/clock.ts'
import { systemRandom } from '../transport/random.ts'
import { type Measurement, median, percentile } from './report.ts'

const NODES = 60
const DEAD = 15
/** Each by another node, one after the other. Peers take seconds for each, and always the same. */
const LOOKUPS = { ours: NODES - DEAD, peers: 12 } as const
const HOST = '127.0.0.1'

interface LoopbackNode {
  readonly port: number
  /** Looks up a random key. */
  lookup(): Promise<void>
  /** Queries it sent so far, repeated ones included. */
  queries(): number
  close(): Promise<void>
}

/** Opens a node that joins through the one at this port; the first one has none to join through. */
type Open = (through: number | undefined) => Promise<LoopbackNode>

interface Figures {
  readonly p50Ms: number
  readonly p95Ms: number
  readonly messages: number
}

const ours = (how: 'findNode' | 'getPeers'): Open => {
  return async (through) => {
    const { dht, addresses, close } = await openDhtPort({
      host: HOST,
      port: 0,
      clock: systemClock,
      random: systemRandom,
    })
    if (through !== undefined) await dht.bootstrap([{ host: HOST, port: through }])
    return {
      port: addresses()[0]!.port,
      lookup: async () => void (await dht[how](systemRandom.bytes(20))),
      queries: () => dht.counters().queriesSent! + dht.counters().queriesRepeated!,
      close,
    }
  }
}

interface BittorrentDht extends NodeJS.EventEmitter {
  readonly _rpc: { readonly socket: { query(...args: unknown[]): unknown } }
  address(): { port: number }
  listen(port: number, host: string): void
  lookup(key: Buffer, done: () => void): void
  destroy(done: () => void): void
}

const bittorrentDht = async (): Promise<Open> => {
  const DHT = await peerPackage<new (options: object) => BittorrentDht>('bittorrent-dht')
  return async (through) => {
    const dht = new DHT({ bootstrap: through === undefined ? false : [`${HOST}:${through}`] })
    dht.on('warning', () => {})
    const { socket } = dht._rpc
    const query = socket.query.bind(socket)
    let queries = 0
    socket.query = (...args) => {
      queries++
      return query(...args)
    }
    const ready = once(dht, 'ready')
    dht.listen(0, HOST)
    await Promise.all([ready, once(dht, 'listening')])
    return {
      port: dht.address().port,
      lookup: () => new Promise((resolve) => dht.lookup(randomBytes(20), resolve)),
      queries: () => queries,
      close: () => new Promise((resolve) => dht.destroy(resolve)),
    }
  }
}

interface DhtRpc {
  readonly stats: { readonly requests: { readonly total: number; readonly retries: number } }
  fullyBootstrapped(): Promise<void>
  address(): { port: number }
  findNode(target: Buffer): { finished(): Promise<void> }
  destroy(): Promise<void>
}

const dhtRpc = async (): Promise<Open> => {
  const DHT = await peerPackage<new (options: object) => DhtRpc>('dht-rpc')
  return async (through) => {
    const bootstrap = through === undefined ? false : [{ host: HOST, port: through }]
    const dht = new DHT({ bootstrap, host: HOST, ephemeral: false, firewalled: false, anyPort: true })
    await dht.fullyBootstrapped()
    return {
      port: dht.address().port,
      lookup: () => dht.findNode(randomBytes(32)).finished(),
      queries: () => dht.stats.requests.total + dht.stats.requests.retries,
      close: () => dht.destroy(),
    }
  }
}

const peerPackage = async <T>(name: string): Promise<T> => {
  const url = new URL(`./peers/node_modules/${name}/index.js`, import.meta.url)
  if (!existsSync(url)) throw new Missing(`${name} is not installed: npm ci --prefix bench/peers`)
  const { default: content } = (await import(url.href)) as { default: T }
  return content
}

class Missing extends Error {}

const measure = async (open: Open, lookups: number): Promise<Figures> => {
  const nodes = [await open(undefined)]
  for (let i = 1; i < NODES; i++) nodes.push(await open(nodes[0]!.port))
  // Each gets to know those who came after it.
  for (const node of nodes) await node.lookup()
  // The first one stays: some keep asking those they joined through.
  await Promise.all(nodes.splice(1, DEAD).map((node) => node.close()))
  const samples: number[] = []
  const messages: number[] = []
  for (const node of nodes.slice(0, lookups)) {
    const queries = node.queries()
    const start = performance.now()
    await node.lookup()
    samples.push(performance.now() - start)
    messages.push(node.queries() - queries)
  }
  await Promise.all(nodes.map((node) => node.close()))
  const sum = messages.reduce((all, one) => all + one, 0)
  return { p50Ms: median(samples), p95Ms: percentile(samples, 0.95), messages: sum / messages.length }
}

type Baseline = readonly [name: string, figures: Figures]

/** The figures of a peer; tells people on stderr where there are none. */
const measurePeer = async (name: string, make: () => Promise<Open>): Promise<readonly Baseline[]> => {
  try {
    return [[name, await measure(await make(), LOOKUPS.peers)]]
  } catch (error) {
    if (!(error instanceof Missing)) throw error
    process.stderr.write(`skipped: ${error.message}\n`)
    return []
  }
}

export async function* loopback(): AsyncGenerator<Measurement> {
  const figures = {
    'find-node': await measure(ours('findNode'), LOOKUPS.ours),
    'get-peers': await measure(ours('getPeers'), LOOKUPS.ours),
  }
  const baselines = [...(await measurePeer('bittorrent-dht', bittorrentDht)), ...(await measurePeer('dht-rpc', dhtRpc))]
  for (const [how, { p50Ms, p95Ms, messages }] of Object.entries(figures)) {
    yield* compared(`${how}-p50`, p50Ms, 'ms', baselines, (peer) => peer.p50Ms)
    yield* compared(`${how}-p95`, p95Ms, 'ms', baselines, (peer) => peer.p95Ms)
    yield* compared(`${how}-messages`, messages, 'messages', baselines, (peer) => peer.messages)
  }
}

function* compared(
  metric: string,
  value: number,
  unit: Measurement['unit'],
  baselines: readonly Baseline[],
  of: (figures: Figures) => number,
): Generator<Measurement> {
  if (baselines.length === 0) yield { bench: 'dht', metric, value, unit }
  for (const [baseline, figures] of baselines) {
    yield { bench: 'dht', metric, value, unit, baseline, baselineValue: of(figures), ratio: value / of(figures) }
  }
}
