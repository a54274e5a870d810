/**
 * Nodes in processes of their own, driven by a test over Node's IPC channel.
 *
 * A test says what to do (`NodeCommands`) and awaits what is reported: node events, what the processes find in their
 * mailboxes, each with the time it happened. Times are the machine's monotonic clock in milliseconds, the same for all
 * processes of a machine. Pids and references come through the channel whole, by way of the node's own codec.
 *
 * Every process is killed after the test. One that ended before, unasked, fails the test: that is how an unhandled
 * rejection or a crash shows.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import type { Attempt } from '../../certs/errors.ts'
import type {
  BehaviourOptions,
  CallOptions,
  ConnectedNode,
  From,
  NodeEvent,
  Pid,
  ProcessInfo,
  ReceiveOptions,
  Ref,
  Self,
  SpawnOnOptions,
  StartOptions,
  Target,
} from '../../src/index.ts'
import { Origin } from '../../src/pid.ts'
import { MessageCodec } from '../../src/wire/codec.ts'
import type { TestContext } from './suite.ts'

const FIXTURE = fileURLToPath(new URL('../e2e/fixtures/node-process.ts', import.meta.url))
/** For reports; the test's own deadline may be nearer. */
const PATIENCE_MS = 15_000

/** What a node process can be told. Behind it are methods of the node of the same name, unless a comment says otherwise. */
export interface NodeCommands {
  /** Starts a node, the first one or one after `stop`. */
  start(options: StartOptions): NodeFacts
  /** When it was called, on the clock of the reports. */
  stop(): { readonly calledAtMs: number }
  /** Through `await using`. */
  dispose(): void
  connect(target: string): string
  disconnect(name: string): boolean
  ping(name: string): number
  nodes(): string[]
  connectedNodes(): ConnectedNode[]
  counters(): Record<string, number>
  isAlive(): boolean
  call(target: Target, request: unknown, options?: Omit<CallOptions, 'signal'>): unknown
  send(target: Target, message: unknown): boolean
  exit(target: Pid, reason: unknown): void
  whereis(name: string): Pid | undefined
  /** Sends what cannot cross the wire, from a process; rejects with the error of `send`. */
  sendHostile(target: Target, what: HostileValue): boolean
  /** Starts a puppet and registers it under this name: see Puppet. */
  puppet(name: string): Pid
  /** Registers a behaviour that makes puppets; its first argument is the name of the puppet. */
  offer(behaviour: string, options?: BehaviourOptions): void
  behaviours(): string[]
  spawnOn(node: string, behaviour: string, args: readonly unknown[], options: Omit<SpawnOnOptions, 'signal'>): Pid
  isProcessAlive(pid: Pid): boolean
  processInfo(pid: Pid): ProcessInfo | undefined
  sendAfter(ms: number, target: Target, message: unknown): Ref
  /** Hands a value of a type that only this node has registered to the method `how` of the node. */
  coin(how: 'send' | 'call' | 'exit', target: Target): unknown
  /** Calls a method of a puppet's `self`. */
  self(name: string, method: string, args: readonly unknown[]): unknown
  trapExit(name: string, on: boolean): void
  /** The puppet takes nothing more out of its mailbox, or goes on doing so. */
  deaf(name: string, on: boolean): void
  /** Starts a process of fixtures/loads.ts and registers it under this name. */
  load(name: string, load: string, args: readonly unknown[]): Pid
  /** What a load has done so far. */
  progress(name: string): Progress
  /** Resolves when the condition of a load is met: see its description. */
  whenDone(name: string): Progress
  /** Lets a load go on that waits at its gate. */
  release(name: string): void
  /** A method of the actors of scenarios: see test/erlang/skein-actors.ts. */
  actor(method: 'spawn' | 'act' | 'ended' | 'clear', ...args: readonly unknown[]): unknown
  /** A method of `node.groups`. */
  groups(method: 'join' | 'leave' | 'members' | 'groups' | 'publish', ...args: readonly unknown[]): unknown
  /** A method of `node.global`. */
  global(
    method: 'register' | 'unregister' | 'transfer' | 'whereis' | 'token' | 'names',
    ...args: readonly unknown[]
  ): unknown
  /** A method of `node.cookies`. */
  cookies(method: 'list' | 'accept' | 'use' | 'drop', ...args: readonly unknown[]): unknown
  renewCertificate(): number
  revoke(id: string): boolean
  unrevoke(id: string): boolean
  /** Resident memory of the process, bytes. */
  memory(): number
  /** Things left behind for `stop` to clean up: monitors, timers, calls without an answer. */
  litter(target: Target): void
}

