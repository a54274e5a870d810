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
import type { Route, SignalSink } from '../route.ts'
import { isOrderly, type Reason, type Signal } from '../signals.ts'
import { Streams } from '../streams/streams.ts'
import { type Behaviour, checkBehaviour, NO_TRAITS } from './behaviour.ts'
import { Births, type SpawnNamed } from './births.ts'
import { type CallOptions, Calls, type From } from './calls.ts'
import { Catalogue } from './catalogue.ts'
import { Changes } from './changes.ts'
import { type AnyPid, type AnyTarget, Directory } from './directory.ts'
import { Exits } from './exits.ts'
import { FairShare } from './fair-share.ts'
import { Forbidden } from './forbidden.ts'
import { receive } from './incoming.ts'
import { Inspection } from './inspection.ts'
import { PROCESS_LIMITS, type ProcessLimits } from './limits.ts'
import { Links } from './links.ts'
import { Mailbox, type MailboxLimits, mailboxLimits, rejected } from './mailbox.ts'
import { Monitors } from './monitors.ts'
import { Multicast } from './multicast.ts'
import { MAILBOX_REFUSAL } from './overflow.ts'
import { Post } from './post.ts'
import { Process } from './process.ts'
import type { ProcessesOptions } from './processes-options.ts'
import type { CastOf, ReplyOf, RequestOf, SendOf } from './protocol.ts'
import type { ProcessReport } from './report.ts'
import { Rights } from './rights.ts'
import { Self, type Services, type SpawnWithOptions } from './self.ts'
import { Spawns } from './spawns.ts'
import { tellStarter, whenStarted } from './starts.ts'
import { Tally } from './tally.ts'
import { Timers } from './timers.ts'
import { Tracing } from './tracing.ts'

/** How long `stop` leaves processes that trap exits to end by themselves, unless told otherwise. */
export const DEFAULT_SHUTDOWN_MS = 500
/** How long `stop` waits for functions that do not heed their end. */
const STOP_GRACE_MS = 100

/** `parent`: linked to it from the start; if it is on another node whoever spawns sees to the link. */
type SpawnOptions = SpawnWithOptions & { readonly parent?: Process | Pid; readonly startedFor?: string }

export class Processes implements SignalSink {
  readonly #origin: Origin
  readonly #clock: Clock
  readonly #report: (event: ProcessReport) => void
  readonly #limits: ProcessLimits
  readonly #usualMailbox: MailboxLimits
  readonly #share: FairShare
  /** Which traces messages belong to. */
  readonly tracing: Tracing
  readonly #directory: Directory
  readonly #links: Links
  readonly #monitors: Monitors
  readonly #calls: Calls
  readonly #exits: Exits
  /** What other nodes may do here. Services that act for other nodes ask it too. */
  readonly rights: Rights
  /** What may be started here by name. */
  readonly catalogue: Catalogue
  readonly spawns: Spawns
  readonly inspection: Inspection
  readonly streams: Streams
  readonly timers: Timers
  readonly multicast: Multicast
  readonly tally = new Tally()
  readonly #post: Post
  readonly #services: Services
  /** Processes that want nodeup and nodedown. */
  readonly #nodeWatchers = new Set<Process>()
  /** Dead processes whose function still runs. */
  readonly #lingering = new Set<Process>()
  /** Dead processes whose partners are still to be told. */
  readonly #ending: Process[] = []
  #telling = false
  #lastRef = 0
  #phase: 'running' | 'stopping' | 'stopped' = 'running'
  #stopping: Promise<void> | undefined
  /** A process or its function has ended. */
  readonly #changes = new Changes()

