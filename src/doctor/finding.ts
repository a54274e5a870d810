/**
 * What `skein doctor` finds: one fact with its figures, what follows from it, and what to do.
 *
 * Checks give findings and never anything else: one that throws, or takes longer than it may, is itself a finding. How
 * findings look on a terminal is the business of the command line.
 */
import { isSkeinError } from '../../certs/errors.ts'
import { within } from '../../discovery/within.ts'
import type { Clock } from '../../transport/clock.ts'
import { safeMessage, safeText } from '../safe-text.ts'

/** 'skipped': it could not be looked at, and `why` tells the reason. */
export type FindingState = 'ok' | 'warning' | 'failed' | 'skipped'

/** What a finding is about. */
export type CheckName =
  | 'platform'
  | 'interfaces'
  | 'port'
  | 'buffers'
  | 'udp'
  | 'nat'
  | 'multicast'
  | 'clock'
  | 'cookie'
  | 'identity'
  | 'certificate'
  | 'port mapping'
  | 'members'
  | 'discovery'
  | 'attempt'
  | 'connection'
  | 'pair'

export interface Finding {
  readonly check: CheckName
  readonly state: FindingState
  /** The fact, on one line. */
  readonly what: string
  /** What follows from it, or what it follows from. */
  readonly why?: string
  /** What to do; holds a command where there is one. Every failure has one. */
  readonly remedy?: string
}

/** Of other nodes' words no more than this is repeated. */
const MAX_REPEATED = 300
/** Of one text, whatever went into it. */
const MAX_TEXT = 4000

export const ok = (check: CheckName, what: string, why?: string): Finding => finding(check, 'ok', what, why)

export const warning = (check: CheckName, what: string, why: string, remedy: string): Finding =>
  finding(check, 'warning', what, why, remedy)

export const failed = (check: CheckName, what: string, why: string, remedy: string): Finding =>
  finding(check, 'failed', what, why, remedy)

export const skipped = (check: CheckName, what: string, remedy?: string): Finding =>
  finding(check, 'skipped', what, undefined, remedy)

const finding = (check: CheckName, state: FindingState, what: string, why?: string, remedy?: string): Finding => ({
  check,
  state,
  what: oneLine(what),
  ...(why === undefined ? {} : { why: oneLine(why) }),
  ...(remedy === undefined ? {} : { remedy: oneLine(remedy) }),
})

/** Others may have said part of it: what a terminal would obey is shown as a question mark. */
const oneLine = (text: string): string => text.slice(0, MAX_TEXT).replaceAll(/\s+/g, ' ').replaceAll(/\p{C}/gu, '?')

/** A text of another node, cut where it gets long. */
export const repeated = (text: unknown): string => safeText(text, MAX_REPEATED)

/** Runs a check. Never rejects, and settles within `limitMs`. */
export const examine = async (
  clock: Clock,
  check: CheckName,
  limitMs: number,
  work: () => Promise<readonly Finding[]> | readonly Finding[],
): Promise<readonly Finding[]> => {
  try {
    const findings = await within(clock, limitMs, Promise.resolve().then(work))
    return findings ?? [skipped(check, `This took longer than ${limitMs} ms and was given up.`, MORE_TIME)]
  } catch (error) {
    return [unexpected(check, error)]
  }
}

const MORE_TIME = 'Run it again with a greater --timeout, such as --timeout 10000.'

/** An error that no check foresaw. */
export const unexpected = (check: CheckName, error: unknown): Finding => {
  if (isSkeinError(error))
    return failed(check, `${error.message} (${error.code})`, 'The check ended with it.', error.hint)
  return failed(
    check,
    `This could not be looked at: ${safeMessage(error, MAX_REPEATED)}`,
    'The check met an error that it does not know.',
    'Please report it, with the version of Skein, of Node and of the system.',
  )
}
