/**
 * What a node and its workers tell each other beside the network: over a message port of their own, within the process.
 *
 * The keys of the cluster go this way too: they are on no command line, in no environment and in no file.
 */
import type { MessagePort } from 'node:worker_threads'
import type { RingKeys } from '../../certs/keyring.ts'
import type { StartOptions } from '../config.ts'

/** Index in the shared memory: one more than the descriptor of the worker's socket while it is open, else 0. */
export const SOCKET = 0
/** Index in the shared memory: the same for the second one, where the port has two. */
export const SECOND_SOCKET = 1
/** Index in the shared memory: 1 once the invitation was taken. */
export const JOINED = 2
/** Words of shared memory. */
export const SHARED_WORDS = 3

/** What a worker is given to become a member. */
export interface Invitation {
  readonly port: MessagePort
  /** Shared memory, see SOCKET and JOINED. */
  readonly shared: Int32Array
  readonly keys: RingKeys
  /** Of the node that invites. */
  readonly host: string
  /** How the worker's node is started; the cookie is not among it. */
  readonly options: StartOptions
}

/** The `workerData` of a worker, as Node knows it. */
export interface WorkerLuggage {
  readonly skein: Invitation
  /** The user's own. */
  readonly workerData: unknown
}

/** From a worker. */
export type FromWorker =
  /** It is connected, and what follows the join in its program has begun. */
  | { readonly type: 'up'; readonly name: string; readonly id: string }
  | { readonly type: 'failed'; readonly code: string; readonly message: string }
  /** Its node has stopped, asked to or not. */
  | { readonly type: 'stopped' }

/** To a worker. */
export type ToWorker =
  /** The cookies of the node have changed, and so do those of the worker's. */
  | { readonly type: 'keys'; readonly keys: RingKeys }
  | { readonly type: 'stop'; readonly timeoutMs: number }
  /** The thread is about to be ended. */
  | { readonly type: 'closeSocket' }
