/**
 * The processes of one node: their lives, and the signals between them and the rest of the world.
 *
 * A process begins with a function and ends once, with a reason. Ending it frees its names, closes its mailbox and tells
 * all who link, monitor or call it before anything else happens, in a loop and not by recursion, so that a long chain of
 * links cannot exhaust the stack. Signals within the node are applied at once; signals of other nodes come in through
 * `deliver` and go out over bridges. What a peer sends never throws here.
 */
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Hold } from '../../transport/lane.ts'
import { type Origin, Pid, Ref, type Target } from '../pid.ts'
import type { Route, Router, SignalSink } from '../route.ts'
import type { Reason, Signal } from '../signals.ts'
import { type Behaviour, checkBehaviour, NO_TRAITS } from './behaviour.ts'
import { Bridge } from './bridge.ts'
import { type CallOptions, Calls, type From } from './calls.ts'
import { type AnyPid, type AnyTarget, addressOf, Directory } from './directory.ts'
import { FairShare } from './fair-share.ts'
import { Links } from './links.ts'
import { MAILBOX_HIGH_WATER, MAILBOX_LIMIT, Mailbox, rejected } from './mailbox.ts'
import { Monitors } from './monitors.ts'
import { type DeadLetter, Post } from './post.ts'
import { Process } from './process.ts'
import { Self, type Services } from './self.ts'
import { Timers } from './timers.ts'

/** How long `stop` waits for functions that do not heed their end. Well below the 200 ms a graceful stop may take. */
const STOP_GRACE_MS = 100

/** How much one node holds. What is beyond is refused with ERR_SKEIN_LIMIT; other nodes hear system_limit. */
export interface ProcessLimits {
  /** Processes alive, and functions still running though their process has ended. */
  readonly processes: number
  readonly names: number
  /** Of one process, and with one other node. */
  readonly links: number
  /** Of one process, and in either direction with one other node. */
  readonly monitors: number
  /** Waited for by this node, and by one other node. */
  readonly calls: number
  readonly timers: number
  /** Messages in one mailbox from which senders are held back. */
  readonly mailboxHighWater: number
  /** Messages one mailbox can hold. */
  readonly mailbox: number
}

const PROCESS_LIMITS: ProcessLimits = {
  processes: 1_000_000,
  names: 1_000_000,
  links: 1_000_000,
  monitors: 1_000_000,
  calls: 1_000_000,
  timers: 1_000_000,
  mailboxHighWater: MAILBOX_HIGH_WATER,
  mailbox: MAILBOX_LIMIT,
}

/** What the operator may want to know. */
export type ProcessReport =
  /** The function of a process threw, and the process ended with that. */
  | { readonly type: 'crashed'; readonly pid: Pid; readonly reason: Reason }
  /** The function threw when its process had already ended. */
  | { readonly type: 'failedAfterEnd'; readonly pid: Pid; readonly reason: Reason }
  | DeadLetter

export interface ProcessesOptions {
  readonly origin: Origin
  readonly clock: Clock
  readonly router: Router
  readonly report: (event: ProcessReport) => void
  readonly limits?: Partial<ProcessLimits>
}

export interface SpawnOptions {
  readonly name?: string
  /** A process of this node that the new one is linked to from the start. */
  readonly link?: AnyPid
  /** A process of this node that is told of the new one's end. */
  readonly monitor?: AnyPid
}

type Spawn = Pick<SpawnOptions, 'name'>

export class Processes implements SignalSink {
  readonly #origin: Origin
  readonly #clock: Clock
  readonly #report: (event: ProcessReport) => void
  readonly #limits: ProcessLimits
  readonly #share: FairShare
  readonly #directory: Directory
  readonly #links: Links
  readonly #monitors: Monitors
  readonly #calls: Calls
  readonly #timers: Timers
  readonly #post: Post
  readonly #services: Services
  /** Processes that want nodeup and nodedown. */
  readonly #nodeWatchers = new Set<Process>()
  /** Dead processes whose function still runs. */
  readonly #lingering = new Set<Process>()
  /** Dead processes whose partners are still to be told. */
  readonly #ending: Process[] = []
  #telling = false
  #lastProcess = 0
  #lastRef = 0
  #stopped = false
  #stopping: Promise<void> | undefined
  #onceQuiet: (() => void) | undefined

