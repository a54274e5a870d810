/**
 * `skein observer`: a page in the browser that shows a cluster as it lives. It looks and changes nothing.
 *
 * The page is served to this machine alone; on any other address it needs a token, which is in the address that is printed.
 */
import { isIP } from 'node:net'
import { type Command, InvalidArgumentError } from 'commander'
import { isSkeinError } from '../../certs/errors.ts'
import { systemRandom } from '../../transport/random.ts'
import { timeOfDay } from './event-text.ts'
import { addHelp } from './help.ts'
import { ClusterWatch } from './observer/cluster-watch.ts'
import { EventLog } from './observer/event-log.ts'
import { isLoopbackHost } from './observer/guard.ts'
import type { LogEntry } from './observer/messages.ts'
import { PageServer, type PageServerOptions } from './observer/page-server.ts'
import { addClusterOptions, type ClusterOptions, parsePort } from './options.ts'
import { palette, printJson, printLine, visible } from './output.ts'
import { interrupted, type Tool, withTool } from './tool-node.ts'

const DEFAULT_HOST = '127.0.0.1'
const DEFAULT_PORT = 4480
const TOKEN_BYTES = 32

interface ObserverCommandOptions extends ClusterOptions {
  readonly pageHost?: string
  readonly pagePort?: number
}

export const addObserver = (program: Command): void => {
  const command = program
    .command('observer')
    .description('serve a page that shows the cluster as it lives')
    .option(
      '--page-host <ip>',
      `address to serve the page on (default: ${DEFAULT_HOST}; others need a token)`,
      parseHost,
    )
    .option('--page-port <port>', `its TCP port (default: ${DEFAULT_PORT}, or any free one if that is busy)`, parsePort)
  addClusterOptions(command).action((options: ObserverCommandOptions) =>
    withTool(options, (tool) => observe(tool, options)),
  )
  addHelp(command, [
    { command: 'skein observer', does: 'open the address that it prints in a browser here' },
    { command: 'skein observer --page-port 8080', does: 'on a port of your own choice' },
    { command: 'skein observer --page-host 0.0.0.0', does: 'for other machines too; the printed address has a token' },
    { command: 'skein observer --json', does: 'what happens in the cluster as JSON lines too' },
  ])
}

const parseHost = (text: string): string => {
  if (isIP(text) !== 0) return text
  throw new InvalidArgumentError('It must be an IP address, such as 127.0.0.1 or 0.0.0.0.')
}

const observe = async (tool: Tool, { pageHost = DEFAULT_HOST, pagePort, json = false }: ObserverCommandOptions) => {
  await tool.anyMember()
  const { node, cluster } = tool
  const token = isLoopbackHost(pageHost)
    ? undefined
    : Buffer.from(systemRandom.bytes(TOKEN_BYTES)).toString('base64url')
  let server: PageServer | undefined
  const log = new EventLog((entry) => {
    server?.logged()
    if (json) printJson(entry)
    else printLine(lineOf(entry))
  })
  const watch = new ClusterWatch({ node, cluster, log: (entry) => log.add(entry), changed: () => server?.changed() })
  server = await serve({ watch, log, host: pageHost, token }, pagePort)
  void interrupted().then(() => node.stop())

  const host = isEverywhere(pageHost) ? (addressOf(tool, pageHost) ?? pageHost) : pageHost
  const place = `http://${isIP(host) === 6 ? `[${host}]` : host}:${server.port}/`
  const url = token === undefined ? place : `${place}?token=${token}`
  try {
    if (json) printJson({ type: 'started', cluster, url })
    else {
      printLine(`${palette().bold(`the observer of cluster ${cluster}`)} is up`)
      printLine(`  page         ${url}`)
      printLine(
        `  for          ${token === undefined ? 'this machine only' : 'whoever has that address; it is not encrypted'}`,
      )
      printLine('  Ctrl-C stops it')
    }
    await watch.run()
  } finally {
    await server.close()
  }
  if (json) printJson({ type: 'stopped', cluster })
}

const isEverywhere = (host: string): boolean => host === '0.0.0.0' || host === '::'

/** Where others may reach a server of this machine that listens on 0.0.0.0, which has no IPv6, or on ::, which has both. */
const addressOf = ({ node }: Tool, listens: string): string | undefined =>
  node.addresses
    .map(({ host }) => host)
    .filter((host) => listens === '::' || isIP(host) === 4)
    .find((host) => !isLoopbackHost(host) && !isEverywhere(host))

/** On the port that was asked for; without one on the usual, or any free one. */
const serve = async (options: Omit<PageServerOptions, 'port'>, port: number | undefined): Promise<PageServer> => {
  try {
    return await PageServer.start({ ...options, port: port ?? DEFAULT_PORT })
  } catch (error) {
    if (port !== undefined || !isSkeinError(error, 'ERR_SKEIN_PORT_BUSY')) throw error
    return PageServer.start({ ...options, port: 0 })
  }
}

const lineOf = ({ at, node, text, level }: LogEntry): string => {
  const paint = palette()
  const colour = level === 'bad' ? paint.bad : level === 'good' ? paint.good : (plain: string) => plain
  const shown = visible(`${node}: ${text}`)
  return `${paint.dim(timeOfDay(at))}  ${colour(shown)}`
}
