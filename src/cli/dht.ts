/**
 * `skein dht`: what a member of the cluster knows of the DHT. `skein dht find NAME`: looks a node up, as any node would.
 */
import type { Command } from 'commander'
import { SkeinError } from '../../certs/errors.ts'
import { formatAddress } from '../../transport/address.ts'
import type { DhtReport } from '../dht-report.ts'
import type { DiscoveredNode } from '../node-discovery.ts'
import { addHelp } from './help.ts'
import { addClusterOptions, type ClusterOptions } from './options.ts'
import { printJson, printLine, table } from './output.ts'
import { type Tool, withTool } from './tool-node.ts'

interface DhtCommandOptions extends ClusterOptions {
  readonly node?: string
}

export const addDht = (program: Command): void => {
  const command = program.command('dht').description('show what a node knows of the DHT, or find a node by name or id')
  addClusterOptions(command)
    .option('--node <name>', 'the node to ask (default: the first that answers)')
    .action((options: DhtCommandOptions) => withTool(options, (tool) => show(tool, options)))
  const find = command
    .command('find')
    .argument('<name>', 'name, name@host, registered name or id of a node')
    .description('look a node up by all ways of discovery')
  addClusterOptions(find).action((name: string, _own: ClusterOptions, command: Command) => {
    // Those that stand before "find" as well.
    const options: ClusterOptions = command.optsWithGlobals()
    return withTool(options, (tool) => look(tool, name, options.json === true))
  })
  addHelp(command, [
    { command: 'skein dht', does: 'what the first member that answers knows' },
    { command: 'skein dht --node b', does: 'what b knows: contacts, items, public address' },
    { command: 'skein dht find b', does: 'where b is' },
  ])
  addHelp(find, [
    { command: 'skein dht find b@box2', does: 'by name' },
    { command: 'skein dht find printer', does: 'by a name that nodes registered' },
    { command: 'skein dht find b --dht 203.0.113.7:4433', does: 'from anywhere, by that DHT node' },
  ])
}

const show = async (tool: Tool, { node, json = false }: DhtCommandOptions): Promise<void> => {
  const name = node === undefined ? await tool.anyMember() : await tool.reach(node)
  const reply = await tool.ask(name, { type: 'dht' })
  const dht = reply.type === 'dht' ? reply.dht : undefined
  if (dht === undefined) {
    throw new SkeinError('ERR_SKEIN_NODE_UNKNOWN', `${name} takes part in no DHT.`, {
      hint: 'Its option discovery.dht, or SKEIN_DISCOVERY, switches that off.',
    })
  }
  if (json) printJson({ node: name, ...dht })
  else printReport(name, dht)
}

export const printReport = (name: string, dht: DhtReport): void => {
  const { id, publicAddress, items, announcements, contacts, counters } = dht
  printLine(`${name} in the DHT`)
  printLine(`  id              ${id}`)
  printLine(`  public address  ${publicAddress === undefined ? 'not known yet' : formatAddress(publicAddress)}`)
  printLine(`  keeps           ${items} items and ${announcements} announcements of others`)
  const counts = Object.entries(counters).map(([counter, count]) => `${counter} ${count}`)
  printLine(`  counters        ${counts.join(', ')}`)
  printLine(`  contacts        ${contacts.length}`)
  if (contacts.length === 0) return
  for (const line of table([['ID', 'ADDRESS'], ...contacts.map((one) => [one.id, one.address])])) printLine(line)
}

const look = async (tool: Tool, name: string, json: boolean): Promise<void> => {
  const found = await tool.lookup(name)
  if (found.length === 0) {
    throw new SkeinError('ERR_SKEIN_NODE_UNKNOWN', `Nobody knows a node ${name}.`, {
      attempts: tool.node.discovery
        .status()
        .map(({ source, state, detail }) => ({ what: source, code: state, message: detail })),
    })
  }
  if (json) {
    for (const node of found) printJson({ ...node, addresses: node.addresses.map(formatAddress) })
    return
  }
  for (const line of table([['NAME', 'ADDRESS', 'ID', 'THROUGH', 'REGISTERED'], ...found.map(rowOf)])) printLine(line)
}

const rowOf = ({ name, addresses, id, sources, registrations }: DiscoveredNode): string[] => [
  name,
  addresses.map(formatAddress).join(' '),
  id,
  sources.join(' '),
  registrations
    .map((one) => [one.name, ...Object.entries(one.metadata).map((pair) => pair.join('='))].join(' '))
    .join(', '),
]
