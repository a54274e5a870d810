/**
 * Channels of node:diagnostics_channel on which nodes of this process tell what they do, to whoever in it listens.
 *
 * Only nodes with something to tell look whether anybody listens, and nothing is made for nobody. The names and what is
 * published are in docs/observability.md. A listener that throws does not disturb the node: Node.js reports it as an
 * uncaught exception of the listener's own.
 */
import { channel } from 'node:diagnostics_channel'
import type { NodeEvent } from './event-stream.ts'
import type { Pid, RemoteName } from './pid.ts'

/** Published on `skein:event`: whatever `node.events` tells. */
export interface EventNews {
  /** name@host of the node that publishes; of the others too. */
  readonly node: string
  readonly event: NodeEvent
}

/** Published on `skein:call` when a call is over. */
export interface CallNews {
  readonly node: string
  readonly from: Pid | undefined
  readonly to: Pid | RemoteName
  readonly durationMs: number
  /** What it rejected with; undefined where it was answered. */
  readonly error: unknown
}

/** Published on `skein:spawn`. */
export interface SpawnNews {
  readonly node: string
  readonly pid: Pid
  readonly label: string | undefined
}

/** Published on `skein:exit`. */
export interface ExitNews {
  readonly node: string
  readonly pid: Pid
  readonly reason: unknown
}

export const EVENT_CHANNEL = channel('skein:event')
export const CALL_CHANNEL = channel('skein:call')
export const SPAWN_CHANNEL = channel('skein:spawn')
export const EXIT_CHANNEL = channel('skein:exit')
