/**
 * Two nodes of ours in two operating system processes, and what one of them sends the other: floods that the far end
 * (messages-peer.ts) counts, calls, and a ping-pong from process to process.
 */
import { randomBytes } from 'node:crypto'
import { type Pid, type Self, type SkeinNode, startNode } from 'skein'
import { PINGS, roundTrips, SMALL_BYTES, WARM_UP } from './baselines.ts'
import { startPeer } from './peer.ts'

export const SMALL_MESSAGES = 300_000
/** Ordinary datagrams, to be compared with raw ones of the same size. */
export const NARROW_BYTES = 1350
export const LARGE_MESSAGES_NARROW = 3000
export const LARGE_MESSAGES_PATH = 10_000
export const SINK = { name: 'sink', node: 'receiver@bench' }
const ECHO = { name: 'echo', node: 'receiver@bench' }
const PARTNER = { name: 'partner', node: 'receiver@bench' }
const PING_BYTES = 64
export const CALL_TIMEOUT_MS = 60_000

/** Encodes to 100 bytes: a map of three fields (docs/wire.md). */
export const smallMessage = (sequence: number): unknown => ({
  type: 'tick',
  sequence,
  text: 'x'.repeat(SMALL_BYTES - 32),
})

export interface Pair {
  readonly node: SkeinNode
  readonly stop: () => Promise<void>
}

export const startPair = async (maxDatagramBytes?: number): Promise<Pair> => {
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
export const flood = async (
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

export const sendAll =
  (message: (sequence: number) => unknown) =>
  async (self: Self, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      if (!self.send(SINK, message(i))) await self.drained(SINK)
    }
  }

/** A light sender: one message, then everybody else's turn. */
export const sendLightly = async (self: Self, count: number): Promise<void> => {
  for (let i = 0; i < count; i++) {
    if (!self.send(SINK, smallMessage(i))) await self.drained(SINK)
    else await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Runs `body` as a process, and answers what it does or throws. */
const inProcess = <T>(node: SkeinNode, body: (self: Self) => Promise<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    node.spawn((self: Self) => body(self).then(resolve, reject))
  })

/** Calls, one after the other; us each. */
export const calls = (node: SkeinNode, count: number, warmUp?: number): Promise<number[]> =>
  inProcess(node, (self) => roundTrips(count, () => self.call(ECHO, 'ping'), warmUp))

/** 64 bytes from process to process and back, by their ids, as plain messages; us each. */
export const pingPong = (node: SkeinNode, part: number): Promise<number[]> =>
  inProcess(node, async (self) => {
    const partner = (await self.call(PARTNER, self.pid)) as Pid
    const ping = Buffer.alloc(PING_BYTES, 7)
    const exchange = (): Promise<unknown> => {
      self.send(partner, ping)
      return self.receive()
    }
    return roundTrips(PINGS * part, exchange, WARM_UP * part)
  })