  constructor({ origin, clock, random, router, report, limits, stateCodec, tracer, allow = [] }: ProcessesOptions) {
    this.#origin = origin
    this.#clock = clock
    this.#report = report
    this.#limits = { ...PROCESS_LIMITS, ...limits }
    const { mailboxHighWater: highWater, mailbox: limit } = this.#limits
    this.#usualMailbox = { onFull: 'block', highWater, limit, hardLimit: limit }
    this.#share = new FairShare(clock)
    this.tracing = new Tracing(tracer)
    const nextRef = (): Ref => new Ref(origin, ++this.#lastRef)
    this.rights = new Rights(allow, new Forbidden(clock, (event) => this.#tell(event)))
    this.#directory = new Directory({ origin, router, clock, names: this.#limits.names, rights: this.rights })
    const post = new Post({
      clock,
      origin,
      directory: this.#directory,
      share: this.#share,
      tally: this.tally,
      report: (event) => this.#tell(event),
      refuse: (process, from) => this.#calls.refuse(process, from, MAILBOX_REFUSAL),
      end: (process, reason) => this.#end(process, reason),
      tracing: this.tracing,
    })
    this.#post = post
    this.#links = new Links(
      this.#directory,
      (process, from, reason) => this.#exits.overLink(process, from, reason),
      this.#limits,
    )
    this.#monitors = new Monitors(this.#directory, post, nextRef, this.#limits)
    const { tracing, tally } = this
    this.#calls = new Calls({
      directory: this.#directory,
      clock,
      post,
      limit: this.#limits.calls,
      tracing,
      tally,
      random,
    })
    this.timers = new Timers({ clock, post, nextRef, limit: this.#limits.timers })
    this.multicast = new Multicast({ directory: this.#directory, post, share: this.#share, tracing })
    const end = (process: Process, reason: Reason): void => this.#end(process, reason)
    this.#exits = new Exits({ origin, directory: this.#directory, post, end })
    this.catalogue = new Catalogue(origin.name, this.#limits.behaviours)
    this.inspection = new Inspection(this.#directory, this.#calls)
    this.streams = new Streams({ clock, directory: this.#directory, calls: this.#calls, post })
    const named = {
      catalogue: this.catalogue,
      rights: this.rights,
      links: this.#links,
      monitors: this.#monitors,
      spawn: ((behaviour, args, options) => this.#spawn(behaviour, args, options)) satisfies SpawnNamed,
    }
    this.spawns = new Spawns({
      ...named,
      clock,
      directory: this.#directory,
      exits: this.#exits,
      limit: this.#limits.spawns,
      nextRef,
      spawnMonitor: (watcher, behaviour, args, options) => this.#spawnMonitor(watcher, behaviour, args, options),
    })
    this.#services = {
      clock,
      directory: this.#directory,
      links: this.#links,
      monitors: this.#monitors,
      calls: this.#calls,
      timers: this.timers,
      exits: this.#exits,
      catalogue: this.catalogue,
      spawns: this.spawns,
      births: new Births({ ...named, limit: this.#limits.processesOfNode }),
      inspection: this.inspection,
      streams: this.streams,
      multicast: this.multicast,
      tracing,
      post,
      stateCodec,
      spawn: (behaviour, args, options) => this.#spawn(behaviour, args, options),
      spawnMonitor: (watcher, behaviour, args) => this.#spawnMonitor(watcher, behaviour, args),
      report: (event) => this.#tell(event),
      started: (process) => tellStarter(process, 'started'),
      whenStarted,
      failed: (process, error) => this.#failed(process, error),
      end,
      watchNodes: (process, on) => void (on ? this.#nodeWatchers.add(process) : this.#nodeWatchers.delete(process)),
    }
  }

  /** Starts a process; its function runs from the next microtask on. Throws ERR_SKEIN_LIMIT, ERR_SKEIN_STOPPED or why the name cannot be had. */
  spawn<M, A extends unknown[] = []>(behaviour: Behaviour<M, A>, options?: SpawnWithOptions, ...args: A): Pid<M> {
    return this.#spawn(behaviour, args, options).pid as Pid as Pid<M>
  }

  /**
   * As `spawn`; resolves when the process has started, at once for one that does not announce it. Rejects with
   * ERR_SKEIN_START_FAILED, whose cause is the reason, when it ended before, or as `spawn` throws.
   */
  async start<M, A extends unknown[] = []>(
    behaviour: Behaviour<M, A>,
    options?: SpawnWithOptions,
    ...args: A
  ): Promise<Pid<M>> {
    return whenStarted(this.#spawn(behaviour, args, options)) as Promise<Pid<M>>
  }

  /** As Self.send. */
  send<M>(target: Target<M>, message: SendOf<M>, from?: AnyPid): boolean {
    return this.#post.send('send', this.#sender(from), target as AnyTarget, message)
  }

  /** What cannot be sent is a dead letter. */
  sendOrReport(target: AnyPid, message: unknown): void {
    this.#post.sendOrReport(target, message)
  }

  /** As Self.cast. */
  cast<M>(target: Target<M>, message: CastOf<M>, from?: AnyPid): boolean {
    return this.#post.send('cast', this.#sender(from), target as AnyTarget, message)
  }

  /** Resolves when `target` takes more messages of this sender. */
  drained(target: AnyTarget, from?: AnyPid): Promise<void> {
    return this.#post.drained(this.#sender(from), target)
  }

  /** As Self.call. */
  call<M, const R extends RequestOf<M>>(
    target: Target<M>,
    request: R,
    options: CallOptions & { from?: AnyPid } = {},
  ): Promise<NoInfer<ReplyOf<M, R>>> {
    if (this.#phase === 'stopped') return rejected(stopped())
    const sender = this.#sender(options.from)
    return this.#calls.call(sender, target as AnyTarget, request, options) as Promise<NoInfer<ReplyOf<M, R>>>
  }

  /** As Self.reply. */
  reply(from: From, value: unknown): boolean {
    return this.#calls.reply(undefined, from, value)
  }

  /** Sends an exit signal; from the node itself unless `from` says otherwise. */
  exit(target: AnyTarget, reason: Reason, from?: AnyPid): void {
    this.#exits.send(this.#sender(from), target, reason)
  }

  /** Throws ERR_SKEIN_NOPROC, ERR_SKEIN_NAME_REGISTERED or ERR_SKEIN_BAD_NAME. */
  register(name: string, pid: AnyPid): void {
    this.#directory.registry.register(name, this.local(pid))
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

  /** How many live. */
  get count(): number {
    return this.#directory.processes.size
  }

  list(): Pid[] {
    return this.#directory.processes.values().map((process) => process.pid)
  }

  /** Throws ERR_SKEIN_NOPROC. */
  local(pid: AnyPid): Process {
    const process = this.isAlive(pid) ? this.#directory.processes.get(pid.number) : undefined
    if (process !== undefined) return process
    throw new SkeinError('ERR_SKEIN_NOPROC', `${pid} is no living process of this node.`)
  }

  /** Of a process of this node. */
  isAlive(pid: AnyPid): boolean {
    return pid instanceof Pid && this.#directory.isOwn(pid.origin) && this.#directory.processes.has(pid.number)
  }

  nodeUp(node: string): void {
    for (const process of [...this.#nodeWatchers]) this.#post.put(process, { type: 'nodeup', node })
  }

  nodeDown(node: string, reason: Reason): void {
    for (const process of [...this.#nodeWatchers]) this.#post.put(process, { type: 'nodedown', node, reason })
  }

  deliver(route: Route, signal: Signal, sizeBytes = 0): Hold | undefined {
    if (this.#phase === 'stopped') return undefined
    const bridge = this.#directory.bridge(route)
    // What a route still held when it went down is never delivered.
    if (bridge === 'noconnection') return undefined
    return receive(this.#services, bridge, signal, sizeBytes)
  }

  uses(route: Route): boolean {
    return this.#directory.uses(route)
  }

  routeDown(route: Route): void {
    const bridge = this.#directory.takeDown(route)
    if (bridge === undefined) return
    bridge.close()
    this.spawns.bridgeDown(bridge)
    this.#monitors.bridgeDown(bridge)
    this.#calls.bridgeDown(bridge)
    this.streams.bridgeDown(bridge)
    this.#links.bridgeDown(bridge)
  }

  /**
   * Ends all processes with reason shutdown. Those that trap exits are sent an exit first and have `timeoutMs` to end by
   * themselves. Waits a moment for functions that still run. Idempotent.
   */
  stop(timeoutMs: number = DEFAULT_SHUTDOWN_MS): Promise<void> {
    this.#stopping ??= this.#stop(timeoutMs)
    return this.#stopping
  }

  #spawn<M, A extends unknown[]>(behaviour: Behaviour<M, A>, args: A, options: SpawnOptions = {}): Process {
    const { name, mailbox, parent, startedFor } = options
    checkBehaviour(behaviour)
    if (this.#phase !== 'running') throw stopped()
    const { processes } = this.#limits
    if (this.#directory.processes.size + this.#lingering.size >= processes) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node runs ${processes} processes, the limit "processes".`)
    }
    const pid = new Pid(this.#origin, this.#directory.processes.next())
    const traits = behaviour.traits ?? NO_TRAITS
    const limits = mailboxLimits(mailbox ?? traits.mailbox, this.#usualMailbox)
    const parentPid = parent instanceof Process ? parent.pid : parent
    const process = new Process(pid, new Mailbox(this.#share, this.#clock, limits), traits, parentPid)
    process.startedFor = startedFor
    if (name !== undefined) this.#directory.registry.register(name, process)
    this.#directory.processes.set(pid.number, process)
    this.tally.begun(process)
    this.#share.soon({ run: () => this.#run(process, behaviour, args) })
    if (parent instanceof Process) this.#bind(process, () => this.#links.link(parent, pid))
    return process
  }

  #spawnMonitor<M, A extends unknown[]>(
    watcher: Process,
    behaviour: Behaviour<M, A>,
    args: A,
    options?: SpawnOptions,
  ): { process: Process; ref: Ref } {
    const process = this.#spawn(behaviour, args, options)
    return { process, ref: this.#bind(process, () => this.#monitors.monitor(watcher, process.pid)) }
  }

  /** Whoever spawns gets the link or monitor with the process, or an error and no process. */
  #bind<T>(process: Process, bond: () => T): T {
    try {
      return bond()
    } catch (error) {
      this.#end(process, 'killed')
      throw error
    }
  }

  #run<M, A extends unknown[]>(process: Process, behaviour: Behaviour<M, A>, args: A): void {
    if (process.ended !== undefined) {
      this.#returned(process)
      return
    }
    try {
      const self = new Self<M>(process, this.#services)
      const result = this.tracing.isOn ? this.tracing.apart(behaviour, self, ...args) : behaviour(self, ...args)
      if (result === undefined) this.#completed(process)
      else {
        // Two functions here, and not an await: it is half the memory of a process that waits for messages.
        Promise.resolve(result).then(
          () => this.#completed(process),
          (error: unknown) => this.#threw(process, error),
        )
      }
    } catch (error) {
      this.#threw(process, error)
    }
  }

  #completed(process: Process): void {
    if (!process.serves) this.#end(process, 'normal')
    else if (process.ended === undefined && !process.mailbox.isServed) {
      this.#failed(process, new SkeinError('ERR_SKEIN_BAD_RETURN', 'It returned and serves nothing.'))
    }
    this.#returned(process)
  }

  #threw(process: Process, error: unknown): void {
    this.#failed(process, error)
    this.#returned(process)
  }

  #returned(process: Process): void {
    process.running = false
    if (this.#lingering.delete(process)) this.#services.births.over(process)
    this.#changes.happened()
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
    for (const table of process.tables ?? []) table.ended(process)
    process.tables = undefined
    this.#nodeWatchers.delete(process)
    if (process.running) this.#lingering.add(process)
    else this.#services.births.over(process)
    this.#ending.push(process)
    process.end(reason)
    this.tally.over(process, reason)
    tellStarter(process, 'ended')
    if (this.#telling) return
    this.#telling = true
    // Telling of one end can bring about more: they are found behind it in the same list.
    for (let i = 0; i < this.#ending.length; i++) this.#settle(this.#ending[i] as Process)
    this.#ending.length = 0
    this.#telling = false
    this.#changes.happened()
  }

  /** Tells all who have to do with a process that it has ended. */
  #settle(process: Process): void {
    const reason = process.ended?.reason
    this.#calls.ended(process, reason)
    this.streams.ended(process)
    this.spawns.ended(process, reason)
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

  #sender(pid: AnyPid | undefined): Process | undefined {
    return pid === undefined ? undefined : this.local(pid)
  }

  #tell(event: ProcessReport): void {
    this.tally.reported(event)
    try {
      this.#report(event)
    } catch {
      // Whoever listens must not bring down what it listens to.
    }
  }

  async #stop(timeoutMs: number): Promise<void> {
    this.#phase = 'stopping'
    const { processes } = this.#directory
    const [trapping, others] = [[], []] as [Process[], Process[]]
    for (const process of processes.values()) {
      // A supervisor ends its children itself, in order.
      if (this.#isSupervised(process)) continue
      if (process.trapExit) trapping.push(process)
      else others.push(process)
    }
    for (const { pid } of trapping) this.#exits.order(pid, 'shutdown')
    for (const process of others) this.#end(process, 'shutdown')
    await this.#changes.until(this.#clock, () => processes.size === 0, timeoutMs)
    this.#phase = 'stopped'
    this.timers.stop()
    for (const process of processes.values()) this.#end(process, 'shutdown')
    this.#calls.stop()
    this.streams.stop()
    this.spawns.stop()
    this.#post.stop()
    await this.#changes.until(this.#clock, () => this.#lingering.size === 0, STOP_GRACE_MS)
  }

  #isSupervised({ parent }: Process): boolean {
    if (parent === undefined || !this.#directory.isOwn(parent.origin)) return false
    return this.#directory.processes.get(parent.number)?.traits.supervises === true
  }
}

const stopped = (): SkeinError => new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')
