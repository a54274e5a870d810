/**
 * How commands fail: which exit code, and what a person reads about it.
 *
 * An error with a code is shown by its code, message, attempts and hint, never by its stack.
 */
import type { CommanderError } from 'commander'
import { type ErrorCode, isSkeinError } from '../../certs/errors.ts'

export const EXIT_DONE = 0
const EXIT_FAILED = 1
export const EXIT_BAD_ARGUMENTS = 2

/** Errors about what the user typed. */
const BAD_ARGUMENT_CODES: readonly ErrorCode[] = [
  'ERR_SKEIN_BAD_OPTION',
  'ERR_SKEIN_BAD_NAME',
  'ERR_SKEIN_BAD_ADDRESS',
  'ERR_SKEIN_BAD_INVITATION',
]

/** The command failed and has said so itself. */
export class Failed extends Error {}

export const exitCodeFor = (error: unknown): number =>
  isSkeinError(error) && BAD_ARGUMENT_CODES.includes(error.code) ? EXIT_BAD_ARGUMENTS : EXIT_FAILED

/** What commander found wrong with the arguments: a first line with what, a second one with what may have been meant. */
export const describeMisuse = ({ code, message }: CommanderError, json: boolean): string => {
  // Without a command, or without one of a group, it has printed the help.
  if (code === 'commander.help') return json ? misuse('A command is missing.', 'skein --help lists them.') : ''
  const [what = '', ...hints] = message.replace(/^error: /, '').split('\n')
  if (json) return misuse(what, hints.join(' '))
  return `${['error: '.concat(what), ...hints].join('\n')}\n(skein --help explains)\n`
}

const misuse = (message: string, hint: string): string =>
  `${JSON.stringify({ code: 'ERR_SKEIN_BAD_ARGUMENT', message, hint, attempts: [] })}\n`

/** Text for stderr: for a person, or one JSON value on a line. */
export const describeFailure = (error: unknown, json: boolean): string => {
  const { code, message, hint, attempts } = isSkeinError(error) ? error : foreign(error)
  if (json) return `${JSON.stringify({ code, message, hint, attempts })}\n`
  const lines = [
    `${code}: ${message}`,
    ...attempts.map((attempt) => `  tried ${attempt.what}: ${attempt.message} (${attempt.code})`),
    ...(hint === '' ? [] : [`  hint: ${hint}`]),
  ]
  return `${lines.join('\n')}\n`
}

const foreign = (error: unknown) => ({
  code: 'ERROR',
  message: error instanceof Error ? error.message : String(error),
  hint: '',
  attempts: [],
})
