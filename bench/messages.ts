/**
 * What a user gets: messages from process to process between two nodes in two operating system processes, over QUIC, encoded,
 * decoded and delivered into a mailbox. Rates count payload bytes and compare with raw node:dgram at 1350 bytes.
 */
import type { Self, SkeinNode } from 'skein'
import { type Baselines, LARGE_BYTES, SMALL_BYTES } from './baselines.ts'
import {
  CALL_TIMEOUT_MS,
  calls,
  flood,
  LARGE_MESSAGES_NARROW,
  LARGE_MESSAGES_PATH,
  NARROW_BYTES,
  SINK,
  SMALL_MESSAGES,
  sendAll,
  sendLightly,
  smallMessage,
  startPair,
} from './messages-pair.ts'
import { alternate, type Measurement, median, percentile } from './report.ts'

const CALLS = 3000

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
