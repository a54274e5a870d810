/**
 * The worker's side: a node in a worker thread, in the cluster of the node that started the thread.
 */
import { hostname } from 'node:os'
import { workerData } from 'node:worker_threads'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import { Keyring, type RingKeys } from '../../certs/keyring.ts'
import { systemClock } from '../../transport/clock.ts'
import type { SocketWatch } from '../../transport/socket.ts'
import { type Logger, resolveConfig } from '../config.ts'
import type { SkeinNode } from '../node.ts'
import { startConfigured } from '../start.ts'
import {
  type FromWorker,
  type Invitation,
  JOINED,
  SECOND_SOCKET,
  SOCKET,
  type ToWorker,
  type WorkerLuggage,
} from './protocol.ts'

/** What `joinFromWorker` takes. */
export interface JoinOptions<T> {
  /** Runs before others are told of the node: the place to register behaviours. */
  readonly setUp?: (node: SkeinNode, workerData: T) => Promise<void> | void
  /** Default: pino on stderr. */
  readonly logger?: Logger
}

/** A node in a worker, and the `workerData` that was given for it. */
export interface Joined<T> {
  readonly node: SkeinNode
  readonly workerData: T
}

/**
 * Starts the node of this worker thread and joins the cluster of the node that started the thread with `workers.start`.
 * Rejects with ERR_SKEIN_WORKER_FAILED elsewhere, or as `startNode` and `connect` do; whoever waits in `workers.start`
 * hears of it too.
 */
export const joinFromWorker = async <T = unknown>({ setUp, logger }: JoinOptions<T> = {}): Promise<Joined<T>> => {
  const luggage: unknown = workerData
  if (!isLuggage(luggage)) {
    throw new SkeinError('ERR_SKEIN_WORKER_FAILED', 'This is no worker thread that a node has started.')
  }
  const { skein: invitation, workerData: own } = luggage
  const { port, shared } = invitation
  if (Atomics.exchange(shared, JOINED, 1) === 1) {
    throw new SkeinError('ERR_SKEIN_WORKER_FAILED', 'This worker thread has its node already.')
  }
  const tell = (message: FromWorker): void => port.postMessage(message)
  /** At once: when the node has stopped the port is closed. */
  const failed = (error: unknown): void => {
    const message = error instanceof Error ? error.message : String(error)
    tell({ type: 'failed', code: isSkeinError(error) ? error.code : 'ERR_SKEIN_WORKER_FAILED', message })
  }
  const socket = new SharedSocket(shared)
  const keys = ringOf(invitation.keys)
  let node: SkeinNode
  try {
    node = await start(invitation, keys, socket, logger)
  } catch (error) {
    failed(error)
    throw error
  }
  port.on('message', (order: ToWorker) => {
    if (order.type === 'closeSocket') socket.closeNow()
    else if (order.type === 'keys') keys.replace(order.keys)
    else void node.stop({ timeoutMs: order.timeoutMs })
  })
  port.unref()
  void untilStopped(node).then(() => {
    tell({ type: 'stopped' })
    port.close()
  })
  try {
    await setUp?.(node, own as T)
    await node.connect(invitation.host)
  } catch (error) {
    failed(error)
    await node.stop()
    throw error
  }
  // What the program does at once with the node, such as registering behaviours, comes before.
  systemClock.after(0, () => tell({ type: 'up', name: node.name, id: node.id }))
  return { node, workerData: own as T }
}

/** The environment is the parent's: what it says was heeded there. */
const start = (
  { options }: Invitation,
  keys: Keyring,
  socket: SharedSocket,
  logger: Logger | undefined,
): Promise<SkeinNode> =>
  startConfigured(resolveConfig({ ...options, ...(logger && { logger }) }, {}, hostname()), keys, socket)

const ringOf = ([primary, ...accepted]: RingKeys): Keyring => new Keyring(primary, accepted)

/** Lets the thread that started this one know of its socket. */
class SharedSocket implements SocketWatch {
  readonly #shared: Int32Array
  closeNow: () => void = () => {}

  constructor(shared: Int32Array) {
    this.#shared = shared
  }

  opened([first = -1, second = -1]: readonly number[], closeNow: () => void): void {
    this.closeNow = closeNow
    Atomics.store(this.#shared, SECOND_SOCKET, second + 1)
    Atomics.store(this.#shared, SOCKET, first + 1)
  }

  closed(): void {
    Atomics.store(this.#shared, SECOND_SOCKET, 0)
    Atomics.store(this.#shared, SOCKET, 0)
    Atomics.notify(this.#shared, SOCKET)
  }
}

const untilStopped = async ({ events }: SkeinNode): Promise<void> => {
  for await (const _ of events);
}

const isLuggage = (value: unknown): value is WorkerLuggage =>
  typeof value === 'object' && value !== null && 'skein' in value && 'workerData' in value
