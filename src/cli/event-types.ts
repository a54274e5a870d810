/**
 * The types of events by which `skein events` can be asked for some of them.
 */
import type { NodeEvent } from '../event-stream.ts'

/** A record, so that the compiler tells when one is missing. */
const KNOWN: Readonly<Record<NodeEvent['type'] | 'followed' | 'unfollowed', true>> = {
  nodeup: true,
  nodedown: true,
  moved: true,
  memberup: true,
  membersuspect: true,
  memberclear: true,
  memberdown: true,
  partitioned: true,
  healed: true,
  overlappingPartition: true,
  refused: true,
  discovered: true,
  undiscovered: true,
  discoveryStatus: true,
  cookieAccepted: true,
  cookieUsed: true,
  cookieDropped: true,
  certificateRenewed: true,
  certificateUnsaved: true,
  processCrashed: true,
  workerExited: true,
  memberRefused: true,
  globalConflict: true,
  childRestarted: true,
  childStartFailed: true,
  childKilled: true,
  supervisorGaveUp: true,
  supervisorLeader: true,
  supervisedStarted: true,
  supervisedStartFailed: true,
  supervisedWaiting: true,
  supervisedGaveUp: true,
  draining: true,
  deadLetter: true,
  mailboxOverflow: true,
  forbidden: true,
  attach: true,
  lagged: true,
  // Of the command itself.
  followed: true,
  unfollowed: true,
}

export const EVENT_TYPES: readonly string[] = Object.keys(KNOWN)
