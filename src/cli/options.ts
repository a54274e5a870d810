/**
 * Options that several commands share, and what they mean for a node.
 */
import { hostname } from 'node:os'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type ResolvedCookie, resolveCookie } from '../../certs/cookie.ts'
import { isShortName } from '../cluster/node-name.ts'
import { LOG_LEVELS, type LogLevel, processEnvironment, type StartOptions } from '../config.ts'
import { loadConfig } from '../config-file.ts'
import { nearestOf } from '../nearest-name.ts'

export interface ClusterOptions {
  readonly cluster?: string
  readonly host?: string
  readonly cookieFile?: string
  readonly identity?: string
  readonly ca?: string
  readonly config?: string
  readonly seed?: readonly string[]
  readonly dht?: readonly string[]
  readonly logLevel?: LogLevel
  readonly json?: boolean
}

const MAX_PORT = 65535
/** Where the help shows what every command takes that talks to a cluster. */
const SHARED_OPTIONS = 'Options of every command:'

/** Adds what every command needs that talks to a cluster, under a heading of its own. */
export const addClusterOptions = (command: Command): Command => {
  const options = [
    new Option('--cluster <name>', 'name of the cluster (default: "default")'),
    new Option('--host <ip>', 'address to bind (default: all; 127.0.0.1 keeps to this machine)'),
    new Option('--cookie-file <file>', "file with the cluster's cookie (default: the user's own)"),
    new Option('--identity <file>', 'key and certificate of this node; without it made up for each run'),
    new Option('--ca <file>', 'let in only nodes whose certificate this authority has signed'),
    new Option('--config <file>', 'JSON file with settings; docs/configuration.md lists them'),
    new Option('--seed <host:port>', 'a node to try in any case; may be repeated').argParser(appended),
    new Option('--dht <host:port>', 'a node of the DHT to begin with; may be repeated').argParser(appended),
    new Option('--log-level <level>', 'what goes to stderr as log')
      .choices(LOG_LEVELS)
      .argParser((text: string) => parseChoice(text, LOG_LEVELS)),
    jsonOption(),
  ]
  // A command may have another meaning for one of them.
  const taken = command.options.map(({ long }) => long)
  for (const option of options) {
    if (!taken.includes(option.long)) command.addOption(option.helpGroup(SHARED_OPTIONS))
  }
  return command
}

/** For commands that are no tools of a cluster as well. */
export const jsonOption = (): Option => new Option('--json', 'print one JSON value per line')

/** One of these values; a misspelt one is answered with the nearest. */
export const parseChoice = (text: string, values: readonly string[]): string => {
  if (values.includes(text)) return text
  const nearest = nearestOf(text, values)
  const meant = nearest === undefined ? '' : `\n(Did you mean ${nearest}?)`
  throw new InvalidArgumentError(`It must be one of ${values.join(', ')}.${meant}`)
}

/** For options that may be repeated. */
export const appended = (text: string, before: readonly string[] | undefined): readonly string[] => [
  ...(before ?? []),
  text,
]

/** A whole number in a range. */
export const parseWithin =
  (least: number, most: number) =>
  (text: string): number => {
    const number = Number(text)
    if (/^\d{1,10}$/.test(text) && number >= least && number <= most) return number
    throw new InvalidArgumentError(`It must be ${least} to ${most}.`)
  }

export const parsePort = parseWithin(0, MAX_PORT)

/** What a process can be registered as. */
export const parseProcessName = (text: string): string => {
  if (isShortName(text)) return text
  throw new InvalidArgumentError('It must be 1 to 64 letters, digits, "-", "_" or ".".')
}

export const parseMilliseconds = (text: string): number => {
  if (/^\d{1,9}$/.test(text) && Number(text) > 0) return Number(text)
  throw new InvalidArgumentError('It must be a whole number of milliseconds.')
}

/** What of these options a node takes as its own. The log is quieter than a program's: events are printed anyway. */
export const toStartOptions = (options: ClusterOptions, cookie: ResolvedCookie): StartOptions => ({
  ...toSettings(options),
  cookie: cookie.cookie,
})

/** The same without a cookie. */
export const toSettings = (options: ClusterOptions): Omit<StartOptions, 'cookie'> => {
  const { cluster, host, identity, ca, seed, dht, logLevel, config } = options
  const discovery = {
    ...(seed === undefined ? {} : { seeds: seed }),
    ...(dht === undefined ? {} : { dht: { bootstrap: dht } }),
  }
  const { SKEIN_LOG_LEVEL, SKEIN_CONFIG } = processEnvironment()
  const isLeftToUs = SKEIN_LOG_LEVEL === undefined && (config ?? SKEIN_CONFIG) === undefined
  const chosen = logLevel ?? (isLeftToUs ? 'error' : undefined)
  return {
    ...(cluster === undefined ? {} : { cluster }),
    ...(host === undefined ? {} : { host }),
    ...(identity === undefined ? {} : { identity }),
    ...(ca === undefined ? {} : { ca }),
    ...(config === undefined ? {} : { configFile: config }),
    discovery,
    ...(chosen === undefined ? {} : { logLevel: chosen }),
  }
}

/** The named file, or wherever a node looks for its cookie. */
export const findCookie = async (options: ClusterOptions): Promise<ResolvedCookie> => {
  const { cookieFile } = options
  if (cookieFile !== undefined) return resolveCookie({ env: { SKEIN_COOKIE_FILE: cookieFile } })
  const { environment } = await loadConfig(toSettings(options), processEnvironment(), hostname())
  return resolveCookie({ env: environment })
}
