/**
 * The commands as plain data, for what is made from them: completion scripts here, the man page by scripts/man-page.ts.
 *
 * What the help leaves out is left out here too.
 */
import type { Argument, Command, Option } from 'commander'

/** What may follow: words to choose from, the name of a file, or something that nobody can complete. */
export type Value =
  | { readonly kind: 'choices'; readonly words: readonly string[] }
  | { readonly kind: 'file' }
  | { readonly kind: 'other' }

export interface OptionNode {
  /** As in the help: `-h, --help`. */
  readonly flags: string
  /** `-h` and `--help`. */
  readonly words: readonly string[]
  readonly description: string
  /** The heading in the help under which it stands, if it has one of its own. */
  readonly group: string | undefined
  /** Undefined: it takes none. */
  readonly value: Value | undefined
}

export interface CommandNode {
  /** From `skein` on: ['skein', 'dht', 'find']. */
  readonly path: readonly string[]
  readonly usage: string
  readonly description: string
  readonly arguments: readonly { readonly name: string; readonly description: string; readonly value: Value }[]
  readonly options: readonly OptionNode[]
  readonly commands: readonly CommandNode[]
}

export const treeOf = (command: Command, above: readonly string[] = []): CommandNode => {
  const path = [...above, command.name()]
  const help = command.createHelp()
  return {
    path,
    usage: command.usage(),
    description: command.description(),
    arguments: command.registeredArguments.map((argument) => ({
      name: argument.name(),
      description: argument.description,
      value: valuesOf(argument.name(), argument),
    })),
    options: help.visibleOptions(command).map(toOption),
    commands: help.visibleCommands(command).map((one) => treeOf(one, path)),
  }
}

/** A command and all below it, in the order of the help. */
export const flattened = (node: CommandNode): CommandNode[] => [node, ...node.commands.flatMap(flattened)]

const toOption = (option: Option): OptionNode => ({
  flags: option.flags,
  words: [option.short, option.long].filter((word) => word !== undefined),
  description: option.description,
  group: option.helpGroupHeading,
  value:
    option.required || option.optional ? valuesOf(/[<[]([^>\]]+)/.exec(option.flags)?.[1] ?? '', option) : undefined,
})

const valuesOf = (name: string, { argChoices }: Pick<Argument | Option, 'argChoices'>): Value => {
  if (argChoices !== undefined) return { kind: 'choices', words: argChoices }
  return { kind: /^(?:file|folder)(?:\.\.\.)?$/.test(name) ? 'file' : 'other' }
}
