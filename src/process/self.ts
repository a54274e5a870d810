/**
 * What a process function is given: everything a process can do.
 *
 * A process that was ended from outside is dead for everybody at that instant, though its function may still run, because
 * JavaScript cannot be interrupted. From then on whatever it sends, links or cancels is dropped without an error (it may
 * run in a callback that nobody guards; send says false), and whatever would have to give an answer fails with
 * ERR_SKEIN_PROCESS_ENDED, whose cause is the exit reason. Letting that error pass ends the function.
 */
import type { Pid, Ref, Target } from '../pid.ts'
import type { Reason } from '../signals.ts'
import type { Behaviour } from './behaviour.ts'
import type { CallOptions, Calls, From } from './calls.ts'
import type { AnyPid, AnyTarget, Directory } from './directory.ts'
import type { Links } from './links.ts'
import type { Monitors } from './monitors.ts'
import type { Post } from './post.ts'
import type { Process } from './process.ts'
import type { Timers } from './timers.ts'

export interface ReceiveOptions {
  /** Milliseconds; 0 looks once. Default: Infinity. */
  readonly timeoutMs?: number
}

/** How a process is spawned, where that is not as usual. */
export interface SpawnWithOptions {
  /** A name on this node, from the start. */
  readonly name?: string
}

/** For the behaviours of this package: what a Self does not show to users. */
export const INSIDE: unique symbol = Symbol('inside')

export interface Inside {
  readonly process: Process
  readonly services: Services
}

/** What the process layer does for its processes. */
export interface Services {
  readonly directory: Directory
  readonly links: Links
  readonly monitors: Monitors
  readonly calls: Calls
  readonly timers: Timers
  readonly post: Post
  spawn<M, A extends unknown[]>(behaviour: Behaviour<M, A>, args: A, options?: SpawnWithOptions): Process
  /** The process says that it has started. */
  started(process: Process): void
  /** Resolves when the process, just spawned, has started; rejects with ERR_SKEIN_START_FAILED. */
  whenStarted(process: Process): Promise<Pid>
  /** The function of a process threw. */
  failed(process: Process, error: unknown): void
  exit(sender: Process | undefined, target: AnyTarget, reason: Reason): void
  end(process: Process, reason: Reason): void
  watchNodes(process: Process, on: boolean): void
}

export class Self<M = unknown> implements AsyncIterable<M, never> {
  readonly #process: Process
  readonly #services: Services
  readonly #steps: AsyncIterator<M, never>

  constructor(process: Process, services: Services) {
    this.#process = process
    this.#services = services
    const { mailbox } = process
    // Senders are held to M by the type of the pid; what crosses a wire or a registry is M on their word.
    this.#steps = { next: () => mailbox.next() as Promise<IteratorResult<M, never>> }
  }

  /** @internal */
  get [INSIDE](): Inside {
    return { process: this.#process, services: this.#services }
  }

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

  /** Messages in order of arrival, without end. */
  [Symbol.asyncIterator](): AsyncIterator<M, never> {
    return this.#steps
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
  send<T>(target: Target<T>, message: NoInfer<T>): boolean {
    return this.#alive && this.#services.post.send('send', this.#process, target as AnyTarget, message)
  }

  /** A request that wants no reply. As `send`, but a GenServer and its like handle it by `handleCast`. */
  cast<T>(target: Target<T>, message: NoInfer<T>): boolean {
    return this.#alive && this.#services.post.send('cast', this.#process, target as AnyTarget, message)
  }

  /** Resolves when `target` takes more. */
  drained(target: AnyTarget): Promise<void> {
    if (this.#alive) return this.#services.post.drained(this.#process, target)
    return this.#process.mailbox.refused()
  }

  /** Rejects with ERR_SKEIN_NOPROC, _NOCONNECTION, _CALL_EXIT, _CALL_TIMEOUT, _CALL_ABORTED, or why it could not be sent. */
  call(target: AnyTarget, request: unknown, options?: CallOptions): Promise<unknown> {
    if (this.#alive) return this.#services.calls.call(this.#process, target, request, options)
    return this.#process.mailbox.refused()
  }

  /** Answers a call message, here or wherever its `from` was handed to. A reply nobody waits for vanishes. */
  reply(from: From, value: unknown): boolean {
    return this.#alive && this.#services.calls.reply(this.#process, from, value)
  }

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
      if (this.#alive) this.#services.exit(this.#process, args[0], args[1])
      return
    }
    this.#services.end(this.#process, args[0])
    throw this.#process.endedError()
  }

  spawn<N, A extends unknown[]>(behaviour: Behaviour<N, A>, ...args: A): Pid<N> {
    this.#mustLive()
    return this.#services.spawn(behaviour, args).pid as Pid as Pid<N>
  }

  /** Spawns and links in one step: the child cannot end unnoticed in between. */
  spawnLink<N, A extends unknown[]>(behaviour: Behaviour<N, A>, ...args: A): Pid<N> {
    const pid = this.spawn(behaviour, ...args)
    this.link(pid)
    return pid
  }

  /** Spawns and monitors in one step. */
  spawnMonitor<N, A extends unknown[]>(behaviour: Behaviour<N, A>, ...args: A): { pid: Pid<N>; ref: Ref } {
    const pid = this.spawn(behaviour, ...args)
    return { pid, ref: this.monitor(pid) }
  }

  /** As `spawn`, with options. */
  spawnWith<N, A extends unknown[]>(options: SpawnWithOptions, behaviour: Behaviour<N, A>, ...args: A): Pid<N> {
    this.#mustLive()
    return this.#services.spawn(behaviour, args, options).pid as Pid as Pid<N>
  }

  /**
   * Spawns, links, and resolves when the process has started: at once for a plain function, when `init` is through for
   * behaviours that have one. Rejects with ERR_SKEIN_START_FAILED, whose cause is the reason, when it ended before.
   */
  async startLink<N, A extends unknown[]>(behaviour: Behaviour<N, A>, ...args: A): Promise<Pid<N>> {
    this.#mustLive()
    const process = this.#services.spawn(behaviour, args)
    this.link(process.pid)
    return (await this.#services.whenStarted(process)) as Pid<N>
  }

  /** Sends after `ms` milliseconds, even if this process has ended by then. */
  sendAfter<T>(ms: number, target: Target<T>, message: NoInfer<T>): Ref {
    this.#mustLive()
    const send = (): void => this.#services.post.sendLate(this.#process, target as AnyTarget, message)
    return this.#services.timers.after(ms, send)
  }

  /** True if it had not fired. */
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
