/**
 * What a process function is given: everything a process can do.
 *
 * A process that was ended from outside is dead for everybody at that instant, though its function may still run, because
 * JavaScript cannot be interrupted. From then on whatever it sends, links or takes back is dropped without an error (it
 * may run in a callback that nobody guards; send says false), and whatever would have to give an answer fails with
 * ERR_SKEIN_PROCESS_ENDED, whose cause is the exit reason. Letting that error pass ends the function.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Pid, Ref, Target } from '../pid.ts'
import type { Reason } from '../signals.ts'
import type { DuplexStream, OpenedStream, OpenStreamOptions, Streams } from '../streams/streams.ts'
import type { Codec } from '../wire/codec.ts'
import type { Behaviour, MailboxOptions } from './behaviour.ts'
import type { Births } from './births.ts'
import type { CallOptions, Calls, From } from './calls.ts'
import type { Catalogue } from './catalogue.ts'
import type { AnyPid, AnyTarget, Directory } from './directory.ts'
import type { Exits } from './exits.ts'
import type { Inspection, ProcessInfo } from './inspection.ts'
import type { Links } from './links.ts'
import type { Mailbox } from './mailbox.ts'
import type { Monitors } from './monitors.ts'
import type { GroupName, Multicast, PublishOptions } from './multicast.ts'
import type { Post } from './post.ts'
import type { Process, Supervised } from './process.ts'
import type { CastOf, ReplyOf, RequestOf, SendOf } from './protocol.ts'
import type { ProcessReport } from './report.ts'
import type { SpawnOnOptions, Spawns } from './spawns.ts'
import type { Timers } from './timers.ts'
import type { Tracing } from './tracing.ts'

const MAX_LABEL_LENGTH = 255

/** What `self.receive` takes. */
export interface ReceiveOptions {
  /** Milliseconds; 0 looks once. Default: Infinity. */
  readonly timeoutMs?: number
}

/** How a process is spawned, where that is not as usual. */
export interface SpawnWithOptions {
  /** A name on this node, from the start. */
  readonly name?: string
  /** Instead of what the behaviour says of its mailbox. */
  readonly mailbox?: MailboxOptions
}

/** For the behaviours of this package: what a Self does not show to users. */
export const INSIDE: unique symbol = Symbol('inside')

export interface Inside {
  readonly process: Process
  readonly services: Services
}

/** What the process layer does for its processes. */
export interface Services {
  readonly clock: Clock
  readonly directory: Directory
  readonly links: Links
  readonly monitors: Monitors
  readonly calls: Calls
  readonly timers: Timers
  readonly exits: Exits
  readonly catalogue: Catalogue
  readonly spawns: Spawns
  readonly births: Births
  readonly inspection: Inspection
  readonly streams: Streams
  readonly multicast: Multicast
  readonly tracing: Tracing
  readonly post: Post
  /** For states that outlive their process. */
  readonly stateCodec: Codec | undefined
  /** With a parent: linked to it from the start. */
  spawn<M, A extends unknown[]>(
    behaviour: Behaviour<M, A>,
    args: A,
    options?: SpawnWithOptions & { readonly parent?: Process },
  ): Process
  spawnMonitor<M, A extends unknown[]>(
    watcher: Process,
    behaviour: Behaviour<M, A>,
    args: A,
  ): { readonly process: Process; readonly ref: Ref }
  /** Tells the operator. */
  report(event: ProcessReport): void
  /** The process says that it has started. */
  started(process: Process): void
  /** Resolves when the process, just spawned, has started; rejects with ERR_SKEIN_START_FAILED. */
  whenStarted(process: Process): Promise<Pid>
  /** The function of a process threw. */
  failed(process: Process, error: unknown): void
  end(process: Process, reason: Reason): void
  watchNodes(process: Process, on: boolean): void
}

/** The messages of a process, one after the other. */
class Steps<M> implements AsyncIterator<M, never> {
  readonly #mailbox: Mailbox

  constructor(mailbox: Mailbox) {
    this.#mailbox = mailbox
  }

  next(): Promise<IteratorResult<M, never>> {
    // Senders are held to M by the type of the pid; what crosses a wire or a registry is M on their word.
    return this.#mailbox.next() as Promise<IteratorResult<M, never>>
  }
}

