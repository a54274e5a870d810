/**
 * What a user gets: messages from process to process between two nodes in two operating system processes, over QUIC, encoded,
 * decoded and delivered into a mailbox. Rates count payload bytes and compare with raw node:dgram at 1350 bytes.
 */
import { randomBytes } from 'node:crypto'
import { type CallMessage, type Self, type SkeinNode, startNode } from 'skein'
import { type Baselines, roundTrips } from './baselines.ts'
import { startPeer } from './peer.ts'
import { alternate, type Measurement, median, percentile } from './report.ts'

const SMALL_BYTES = 100
const LARGE_BYTES = 64 * 1024
const SMALL_MESSAGES = 300_000
/** Ordinary datagrams, to be compared with raw ones of the same size. */
const NARROW_BYTES = 1350
const LARGE_MESSAGES_NARROW = 3000
const LARGE_MESSAGES_PATH = 10_000
const CALLS = 3000
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
const flood = async (
  node: SkeinNode,
  senders: number,
  messages: number,
  send: (self: Self, count: number) => Promise<void>,
): Promise<number> => {
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
  const large = Buffer.alloc(LARGE_BYTES, 7)
  const sendLarge = sendAll(() => large)
  const small = (node: SkeinNode, senders: number, send: typeof sendLarge): Promise<Measurement> =>
    alternate({
      bench,
      metric: senders === 1 ? '100B-1-sender' : `100B-${senders}-senders`,
      unit: 'messages/s',
      baseline: 'dgram-1350',
      comparable: (rate) => rate * SMALL_BYTES,
      measure: async () => SMALL_MESSAGES / (await flood(node, senders, SMALL_MESSAGES, send)),
      measureBaseline: baselines.dgramBytesPerSecond,
    })
  const bulk = (
    node: SkeinNode,
    metric: string,
    count: number,
    baseline: string,
    measureBaseline: () => Promise<number>,
  ): Promise<Measurement> =>
    alternate({
      bench,
      metric,
      unit: 'bytes/s',
      baseline,
      measure: async () => (count * LARGE_BYTES) / (await flood(node, 1, count, sendLarge)),
      measureBaseline,
    })

  const narrow = await startPair(NARROW_BYTES)
  yield await bulk(narrow.node, '64KiB-1350', LARGE_MESSAGES_NARROW, 'dgram-1350', baselines.dgramBytesPerSecond)
  await narrow.stop()

  const pair = await startPair()
  const { node } = pair
  yield await small(node, 1, sendAll(smallMessage))
  yield await small(node, 64, sendAll(smallMessage))
  yield await small(node, 1000, sendLightly)
  yield await bulk(node, '64KiB-path', LARGE_MESSAGES_PATH, 'dgram-1350', baselines.dgramBytesPerSecond)
  yield await bulk(node, '64KiB-path-to-tls', LARGE_MESSAGES_PATH, 'tls-64KiB', baselines.tlsBytesPerSecond)
  const call = { bench, unit: 'us', measure: async () => median(await calls(node, CALLS)) } as const
  yield await alternate({
    ...call,
    metric: 'call',
    baseline: 'dgram-ping-pong',
    measureBaseline: baselines.dgramPingPongUs,
  })
  yield await alternate({
    ...call,
    metric: 'call-to-tls',
    baseline: 'tls-ping-pong',
    measureBaseline: baselines.tlsPingPongUs,
  })

  const p99 = async (): Promise<number> => percentile(await calls(node, CALLS), 0.99)
  const besideBulk = async (): Promise<number> => {
    const bulkSender = node.spawn(async (self: Self) => {
      for (;;) if (!self.send(SINK, large)) await self.drained(SINK)
    })
    const result = await p99()
    node.exit(bulkSender, 'kill')
    // The sink works off what is still on its way, so that the next round starts in quiet.
    await node.call(SINK, 0, { timeoutMs: CALL_TIMEOUT_MS })
    return result
  }
  yield await alternate({
    bench,
    metric: 'light-beside-bulk',
    unit: 'us',
    baseline: 'alone',
    measure: besideBulk,
    measureBaseline: p99,
  })
  await pair.stop()
}
