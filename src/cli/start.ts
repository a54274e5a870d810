/**
 * `skein start`: a node that stays until it is interrupted, and tells what happens to it. SIGTERM lets it drain first.
 *
 * It has one process of its own, `echo`, which answers a call with what it got, so that there is somebody to talk to.
 */
import type { Command } from 'commander'
import type { ResolvedCookie } from '../../certs/cookie.ts'
import { SkeinError } from '../../certs/errors.ts'
import { formatAddress } from '../../transport/address.ts'
import { startBootstrap } from '../bootstrap.ts'
import type { NodeEvent } from '../event-stream.ts'
import type { SkeinNode } from '../node.ts'
import { type HealthServer, startHealthServer } from '../observe/health-server.ts'
import { startNode } from '../start.ts'
import { printReport } from './dht.ts'
import { echo } from './echo.ts'
import { eventText, timeOfDay } from './event-text.ts'
import { addHelp } from './help.ts'
import { addClusterOptions, type ClusterOptions, findCookie, parsePort, toStartOptions } from './options.ts'
import { invocation, palette, printJson, printLine } from './output.ts'
import { interrupted } from './tool-node.ts'

/** Well within the time that service managers give before they kill: systemd 90 s, Kubernetes 30 s, Docker 10 s. */
const DRAIN_TIMEOUT_MS = 8000

export interface StartCommandOptions extends ClusterOptions {
  readonly name?: string
  readonly port?: number
  readonly bootstrap?: boolean
  readonly healthPort?: number
  readonly attach?: boolean
}

/** What every command takes that becomes a node which stays. */
export const addNodeOptions = (command: Command): Command =>
  command
    .option('--name <name>', 'name of the node (default: made up)')
    .option('--port <port>', 'UDP port (default: 4433, or any free one if that is busy)', parsePort)
    .option('--health-port <port>', 'serve /live, /ready and /metrics on this TCP port of 127.0.0.1', parsePort)

export const addStart = (program: Command): void => {
  const command = addNodeOptions(
    program.command('start').description('start a node that stays, and print what happens to it'),
  )
    .option('--bootstrap', 'start a node of the DHT and nothing else: it needs no cookie and joins no cluster')
    .option('--attach', 'let members evaluate code in this node (skein attach)')
  addClusterOptions(command).action(run)
  addHelp(
    command,
    [
      { command: 'skein start --name a', does: 'found by others of this user and LAN' },
      { command: 'skein start --name b --seed 192.168.1.7:4433', does: 'where multicast does not get through' },
      { command: 'skein start --health-port 9090', does: 'with /live, /ready and /metrics' },
      { command: 'skein start --bootstrap --port 4433', does: 'a DHT node for clusters to meet at' },
      { command: 'skein start --json | jq -c .type', does: 'what happens, for programs' },
    ],
    'Ctrl-C stops the node; SIGTERM lets it drain first.',
  )
}

const run = async (options: StartCommandOptions): Promise<void> => {
  if (options.bootstrap === true) {
    if (options.healthPort === undefined) return runBootstrap(options)
    throw new SkeinError('ERR_SKEIN_BAD_OPTION', '--health-port does not go with --bootstrap: it serves nothing there.')
  }
  await stay(options, await findCookie(options))
}

/** A node of the cluster with that cookie, until it is interrupted. */
export const stay = async (options: StartCommandOptions, cookie: ResolvedCookie): Promise<void> => {
  const { name, port, json = false } = options
  const node = await startNode({
    ...toStartOptions(options, cookie),
    ...(name === undefined ? {} : { name }),
    ...(port === undefined ? {} : { port }),
    ...(options.attach === undefined ? {} : { attach: options.attach }),
  })
  const health = options.healthPort === undefined ? undefined : await healthServerOf(node, options.healthPort)
  process.once('SIGINT', () => void node.stop())
  // Whoever manages services sends this one first, and kills later.
  process.once('SIGTERM', () => void node.drain({ timeoutMs: DRAIN_TIMEOUT_MS }))
  node.register('echo', node.spawn(echo))
  node.behaviour('echo', echo)

  const events = node.events
  if (json) await tellPrograms(node, events, health)
  else await tellPeople(node, events, cookie, health)
  await node.stop()
}

const runBootstrap = async ({ host, port, dht, config, json = false }: StartCommandOptions): Promise<void> => {
  const node = await startBootstrap({
    ...(host === undefined ? {} : { host }),
    ...(port === undefined ? {} : { port }),
    ...(dht === undefined ? {} : { dht: { bootstrap: dht } }),
    ...(config === undefined ? {} : { configFile: config }),
  })
  const addresses = node.addresses.map(formatAddress)
  const { id } = node.report()
  if (json) printJson({ type: 'started', id, addresses })
  else {
    printLine(`${palette().bold('a bootstrap node of the DHT')} is up`)
    printLine(`  id           ${id}`)
    printLine(`  listens on   ${addresses.join(', ')} (UDP)`)
    printLine(`  try          ${invocation()} start --dht ${addresses[0]}, here or elsewhere; Ctrl-C stops this node`)
  }
  await interrupted()
  const report = node.report()
  await node.stop()
  if (json) printJson({ type: 'stopped', ...report })
  else printReport('it', report)
}

/** A node without the server it was to have is not started. */
const healthServerOf = async (node: SkeinNode, port: number): Promise<HealthServer> => {
  try {
    return await startHealthServer(node, { port })
  } catch (error) {
    await node.stop()
    throw error
  }
}

const tellPrograms = async (
  node: SkeinNode,
  events: AsyncIterable<NodeEvent>,
  health: HealthServer | undefined,
): Promise<void> => {
  const { name, id, incarnation, addresses } = node
  const healthPort = health?.port
  printJson({ type: 'started', name, id, incarnation, addresses: addresses.map(formatAddress), healthPort })
  for await (const event of events) printJson(event)
  printJson({ type: 'stopped', name })
}

const tellPeople = async (
  node: SkeinNode,
  events: AsyncIterable<NodeEvent>,
  cookie: ResolvedCookie,
  health: HealthServer | undefined,
): Promise<void> => {
  const paint = palette()
  const short = node.name.split('@', 1)[0]
  printLine(`${paint.bold(node.name)} is up`)
  printLine(`  id           ${node.id}`)
  printLine(`  incarnation  ${node.incarnation}`)
  printLine(`  listens on   ${node.addresses.map(formatAddress).join(', ')} (UDP)`)
  printLine(`  cookie       ${placeOf(cookie)}`)
  if (health !== undefined) printLine(`  health       http://${health.host}:${health.port}/ready, /live and /metrics`)
  const skein = invocation()
  printLine(`  try          ${skein} nodes, ${skein} call ${short} echo '"hi"'; Ctrl-C stops this node`)
  for await (const event of events) {
    const text = eventText(event, paint)
    if (text !== undefined) printLine(`${paint.dim(timeOfDay())}  ${text}`)
  }
  printLine(`${paint.bold(node.name)} has stopped`)
}

const placeOf = (cookie: ResolvedCookie): string =>
  'file' in cookie ? cookie.file : 'from the environment variable SKEIN_COOKIE'
