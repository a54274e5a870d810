/**
 * `skein bench NODE`: what the way between this machine and a node carries, in round trips, messages and bytes.
 *
 * It asks the process `echo` of the node, which `skein start` has and which answers a call with what it got. Messages and
 * bytes are sent, not asked: the one call behind them comes back when all before it have been taken out of the mailbox,
 * since what one process sends to another arrives in order (docs/guarantees.md). Senders heed backpressure. What it does
 * not do: load the node from several machines at once; `npm run bench` of the repository measures more, and alone.
 */
import type { Command } from 'commander'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import { formatAddress } from '../../transport/address.ts'
import type { SkeinNode } from '../node.ts'
import type { RemoteName } from '../pid.ts'
import type { Self } from '../process/self.ts'
import { addHelp } from './help.ts'
import { addClusterOptions, type ClusterOptions, parseProcessName } from './options.ts'
import { duration, printJson, printLine, table } from './output.ts'
import { withProgress } from './progress.ts'
import { parseSpan } from './time-span.ts'
import { withTool } from './tool-node.ts'

const DEFAULT_SPAN_MS = 2000
const MESSAGE_BYTES = 100
const DATA_BYTES = 65_536
/** Bytes, and messages, between two looks at the clock: on a slow way 64 KiB take a while. */
const BATCH_BYTES = 65_536
const MAX_BATCH = 64
/** Round trips before those that count: connections warm up, and so do just-in-time compilers. */
const WARM_UP_CALLS = 50
/** What is under way when the time is over has to arrive. */
const DRAIN_TIMEOUT_MS = 30_000
const MAX_CALLS = 1_000_000

interface BenchOptions extends ClusterOptions {
  readonly for?: number
  readonly process?: string
}

interface RoundTrips {
  readonly calls: number
  readonly sizeBytes: number
  readonly medianMs: number
  readonly p99Ms: number
}

interface Flow {
  readonly messages: number
  readonly sizeBytes: number
  readonly tookMs: number
}

export const addBench = (program: Command): void => {
  const command = program
    .command('bench')
    .description('measure round trips, messages and bytes per second between this machine and a node')
    .argument('<name>', 'name, name@host or ip:port of the node')
    .option('--for <time>', 'how long each of the three measurements lasts, such as 5s (default: 2s)', parseSpan)
    .option('--process <name>', 'a process there that answers calls (default: echo)', parseProcessName)
  addHelp(
    addClusterOptions(command).action((target: string, options: BenchOptions) => bench(target, options)),
    [
      { command: 'skein bench b', does: 'three figures in six seconds' },
      { command: 'skein bench b --for 10s --json', does: 'longer, for programs' },
      { command: 'skein bench 192.168.1.7:4433', does: 'whichever node is there' },
    ],
    'Nodes of "skein start" have a process echo. A program of your own needs one that replies to calls, and reads what is sent.',
  )
}

const bench = (target: string, { for: spanMs = DEFAULT_SPAN_MS, process: name = 'echo', ...options }: BenchOptions) =>
  withTool(options, async (tool) => {
    const { node } = tool
    const to = { name, node: await tool.reach(target) }
    const peer = node.connectedNodes().find((one) => one.name === to.node)
    const roundTrips = await withProgress('calling, one call after the other', measureCalls(node, to, spanMs))
    const messages = await withProgress(
      `sending messages of ${MESSAGE_BYTES} bytes`,
      flow(node, to, MESSAGE_BYTES, spanMs),
    )
    const data = await withProgress('sending large messages', flow(node, to, DATA_BYTES, spanMs))
    const way = peer === undefined ? {} : { address: formatAddress(peer.address), way: peer.way }
    if (options.json === true) {
      printJson({
        node: to.node,
        ...way,
        roundTrip: roundTrips,
        messages: { ...messages, perSecond: perSecond(messages) },
        data: { ...data, bytesPerSecond: perSecond(data) * data.sizeBytes },
      })
      return
    }
    printLine(`${to.node}${way.address === undefined ? '' : ` at ${way.address}${WAYS[way.way] ?? ''}`}`)
    const { calls, medianMs, p99Ms } = roundTrips
    const rows = [
      ['  round trip', duration(medianMs), `p99 ${duration(p99Ms)}; ${count(calls)} calls, one after the other`],
      ['  messages', `${count(perSecond(messages))}/s`, `of ${MESSAGE_BYTES} bytes, ${count(messages.messages)} sent`],
      ['  data', `${megabytes(perSecond(data) * data.sizeBytes)} MB/s`, `in messages of ${DATA_BYTES / 1024} KiB`],
    ]
    for (const line of table(rows)) printLine(line)
  })

/** Which way the figures are about, where it is not straight over UDP. */
const WAYS: Readonly<Record<string, string>> = { relay: ', through a relay', tcp: ', over TCP' }

const measureCalls = async (node: SkeinNode, to: RemoteName, spanMs: number): Promise<RoundTrips> => {
  const payload = new Uint8Array(MESSAGE_BYTES)
  for (let i = 0; i < WARM_UP_CALLS; i++) await node.call(to, payload)
  const tookMs: number[] = []
  const endMs = performance.now() + spanMs
  do {
    const beganMs = performance.now()
    await node.call(to, payload)
    tookMs.push(performance.now() - beganMs)
  } while (performance.now() < endMs && tookMs.length < MAX_CALLS)
  tookMs.sort((a, b) => a - b)
  const at = (part: number): number => tookMs[Math.floor(tookMs.length * part)] ?? 0
  return { calls: tookMs.length, sizeBytes: MESSAGE_BYTES, medianMs: at(0.5), p99Ms: at(0.99) }
}

/** Sends for a while from one process, until all has been taken from the mailbox there. */
const flow = (node: SkeinNode, to: RemoteName, sizeBytes: number, spanMs: number): Promise<Flow> =>
  new Promise((resolve, reject) => {
    node.spawn((self) => send(self, to, sizeBytes, spanMs).then(resolve, reject))
  })

const send = async (self: Self, to: RemoteName, sizeBytes: number, spanMs: number): Promise<Flow> => {
  const message = new Uint8Array(sizeBytes)
  const beganMs = performance.now()
  const batch = Math.min(MAX_BATCH, Math.ceil(BATCH_BYTES / sizeBytes))
  let messages = 0
  while (performance.now() - beganMs < spanMs) {
    for (let i = 0; i < batch; i++) {
      messages++
      if (!self.send(to, message)) await self.drained(to)
    }
  }
  try {
    await self.call(to, messages, { timeoutMs: DRAIN_TIMEOUT_MS })
  } catch (error) {
    if (!isSkeinError(error, 'ERR_SKEIN_CALL_TIMEOUT')) throw error
    throw new SkeinError('ERR_SKEIN_CALL_TIMEOUT', `${to.node} did not take ${count(messages)} messages in time.`, {
      cause: error,
    })
  }
  return { messages, sizeBytes, tookMs: performance.now() - beganMs }
}

const perSecond = ({ messages, tookMs }: Flow): number => (messages * 1000) / tookMs

const count = (number: number): string => Math.round(number).toLocaleString('en')

const megabytes = (bytes: number): string => (bytes / 1e6).toFixed(bytes < 1e8 ? 1 : 0)
