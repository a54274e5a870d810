/**
 * How help texts read: every command ends its help with examples, and says what else must be known.
 *
 * `addHelp` is called once for each command, after its options. The man page takes the same text.
 */
import type { Command } from 'commander'

export interface Example {
  /** As typed, from `skein` on. */
  readonly command: string
  readonly does: string
}

/** Longer commands stand on a line of their own. */
const COMMAND_COLUMN = 36

/** Adds examples to the help of a command, and a note under them. Gives the command back. */
export const addHelp = (command: Command, examples: readonly Example[], note?: string): Command =>
  command.addHelpText('after', ['', 'Examples:', ...examples.map(exampleLines), ...noteLines(note)].join('\n'))

const exampleLines = ({ command, does }: Example): string => {
  const indented = ' '.repeat(COMMAND_COLUMN + 2)
  if (command.length > COMMAND_COLUMN - 2) return `  ${command}\n${indented}${does}`
  return `  ${command.padEnd(COMMAND_COLUMN)}${does}`
}

const noteLines = (note: string | undefined): string[] => (note === undefined ? [] : ['', note])
