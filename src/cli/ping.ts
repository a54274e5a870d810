/**
 * `skein ping NAME`: measures the way to a node and back.
 */
import type { Command } from 'commander'
import { addHelp } from './help.ts'
import { addClusterOptions, type ClusterOptions } from './options.ts'
import { duration, printJson, printLine } from './output.ts'
import { type Tool, withTool } from './tool-node.ts'

export const addPing = (program: Command): void => {
  const command = program
    .command('ping')
    .description('measure the way to a node and back')
    .argument('<name>', 'name, name@host or ip:port')
  addClusterOptions(command).action((name: string, options: ClusterOptions) =>
    withTool(options, (tool) => ping(tool, name, options.json === true)),
  )
  addHelp(command, [
    { command: 'skein ping b', does: 'by name, wherever it runs' },
    { command: 'skein ping b@box2', does: 'if there are several of that name' },
    { command: 'skein ping 192.168.1.7:4433', does: 'by address, of an unknown name' },
  ])
}

const ping = async (tool: Tool, target: string, json: boolean): Promise<void> => {
  const node = await tool.reach(target)
  const rttMs = await tool.node.ping(node)
  if (json) printJson({ node, rttMs: Number(rttMs.toFixed(3)) })
  else printLine(`${node} answered in ${duration(rttMs)}`)
}
