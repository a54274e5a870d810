/**
 * `skein nodes`: lists the members of the cluster.
 */
import type { Command } from 'commander'
import { addHelp } from './help.ts'
import { addClusterOptions, type ClusterOptions } from './options.ts'
import { printJson, printLine, table } from './output.ts'
import { type Tool, withTool } from './tool-node.ts'

export const addNodes = (program: Command): void => {
  const command = program.command('nodes').description('list the nodes of the cluster')
  addClusterOptions(command).action((options: ClusterOptions) =>
    withTool(options, (tool) => nodes(tool, options.json === true)),
  )
  addHelp(command, [
    { command: 'skein nodes', does: 'the cluster of this user on this machine or LAN' },
    { command: 'skein nodes --seed 192.168.1.7:4433', does: 'by a node whose address is known' },
    { command: 'skein nodes --json | jq -r .name', does: 'their names' },
  ])
}

const nodes = async (tool: Tool, json: boolean): Promise<void> => {
  const members = await tool.members()
  if (json) {
    for (const member of members) printJson(member)
    return
  }
  const rows = members.map(({ name, address, id, incarnation }) => [name, address, id, incarnation])
  for (const line of table([['NAME', 'ADDRESS', 'ID', 'INCARNATION'], ...rows])) printLine(line)
  printLine(`${members.length} ${members.length === 1 ? 'node' : 'nodes'} in cluster ${tool.cluster}`)
}
