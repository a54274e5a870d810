/**
 * `skein completion SHELL`: a script that makes Tab complete commands, options and their values.
 */
import { Argument, type Command } from 'commander'
import { treeOf } from './command-tree.ts'
import { bashScript, fishScript, zshScript } from './completion-scripts.ts'
import { addHelp } from './help.ts'
import { printLine } from './output.ts'

const SCRIPTS = { bash: bashScript, zsh: zshScript, fish: fishScript } as const

export const addCompletion = (program: Command): void => {
  const command = program
    .command('completion')
    .description('print a script that completes commands in a shell')
    .addArgument(new Argument('<shell>', 'which one').choices(Object.keys(SCRIPTS)))
    .action((shell: keyof typeof SCRIPTS) => printLine(SCRIPTS[shell](treeOf(program))))
  addHelp(command, [
    { command: 'source <(skein completion bash)', does: 'in ~/.bashrc' },
    { command: 'source <(skein completion zsh)', does: 'in ~/.zshrc, after compinit' },
    { command: 'skein completion fish | source', does: 'in ~/.config/fish/config.fish' },
  ])
}
