/**
 * `skein call NAME PROCESS JSON`: asks a registered process of a node and prints its reply.
 */
import { type Command, InvalidArgumentError } from 'commander'
import { addHelp } from './help.ts'
import { addClusterOptions, type ClusterOptions, parseMilliseconds } from './options.ts'
import { printLine, toJson } from './output.ts'
import { withTool } from './tool-node.ts'

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
        const reply = await tool.node.call({ name: process, node: name }, request.value, limit)
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
const parseRequest = (text: string): { value: unknown } => {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    throw new InvalidArgumentError(`It must be JSON, such as '"hi"' or '{"count": 1}'.`)
  }
}
