/**
 * What the process layer counts since the start of the node: plain numbers, for whoever reads them on demand
 * (observe/node-metrics.ts).
 */
import { EXIT_CHANNEL, type ExitNews, SPAWN_CHANNEL, type SpawnNews } from '../diagnostics.ts'
import type { Reason } from '../signals.ts'
import type { Process } from './process.ts'
import type { ProcessReport } from './report.ts'

export class Tally {
  spawned = 0
  ended = 0
  crashed = 0
  /** Put into mailboxes by processes of this node, calls aside. */
  localMessages = 0
  /** Begun here, to whomever. */
  calls = 0
  callTimeouts = 0
  deadLetters = 0
  mailboxOverflows = 0
  childRestarts = 0

  begun({ pid, label }: Process): void {
    this.spawned++
    if (SPAWN_CHANNEL.hasSubscribers) SPAWN_CHANNEL.publish({ node: pid.node, pid, label } satisfies SpawnNews)
  }

  over({ pid }: Process, reason: Reason): void {
    this.ended++
    if (EXIT_CHANNEL.hasSubscribers) EXIT_CHANNEL.publish({ node: pid.node, pid, reason } satisfies ExitNews)
  }

  /** A call to another node was answered: to be set by whoever wants to know. */
  onAnswered: ((durationMs: number) => void) | undefined

  /** What the operator is told of. */
  reported(report: ProcessReport): void {
    if (report.type === 'crashed') this.crashed++
    else if (report.type === 'deadLetter') this.deadLetters += report.count ?? 1
    else if (report.type === 'mailboxOverflow' && report.phase === 'began') this.mailboxOverflows++
    else if (report.type === 'childRestarted') this.childRestarts++
  }
}