  constructor({ origin, clock, router, report, limits }: ProcessesOptions) {
    this.#origin = origin
    this.#clock = clock
    this.#report = report
    this.#limits = { ...PROCESS_LIMITS, ...limits }
    this.#share = new FairShare(clock)
    const nextRef = (): Ref => new Ref(origin, ++this.#lastRef)
    this.#directory = new Directory({ origin, router, clock, names: this.#limits.names })
    const post = new Post({
      origin,
      directory: this.#directory,
      share: this.#share,
      report: (letter) => this.#tell(letter),
      end: (process, reason) => this.#end(process, reason),
    })
    this.#post = post
    this.#links = new Links(
      this.#directory,
      (process, from, reason) => this.#linkExit(process, from, reason),
      this.#limits.links,
    )
    this.#monitors = new Monitors(this.#directory, post, nextRef, this.#limits.monitors)
    this.#calls = new Calls({ directory: this.#directory, clock, post, limit: this.#limits.calls })
    this.#timers = new Timers(clock, nextRef, this.#limits.timers)
    this.#services = {
      directory: this.#directory,
      links: this.#links,
      monitors: this.#monitors,
      calls: this.#calls,
      timers: this.#timers,
      post,
      spawn: (behaviour, args, options) => this.#spawn(behaviour, args, options),
      started: (process) => tellStarter(process, 'started'),
      whenStarted,
      failed: (process, error) => this.#failed(process, error),
      exit: (sender, target, reason) => this.#exit(sender, target, reason),
      end: (process, reason) => this.#end(process, reason),
      watchNodes: (process, on) => {
        if (on) this.#nodeWatchers.add(process)
        else this.#nodeWatchers.delete(process)
      },
    }
  }

  /** Starts a process; its function runs from the next microtask on. Throws ERR_SKEIN_LIMIT, ERR_SKEIN_STOPPED or why the name cannot be had. */
  spawn<M, A extends unknown[]>(behaviour: Behaviour<M, A>, options: SpawnOptions = {}, ...args: A): Pid<M> {
    const linked = options.link && this.#local(options.link)
    const watcher = options.monitor && this.#local(options.monitor)
    const process = this.#spawn(behaviour, args, options)
    if (linked !== undefined) this.#links.link(linked, process.pid)
    if (watcher !== undefined) this.#monitors.monitor(watcher, process.pid)
    return process.pid as Pid as Pid<M>
  }

  /**
   * As `spawn`; resolves when the process has started, at once for one that does not announce it. Rejects with
   * ERR_SKEIN_START_FAILED, whose cause is the reason, when it ended before, or as `spawn` throws.
   */
  async start<M, A extends unknown[]>(
    behaviour: Behaviour<M, A>,
    options: SpawnOptions = {},
    ...args: A
  ): Promise<Pid<M>> {
    const pid = this.spawn(behaviour, options, ...args)
    return whenStarted(this.#local(pid)) as Promise<Pid<M>>
  }

  /** As Self.send. */
  send<T>(target: Target<T>, message: NoInfer<T>, from?: AnyPid): boolean {
    return this.#post.send('send', this.#sender(from), target as AnyTarget, message)
  }

  /** As Self.cast. */
  cast<T>(target: Target<T>, message: NoInfer<T>, from?: AnyPid): boolean {
    return this.#post.send('cast', this.#sender(from), target as AnyTarget, message)
  }

  /** Resolves when `target` takes more messages of this sender. */
  drained(target: AnyTarget, from?: AnyPid): Promise<void> {
    return this.#post.drained(this.#sender(from), target)
  }

  /** As Self.call. */
  call(target: AnyTarget, request: unknown, options: CallOptions & { from?: AnyPid } = {}): Promise<unknown> {
    if (this.#stopped) return rejected(stopped())
    return this.#calls.call(this.#sender(options.from), target, request, options)
  }

  /** As Self.reply. */
  reply(from: From, value: unknown): boolean {
    return this.#calls.reply(undefined, from, value)
  }

  /** Sends an exit signal; from the node itself unless `from` says otherwise. */
  exit(target: AnyTarget, reason: Reason, from?: AnyPid): void {
    this.#exit(this.#sender(from), target, reason)
  }

  /** Throws ERR_SKEIN_NOPROC, ERR_SKEIN_NAME_REGISTERED or ERR_SKEIN_BAD_NAME. */
  register(name: string, pid: AnyPid): void {
    this.#directory.registry.register(name, this.#local(pid))
  }

  /** Throws ERR_SKEIN_NOT_REGISTERED. */
  unregister(name: string): void {
    this.#directory.registry.unregister(name)
  }

  whereis(name: string): Pid | undefined {
    return this.#directory.registry.get(name)?.pid
  }

  registered(): string[] {
    return this.#directory.registry.names()
  }

  list(): Pid[] {
    return Array.from(this.#directory.processes.values(), (process) => process.pid)
  }

  /** Of a process of this node. */
  isAlive(pid: AnyPid): boolean {
    return this.#directory.isOwn(pid.origin) && this.#directory.processes.has(pid.number)
  }

  nodeUp(node: string): void {
    for (const process of [...this.#nodeWatchers]) this.#post.put(process, { type: 'nodeup', node })
  }

  nodeDown(node: string, reason: Reason): void {
    for (const process of [...this.#nodeWatchers]) this.#post.put(process, { type: 'nodedown', node, reason })
  }

  deliver(route: Route, signal: Signal, sizeBytes = 0): Hold | undefined {
    if (this.#stopped) return undefined
    const bridge = this.#directory.bridge(route)
    // What a route still held when it went down is never delivered.
    if (bridge === 'noconnection') return undefined
    switch (signal.type) {
      case 'send':
      case 'cast':
        return this.#post.receive(bridge, signal, sizeBytes)
      case 'call':
        return this.#calls.onCall(bridge, signal, sizeBytes)
      case 'reply':
        this.#calls.onReply(bridge, signal)
        break
      case 'callFailed':
        this.#calls.onCallFailed(bridge, signal)
        break
      case 'callEnded':
        this.#calls.onCallEnded(bridge, signal)
        break
      case 'link':
        this.#links.onLink(bridge, signal)
        break
      case 'unlink':
        this.#links.onUnlink(bridge, signal)
        break
      case 'unlinkAck':
        this.#links.onUnlinkAck(bridge, signal)
        break
      case 'linkExit':
        this.#links.onLinkExit(bridge, signal)
        break
      case 'monitor':
        this.#monitors.onMonitor(bridge, signal)
        break
      case 'demonitor':
        this.#monitors.onDemonitor(bridge, signal)
        break
      case 'down':
        this.#monitors.onDown(bridge, signal)
        break
      case 'exit': {
        const process = this.#directory.find(signal.to)
        const origin = route.origin
        if (process !== undefined && origin !== undefined) {
          this.#exitSignal(process, new Pid(origin, signal.from), signal.reason)
        }
        break
      }
    }
    return undefined
  }

  routeDown(route: Route): void {
    const bridge = this.#directory.takeDown(route)
    if (bridge === undefined) return
    bridge.close()
    this.#monitors.bridgeDown(bridge)
    this.#calls.bridgeDown(bridge)
    this.#links.bridgeDown(bridge)
  }

  /** Ends every process with reason shutdown and waits a moment for functions that still run. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  #spawn<M, A extends unknown[]>(behaviour: Behaviour<M, A>, args: A, { name }: Spawn = {}): Process {
    checkBehaviour(behaviour)
    if (this.#stopped) throw stopped()
    const { processes, mailbox, mailboxHighWater } = this.#limits
    if (this.#directory.processes.size + this.#lingering.size >= processes) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node runs ${processes} processes, the limit "processes".`)
    }
    const pid = new Pid(this.#origin, this.#lastProcess + 1)
    const process = new Process(
      pid,
      new Mailbox(this.#share, this.#clock, { highWater: mailboxHighWater, limit: mailbox }),
      behaviour.traits ?? NO_TRAITS,
    )
    if (name !== undefined) this.#directory.registry.register(name, process)
    this.#lastProcess++
    this.#directory.processes.set(pid.number, process)
    const run = (): void => {
      void this.#run(process, behaviour, args)
    }
    queueMicrotask(() => (this.#share.take() ? run() : this.#share.later(run)))
    return process
  }

  async #run<M, A extends unknown[]>(process: Process, behaviour: Behaviour<M, A>, args: A): Promise<void> {
    if (process.ended === undefined) {
      try {
        await behaviour(new Self<M>(process, this.#services), ...args)
        if (!process.serves) this.#end(process, 'normal')
        else if (!process.mailbox.isServed)
          throw new SkeinError('ERR_SKEIN_BAD_RETURN', 'It returned and serves nothing.')
      } catch (error) {
        this.#failed(process, error)
      }
    }
    process.running = false
    this.#lingering.delete(process)
    if (this.#lingering.size === 0) this.#onceQuiet?.()
  }

  #failed(process: Process, error: unknown): void {
    const { ended, pid } = process
    if (ended === undefined) {
      if (!isOrderly(error)) this.#tell({ type: 'crashed', pid, reason: error })
      this.#end(process, error)
    } else if (!isSkeinError(error, 'ERR_SKEIN_PROCESS_ENDED') && error !== ended.reason) {
      this.#tell({ type: 'failedAfterEnd', pid, reason: error })
    }
  }

  /** The one way a process ends. Idempotent. */
  #end(process: Process, reason: Reason): void {
    if (process.ended !== undefined) return
    this.#directory.processes.delete(process.pid.number)
    this.#directory.registry.ended(process)
    this.#nodeWatchers.delete(process)
    if (process.running) this.#lingering.add(process)
    this.#ending.push(process)
    process.end(reason)
    tellStarter(process, 'ended')
    if (this.#telling) return
    this.#telling = true
    // Telling of one end can bring about more: they are found behind it in the same list.
    for (let i = 0; i < this.#ending.length; i++) this.#settle(this.#ending[i] as Process)
    this.#ending.length = 0
    this.#telling = false
  }

  /** Tells all who have to do with a process that it has ended. */
  #settle(process: Process): void {
    const reason = process.ended?.reason
    this.#calls.ended(process, reason)
    this.#links.ended(process, reason)
    this.#monitors.ended(process, reason)
    for (const bridge of process.bridges ?? []) {
      bridge.senders.delete(process)
      bridge.retire(process.pid.number)
    }
    process.bridges = undefined
    process.lastBridge = undefined
    process.abort()
  }

  /** The rules for an exit signal that came over a link (Erlang Reference Manual, "Processes: Receiving Exit Signals"). */
  #linkExit(process: Process, from: Pid, reason: Reason): void {
    if (process.trapExit) this.#post.put(process, { type: 'EXIT', pid: from, reason })
    else if (reason !== 'normal') this.#end(process, reason)
  }

  /** The same for exit/2: kill cannot be trapped, and normal ends only the process that sent it to itself. */
  #exitSignal(process: Process, from: Pid, reason: Reason): void {
    if (reason === 'kill') this.#end(process, 'killed')
    else if (process.trapExit) this.#post.put(process, { type: 'EXIT', pid: from, reason })
    else if (reason !== 'normal' || from.equals(process.pid)) this.#end(process, reason)
  }

  #exit(sender: Process | undefined, target: AnyTarget, reason: Reason): void {
    const at = this.#directory.locate(target)
    const from = sender?.pid ?? new Pid(this.#origin, 0)
    if (at instanceof Process) this.#exitSignal(at, from, reason)
    else if (at instanceof Bridge) at.send(sender, { type: 'exit', from: from.number, to: addressOf(target), reason })
  }

  #local(pid: AnyPid): Process {
    const process = this.#directory.isOwn(pid.origin) ? this.#directory.processes.get(pid.number) : undefined
    if (process !== undefined) return process
    throw new SkeinError('ERR_SKEIN_NOPROC', `${pid} is no living process of this node.`)
  }

  #sender(pid: AnyPid | undefined): Process | undefined {
    return pid === undefined ? undefined : this.#local(pid)
  }

  #tell(event: ProcessReport): void {
    try {
      this.#report(event)
    } catch {
      // Whoever listens must not bring down what it listens to.
    }
  }

  async #stop(): Promise<void> {
    this.#stopped = true
    this.#timers.stop()
    for (const process of [...this.#directory.processes.values()]) this.#end(process, 'shutdown')
    this.#calls.stop()
    if (this.#lingering.size === 0) return
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(STOP_GRACE_MS, resolve)
      this.#onceQuiet = () => {
        timer.cancel()
        resolve()
      }
    })
    this.#onceQuiet = undefined
  }
}

/** Reasons that are no failure (OTP, "Supervision Principles": they leave no crash report). */
const isOrderly = (reason: Reason): boolean => reason === 'normal' || reason === 'shutdown'

/** Tells whoever waits for the start of a process how that went. */
const tellStarter = (process: Process, outcome: 'started' | 'ended'): void => {
  const { onStarted } = process
  process.onStarted = undefined
  onStarted?.(outcome)
}

/** To be asked right after spawning, before the function runs. */
const whenStarted = (process: Process): Promise<Pid> => {
  const { pid, traits } = process
  if (traits.announces !== true) return Promise.resolve(pid)
  return new Promise((resolve, reject) => {
    process.onStarted = (outcome) => {
      if (outcome === 'started') resolve(pid)
      else {
        const cause = process.ended?.reason
        reject(new SkeinError('ERR_SKEIN_START_FAILED', `${pid} ended before it had started.`, { cause }))
      }
    }
  })
}

const stopped = (): SkeinError => new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')
