/**
 * What a supervisor is asked, and what it answers with. Refusals are SkeinErrors, sent as the reply.
 */

import type { Pid } from '../../pid.ts'
import type { CallMessage } from '../../process/calls.ts'
import type { ChildPattern, ChildType, Restart } from './spec.ts'

/** `child` is an id, or the pid of one that was started on demand. */
export type SupervisorRequest =
  | { readonly type: 'startChild'; readonly spec: ChildPattern }
  | { readonly type: 'startChildWith'; readonly args: readonly unknown[] }
  | { readonly type: 'terminateChild'; readonly child: string | Pid }
  | { readonly type: 'restartChild'; readonly id: string }
  | { readonly type: 'deleteChild'; readonly id: string }
  | { readonly type: 'whichChildren' }
  | { readonly type: 'countChildren' }
  | { readonly type: 'stop' }

/** What the process of a supervisor understands. */
export type SupervisorMessage = CallMessage<SupervisorRequest>

/** A child of a supervisor on this node, as `whichChildren` tells of it. */
export interface ChildInfo {
  readonly id: string
  /** Undefined while it does not run. */
  readonly pid: Pid | undefined
  /** restarting: it could not be started again, and is to be tried again. */
  readonly status: 'running' | 'restarting' | 'stopped'
  readonly type: ChildType
  readonly restart: Restart
}

/** How many children a supervisor has (OTP, supervisor:count_children/1). */
export interface ChildCount {
  /** Child specifications. */
  readonly specs: number
  /** Children that run. */
  readonly active: number
  /** Children that are supervisors, whether they run or not. */
  readonly supervisors: number
  readonly workers: number
}
