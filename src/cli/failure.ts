/**
 * How commands fail: which exit code, and what a person reads about it.
 *
 * An error with a code is shown by its code, message, attempts and hint, never by its stack.
 */
import { CommanderError } from 'commander'
import { type ErrorCode, isSkeinError } from '../../certs/errors.ts'
import { nearestOf } from '../nearest-name.ts'
import { toJson, visible } from './output.ts'

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

/** Names that a hint lists; a cluster may have thousands. */
const MAX_LISTED = 20

/** The command failed and has said so itself. */
export class Failed extends Error {}

export const exitCodeFor = (error: unknown): number =>
  isSkeinError(error) && BAD_ARGUMENT_CODES.includes(error.code) ? EXIT_BAD_ARGUMENTS : EXIT_FAILED

/** What commander found wrong with the arguments, and of which command, such as `skein dht find`. */
export class Misuse extends CommanderError {
  readonly command: string

  constructor({ exitCode, code, message }: Pick<CommanderError, 'exitCode' | 'code' | 'message'>, command: string) {
    super(exitCode, code, message)
    this.command = command
  }
}

/** A first line with what is wrong, a second one with what may have been meant, and whose help tells more. */
export const describeMisuse = ({ code, message, command }: Misuse, json: boolean): string => {
  // Without a command, or without one of a group, it has printed the help.
  if (code === 'commander.help') return json ? misuse('A command is missing.', `${command} --help lists them.`) : ''
  const [what = '', ...hints] = message.replace(/^error: /, '').split('\n')
  const all = [...hints, `(${command} --help explains)`]
  return json ? misuse(what, all.join(' ')) : `${[`error: ${what}`, ...all].join('\n')}\n`
}

const misuse = (message: string, hint: string): string =>
  `${JSON.stringify({ code: 'ERR_SKEIN_BAD_ARGUMENT', message, hint, attempts: [] })}\n`

/** Text for stderr: for a person, or one JSON value on a line. Other nodes may have said parts of it. */
export const describeFailure = (error: unknown, json: boolean): string => {
  const { code, message, hint, attempts } = isSkeinError(error) ? error : foreign(error)
  if (json) return `${toJson({ code, message, hint, attempts })}\n`
  const lines = [
    `${code}: ${message}`,
    ...attempts.map((attempt) => `  tried ${attempt.what}: ${attempt.message} (${attempt.code})`),
    ...(hint === '' ? [] : [`  hint: ${hint}`]),
  ]
  return `${lines
    .flatMap((line) => line.split('\n'))
    .map(visible)
    .join('\n')}\n`
}

/** For a hint: what may have been meant, and what there is; `owner` is such as "The cluster has". */
export const hintAmong = (word: string, names: readonly string[], owner: string): string => {
  const nearest = nearestOf(word, names)
  const more = names.length > MAX_LISTED ? ` and ${names.length - MAX_LISTED} more` : ''
  const list = names.length === 0 ? 'nothing' : `${names.slice(0, MAX_LISTED).join(', ')}${more}`
  return `${nearest === undefined ? '' : `Did you mean ${nearest}? `}${owner} ${list}.`
}

const foreign = (error: unknown) => ({
  code: 'ERROR',
  message: error instanceof Error ? error.message : String(error),
  hint: '',
  attempts: [],
})
