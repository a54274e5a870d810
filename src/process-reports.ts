/**
 * What the process layer reports, as lines of the log and events of the node.
 */
import type { Logger } from './config.ts'
import type { NodeEvent } from './event-stream.ts'
import { Pid } from './pid.ts'
import type { ProcessReport } from './process/report.ts'

export const passOn = (report: ProcessReport, logger: Logger, emit: (event: NodeEvent) => void): void => {
  switch (report.type) {
    case 'crashed':
      logger.error({ process: report.pid.toString(), err: report.reason }, 'process crashed')
      emit({ type: 'processCrashed', pid: report.pid, reason: report.reason })
      break
    case 'failedAfterEnd':
      logger.error({ process: report.pid.toString(), err: report.reason }, 'process failed after its end')
      break
    case 'deadLetter': {
      const { to, from, reason, issues } = report
      logger.debug(
        { to: to instanceof Pid ? to.toString() : `${to.name} on ${to.node}`, from: from?.toString(), reason, issues },
        'dead letter',
      )
      emit(report)
      break
    }
    case 'mailboxOverflow': {
      const { pid, label, phase, policy, limit, dropped } = report
      // Senders that are held back are everyday; messages or a process lost are not.
      const level = policy === 'block' ? 'debug' : 'warn'
      logger[level]({ process: pid.toString(), label, phase, policy, limit, dropped }, 'mailbox overflow')
      emit(report)
      break
    }
    case 'forbidden': {
      const { node: peer, id, attempt, count } = report
      logger.warn({ peer, id, attempt, count }, 'a node tried what it may not')
      emit(report)
      break
    }
    default: {
      const { type, supervisor, id } = report
      const err = 'reason' in report ? report.reason : undefined
      logger.warn({ supervisor: supervisor.toString(), child: id, err }, type)
      emit(report)
    }
  }
}
