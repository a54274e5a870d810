/**
 * `skein call NAME PROCESS JSON`: asks a registered process of a node and prints its reply.
 */
import type { Command } from 'commander'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import { hintAmong } from './failure.ts'
import { addHelp } from './help.ts'
import { addClusterOptions, type ClusterOptions, parseMilliseconds } from './options.ts'
import { printLine, toJson } from './output.ts'
import { parseJson } from './parse-json.ts'
import { withProgress } from './progress.ts'
import { type Tool, withTool } from './tool-node.ts'

const READABLE_INDENT = 2

interface CallCommandOptions extends ClusterOptions {
  readonly timeout?: number
}

export const addCall = (program: Command): void => {
  const command = program
    .command('call')
    .description('ask a process of a node and print its reply')
    .argument('<name>', 'name, name@host or ip:port of the node')
    .argument('<process>', 'name under which the process is registered')
    .argument('<json>', 'the request', parseRequest)
    .option('--timeout <ms>', 'how long to wait for the reply (default: 5000)', parseMilliseconds)
  addClusterOptions(command).action(
    (target: string, process: string, request: { value: unknown }, options: CallCommandOptions) =>
      withTool(options, async (tool) => {
        const name = await tool.reach(target)
        const limit = options.timeout === undefined ? {} : { timeoutMs: options.timeout }
        const reply = await withProgress(
          `waiting for ${process}`,
          tool.node.call({ name: process, node: name }, request.value, limit),
        ).catch(async (error: unknown) => {
          throw isSkeinError(error, 'ERR_SKEIN_NOPROC') ? await withNames(tool, name, process, error) : error
        })
        printLine(toJson(reply, options.json === true ? 0 : READABLE_INDENT))
      }),
  )
  addHelp(
    command,
    [
      { command: `skein call b echo '"hi"'`, does: 'text is JSON too: mind the quotes' },
      { command: `skein call b counter '{"add": 2}' --timeout 500`, does: 'wait half a second at most' },
      { command: `skein call b skein '{"type": "info"}'`, does: 'what every node tells of itself' },
    ],
    'Every node has the process "skein"; one of `skein start` has "echo" as well.',
  )
}

/** Wrapped, since commander takes a plain undefined or false for no argument at all. */
const parseRequest = (text: string): { value: unknown } => ({ value: parseJson(text) })

/** The same error, with the names that are registered there in its place. */
const withNames = async (tool: Tool, node: string, process: string, error: SkeinError): Promise<SkeinError> => {
  const names = await tool.registered(node).catch(() => undefined)
  if (names === undefined) return error
  return new SkeinError(error.code, error.message, { hint: hintAmong(process, names, `${node} has`), cause: error })
}
