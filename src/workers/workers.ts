/**
 * The worker threads of a node: each runs a node of its own, an ordinary member of the same cluster.
 *
 * A worker's node has its own port, identity and incarnation, and everything works with it as with a node in another
 * process or on another machine. It is bound to the same address as this node, and finds the others through it. What is
 * special: this node starts it, hears at once when its thread ends, and ends it when it stops itself.
 */
import { SkeinError } from '../../certs/errors.ts'
import { formatAddress } from '../../transport/address.ts'
import { atExit } from '../../transport/at-exit.ts'
import type { ConnectedNode } from '../cluster/connected-node.ts'
import { fullNodeName, hostOfNodeName } from '../cluster/node-name.ts'
import type { StartOptions } from '../config.ts'
import type { NodeEvent } from '../event-stream.ts'
import type { NodeParts } from '../node-parts.ts'
import { type WorkerEnd, WorkerNode, type WorkerOptions } from './worker-node.ts'

/** Threads of one node: beyond any number of cores. */
const MAX_WORKERS = 256

/** What the workers need of their node. */
export interface WorkersHost {
  readonly name: string
  readonly parts: NodeParts
  connected(): readonly ConnectedNode[]
  connect(name: string): Promise<string>
  disconnect(name: string): Promise<boolean>
  /** Ids of nodes that are not let in now. */
  revoked(): readonly string[]
  emit(event: NodeEvent): void
}

export class Workers {
  readonly #host: WorkersHost
  readonly #workers = new Set<WorkerNode>()
  #started = 0
  #forgetExit: () => void = () => {}
  #stopped = false

  /** @internal Use node.workers. */
  constructor(host: WorkersHost) {
    this.#host = host
    const { keys } = host.parts
    keys.onChange(() => {
      for (const worker of this.#workers) worker.useKeys(keys.all())
    })
  }

  /** Those whose threads live. */
  list(): WorkerNode[] {
    return [...this.#workers]
  }

  /**
   * Starts a thread that runs this file, which has to call `joinFromWorker`; resolves when its node and this one are
   * connected. Rejects with ERR_SKEIN_WORKER_FAILED, ERR_SKEIN_LIMIT, ERR_SKEIN_BAD_NAME or ERR_SKEIN_STOPPED.
   */
  async start(file: string | URL, options: WorkerOptions = {}): Promise<WorkerNode> {
    const { name: own, parts } = this.#host
    if (this.#stopped) throw new SkeinError('ERR_SKEIN_STOPPED', 'The node has been stopped.')
    if (this.#workers.size >= MAX_WORKERS) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node has ${MAX_WORKERS} workers, the most it can have.`)
    }
    const number = ++this.#started
    const shortName = own.slice(0, own.indexOf('@'))
    const name = fullNodeName(options.name ?? `${shortName}-worker-${number}`, hostOfNodeName(own))
    const invitation = { keys: parts.keys.all(), host: own, options: this.#optionsFor(name, options.identity) }
    let worker: WorkerNode
    try {
      worker = new WorkerNode(file, name, invitation, options, parts.clock)
    } catch (cause) {
      throw new SkeinError('ERR_SKEIN_WORKER_FAILED', `The worker ${name} could not be started.`, { cause })
    }
    if (this.#workers.size === 0) this.#forgetExit = atExit(() => this.#closeAll())
    this.#workers.add(worker)
    void worker.over.then((end) => this.#over(worker, end))
    await worker.up(options.timeoutMs)
    try {
      await this.#host.connect(name)
    } catch (cause) {
      await worker.stop({ timeoutMs: 0 })
      throw new SkeinError('ERR_SKEIN_WORKER_FAILED', `The worker ${name} is up and cannot be reached.`, { cause })
    }
    return worker
  }

  /** @internal The node stops. */
  async stop(timeoutMs: number): Promise<void> {
    this.#stopped = true
    await Promise.all(this.list().map((worker) => worker.stop({ timeoutMs })))
  }

  /** The process ends, and nobody has stopped the node. */
  #closeAll(): void {
    for (const worker of this.#workers) worker.closeNow()
  }

  #optionsFor(name: string, identity: StartOptions['identity']): StartOptions {
    const { parts } = this.#host
    const { machine } = parts
    if (machine === undefined) {
      throw new SkeinError('ERR_SKEIN_WORKER_FAILED', 'A simulated node cannot have workers.')
    }
    const port = parts.transport.addresses()[0]?.port ?? 0
    const { host, options } = machine
    const seed = formatAddress({ host: host === undefined || isAny(host) ? LOOPBACK : host, port })
    return {
      ...options,
      revoked: this.#host.revoked(),
      ...(host !== undefined && { host }),
      ...(identity !== undefined && { identity }),
      name,
      port: 0,
      discovery: { mdns: false, dht: false, seeds: [seed], dns: [] },
    }
  }

  #over(worker: WorkerNode, { exitCode, asked, error }: WorkerEnd): void {
    this.#workers.delete(worker)
    if (this.#workers.size === 0) this.#forgetExit()
    const { name, id } = worker
    // It never was up: whoever started it is told.
    if (id === '') return
    this.#host.emit({ type: 'workerExited', node: name, id, exitCode, asked, reason: error })
    // Nobody else speaks from that thread any more: no need to wait until silence tells.
    if (this.#host.connected().some((node) => node.id === id)) this.#host.disconnect(name).catch(() => {})
  }
}

const LOOPBACK = '127.0.0.1'

const isAny = (host: string): boolean => host === '::' || host === '0.0.0.0'
