/**
 * What a user gets: messages from process to process between two nodes in two operating system processes, over QUIC, encoded,
 * decoded and delivered into a mailbox. Rates count payload bytes and compare with raw node:dgram at 1350 bytes.
 */
import { randomBytes } from 'node:crypto'
import { type CallMessage, type Self, type SkeinNode, startNode } from 'skein'
import { type Baselines, roundTrips } from './baselines.ts'
import { startPeer } from './peer.ts'
import { type Measurement, median, percentile } from './report.ts'

const SMALL_BYTES = 100
const LARGE_BYTES = 64 * 1024
const SMALL_MESSAGES = 600_000
const ROUNDS = 3
const CALLS = 10_000
const LIGHT_CALLS = 3000
const SINK = { name: 'sink', node: 'receiver@bench' }
const ECHO = { name: 'echo', node: 'receiver@bench' }
const CALL_TIMEOUT_MS = 60_000

/** Encodes to 100 bytes: a map of three fields (docs/wire.md). */
const smallMessage = (sequence: number): unknown => ({ type: 'tick', sequence, text: 'x'.repeat(SMALL_BYTES - 32) })

interface Pair {
  readonly node: SkeinNode
  readonly stop: () => Promise<void>
}

const startPair = async (maxDatagramBytes?: number): Promise<Pair> => {
  const cookie = randomBytes(16).toString('hex')
  const cap = maxDatagramBytes === undefined ? {} : { maxDatagramBytes }
  const peer = await startPeer(new URL('./messages-peer.ts', import.meta.url), { cookie, ...cap })
  const node = await startNode({ name: 'sender@bench', cookie, host: '127.0.0.1', port: 0, discovery: false, ...cap })
  await node.connect(peer.ready.address as string)
  return {
    node,
    stop: async () => {
      await node.stop()
      await peer.stop()
    },
  }
}

/** Runs `count` processes that each send their share, and waits until the sink has them all; returns seconds. */
const flood = async (node: SkeinNode, senders: number, messages: number, send: (self: Self, count: number) => Promise<void>): Promise<number> => {
  const share = Math.floor(messages / senders)
  const start = performance.now()
  const all = node.call(SINK, share * senders, { timeoutMs: CALL_TIMEOUT_MS })
  for (let i = 0; i < senders; i++) node.spawn((self: Self) => send(self, share))
  await all
  return (performance.now() - start) / 1000
}

const sendAll =
  (message: (sequence: number) => unknown) =>
  async (self: Self, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      if (!self.send(SINK, message(i))) await self.drained(SINK)
    }
  }

/** A light sender: one message, then everybody else's turn. */
const sendLightly = async (self: Self, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) {
    if (!self.send(SINK, smallMessage(i))) await self.drained(SINK)
    else await new Promise((resolve) => setImmediate(resolve))
  }
}

const bestOf = async (rounds: number, run: () => Promise<number>): Promise<number> => {
  const seconds: number[] = []
  for (let i = 0; i < rounds; i++) seconds.push(await run())
  return median(seconds)
}

const calls = (node: SkeinNode, count: number): Promise<number[]> =>
  new Promise((resolve, reject) => {
    node.spawn(async (self: Self<CallMessage>) => {
      try {
        resolve(await roundTrips(count, () => self.call(ECHO, 'ping')))
      } catch (error) {
        reject(error)
      }
    })
  })

export async function* messages(baselines: Baselines): AsyncGenerator<Measurement> {
  const bench = 'messages'
  const rate = (metric: string, count: number, sizeBytes: number, seconds: number): Measurement => ({
    bench,
    metric,
    ...(sizeBytes === SMALL_BYTES ? { value: count / seconds, unit: 'messages/s' } : { value: (count * sizeBytes) / seconds, unit: 'bytes/s' }),
    baseline: 'dgram-1350',
    baselineValue: baselines.dgramBytesPerSecond,
    ratio: (count * sizeBytes) / seconds / baselines.dgramBytesPerSecond,
  })

  const large = Buffer.alloc(LARGE_BYTES, 7)
  const narrow = await startPair(1350)
  const largeNarrow = 5000
  await flood(narrow.node, 1, 500, sendAll(() => large))
  yield rate('64KiB-1350', largeNarrow, LARGE_BYTES, await bestOf(ROUNDS, () => flood(narrow.node, 1, largeNarrow, sendAll(() => large))))
  await narrow.stop()

  const pair = await startPair()
  const { node } = pair
  await flood(node, 1, SMALL_MESSAGES / 4, sendAll(smallMessage))
  for (const senders of [1, 64]) {
    const metric = senders === 1 ? '100B-1-sender' : `100B-${senders}-senders`
    yield rate(metric, SMALL_MESSAGES, SMALL_BYTES, await bestOf(ROUNDS, () => flood(node, senders, SMALL_MESSAGES, sendAll(smallMessage))))
  }
  yield rate('100B-1000-senders', SMALL_MESSAGES, SMALL_BYTES, await bestOf(ROUNDS, () => flood(node, 1000, SMALL_MESSAGES, sendLightly)))
  const largePath = 15_000
  const pathSeconds = await bestOf(ROUNDS, () => flood(node, 1, largePath, sendAll(() => large)))
  yield rate('64KiB-path', largePath, LARGE_BYTES, pathSeconds)
  yield { bench, metric: '64KiB-path-to-tls', value: (largePath * LARGE_BYTES) / pathSeconds, unit: 'bytes/s', baseline: 'tls-64KiB', baselineValue: baselines.tlsBytesPerSecond, ratio: (largePath * LARGE_BYTES) / pathSeconds / baselines.tlsBytesPerSecond }

  const callUs = median(await calls(node, CALLS))
  yield { bench, metric: 'call', value: callUs, unit: 'us', baseline: 'dgram-ping-pong', baselineValue: baselines.dgramPingPongUs, ratio: callUs / baselines.dgramPingPongUs }
  yield { bench, metric: 'call-to-tls', value: callUs, unit: 'us', baseline: 'tls-ping-pong', baselineValue: baselines.tlsPingPongUs, ratio: callUs / baselines.tlsPingPongUs }

  const alone = percentile(await calls(node, LIGHT_CALLS), 0.99)
  let bulkRuns = true
  node.spawn(async (self: Self) => {
    while (bulkRuns) {
      if (!self.send(SINK, large)) await self.drained(SINK)
    }
  })
  const beside = percentile(await calls(node, LIGHT_CALLS), 0.99)
  bulkRuns = false
  yield { bench, metric: 'light-beside-bulk', value: beside, unit: 'us', baseline: 'alone', baselineValue: alone, ratio: beside / alone }
  await pair.stop()
}