export type HostileValue = 'function' | 'symbol' | 'cyclic' | 'promise' | 'instance' | 'oversize'

export type Progress = Readonly<Record<string, number>>

export interface NodeFacts {
  readonly name: string
  readonly id: string
  readonly incarnation: string
  readonly port: number
}

/** From the test to the process. `args` are encoded. */
export interface CommandMessage {
  readonly id: number
  readonly command: keyof NodeCommands
  readonly args: Uint8Array
}

export interface FailureText {
  readonly code: string
  readonly message: string
  readonly attempts: readonly Attempt[]
}

/** From the process to the test. */
export type ProcessMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'done'; readonly id: number; readonly value: Uint8Array }
  | { readonly type: 'failed'; readonly id: number; readonly failure: FailureText }
  | { readonly type: 'event'; readonly atMs: number; readonly value: Uint8Array }
  | { readonly type: 'message'; readonly process: string; readonly atMs: number; readonly value: Uint8Array }

/** Stands for the test wherever a codec wants to know a node. */
const TEST_ORIGIN = new Origin('test@test', '0'.repeat(32), '0'.repeat(16))
/** Stands for a process whose node has not started yet. */
const NO_NODE = new Origin('none@test', '1'.repeat(32), '1'.repeat(16))

/** The codec of either end of the channel. `node` is that of the process, as soon as there is one. */
export const channelCodec = (end: 'test' | 'process', node: NodeFacts | undefined): MessageCodec => {
  const origin = node === undefined ? NO_NODE : new Origin(node.name, node.id, node.incarnation)
  const codec = new MessageCodec({ local: end === 'test' ? TEST_ORIGIN : origin, maxMessageBytes: 64 << 20 })
  codec.peer = end === 'test' ? origin : TEST_ORIGIN
  return codec
}

/** Monotonic milliseconds, the same in every process of this machine. */
export const machineNowMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** An error of a node in another process. */
export class RemoteFailure extends Error {
  readonly code: string
  readonly attempts: readonly Attempt[]

  constructor({ code, message, attempts }: FailureText) {
    super(`${code}: ${message}`)
    this.code = code
    this.attempts = attempts
  }
}

export interface Report<T> {
  readonly value: T
  readonly atMs: number
}

/** What came in, in order; to be awaited or looked at. */
export class Reports<T> {
  readonly all: Report<T>[] = []
  readonly #what: string
  readonly #unread: Report<T>[] = []
  readonly #waiting = new Set<() => void>()

  constructor(what: string) {
    this.#what = what
  }

  add(report: Report<T>): void {
    this.all.push(report)
    this.#unread.push(report)
    for (const wake of [...this.#waiting]) wake()
  }

  /** The oldest one that matches and was not taken before. */
  async next(matches: (value: T) => boolean = () => true): Promise<Report<T>> {
    const deadlineMs = machineNowMs() + PATIENCE_MS
    for (;;) {
      const index = this.#unread.findIndex(({ value }) => matches(value))
      if (index >= 0) return this.#unread.splice(index, 1)[0]!
      await this.#more(deadlineMs - machineNowMs(), matches)
    }
  }

  #more(leftMs: number, matches: (value: T) => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        resolve()
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(wake)
        reject(new Error(`${this.#what}: nothing matches ${matches} among ${inspect(this.all, { depth: 2 })}`))
      }, leftMs)
      this.#waiting.add(wake)
    })
  }
}

interface Pending {
  readonly command: keyof NodeCommands
  resolve(value: unknown): void
  reject(error: Error): void
}

export interface ProcessOptions extends StartOptions {
  /** Addresses of nodes to dial. */
  readonly seeds?: readonly string[]
}

/** The cookie of every node that a test does not give another. */
export const COOKIE = 'a cookie of the end-to-end tests'

/** A process with one node in it. */
export class NodeProcess {
  readonly events: Reports<NodeEvent>
  readonly #child: ChildProcess
  readonly #pending = new Map<number, Pending>()
  readonly #mailboxes = new Map<string, Reports<unknown>>()
  readonly #stderr: Buffer[] = []
  #codec = channelCodec('test', undefined)
  #facts: NodeFacts | undefined
  #nextId = 1
  #mayEnd = false
  #onReady: () => void = () => {}

