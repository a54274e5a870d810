/**
 * What the process layer tells the operator.
 */
import type { SupervisorReport } from '../behaviours/supervisor/report.ts'
import type { Pid } from '../pid.ts'
import type { Reason } from '../signals.ts'
import type { ForbiddenAttempt } from './forbidden.ts'
import type { MailboxOverflow } from './overflow.ts'
import type { DeadLetter } from './post.ts'

/** What the operator may want to know. */
export type ProcessReport =
  /** The function of a process threw, and the process ended with that. */
  | { readonly type: 'crashed'; readonly pid: Pid; readonly reason: Reason }
  /** The function threw when its process had already ended. */
  | { readonly type: 'failedAfterEnd'; readonly pid: Pid; readonly reason: Reason }
  | SupervisorReport
  | DeadLetter
  | MailboxOverflow
  | ForbiddenAttempt
