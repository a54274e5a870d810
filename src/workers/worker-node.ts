/**
 * A node in a worker thread, as the node sees it that started the thread.
 *
 * Lives: starting, then up, then over; or it fails before it is up. Whatever happens to the thread ends in `over`, once.
 * It does not know the network: whether the worker's node is connected is its host's to find out.
 */
import { readSync } from 'node:fs'
import {
  MessageChannel,
  type MessagePort,
  type ResourceLimits,
  type TransferListItem,
  Worker,
} from 'node:worker_threads'
import { isErrorCode, SkeinError } from '../../certs/errors.ts'
import type { Identity } from '../../certs/identity.ts'
import type { RingKeys } from '../../certs/keyring.ts'
import type { Clock } from '../../transport/clock.ts'
import {
  type FromWorker,
  type Invitation,
  SECOND_SOCKET,
  SHARED_WORDS,
  SOCKET,
  type ToWorker,
  type WorkerLuggage,
} from './protocol.ts'

/** A thread loads its modules, on a busy machine. */
const DEFAULT_START_MS = 30_000
/** What a thread has left to end by itself when its node has stopped. */
const LINGER_MS = 500
/** How often it is looked at whether a thread has closed its socket. */
const LOOK_MS = 10
/** Beside the time that processes are given: to say goodbye to the other nodes. */
const GOODBYE_MS = 1000
/** What a thread gets to close its socket when the whole process ends. */
const EXIT_WAIT_MS = 200
/** Datagrams taken out of the socket of a thread that hangs: more than its buffer holds come from nobody. */
const MAX_DRAINED = 100_000
/** The largest that UDP carries. */
const MAX_DATAGRAM_BYTES = 65_535

/** What `node.workers.start` takes. */
export interface WorkerOptions {
  /** name@host, or a name. Default: that of the node that starts it, and a number. */
  readonly name?: string
  /** As of `startNode`: needed where an authority has to sign. Two nodes with one key displace each other. Default: a new key. */
  readonly identity?: string | Identity
  /** What `joinFromWorker` gives as `workerData`; cloned, as Node does. */
  readonly workerData?: unknown
  /** What of it is handed over instead of cloned. */
  readonly transferList?: readonly TransferListItem[]
  /** As of a Worker of Node. */
  readonly resourceLimits?: ResourceLimits
  /** As of a Worker of Node. */
  readonly execArgv?: readonly string[]
  /** How long it may take to be a connected node. Default: 30 000. */
  readonly timeoutMs?: number
}

/** How a thread ended. */
export interface WorkerEnd {
  readonly exitCode: number
  /** It was asked to stop. */
  readonly asked: boolean
  /** What was thrown in the thread and caught by nobody. */
  readonly error: unknown
}

export class WorkerNode implements AsyncDisposable {
  /** name@host of its node. */
  readonly name: string
  /** Resolves when the thread is over. */
  readonly over: Promise<WorkerEnd>
  readonly #clock: Clock
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #shared = new Int32Array(new SharedArrayBuffer(SHARED_WORDS * Int32Array.BYTES_PER_ELEMENT))
  #id = ''
  #asked = false
  #isOver = false
  #stopped: () => void = () => {}
  /** Its node has stopped; also when the thread is over. */
  readonly #whenStopped: Promise<void>
  #stopping: Promise<void> | undefined

