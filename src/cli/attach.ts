/**
 * `skein attach NODE`: evaluates code in the process of a node that allows it; a prompt on a terminal, otherwise what
 * `--eval` or stdin say, once.
 */
import { stripVTControlCharacters } from 'node:util'
import type { Command } from 'commander'
import { SkeinError } from '../../certs/errors.ts'
import { MAX_CODE_LENGTH } from '../attach/protocol.ts'
import { prompt } from './attach-prompt.ts'
import { attachTo, type Remote } from './attach-remote.ts'
import { addHelp } from './help.ts'
import { addClusterOptions, type ClusterOptions } from './options.ts'
import { printJson, printLine } from './output.ts'
import { withTool } from './tool-node.ts'

interface AttachCommandOptions extends ClusterOptions {
  readonly eval?: string
  readonly identity?: string
}

export const addAttach = (program: Command): void => {
  const command = program
    .command('attach')
    .description('evaluate code in a node that allows it')
    .argument('<name>', 'name, name@host or ip:port of the node')
    .option('-e, --eval <code>', 'evaluate this and print what it gives, instead of a prompt')
    .option('--identity <file>', 'key to come with, for nodes that let in some ids only (made if it is not there)')
  addClusterOptions(command).action((target: string, options: AttachCommandOptions) => run(target, options))
  addHelp(
    command,
    [
      { command: 'skein start --name a --attach', does: 'a node that allows it' },
      { command: 'skein attach a', does: 'a prompt; .help there tells more' },
      { command: `skein attach a --eval 'node.nodes()'`, does: 'one evaluation' },
      { command: 'skein attach a --json < report.js', does: 'code from a file, its value as JSON' },
    ],
    `The code runs in the process of the node, with the node as "node", and may do whatever that program may.
Nodes refuse it unless they were started with the option attach. They tell each use as an event and in their log.`,
  )
}

const run = async (target: string, options: AttachCommandOptions): Promise<void> => {
  const { identity, json = false } = options
  const isPrompt = options.eval === undefined && process.stdin.isTTY
  if (isPrompt && json) {
    throw new SkeinError('ERR_SKEIN_BAD_OPTION', '--json goes with --eval, or with code on stdin.')
  }
  const code = isPrompt ? undefined : (options.eval ?? (await readCode()))
  const print = (text: string): void => {
    if (!json) process.stdout.write(text)
  }
  const more = identity === undefined ? {} : { identity }
  await withTool(
    options,
    async (tool) => {
      const name = await tool.reach(target)
      if (code === undefined) await prompt(tool.node, name)
      else await attachTo(tool.node, name, print, (remote) => once(remote, code, json))
    },
    more,
  )
}

const once = async (remote: Remote, code: string, json: boolean): Promise<void> => {
  const giveUp = (): void => void remote.giveUp().catch(() => {})
  process.once('SIGINT', giveUp)
  try {
    const evaluated = await remote.evaluate(code, {
      format: json ? 'data' : 'text',
      columns: process.stdout.columns ?? 80,
      colours: process.stdout.isTTY && process.stdout.hasColors(),
    })
    if (evaluated.type === 'data') printJson({ node: remote.node, value: evaluated.value })
    else if (evaluated.type === 'text') printLine(evaluated.text)
    else {
      const text = evaluated.type === 'givenUp' ? 'It was given up before it was through.' : evaluated.text
      // It goes to stderr, which may be no terminal.
      throw new SkeinError('ERR_SKEIN_EVALUATION', stripVTControlCharacters(text))
    }
  } finally {
    process.removeListener('SIGINT', giveUp)
  }
}

/** All of stdin, but no more than a node takes. */
const readCode = async (): Promise<string> => {
  let code = ''
  process.stdin.setEncoding('utf8')
  for await (const text of process.stdin) {
    code += text as string
    if (code.length > MAX_CODE_LENGTH) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `Code has ${MAX_CODE_LENGTH} characters at most.`)
    }
  }
  return code
}
