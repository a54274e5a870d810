/**
 * `node.observer`: what goes on here and on the nodes this one is connected to.
 *
 * Each node is asked for a snapshot of itself, all at once and each with the same deadline. A node that hangs, is gone or
 * gives what is no snapshot of itself costs its own entry and nothing else. Metrics are those of this node alone.
 */
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { ProcessDetail, ProcessPage } from '../process/process-page.ts'
import type { Tracer } from '../process/tracing.ts'
import { safeText } from '../safe-text.ts'
import type { SystemReply, SystemRequest } from '../system-process.ts'
import { checkDetail, checkPage } from './check-processes.ts'
import { checkSnapshot } from './check-snapshot.ts'
import { EventLoopMeter } from './event-loop.ts'
import { LocalSnapshots, type ObservedParts } from './local-snapshot.ts'
import { Metrics } from './metrics.ts'
import { addNodeMetrics } from './node-metrics.ts'
import { Probes } from './probes.ts'
import type { NodeSnapshot } from './snapshot.ts'

const DEFAULT_TIMEOUT_MS = 5000
/** Nodes one snapshot asks. */
const MAX_NODES = 4096
const DEFAULT_INTERVAL_MS = 1000
const MIN_INTERVAL_MS = 10
/** Those that want to know of the end of the node. */
const MAX_STOP_LISTENERS = 256

/** What `node.observer.snapshot` takes. Times are milliseconds. */
export interface SnapshotOptions {
  /** For each node. Default: 5000. */
  readonly timeoutMs?: number
  /** Names of the nodes to ask. Default: this one and all connected ones that are not hidden. */
  readonly nodes?: readonly string[]
}

/** What `node.observer.poll` takes. */
export interface PollOptions extends SnapshotOptions {
  /** From the beginning of one snapshot to that of the next, unless the reader takes longer. Default: 1000. */
  readonly intervalMs?: number
  /** Ends the iteration. */
  readonly signal?: AbortSignal
}

/** What `node.observer.processes` takes. */
export interface ProcessesOptions {
  /** The number of the last process of the page before. Default: 0, the first page. */
  readonly after?: number
  /** Default: 5000. */
  readonly timeoutMs?: number
}

/** What came of asking one node. */
export type ObservedNode =
  | { readonly node: string; readonly status: 'ok'; readonly snapshot: NodeSnapshot }
  | { readonly node: string; readonly status: 'failed'; readonly code: string; readonly message: string }

/** What `node.observer.snapshot()` gives: every node that was asked, also those that did not answer. */
export interface ClusterSnapshot {
  /** When it was asked for, milliseconds since 1970. */
  readonly at: number
  /** In the order of their names, this node first unless `nodes` said otherwise. */
  readonly nodes: readonly ObservedNode[]
}

export interface ObserverHost extends ObservedParts {
  /** Connected nodes that are not hidden. */
  nodes(): readonly string[]
  /** The process `skein` of another node. */
  ask(node: string, request: SystemRequest, timeoutMs: number): Promise<unknown>
}

export class Observer {
  /** Of Skein, and of the program if it likes. */
  readonly metrics = new Metrics()
  /** What services tell of themselves. */
  readonly probes = new Probes()
  readonly #host: ObserverHost
  readonly #eventLoop: EventLoopMeter
  readonly #local: LocalSnapshots
  readonly #onStop = new Set<() => void>()
  #stopped = false

