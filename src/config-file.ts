/**
 * The configuration file: a JSON object of the options of src/config.ts, which `configFile` or SKEIN_CONFIG names.
 *
 * Environment and code beat it. It is checked by itself before it is merged with them, so that an error names the file.
 * Secrets are not for it, since such files are copied and shown around: it names files that hold them. Paths in it count
 * from its own folder, wherever the program is started.
 */
import { readFile, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Environment } from '../certs/config-folder.ts'
import { isSkeinError, SkeinError } from '../certs/errors.ts'
import { type Config, type FileOptions, OPTIONS, resolveConfig, type StartOptions } from './config.ts'
import { checkKeys, isRecord, string } from './option-checks.ts'

/** Lists of node ids are the longest that it can hold: 65536 of 32 characters, with quotes, commas and indentation. */
const MAX_CONFIG_FILE_BYTES = 8 * 1024 * 1024

const WRITABLE_FOR_ALL = 0o002

/** What a file says in place of secrets, and the variables that it stands in for. */
const COOKIE_FILES = { cookieFile: 'SKEIN_COOKIE_FILE', acceptCookiesFile: 'SKEIN_ACCEPT_COOKIES_FILE' } as const

/** What cannot be written there, and what to do instead. */
const NOT_IN_FILE: Readonly<Record<string, string>> = {
  cookie: 'Write the cookie into a file that only its owner can read, and name that one here: "cookieFile".',
  acceptCookies: 'Write the cookies into a file that only its owner can read, and name it here: "acceptCookiesFile".',
  configFile: 'One file names no other. Give it by code, as SKEIN_CONFIG or as --config.',
  tracing: 'It is an object of the program: give it to startNode.',
  logger: 'It is an object of the program: give it to startNode.',
}

export const FILE_KEYS: readonly string[] = [
  ...Object.keys(OPTIONS).filter((name) => !(name in NOT_IN_FILE)),
  ...Object.keys(COOKIE_FILES),
]

export interface LoadedConfig {
  readonly config: Config
  /** As it was given, and where the cookies are if the file says so: for certs/cookie.ts. */
  readonly environment: Environment
}

/**
 * Settings by code, environment and file, checked and complete. Rejects as `resolveConfig` throws, and with
 * ERR_SKEIN_CONFIG_FILE or ERR_SKEIN_INSECURE_FILE.
 */
export const loadConfig = async (
  options: StartOptions,
  environment: Environment,
  hostname: string,
): Promise<LoadedConfig> => {
  if (!isRecord(options)) return { config: resolveConfig(options, environment, hostname), environment }
  const named: unknown = options.configFile
  const file = named === undefined ? environment.SKEIN_CONFIG : string('configFile', named)
  if (file === undefined || file === '') return { config: resolveConfig(options, environment, hostname), environment }
  const content = await read(file)
  const own = options.hidden === true ? withoutWhatIsOfOneNode(content.options) : content.options
  return {
    config: resolveConfig(options, environment, hostname, own),
    // SKEIN_COOKIE beats a file that holds the cookie anyway.
    environment: { ...content.variables, ...environment },
  }
}

interface Content {
  readonly options: FileOptions
  readonly variables: Environment
}

const read = async (file: string): Promise<Content> => {
  const value = await parsed(file)
  try {
    return check(value, dirname(resolve(file)))
  } catch (error) {
    if (!isSkeinError(error)) throw error
    throw new SkeinError(error.code, `${file}: ${error.message}`, { hint: error.hint, cause: error })
  }
}

const parsed = async (file: string): Promise<unknown> => {
  try {
    const stats = await stat(file)
    if (!stats.isFile()) throw new Error('it is not a regular file')
    refuseIfWritable(file, stats.mode)
    if (stats.size > MAX_CONFIG_FILE_BYTES) throw new Error(`it is larger than ${MAX_CONFIG_FILE_BYTES} bytes`)
    // Editors on Windows begin a file with a mark of its encoding.
    return parseJson((await readFile(file, 'utf8')).replace(/^\uFEFF/, ''))
  } catch (cause) {
    if (isSkeinError(cause)) throw cause
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new SkeinError('ERR_SKEIN_CONFIG_FILE', `The configuration file ${file} cannot be used: ${why}`, { cause })
  }
}

/**
 * V8's own error shows a piece of the text, as message and as cause; a file that was named by mistake may hold a secret. So
 * it says what is wrong, and in which line.
 */
