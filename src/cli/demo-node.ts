/**
 * One node process of the demo: does what the narrator asks and reports what happens to it.
 *
 * It is an ordinary program on Skein's public face. It lives as long as its channel to the narrator, so nothing is left
 * over whatever happens to the narrator; and when its node has stopped it ends by itself.
 */
import type { Command } from 'commander'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import { formatAddress } from '../../transport/address.ts'
import type { NodeEvent } from '../event-stream.ts'
import type { SkeinNode } from '../node.ts'
import type { Pid } from '../pid.ts'
import type { Behaviour } from '../process/behaviour.ts'
import type { Self } from '../process/self.ts'
import { startNode } from '../start.ts'
import { type Answers, answerQuestions, tell } from './answering-process.ts'
import type { DemoEvent, DemoQuestions, DemoSettings, DemoStarted, FloodResult, RoundTrips } from './demo-protocol.ts'
import { echo, isCall } from './echo.ts'

/** The demo stays on this machine: nothing of it is announced elsewhere, and no firewall asks. */
const HOST = '127.0.0.1'
const MESSAGE_BYTES = 100
/** Messages between two looks at the clock. */
const BATCH = 64
const READ_TIMEOUT_MS = 10_000
const DEAD_LETTER_TIMEOUT_MS = 2000

export const addDemoNode = (program: Command): void => {
  program.command('demo-node', { hidden: true }).action(run)
}

const run = (): Promise<void> => answerQuestions<DemoQuestions>(new Actor().answers, 'stop')

const tellEvent = (event: DemoEvent): void => void tell({ type: 'event', event })

class Actor {
  readonly answers: Answers<DemoQuestions> = {
    start: (settings) => this.#start(settings),
    flood: ({ to, durationMs }) => this.#inProcess((self) => flood(self, to, durationMs)),
    roundTrips: ({ to, count }) => roundTrips(this.#node, to, count),
    monitor: ({ to }) => this.#monitor(to),
    sendToOldPid: () => this.#sendToOldPid(),
    knock: ({ address }) => knock(this.#node, address),
    gated: async () => this.#node.counters().gated ?? 0,
    stop: async () => {
      await this.#node.stop()
      return null
    },
  }
  #started: SkeinNode | undefined
  #oldPid: Pid | undefined
  /** What discovery saw: node id or address, and the source that was first. */
  readonly #seenThrough = new Map<string, string>()

  get #node(): SkeinNode {
    if (this.#started === undefined) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'The node has not been started.')
    return this.#started
  }

  async #start({ seeds, ...options }: DemoSettings): Promise<DemoStarted> {
    const node = await startNode({ ...options, host: HOST, port: 0, discovery: { seeds }, logLevel: 'error' })
    this.#started = node
    for (const seed of seeds) this.#seenThrough.set(seed, 'seeds')
    void this.#report(node)
    node.register('echo', node.spawn(echo))
    node.register('worker', node.spawn(worker))
    const { name, id, incarnation } = node
    return { name, id, incarnation, port: node.addresses[0]?.port ?? 0 }
  }

  async #report(node: SkeinNode): Promise<void> {
    for await (const event of node.events) {
      if (event.type === 'nodeup') tellEvent(this.#toDemoEvent(node, event))
      else if (event.type === 'nodedown' || event.type === 'discoveryStatus') tellEvent(event)
      else if (event.type === 'discovered') this.#remember(event)
    }
  }

  #remember({ id, addresses, sources }: Extract<NodeEvent, { type: 'discovered' }>): void {
    for (const key of [id, ...addresses.map(formatAddress)]) {
      if (key !== undefined && !this.#seenThrough.has(key)) this.#seenThrough.set(key, sources[0] ?? '')
    }
  }

  #toDemoEvent(node: SkeinNode, { node: name, id, incarnation, address }: Extract<NodeEvent, { type: 'nodeup' }>) {
    const dialled = node.connectedNodes().some((other) => other.id === id && other.dialled)
    const through = this.#seenThrough.get(formatAddress(address)) ?? this.#seenThrough.get(id) ?? ''
    return { type: 'nodeup', node: name, id, incarnation, port: address.port, dialled, through } as const
  }

  #monitor(to: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#node.spawn(async (self) => {
        const pid = (await self.call({ name: 'worker', node: to }, 'pid').catch(reject)) as Pid | undefined
        if (pid === undefined) return
        this.#oldPid = pid
        self.monitor(pid)
        resolve(String(pid))
        const { reason } = await self.receive(isDown)
        tellEvent({ type: 'DOWN', reason: String(reason) })
      })
    })
  }

  async #sendToOldPid(): Promise<string> {
    const events = this.#node.events[Symbol.asyncIterator]()
    const timer = setTimeout(() => void events.return?.(), DEAD_LETTER_TIMEOUT_MS)
    try {
      if (this.#oldPid !== undefined) this.#node.send(this.#oldPid, 'are you there?')
      for (let step = await events.next(); step.done !== true; step = await events.next()) {
        if (step.value.type === 'deadLetter' && this.#oldPid?.equals(step.value.to)) return step.value.reason
      }
      return 'no dead letter'
    } finally {
      clearTimeout(timer)
      await events.return?.()
    }
  }

  /** Runs `work` in a process of its own. */
  #inProcess<T>(work: (self: Self) => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#node.spawn((self) => work(self).then(resolve, reject))
    })
  }
}

const isDown = (message: unknown): message is { readonly type: 'DOWN'; readonly reason: unknown } =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === 'DOWN'

/** Counts messages; tells how many came in how long, or its pid. */
const worker: Behaviour<unknown> = async (self) => {
  let messages = 0
  let firstMs = 0
  for await (const message of self) {
    if (!isCall(message)) {
      if (messages++ === 0) firstMs = performance.now()
    } else if (message.request === 'pid') {
      self.reply(message.from, self.pid)
    } else {
      self.reply(message.from, { messages, tookMs: performance.now() - firstMs })
      messages = 0
    }
  }
}

/** The question for the count leaves from the same process, so it arrives behind the last message. */
const flood = async (self: Self, to: string, durationMs: number): Promise<FloodResult> => {
  const target = { name: 'worker', node: to }
  const message = new Uint8Array(MESSAGE_BYTES)
  const endMs = performance.now() + durationMs
  while (performance.now() < endMs) {
    for (let i = 0; i < BATCH; i++) if (!self.send(target, message)) await self.drained(target)
  }
  return (await self.call(target, 'count', { timeoutMs: READ_TIMEOUT_MS })) as FloodResult
}

const roundTrips = async (node: SkeinNode, to: string, count: number): Promise<RoundTrips> => {
  const target = { name: 'echo', node: to }
  const tookMs: number[] = []
  for (let i = 0; i < count; i++) {
    const startMs = performance.now()
    await node.call(target, i)
    tookMs.push(performance.now() - startMs)
  }
  tookMs.sort((a, b) => a - b)
  const at = (part: number): number => tookMs[Math.floor(tookMs.length * part)] ?? 0
  return { medianMs: at(0.5), p99Ms: at(0.99) }
}

const knock = async (node: SkeinNode, address: string): Promise<string> => {
  try {
    await node.connect(address)
    return 'connected'
  } catch (error) {
    return isSkeinError(error) ? error.code : String(error)
  }
}
