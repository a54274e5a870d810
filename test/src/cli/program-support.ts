/** The tree of commands in this process. */
import type { Command } from 'commander'
import { Misuse } from '../../../src/cli/failure.ts'
import { buildProgram } from '../../../src/cli/program.ts'

export const program = (): Command => buildProgram('1.2.3', 'main.js')

/** A command and all below it that the help shows. */
export const shown = (command: Command, path = ''): [path: string, command: Command][] => [
  [path, command],
  ...command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name() !== 'help')
    .flatMap((one) => shown(one, `${path} ${one.name()}`)),
]

/** What running the command throws; an error if it throws nothing. */
export const failureOf = async (args: readonly string[]): Promise<unknown> => {
  const whole = program()
  for (const [, command] of shown(whole)) command.configureOutput({ writeErr: () => {} })
  try {
    await whole.parseAsync(['node', 'skein', ...args])
  } catch (error) {
    return error
  }
  throw new Error(`skein ${args.join(' ')} does not fail`)
}

/** How the arguments are wrong. */
export const misuseOf = async (args: readonly string[]): Promise<Misuse> => {
  const error = await failureOf(args)
  if (error instanceof Misuse) return error
  throw error
}