  /** @internal Use node.workers. Throws what Node throws for what cannot be cloned or is no file. */
  constructor(
    file: string | URL,
    name: string,
    invitation: Omit<Invitation, 'port' | 'shared'>,
    options: WorkerOptions,
    clock: Clock,
  ) {
    const { workerData, transferList = [], resourceLimits, execArgv } = options
    const { port1, port2 } = new MessageChannel()
    const luggage: WorkerLuggage = { skein: { ...invitation, port: port2, shared: this.#shared }, workerData }
    this.name = name
    this.#clock = clock
    this.#port = port1
    this.#whenStopped = new Promise((resolve) => {
      this.#stopped = resolve
    })
    this.#worker = new Worker(file, {
      name,
      workerData: luggage,
      transferList: [...transferList, port2],
      ...(resourceLimits && { resourceLimits }),
      ...(execArgv && { execArgv: [...execArgv] }),
    })
    let error: unknown
    this.#worker.on('error', (thrown) => {
      error = thrown
    })
    this.over = new Promise((resolve) => {
      this.#worker.once('exit', (exitCode) => {
        this.#isOver = true
        this.#port.close()
        this.#stopped()
        resolve({ exitCode, asked: this.#asked, error })
      })
    })
    port1.on('message', (message: FromWorker) => {
      if (message.type === 'stopped') this.#stopped()
    })
    // The thread itself keeps the process alive.
    port1.unref()
  }

  /** @internal The cookies of the node have changed. */
  useKeys(keys: RingKeys): void {
    if (!this.#isOver) this.#order({ type: 'keys', keys })
  }

  /** Of its node. */
  get id(): string {
    return this.#id
  }

  /** False once the thread has ended. */
  get isAlive(): boolean {
    return !this.#isOver
  }

  /**
   * Stops its node in order and ends the thread. Processes that trap exits have `timeoutMs` (500) to end by themselves; a
   * thread that does not come to its end is ended. Idempotent; never rejects.
   */
  stop({ timeoutMs = 500 }: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#stopping ??= this.#stop(timeoutMs >= 0 ? timeoutMs : 0)
    return this.#stopping
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** @internal Resolves when its node is connected. Rejects with ERR_SKEIN_WORKER_FAILED; then the thread is over. */
  async up(timeoutMs = DEFAULT_START_MS): Promise<void> {
    const told = new Promise<FromWorker>((resolve) => this.#port.once('message', resolve))
    const outcome = await Promise.race([told, this.over, this.#after(timeoutMs)])
    if (outcome === 'late') {
      await this.#end()
      throw this.#failed(`was not up within ${timeoutMs} ms`)
    }
    if ('exitCode' in outcome) throw this.#failed(`ended with code ${outcome.exitCode} before it was up`, outcome.error)
    if (outcome.type === 'up') {
      this.#id = outcome.id
      return
    }
    await this.#end()
    if (outcome.type === 'stopped') throw this.#failed('stopped before it was up')
    const { code, message } = outcome
    throw this.#failed('could not join', isErrorCode(code) ? new SkeinError(code, message) : new Error(message))
  }

  async #stop(timeoutMs: number): Promise<void> {
    this.#asked = true
    if (this.#isOver) return
    this.#order({ type: 'stop', timeoutMs })
    const inTime = await Promise.race([this.#whenStopped, this.#after(timeoutMs + GOODBYE_MS)])
    if (inTime !== 'late') await Promise.race([this.over, this.#after(LINGER_MS)])
    await this.#end()
  }

  /** @internal This process ends at once: waits until the socket of the thread is closed, so that it does not abort. */
  closeNow(): void {
    const socket = Atomics.load(this.#shared, SOCKET)
    if (this.#isOver || socket === 0) return
    this.#order({ type: 'closeSocket' })
    if (Atomics.wait(this.#shared, SOCKET, socket, EXIT_WAIT_MS) === 'timed-out') drain(this.#shared)
  }

  /** A thread that still listens closes its socket; that of one that does not is emptied. */
  async #end(): Promise<void> {
    this.#asked = true
    for (let waitedMs = 0; !this.#isOver && this.#hasSocket && waitedMs < LINGER_MS; waitedMs += LOOK_MS) {
      if (waitedMs === 0) this.#order({ type: 'closeSocket' })
      await Promise.race([this.over, this.#after(LOOK_MS)])
    }
    if (!this.#isOver) {
      drain(this.#shared)
      await this.#worker.terminate()
    }
    await this.over
  }

  get #hasSocket(): boolean {
    return Atomics.load(this.#shared, SOCKET) !== 0
  }

  #order(order: ToWorker): void {
    this.#port.postMessage(order)
  }

  #after(ms: number): Promise<'late'> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(ms, () => resolve('late'))
      void this.over.then(() => timer.cancel())
    })
  }

  #failed(what: string, cause?: unknown): SkeinError {
    const because = cause instanceof Error ? `: ${cause.message}` : ''
    return new SkeinError('ERR_SKEIN_WORKER_FAILED', `The worker ${this.name} ${what}${because}`, { cause })
  }
}

/**
 * Empties the socket of a thread that hangs: nobody will read it, and what waits in it when the thread is ended would
 * abort the whole process (Node 20, UDPWrap::OnRecv).
 */
const drain = (shared: Int32Array): void => {
  drainOne(shared, SOCKET)
  drainOne(shared, SECOND_SOCKET)
}

const drainOne = (shared: Int32Array, index: number): void => {
  const buffer = Buffer.allocUnsafe(MAX_DATAGRAM_BYTES)
  try {
    for (let i = 0; i < MAX_DRAINED; i++) {
      const descriptor = Atomics.load(shared, index) - 1
      if (descriptor < 0) return
      readSync(descriptor, buffer)
    }
  } catch {
    // Nothing is left.
  }
}
