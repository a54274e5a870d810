/**
 * What a distributed supervisor tells the operator, on the node that leads it. The same values are events of the node.
 */
import type { ErrorCode } from '../../../certs/errors.ts'

/** Why a child was started. */
export type StartCause = 'first' | 'restart' | 'failover' | 'handOver'

export type DistributedReport =
  /** This node leads the supervisor from now on, or does no more. */
  | { readonly type: 'supervisorLeader'; readonly name: string; readonly leads: boolean }
  | {
      readonly type: 'supervisedStarted'
      readonly name: string
      readonly id: string
      readonly node: string
      readonly cause: StartCause
    }
  /** A node could not start it; it is tried again. */
  | {
      readonly type: 'supervisedStartFailed'
      readonly name: string
      readonly id: string
      readonly node: string
      readonly code: ErrorCode
      readonly text: string
    }
  /** No node can start it for now. */
  | { readonly type: 'supervisedWaiting'; readonly name: string; readonly id: string; readonly behaviour: string }
  /** It failed too often, and is left alone until somebody restarts it. `reason` is that of its last end, in words. */
  | { readonly type: 'supervisedGaveUp'; readonly name: string; readonly id: string; readonly reason: string }