  /** @internal */
  constructor(host: ObserverHost) {
    this.#host = host
    this.#eventLoop = new EventLoopMeter(host.clock, host.runtime)
    this.#local = new LocalSnapshots(host, this.probes, this.#eventLoop)
    addNodeMetrics(this.metrics, host, this.#eventLoop, () => this.#local.uptimeMs)
  }

  /** @internal */
  get clock(): Clock {
    return this.#host.clock
  }

  /** Asks all nodes at once. Rejects with ERR_SKEIN_BAD_ARGUMENT and nothing else; every node asked has its entry. */
  async snapshot({ timeoutMs = DEFAULT_TIMEOUT_MS, nodes }: SnapshotOptions = {}): Promise<ClusterSnapshot> {
    if (!(timeoutMs > 0) || (nodes !== undefined && (!Array.isArray(nodes) || nodes.length > MAX_NODES))) {
      throw new SkeinError(
        'ERR_SKEIN_BAD_ARGUMENT',
        `A snapshot has a timeoutMs above 0, and ${MAX_NODES} nodes at most.`,
      )
    }
    const { clock, self } = this.#host
    const asked = nodes ?? [self.name, ...[...this.#host.nodes()].sort()]
    return { at: clock.wallNow(), nodes: await Promise.all(asked.map((node) => this.#observe(node, timeoutMs))) }
  }

  /**
   * One snapshot after the other, until the signal or the end of the node. A reader that takes longer than the interval
   * skips snapshots: none is taken before it asks for the next.
   */
  async *poll({
    intervalMs = DEFAULT_INTERVAL_MS,
    signal,
    ...options
  }: PollOptions = {}): AsyncGenerator<ClusterSnapshot, void, undefined> {
    if (!(intervalMs >= MIN_INTERVAL_MS)) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `intervalMs is a number, ${MIN_INTERVAL_MS} or more.`)
    }
    const { clock } = this.#host
    let interrupt = (): void => {}
    const over = (): void => interrupt()
    const isOver = (): boolean => this.#stopped || signal?.aborted === true
    /** Undefined as soon as it is over. */
    const orOver = <T>(work: Promise<T>): Promise<T | undefined> =>
      new Promise((resolve, reject) => {
        interrupt = () => resolve(undefined)
        work.then(resolve, reject)
      })
    const takeBack = this.onStop(over)
    signal?.addEventListener('abort', over)
    try {
      let nextMs = clock.now()
      while (!isOver()) {
        const snapshot = await orOver(this.snapshot(options))
        if (snapshot === undefined) return
        yield snapshot
        // The next multiple of the interval that is still to come.
        nextMs += (Math.floor((clock.now() - nextMs) / intervalMs) + 1) * intervalMs
        if (isOver()) return
        let timer: Timer | undefined
        const pause = new Promise<void>((resolve) => {
          timer = clock.after(nextMs - clock.now(), resolve, true)
        })
        await orOver(pause)
        timer?.cancel()
      }
    } finally {
      takeBack()
      signal?.removeEventListener('abort', over)
    }
  }

  /** From now on messages carry the trace they belong to; undefined: no more. As the option `tracing`. */
  trace(tracer: Tracer | undefined): void {
    this.#host.processes.tracing.use(tracer)
  }

  /** Messages belong to no trace any more, unless another tracer took the place of this one. */
  untrace(tracer: Tracer): void {
    const { tracing } = this.#host.processes
    if (tracing.uses(tracer)) tracing.use(undefined)
  }

  /**
   * Processes of a node, this one or a connected one, in the order of their birth, a hundred at a time: those with a greater
   * number than `after`. Rejects with ERR_SKEIN_BAD_REPLY, or as a call.
   */
  async processes(
    node: string,
    { after = 0, timeoutMs = DEFAULT_TIMEOUT_MS }: ProcessesOptions = {},
  ): Promise<ProcessPage> {
    const { self, processes } = this.#host
    if (node === self.name) return processes.inspection.page(after)
    const reply = await this.#ask(node, { type: 'processes', after }, timeoutMs)
    const page = reply?.type === 'processes' && 'page' in reply ? checkPage(reply.page, node, after) : undefined
    if (page === undefined) throw badReply(node, 'list of its processes', reply)
    return page
  }

  /** One process of a node, by the number of its pid; undefined: there is none. Rejects as `processes`. */
  async process(
    node: string,
    number: number,
    { timeoutMs = DEFAULT_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
  ): Promise<ProcessDetail | undefined> {
    const { self, processes } = this.#host
    if (node === self.name) return processes.inspection.detail(number)
    const reply = await this.#ask(node, { type: 'process', number }, timeoutMs)
    if (reply?.type !== 'process') throw badReply(node, 'account of a process', reply)
    const said = 'process' in reply ? reply.process : undefined
    const detail = said === undefined ? undefined : checkDetail(said, node)
    if (said !== undefined && detail?.pid.number !== number) throw badReply(node, 'account of that process', reply)
    return detail
  }

  /** @internal What this node tells others of itself. */
  local(): Promise<NodeSnapshot> {
    return this.#local.take()
  }

  /** @internal Runs `listener` when the node stops; at once if it has. Gives a function that takes it back. */
  onStop(listener: () => void): () => void {
    if (this.#stopped) listener()
    else if (this.#onStop.size >= MAX_STOP_LISTENERS) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `${MAX_STOP_LISTENERS} already wait for the end of the node.`)
    } else this.#onStop.add(listener)
    return () => this.#onStop.delete(listener)
  }

  /** @internal */
  stop(): void {
    this.#stopped = true
    this.#eventLoop.stop()
    for (const listener of [...this.#onStop]) listener()
    this.#onStop.clear()
  }

  async #observe(node: string, timeoutMs: number): Promise<ObservedNode> {
    try {
      return { node, status: 'ok', snapshot: await this.#snapshotOf(node, timeoutMs) }
    } catch (error) {
      const { code, message } = isSkeinError(error)
        ? error
        : new SkeinError('ERR_SKEIN_BAD_REPLY', `${node} gave no snapshot of itself. ${safeText(error)}`)
      return { node, status: 'failed', code, message }
    }
  }

  async #snapshotOf(node: string, timeoutMs: number): Promise<NodeSnapshot> {
    if (this.#stopped) throw new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')
    if (node === this.#host.self.name) return this.#ownSnapshot(timeoutMs)
    const reply = await this.#ask(node, { type: 'snapshot' }, timeoutMs)
    if (reply?.type === 'busy') throw new SkeinError('ERR_SKEIN_LIMIT', `Too many ask ${node} for snapshots.`)
    const said = reply?.type === 'snapshot' && 'snapshot' in reply ? reply.snapshot : undefined
    const snapshot = checkSnapshot(said, node)
    if (snapshot === undefined) throw badReply(node, 'snapshot of itself', reply)
    return snapshot
  }

  async #ask(
    node: string,
    request: SystemRequest,
    timeoutMs: number,
  ): Promise<Partial<SystemReply> | null | undefined> {
    return (await this.#host.ask(node, request, timeoutMs)) as Partial<SystemReply> | null | undefined
  }

  #ownSnapshot(timeoutMs: number): Promise<NodeSnapshot> {
    return new Promise((resolve, reject) => {
      const timer = this.#host.clock.after(timeoutMs, () => {
        reject(new SkeinError('ERR_SKEIN_CALL_TIMEOUT', `Its supervisors did not answer within ${timeoutMs} ms.`))
      })
      this.#local
        .take()
        .then(resolve, reject)
        .finally(() => timer.cancel())
    })
  }
}

const badReply = (node: string, what: string, reply: Partial<SystemReply> | null | undefined): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_REPLY', `${node} gave no ${what}. It answered with "${safeText(reply?.type, 40)}".`)
