/**
 * Options that several commands share, and what they mean for a node.
 */
import { type Command, InvalidArgumentError, Option } from 'commander'
import { type ResolvedCookie, resolveCookie } from '../../certs/cookie.ts'
import { LOG_LEVELS, type LogLevel, processEnvironment, type StartOptions } from '../config.ts'

export interface ClusterOptions {
  readonly cluster?: string
  readonly host?: string
  readonly cookieFile?: string
  readonly seed?: readonly string[]
  readonly dht?: readonly string[]
  readonly logLevel?: LogLevel
  readonly json?: boolean
}

const MAX_PORT = 65535

/** Adds what every command needs that talks to a cluster. */
export const addClusterOptions = (command: Command): Command =>
  command
    .option('--cluster <name>', 'name of the cluster (default: "default")')
    .option('--host <ip>', 'address to bind (default: all; 127.0.0.1 keeps to this machine)')
    .option('--cookie-file <file>', "file with the cluster's cookie (default: the user's own)")
    .addOption(new Option('--seed <host:port>', 'a node to try in any case; may be repeated').argParser(appended))
    .addOption(new Option('--dht <host:port>', 'a node of the DHT to begin with; may be repeated').argParser(appended))
    .addOption(new Option('--log-level <level>', 'what goes to stderr as log').choices(LOG_LEVELS))
    .option('--json', 'print one JSON value per line')

const appended = (text: string, before: readonly string[] | undefined): readonly string[] => [...(before ?? []), text]

export const parsePort = (text: string): number => {
  if (/^\d{1,5}$/.test(text) && Number(text) <= MAX_PORT) return Number(text)
  throw new InvalidArgumentError(`It must be 0 to ${MAX_PORT}.`)
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
  const { cluster, host, seed, dht, logLevel } = options
  const discovery = {
    ...(seed === undefined ? {} : { seeds: seed }),
    ...(dht === undefined ? {} : { dht: { bootstrap: dht } }),
  }
  const chosen = logLevel ?? (processEnvironment().SKEIN_LOG_LEVEL === undefined ? 'error' : undefined)
  return {
    ...(cluster === undefined ? {} : { cluster }),
    ...(host === undefined ? {} : { host }),
    discovery,
    ...(chosen === undefined ? {} : { logLevel: chosen }),
  }
}

/** The named file, or wherever a node looks for its cookie. */
export const findCookie = ({ cookieFile }: ClusterOptions): Promise<ResolvedCookie> =>
  resolveCookie({ env: cookieFile === undefined ? processEnvironment() : { SKEIN_COOKIE_FILE: cookieFile } })
