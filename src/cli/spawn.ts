/**
 * `skein spawn NAME BEHAVIOUR [JSON...]`: starts a process on a node, by the name under which that node offers its behaviour.
 */
import type { Command } from 'commander'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import type { Pid } from '../pid.ts'
import { hintAmong } from './failure.ts'
import { addHelp } from './help.ts'
import { addClusterOptions, type ClusterOptions, parseMilliseconds, parseProcessName } from './options.ts'
import { printJson, printLine } from './output.ts'
import { parseJson } from './parse-json.ts'
import { withProgress } from './progress.ts'
import { type Tool, withTool } from './tool-node.ts'

interface SpawnCommandOptions extends ClusterOptions {
  readonly as?: string
  readonly behaviourVersion?: string
  readonly timeout?: number
}

export const addSpawn = (program: Command): void => {
  const command = program
    .command('spawn')
    .description('start a process on a node, and print its pid')
    .argument('<name>', 'name, name@host or ip:port of the node')
    .argument('<behaviour>', 'name under which the node offers it: node.behaviour(name, ...)')
    .argument('[json...]', 'its arguments', collected)
    .option('--as <name>', 'register the process under this name', parseProcessName)
    .option('--behaviour-version <version>', 'only this version of the behaviour')
    .option('--timeout <ms>', 'how long it may take to start (default: 5000)', parseMilliseconds)
  addClusterOptions(command).action(
    (target: string, behaviour: string, args: readonly unknown[] | undefined, options: SpawnCommandOptions) =>
      withTool(options, (tool) => spawn(tool, target, behaviour, args ?? [], options)),
  )
  addHelp(
    command,
    [
      { command: 'skein spawn b echo --as echo2', does: 'a second echo; then: skein call b echo2 1' },
      { command: `skein spawn b resize '{"width": 80}' 3`, does: 'with two arguments' },
      { command: 'skein spawn b resize --behaviour-version 2.1', does: 'only if b has that version' },
    ],
    'A node offers what its program gave to node.behaviour(name, behaviour); one of `skein start` offers "echo".',
  )
}

const collected = (text: string, before: readonly unknown[] | undefined): readonly unknown[] => [
  ...(before ?? []),
  parseJson(text),
]

const spawn = async (
  tool: Tool,
  target: string,
  behaviour: string,
  args: readonly unknown[],
  { as: name, behaviourVersion: version, timeout: timeoutMs, json = false }: SpawnCommandOptions,
): Promise<void> => {
  const node = await tool.reach(target)
  const options = {
    start: true,
    ...(name === undefined ? {} : { name }),
    ...(version === undefined ? {} : { version }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  }
  let pid: Pid
  try {
    pid = await withProgress(`starting ${behaviour}`, tool.node.spawnOn(node, behaviour, args, options))
  } catch (error) {
    throw isSkeinError(error, 'ERR_SKEIN_UNKNOWN_BEHAVIOUR') ? await withOffer(tool, node, behaviour, error) : error
  }
  if (json) printJson({ pid, node, behaviour, name })
  else printLine(`${pid} runs ${behaviour} on ${node}${name === undefined ? '' : `, registered as ${name}`}`)
}

/** The same error, with what the node offers in its place. */
const withOffer = async (tool: Tool, node: string, behaviour: string, error: SkeinError): Promise<SkeinError> => {
  const offered = await tool.behaviours(node).catch(() => undefined)
  if (offered === undefined) return error
  const hint = hintAmong(behaviour, offered, `${node} offers`)
  return new SkeinError(error.code, error.message, { hint, cause: error })
}