  private constructor(child: ChildProcess, label: string) {
    this.#child = child
    this.events = new Reports(`events of ${label}`)
    child.on('message', (message) => this.#take(message as ProcessMessage))
    child.stderr?.on('data', (chunk: Buffer) => this.#stderr.push(chunk))
    child.on('exit', (code, signal) => {
      for (const { reject } of this.#pending.values()) reject(new Error(`the process ended: ${signal ?? code}`))
      this.#pending.clear()
    })
  }

  /** A process whose node is not started yet; `imports`: modules that are loaded before everything else. */
  static async spawn(t: TestContext, label = 'a node', imports: readonly string[] = []): Promise<NodeProcess> {
    const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith('SKEIN_')))
    const child = fork(FIXTURE, [], {
      execArgv: ['tsx', ...imports].flatMap((module) => ['--import', module]),
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'pipe', 'ipc'],
      env,
    })
    const self = new NodeProcess(child, label)
    const ready = new Promise<void>((resolve) => {
      self.#onReady = resolve
    })
    t.defer(() => self.#cleanUp())
    await Promise.race([
      ready,
      once(child, 'exit').then(() => {
        throw new Error(`the process did not start: ${Buffer.concat(self.#stderr)}`)
      }),
    ])
    return self
  }

  /** A process with a running node on 127.0.0.1, found by nobody who is not given its address. */
  static async start(t: TestContext, options: ProcessOptions = {}): Promise<NodeProcess> {
    const self = await NodeProcess.spawn(t, options.name)
    await self.start(options)
    return self
  }

  async start({ seeds = [], ...options }: ProcessOptions = {}): Promise<NodeFacts> {
    return this.do('start', {
      host: '127.0.0.1',
      port: 0,
      cookie: COOKIE,
      logLevel: 'silent',
      discovery: { mdns: false, dht: false, seeds },
      ...options,
    })
  }

  get facts(): NodeFacts {
    if (this.#facts === undefined) throw new Error('the node has not been started')
    return this.#facts
  }

  get name(): string {
    return this.facts.name
  }

  get address(): string {
    return `127.0.0.1:${this.facts.port}`
  }

  /** Carries out a command; rejects with a RemoteFailure. */
  do<K extends keyof NodeCommands>(
    command: K,
    ...args: Parameters<NodeCommands[K]>
  ): Promise<ReturnType<NodeCommands[K]>> {
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#pending.set(id, { command, resolve: (value) => resolve(value as ReturnType<NodeCommands[K]>), reject })
      // The codec's buffer is used again by the next encode.
      const message: CommandMessage = { id, command, args: Uint8Array.from(this.#codec.encode(args)) }
      this.#child.send(message, (error) => error && reject(error))
    })
  }

  async puppet(name: string): Promise<Puppet> {
    return new Puppet(this, name, await this.do('puppet', name))
  }

  /** What the puppet of this name has received. */
  mailbox(name: string): Reports<unknown> {
    let mailbox = this.#mailboxes.get(name)
    if (mailbox === undefined) {
      mailbox = new Reports(`messages of ${name}`)
      this.#mailboxes.set(name, mailbox)
    }
    return mailbox
  }

  /** kill -9. Gives the time just before. */
  async kill(): Promise<number> {
    this.#mayEnd = true
    const gone = once(this.#child, 'exit')
    const atMs = machineNowMs()
    this.#child.kill('SIGKILL')
    await gone
    return atMs
  }

  /** Lets go of the process: it has to end by itself, if nothing of the node holds it. */
  async leave(): Promise<{ code: number | null; signal: NodeJS.Signals | null; stderr: string }> {
    this.#mayEnd = true
    const { stderr } = this.#child
    // Not its 'close': that one never comes when the channel was disconnected from here.
    const gone = once(this.#child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>
    const read = stderr === null ? undefined : once(stderr, 'end')
    this.#child.disconnect()
    const [code, signal] = await gone
    await read
    return { code, signal, stderr: Buffer.concat(this.#stderr).toString() }
  }

  /** All that a node says is up, by name, sorted. */
  async nodes(): Promise<string[]> {
    return (await this.do('nodes')).sort()
  }

  /** Resolves when this node has seen that one come up since the last time it was asked. */
  up(node: string): Promise<Report<NodeEvent>> {
    return this.events.next((event) => event.type === 'nodeup' && event.node === node)
  }

  down(node: string): Promise<Report<NodeEvent>> {
    return this.events.next((event) => event.type === 'nodedown' && event.node === node)
  }

  #take(message: ProcessMessage): void {
    if (message.type === 'ready') {
      this.#onReady()
      return
    }
    if (message.type === 'done' || message.type === 'failed') {
      const pending = this.#pending.get(message.id)
      this.#pending.delete(message.id)
      if (message.type === 'done') this.#done(pending, this.#decode(message.value))
      else pending?.reject(new RemoteFailure(message.failure))
      return
    }
    const report = { atMs: message.atMs, value: this.#decode(message.value) }
    if (message.type === 'event') this.events.add(report as Report<NodeEvent>)
    else this.mailbox(message.process).add(report)
  }

  #done(pending: Pending | undefined, value: unknown): void {
    if (pending?.command === 'start') {
      // Already the next message of the process is written with its own node in mind.
      this.#facts = value as NodeFacts
      this.#codec = channelCodec('test', this.#facts)
    }
    pending?.resolve(value)
  }

  #decode(bytes: Uint8Array): unknown {
    return this.#codec.decode(bytes, 0, bytes.length)
  }

  async #cleanUp(): Promise<void> {
    const ended = this.#child.exitCode !== null || this.#child.signalCode !== null
    if (ended && this.#mayEnd) return
    if (ended) throw new Error(`a node process ended unasked: ${Buffer.concat(this.#stderr)}`)
    await this.kill()
  }
}

type SelfMethods = {
  [K in keyof Self & string as Self[K] extends (...args: never[]) => unknown ? K : never]: Self[K]
}

/** A process of a node whose strings the test pulls; it reports all it receives and does nothing by itself. */
export class Puppet {
  readonly pid: Pid
  readonly name: string
  readonly node: NodeProcess
  #tokens = 0

  constructor(node: NodeProcess, name: string, pid: Pid) {
    this.node = node
    this.name = name
    this.pid = pid
  }

  get mailbox(): Reports<unknown> {
    return this.node.mailbox(this.name)
  }

  send(target: Target, message: unknown): Promise<boolean> {
    return this.#self('send', target, message)
  }

  call(target: Target, request: unknown, options: Omit<CallOptions, 'signal'> = {}): Promise<unknown> {
    return this.#self('call', target, request, options)
  }

  reply(from: From, value: unknown): Promise<boolean> {
    return this.#self('reply', from, value)
  }

  publish(group: string, message: unknown): Promise<boolean> {
    return this.#self('publish', group, message)
  }

  monitor(target: Target): Promise<Ref> {
    return this.#self('monitor', target)
  }

  demonitor(ref: Ref): Promise<boolean> {
    return this.#self('demonitor', ref)
  }

  link(pid: Pid): Promise<void> {
    return this.#self('link', pid)
  }

  unlink(pid: Pid): Promise<void> {
    return this.#self('unlink', pid)
  }

  /** Sends an exit signal. */
  exit(pid: Pid, reason: unknown): Promise<void> {
    return this.#self('exit', pid, reason)
  }

  monitorNodes(on: boolean): Promise<void> {
    return this.#self('monitorNodes', on)
  }

  trapExit(on: boolean): Promise<void> {
    return this.node.do('trapExit', this.name, on)
  }

  deaf(on: boolean): Promise<void> {
    return this.node.do('deaf', this.name, on)
  }

  /** Resolves when all that this puppet has sent to that one so far has arrived. */
  async caughtUp(other: Puppet): Promise<void> {
    const token = `caught up ${this.#tokens++}`
    await this.send(other.pid, token)
    await other.mailbox.next((message) => message === token)
  }

  #self<K extends keyof SelfMethods>(
    method: K,
    ...args: readonly (Parameters<SelfMethods[K]>[number] | ReceiveOptions)[]
  ): Promise<Awaited<ReturnType<SelfMethods[K]>>> {
    return this.node.do('self', this.name, method, args) as Promise<Awaited<ReturnType<SelfMethods[K]>>>
  }
}
