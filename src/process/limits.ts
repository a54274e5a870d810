/**
 * How much one node holds. What is beyond is refused with ERR_SKEIN_LIMIT; other nodes hear system_limit.
 */
import { MAILBOX_HIGH_WATER, MAILBOX_LIMIT } from './mailbox.ts'

export interface ProcessLimits {
  /** Processes alive, and functions still running though their process has ended. */
  readonly processes: number
  readonly names: number
  /** Of one process, and with one other node. */
  readonly links: number
  /** Of one process, and in either direction with one other node. */
  readonly monitors: number
  /** Made by one other node: fewer, so that one alone cannot use up what all need. */
  readonly linksOfNode: number
  readonly monitorsOfNode: number
  /** Processes that one other node had started: alive, and functions still running though their process has ended. */
  readonly processesOfNode: number
  /** Waited for by this node, and by one other node. */
  readonly calls: number
  /** Requests to spawn that this node waits for. */
  readonly spawns: number
  /** Behaviours that other nodes may start here by name. */
  readonly behaviours: number
  readonly timers: number
  /** Messages in one mailbox from which senders are held back. */
  readonly mailboxHighWater: number
  /** Messages one mailbox can hold. */
  readonly mailbox: number
}

export const PROCESS_LIMITS: ProcessLimits = {
  processes: 1_000_000,
  names: 1_000_000,
  links: 1_000_000,
  monitors: 1_000_000,
  linksOfNode: 250_000,
  monitorsOfNode: 250_000,
  processesOfNode: 250_000,
  calls: 1_000_000,
  spawns: 1_000_000,
  behaviours: 10_000,
  timers: 1_000_000,
  mailboxHighWater: MAILBOX_HIGH_WATER,
  mailbox: MAILBOX_LIMIT,
}
