/**
 * What a supervisor tells the operator. The same values are events of the node.
 */
import type { Pid } from '../../pid.ts'
import type { Reason } from '../../signals.ts'

/** `id` names the child in the list of its supervisor; children started on demand bear the id of their pattern. */
export type SupervisorReport =
  /** A child was started again as `pid`, because a child of this supervisor had ended with `reason`: itself or a sibling. */
  | {
      readonly type: 'childRestarted'
      readonly supervisor: Pid
      readonly id: string
      readonly pid: Pid
      readonly reason: Reason
    }
  /** A child could not be started. */
  | { readonly type: 'childStartFailed'; readonly supervisor: Pid; readonly id: string; readonly reason: Reason }
  /** A child did not end within its shutdown time and was killed. */
  | {
      readonly type: 'childKilled'
      readonly supervisor: Pid
      readonly id: string
      readonly pid: Pid
      readonly shutdownMs: number
    }
  /** There were too many restarts: the supervisor ends. `reason` is why the last child had ended. */
  | { readonly type: 'supervisorGaveUp'; readonly supervisor: Pid; readonly id: string; readonly reason: Reason }
