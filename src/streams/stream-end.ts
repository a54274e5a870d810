/**
 * One end of a stream as its owner keeps it: who has to end with it, and that it ends once.
 *
 * It belongs to a process, or to the node itself, and hangs on a bridge if the other end is on another node.
 */
import type { Bridge } from '../process/bridge.ts'
import type { Process } from '../process/process.ts'

export interface Owner {
  readonly process: Process | undefined
  /** Undefined for a stream within this node. */
  readonly bridge: Bridge | undefined
}

export interface StreamEnd extends Owner {
  readonly direction: 'in' | 'out'
  /** The process has ended. False: the stream goes on without it. */
  processEnded(): boolean
  /** Nothing more can be done: the user hears this error, the other side nothing. */
  fail(error: Error): void
}

/** Called once by each end, when it is over. */
export type OnOver = (end: StreamEnd) => void