const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text, refuseNull)
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
    throw new Error(`it is not valid JSON: ${faultIn(text, error)}`)
  }
}

const faultIn = (text: string, error: SyntaxError): string => {
  if (isBadToken(error)) return `unexpected token in line ${lineOfBadToken(text)}`
  const [, what = 'it ends too early', position] = /^([^"]+?)(?: in JSON)? at position (\d+)/.exec(error.message) ?? []
  return `${what} in line ${text.slice(0, Number(position ?? text.length)).split('\n').length}`
}

/** The one kind of error that shows text, and has no position. */
const isBadToken = (error: unknown): boolean => error instanceof Error && error.message.endsWith(' is not valid JSON')

/** The fewest lines in which the error is. */
const lineOfBadToken = (text: string): number => {
  const lines = text.split('\n')
  const isWithin = (count: number): boolean => {
    try {
      JSON.parse(lines.slice(0, count).join('\n'))
      return false
    } catch (error) {
      return isBadToken(error)
    }
  }
  let [before, within] = [0, lines.length]
  while (within - before > 1) {
    const middle = (before + within) >> 1
    if (isWithin(middle)) within = middle
    else before = middle
  }
  return within
}

/**
 * For files that say who is let in and what may be done here; `mode` is that of the file. Windows has no such modes; there
 * the folder's rights count. Throws ERR_SKEIN_INSECURE_FILE.
 */
export const refuseIfWritable = (file: string, mode: number): void => {
  if (process.platform === 'win32' || (mode & WRITABLE_FOR_ALL) === 0) return
  throw new SkeinError('ERR_SKEIN_INSECURE_FILE', `${file} can be changed by every user`, {
    hint: `Run chmod o-w ${file}`,
  })
}

/** It would pass for an option that is not there. */
const refuseNull = (key: string, value: unknown): unknown => {
  if (value === null) throw new Error(`${key === '' ? 'it' : `"${key.slice(0, 100)}"`} is null`)
  return value
}

const check = (value: unknown, folder: string): Content => {
  if (!isRecord(value)) throw new SkeinError('ERR_SKEIN_CONFIG_FILE', 'It must hold one JSON object.')
  for (const [key, hint] of Object.entries(NOT_IN_FILE)) {
    if (Object.hasOwn(value, key)) throw new SkeinError('ERR_SKEIN_BAD_OPTION', `${key} is not for a file.`, { hint })
  }
  checkKeys(value, FILE_KEYS, 'option')
  const { cookieFile, acceptCookiesFile, ...options }: StartOptions & FileCookies = value
  const variables = Object.entries({ cookieFile, acceptCookiesFile }).flatMap(([key, path]) =>
    path === undefined ? [] : [[COOKIE_FILES[key as keyof FileCookies], resolve(folder, string(key, path))] as const],
  )
  if (options.identity !== undefined) string('identity', options.identity)
  const placed = inFolder(options, folder)
  resolveConfig(placed, {}, 'localhost')
  return { options: placed, variables: Object.fromEntries(variables) }
}

interface FileCookies {
  readonly cookieFile?: unknown
  readonly acceptCookiesFile?: unknown
}

/** Values of another kind stay as they are, for the checks to refuse. */
const inFolder = (options: FileOptions, folder: string): FileOptions => {
  const { identity, ca, discovery } = options
  const dht = isRecord(discovery) ? discovery.dht : undefined
  const path = isRecord(dht) ? dht.contactsFile : undefined
  return {
    ...options,
    ...(typeof identity === 'string' && identity !== '' && { identity: resolve(folder, identity) }),
    ...(typeof ca === 'string' && ca !== '' && !ca.includes('-----BEGIN') && { ca: resolve(folder, ca) }),
    ...(isRecord(discovery) &&
      isRecord(dht) &&
      typeof path === 'string' && {
        discovery: { ...discovery, dht: { ...dht, contactsFile: resolve(folder, path) } },
      }),
  }
}

/** A hidden node is a tool beside the node that the file is about: it must not pass for that one, or write its files. */
const withoutWhatIsOfOneNode = ({ name: _, port: __, identity: ___, ...others }: FileOptions): FileOptions => {
  const { discovery } = others
  if (!isRecord(discovery) || !isRecord(discovery.dht)) return others
  const { contactsFile: ____, ...dht } = discovery.dht
  return { ...others, discovery: { ...discovery, dht } }
}
