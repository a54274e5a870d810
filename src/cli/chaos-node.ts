/**
 * One node process of `skein chaos`: calls the others all the time, holds global names when told to, and reports what the
 * judge needs to know.
 *
 * What it does not do: judge. A call that fails may be right, if the other node was killed meanwhile.
 */
import type { Command } from 'commander'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import type { SkeinNode } from '../node.ts'
import type { Pid } from '../pid.ts'
import { startNode } from '../start.ts'
import { type Answers, answerQuestions, tell } from './answering-process.ts'
import type { ChaosEvent, ChaosQuestions, ChaosSettings, ChaosView } from './chaos-protocol.ts'
import { echo } from './echo.ts'

const HOST = '127.0.0.1'
const CALL_INTERVAL_MS = 20
const CALL_TIMEOUT_MS = 5000
/** Calls under way at once: enough to be about one lost reply at any moment, and no load. */
const MAX_CALLS = 32
const WRITE_INTERVAL_MS = 100
/** A defect that comes again and again shall not flood the judge. */
const MAX_DEFECTS = 20

export const addChaosNode = (program: Command): void => {
  program.command('chaos-node', { hidden: true }).action(run)
}

const run = (): Promise<void> => {
  let defects = 0
  for (const kind of ['unhandledRejection', 'uncaughtException'] as const) {
    process.on(kind, (error: unknown) => {
      if (defects++ < MAX_DEFECTS) report({ type: 'defect', text: `${kind}: ${String(error)}` })
    })
  }
  return answerQuestions<ChaosQuestions>(new ChaosNode().answers, 'stop', wakeFrozen)
}

/**
 * Who is frozen cannot see that the parent was killed, and would stay for ever. So the others wake all of their process
 * group; whoever of it runs anyway does not notice. Windows has no frozen ones.
 */
const wakeFrozen = (): void => {
  if (process.platform !== 'win32') process.kill(0, 'SIGCONT')
}

const report = (event: ChaosEvent): void => void tell({ type: 'event', event })

class ChaosNode {
  readonly answers: Answers<ChaosQuestions> = {
    start: (settings) => this.#start(settings),
    view: async () => this.#view(),
    grab: async (name) => {
      void this.#grab(name)
      return null
    },
    drop: async (name) => {
      const holder = this.#holders.get(name)
      if (holder !== undefined) this.#node.exit(holder, 'kill')
      return null
    },
    stop: async () => {
      clearInterval(this.#timer)
      await this.#node.stop()
      return null
    },
  }
  #started: SkeinNode | undefined
  #timer: NodeJS.Timeout | undefined
  readonly #holders = new Map<string, Pid>()
  #calls = 0
  #answered = 0
  #number = 0

  get #node(): SkeinNode {
    if (this.#started === undefined) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'The node has not been started.')
    return this.#started
  }

  async #start({ seeds, ...options }: ChaosSettings): Promise<number> {
    const discovery = { mdns: false, dht: false, seeds }
    const node = await startNode({ ...options, host: HOST, port: 0, discovery, logLevel: 'error' })
    this.#started = node
    node.register('echo', node.spawn(echo))
    void this.#watch(node)
    this.#timer = setInterval(() => void this.#call(node), CALL_INTERVAL_MS)
    return node.addresses[0]?.port ?? 0
  }

  #view(): ChaosView {
    const { global } = this.#node
    const names = global.names().map((name) => [name, `${global.whereis(name)?.key} ${global.token(name)}`])
    const held = [...this.#holders].filter(([name, pid]) => global.whereis(name)?.equals(pid) === true)
    return {
      nodes: this.#node.nodes().sort(),
      names: Object.fromEntries(names),
      held: held.map(([name]) => name),
      answered: this.#answered,
    }
  }

  async #watch(node: SkeinNode): Promise<void> {
    for await (const { type } of node.events) if (type === 'overlappingPartition') report({ type: 'steppedBack' })
  }

  /** Asks the next node in turn for its own number back. */
  async #call(node: SkeinNode): Promise<void> {
    const others = node.nodes()
    if (this.#calls >= MAX_CALLS || others.length === 0) return
    const number = ++this.#number
    const to = others[number % others.length] ?? ''
    const beganMs = performance.now()
    this.#calls++
    try {
      const reply = await node.call({ name: 'echo', node: to }, number, { timeoutMs: CALL_TIMEOUT_MS })
      if (reply === number) this.#answered++
      else report({ type: 'wrongReply', to })
    } catch (error) {
      // It is this node that stops.
      if (!node.isAlive) return
      report({ type: 'noReply', to, code: codeOf(error), tookMs: performance.now() - beganMs })
    } finally {
      this.#calls--
    }
  }

  /** The holder writes for as long as it believes that the name is its own. */
  async #grab(name: string): Promise<void> {
    const node = this.#node
    if (this.#holders.has(name)) return
    const pid = node.spawn(async (self) => {
      for (;;) {
        const token = node.global.token(name)
        if (token !== undefined && node.global.whereis(name)?.equals(self.pid) === true) {
          report({ type: 'write', name, token, holder: self.pid.key })
        }
        await self.receive(() => true, { timeoutMs: WRITE_INTERVAL_MS }).catch(onlyTimeouts)
      }
    })
    this.#holders.set(name, pid)
    node.spawn(async (self) => {
      self.monitor(pid)
      await self.receive()
      this.#holders.delete(name)
    })
    try {
      await node.global.register(name, pid)
    } catch (error) {
      if (!isSkeinError(error)) throw error
      node.exit(pid, 'kill')
    }
  }
}

const onlyTimeouts = (error: unknown): void => {
  if (!isSkeinError(error, 'ERR_SKEIN_RECEIVE_TIMEOUT')) throw error
}

const codeOf = (error: unknown): string => (isSkeinError(error) ? error.code : String(error))