export class Self<M = unknown> implements AsyncIterable<M, never> {
  readonly #process: Process
  readonly #services: Services

  /** @internal A process is given its own. */
  constructor(process: Process, services: Services) {
    this.#process = process
    this.#services = services
  }

  /** @internal */
  get [INSIDE](): Inside {
    return { process: this.#process, services: this.#services }
  }

  /** The address of this process, on every node. */
  get pid(): Pid<M> {
    return this.#process.pid as Pid as Pid<M>
  }

  /** name@host of this node. */
  get node(): string {
    return this.#process.pid.node
  }

  /** Aborted when the process has ended: pass it to whatever else the function awaits. */
  get signal(): AbortSignal {
    return this.#process.signal
  }

  /** True: exit signals, except kill, arrive as `{ type: 'EXIT', pid, reason }`. */
  get trapExit(): boolean {
    return this.#process.trapExit
  }

  set trapExit(on: boolean) {
    this.#process.trapExit = on
  }

  /** What this process is for, for people: shown in process info. At most 255 characters. */
  get label(): string | undefined {
    return this.#process.label
  }

  set label(label: string | undefined) {
    if (label !== undefined && (typeof label !== 'string' || label.length > MAX_LABEL_LENGTH)) {
      const text = `A label is a string of at most ${MAX_LABEL_LENGTH} characters.`
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', text)
    }
    this.#process.label = label
  }

  /**
   * The `traceparent` of what this process does now, if the node traces: of the handler that runs, or, in a function, of
   * the message it took last. What it sends carries it on.
   */
  get traceparent(): string | undefined {
    const { tracing } = this.#services
    return tracing.isOn ? tracing.of(this.#process) : undefined
  }

  /** Undefined unless it is a child of a distributed supervisor. */
  get supervised(): Supervised | undefined {
    return this.#process.supervised
  }

  /** Messages in order of arrival, without end. */
  [Symbol.asyncIterator](): AsyncIterator<M, never> {
    return new Steps<M>(this.#process.mailbox)
  }

  /**
   * The oldest message that matches; those passed over stay, in order. One receive at a time. Rejects with
   * ERR_SKEIN_RECEIVE_TIMEOUT, or with what `match` threw.
   */
  receive<T extends M>(match: (message: M) => message is T, options?: ReceiveOptions): Promise<T>
  receive(match?: (message: M) => boolean, options?: ReceiveOptions): Promise<M>
  receive(match?: (message: M) => boolean, options?: ReceiveOptions): Promise<M> {
    const timeoutMs = options?.timeoutMs ?? Number.POSITIVE_INFINITY
    return this.#process.mailbox.receive(match as ((message: unknown) => boolean) | undefined, timeoutMs) as Promise<M>
  }

  /**
   * False: much is waiting already; await `drained(target)` before sending much more. A target that does not exist drops
   * the message. Throws ERR_SKEIN_QUEUE_FULL, ERR_SKEIN_UNSERIALISABLE or ERR_SKEIN_MESSAGE_TOO_LARGE when it was refused.
   * Within a node messages are handed over, not copied.
   */
  send<N>(target: Target<N>, message: SendOf<N>): boolean {
    return this.#alive && this.#services.post.send('send', this.#process, target as AnyTarget, message)
  }

  /** A request that wants no reply. As `send`, but a GenServer and its like handle it by `handleCast`. */
  cast<N>(target: Target<N>, message: CastOf<N>): boolean {
    return this.#alive && this.#services.post.send('cast', this.#process, target as AnyTarget, message)
  }

  /**
   * Sends to every member of a group, in order with whatever else this process sends to them. False: some have much to
   * read already; await `drained({ group })`. Who can take nothing more misses it, with a dead letter. Throws as `send`, but
   * not ERR_SKEIN_QUEUE_FULL.
   */
  publish(group: string, message: unknown, options?: PublishOptions): boolean {
    return this.#alive && this.#services.multicast.publisher?.publish(this.#process, group, message, options) === true
  }

  /** Resolves when `target`, or every member of that group, takes more. */
  drained(target: AnyTarget | GroupName): Promise<void> {
    if (this.#alive) {
      if (typeof target !== 'object' || target === null || !('group' in target)) {
        return this.#services.post.drained(this.#process, target)
      }
      return this.#services.multicast.publisher?.drained(this.#process, target) ?? Promise.resolve()
    }
    return this.#process.mailbox.refused()
  }

  /** Rejects with ERR_SKEIN_NOPROC, _NOCONNECTION, _CALL_EXIT, _CALL_TIMEOUT, _CALL_ABORTED, or why it could not be sent. */
  call<N, const R extends RequestOf<N>>(
    target: Target<N>,
    request: R,
    options?: CallOptions,
  ): Promise<NoInfer<ReplyOf<N, R>>> {
    if (!this.#alive) return this.#process.mailbox.refused()
    return this.#services.calls.call(this.#process, target as AnyTarget, request, options) as Promise<
      NoInfer<ReplyOf<N, R>>
    >
  }

  /** Answers a call message, here or wherever its `from` was handed to. A reply nobody waits for vanishes. */
  reply<Reply>(from: From<Reply>, value: [Reply] extends [never] ? unknown : Reply): boolean {
    return this.#alive && this.#services.calls.reply(this.#process, from, value)
  }

  /** From now on the end of either is an exit signal to the other; one with noproc or noconnection where there is nobody. */
  link(pid: AnyPid): void {
    if (this.#alive) this.#services.links.link(this.#process, pid)
  }

  /** No exit of that link is delivered after this; one delivered before stays in the mailbox. */
  unlink(pid: AnyPid): void {
    if (this.#alive) this.#services.links.unlink(this.#process, pid)
  }

  /** One `{ type: 'DOWN', ref, pid, reason }` will come when the target has ended; at once if there is none. */
  monitor(target: AnyTarget): Ref {
    this.#mustLive()
    return this.#services.monitors.monitor(this.#process, target)
  }

  /** True if the DOWN was still to come; it will not. `flush` removes one that has come already. */
  demonitor(ref: Ref, options?: { flush?: boolean }): boolean {
    return this.#alive && this.#services.monitors.demonitor(this.#process, ref, options?.flush === true)
  }

  /** Tells about other nodes: `{ type: 'nodeup' | 'nodedown', node, reason? }`. */
  monitorNodes(on: boolean): void {
    if (this.#alive) this.#services.watchNodes(this.#process, on)
  }

  /** With one argument: ends this process now and throws, to unwind the function. With two: sends an exit signal. */
  exit(reason: Reason): never
  exit(pid: AnyPid, reason: Reason): void
  exit(...args: [Reason] | [AnyPid, Reason]): void {
    if (args.length === 2) {
      if (this.#alive) this.#services.exits.send(this.#process, args[0], args[1])
      return
    }
    this.#services.end(this.#process, args[0])
    throw this.#process.endedError()
  }

  /** Starts a process of this node, of which this one hears no more. Throws ERR_SKEIN_LIMIT or _PROCESS_ENDED. */
  spawn<N, A extends unknown[] = []>(behaviour: Behaviour<N, A>, ...args: A): Pid<N> {
    this.#mustLive()
    return this.#services.spawn(behaviour, args).pid as Pid as Pid<N>
  }

  /** Spawns and links in one step: the child cannot end unnoticed in between. */
  spawnLink<N, A extends unknown[] = []>(behaviour: Behaviour<N, A>, ...args: A): Pid<N> {
    this.#mustLive()
    return this.#services.spawn(behaviour, args, { parent: this.#process }).pid as Pid as Pid<N>
  }

  /** Spawns and monitors in one step. */
  spawnMonitor<N, A extends unknown[] = []>(behaviour: Behaviour<N, A>, ...args: A): { pid: Pid<N>; ref: Ref } {
    this.#mustLive()
    const { process, ref } = this.#services.spawnMonitor(this.#process, behaviour, args)
    return { pid: process.pid as Pid as Pid<N>, ref }
  }

  /** As `spawn`, with options. */
  spawnWith<N, A extends unknown[] = []>(options: SpawnWithOptions, behaviour: Behaviour<N, A>, ...args: A): Pid<N> {
    this.#mustLive()
    return this.#services.spawn(behaviour, args, options).pid as Pid as Pid<N>
  }

  /**
   * Spawns, links, and resolves when the process has started: at once for a plain function, when `init` is through for
   * behaviours that have one. Rejects with ERR_SKEIN_START_FAILED, whose cause is the reason, when it ended before.
   */
  async startLink<N, A extends unknown[] = []>(behaviour: Behaviour<N, A>, ...args: A): Promise<Pid<N>> {
    this.#mustLive()
    const process = this.#services.spawn(behaviour, args, { parent: this.#process })
    return (await this.#services.whenStarted(process)) as Pid<N>
  }

  /**
   * Starts a process on a node by the name of its behaviour there (`node.behaviour`). Rejects with
   * ERR_SKEIN_UNKNOWN_BEHAVIOUR, _NOCONNECTION, _CALL_TIMEOUT or others: see docs/processes.md.
   */
  spawnOn(node: string, behaviour: string, args?: readonly unknown[], options?: SpawnOnOptions): Promise<Pid> {
    if (!this.#alive) return this.#process.mailbox.refused()
    return this.#services.spawns.spawn(this.#process, node, behaviour, args, options)
  }

  /** As `spawnOn`, linked from the first instant of the process. */
  spawnLinkOn(node: string, behaviour: string, args?: readonly unknown[], options?: SpawnOnOptions): Promise<Pid> {
    if (!this.#alive) return this.#process.mailbox.refused()
    return this.#services.spawns.spawn(this.#process, node, behaviour, args, options, true)
  }

  /** As `spawnOn`, monitored from the first instant of the process. */
  spawnMonitorOn(
    node: string,
    behaviour: string,
    args?: readonly unknown[],
    options?: SpawnOnOptions,
  ): Promise<{ pid: Pid; ref: Ref }> {
    if (!this.#alive) return this.#process.mailbox.refused()
    return this.#services.spawns.spawnMonitored(this.#process, node, behaviour, args, options)
  }

  /** False for who has ended. Sees what this process has sent there before. Rejects with ERR_SKEIN_NOCONNECTION or _CALL_TIMEOUT. */
  isProcessAlive(pid: AnyPid, options?: CallOptions): Promise<boolean> {
    if (!this.#alive) return this.#process.mailbox.refused()
    return this.#services.inspection.isAlive(this.#process, pid, options)
  }

  /** Undefined for who has ended. Rejects as `isProcessAlive`. */
  processInfo(pid: AnyPid, options?: CallOptions): Promise<ProcessInfo | undefined> {
    if (!this.#alive) return this.#process.mailbox.refused()
    return this.#services.inspection.info(this.#process, pid, options)
  }

  /**
   * Opens a stream of bytes to a process, which finds a StreamMessage in its mailbox, in order with everything else sent to
   * it. Rejects with ERR_SKEIN_NOPROC, _NOCONNECTION, _UNSUPPORTED, _LIMIT, _CALL_TIMEOUT and others: see docs/streams.md.
   */
  openStream(pid: AnyPid, options: OpenStreamOptions & { readonly duplex: true }): Promise<DuplexStream>
  openStream(pid: AnyPid, options?: OpenStreamOptions): Promise<OpenedStream>
  openStream(pid: AnyPid, options?: OpenStreamOptions): Promise<OpenedStream> {
    if (!this.#alive) return this.#process.mailbox.refused()
    return this.#services.streams.open(this.#process, pid, options)
  }

  /** Sends after `ms` milliseconds, even if this process has ended by then. */
  sendAfter<T>(ms: number, target: Target<T>, message: SendOf<T>): Ref {
    this.#mustLive()
    return this.#services.timers.sendAfter(this.#process, ms, target as AnyTarget, message)
  }

  /** Sends every `ms` milliseconds, without drift, until it is cancelled or this process has ended. */
  sendInterval<T>(ms: number, target: Target<T>, message: SendOf<T>): Ref {
    this.#mustLive()
    return this.#services.timers.sendInterval(this.#process, ms, target as AnyTarget, message)
  }

  /** True if it had not fired, or was an interval; then nothing more comes of it. */
  cancelTimer(ref: Ref): boolean {
    return this.#services.timers.cancel(ref)
  }

  /** Gives this process a name on this node. Throws ERR_SKEIN_NAME_REGISTERED or ERR_SKEIN_BAD_NAME. */
  register(name: string): void {
    this.#mustLive()
    this.#services.directory.registry.register(name, this.#process)
  }

  get #alive(): boolean {
    return this.#process.ended === undefined
  }

  #mustLive(): void {
    if (this.#process.ended !== undefined) throw this.#process.endedError()
  }
}
