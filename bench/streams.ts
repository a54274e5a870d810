/**
 * Streams of bytes from process to process between two nodes in two operating system processes, compared with messages of
 * 64 KiB in the same run, and a light call beside them, compared with the call alone.
 */
import { randomBytes } from 'node:crypto'
import { type CallMessage, type Pid, type Self, type SkeinNode, startNode } from 'skein'
import { roundTrips } from './baselines.ts'
import { startPeer } from './peer.ts'
import { alternate, type Measurement, percentile } from './report.ts'

const CHUNK_BYTES = 64 * 1024
const CHUNKS = 6000
const CALLS = 3000
const SIDE_BY_SIDE = 8
const READER = { name: 'reader', node: 'receiver@bench' }
const ECHO = { name: 'echo', node: 'receiver@bench' }
const CALL_TIMEOUT_MS = 60_000

/** Writes so many chunks to each of several streams at once; resolves when all were read. */
const pour = async (node: SkeinNode, reader: Pid, streams: number, chunks: number): Promise<void> => {
  const bytes = new Uint8Array(CHUNK_BYTES).fill(7)
  const one = async (): Promise<void> => {
    const { writable } = await node.openStream(reader)
    const writer = writable.getWriter()
    for (let i = 0; i < chunks / streams; i++) await writer.write(bytes)
    await writer.close()
  }
  await Promise.all(Array.from({ length: streams }, one))
}

const rate = async (run: () => Promise<unknown>): Promise<number> => {
  const start = performance.now()
  await run()
  return (CHUNKS * CHUNK_BYTES * 1000) / (performance.now() - start)
}

const sendMessages = (node: SkeinNode, senders: number): Promise<unknown> => {
  const message = Buffer.alloc(CHUNK_BYTES, 7)
  const all = node.call(READER, CHUNKS, { timeoutMs: CALL_TIMEOUT_MS })
  for (let sender = 0; sender < senders; sender++) {
    node.spawn(async (self: Self) => {
      for (let i = 0; i < CHUNKS / senders; i++) if (!self.send(READER, message)) await self.drained(READER)
    })
  }
  return all
}

const slowCall = (node: SkeinNode): Promise<number> =>
  new Promise((resolve, reject) => {
    node.spawn(async (self: Self<CallMessage>) => {
      try {
        resolve(percentile(await roundTrips(CALLS, () => self.call(ECHO, 'ping')), 0.99))
      } catch (error) {
        reject(error)
      }
    })
  })

export async function* streams(): AsyncGenerator<Measurement> {
  const bench = 'streams'
  const cookie = randomBytes(16).toString('hex')
  const peer = await startPeer(new URL('./streams-peer.ts', import.meta.url), { cookie })
  const node = await startNode({ name: 'sender@bench', cookie, host: '127.0.0.1', port: 0, discovery: false })
  await node.connect(peer.ready.address as string)
  const reader = (await node.call(READER, 0)) as Pid
  for (const count of [1, SIDE_BY_SIDE]) {
    yield await alternate({
      bench,
      unit: 'bytes/s',
      metric: `streams-${count}`,
      measure: () => rate(() => pour(node, reader, count, CHUNKS)),
      baseline: `64KiB-${count}-senders`,
      measureBaseline: () => rate(() => sendMessages(node, count)),
    })
  }
  const besideStream = async (): Promise<number> => {
    const { writable } = await node.openStream(reader)
    const writer = writable.getWriter()
    const bytes = new Uint8Array(CHUNK_BYTES)
    let isDone = false
    const poured = (async () => {
      while (!isDone) await writer.write(bytes)
      await writer.close()
    })()
    const p99 = await slowCall(node)
    isDone = true
    await poured
    return p99
  }
  yield await alternate({
    bench,
    metric: 'light-beside-stream',
    unit: 'us',
    baseline: 'alone',
    measure: besideStream,
    measureBaseline: () => slowCall(node),
  })
  await node.stop()
  await peer.stop()
}
