/**
 * The cookie: the shared secret that makes nodes members of one another's clusters. It is never sent and never logged;
 * keys.ts derives from it what is used.
 *
 * First found wins: the option, SKEIN_COOKIE, the file that SKEIN_COOKIE_FILE names, the user's own file. The last is
 * made on first use, so the nodes of one user on one machine share a cookie without anybody choosing one. A place that is
 * named but holds nothing usable is an error: falling through would silently put a node among others than was meant.
 */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { configFolder, type Environment } from './config-folder.ts'
import { SkeinError } from './errors.ts'
import { makeSecretFile, readSecretFile } from './secret-file.ts'

export const MIN_COOKIE_BYTES = 8
export const MAX_COOKIE_BYTES = 1024

const MADE_COOKIE_BYTES = 32
const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d

/** Where `resolveCookie` looks, in this order: option, environment, the file of the user. */
export interface CookieOptions {
  /** Text counts as UTF-8. */
  readonly cookie?: string | Uint8Array
  readonly env: Environment
  /** Folder of the user's own file; default: see config-folder.ts. */
  readonly configDir?: string
}

/** The cookie and where it came from. */
export type ResolvedCookie =
  | { readonly cookie: Uint8Array; readonly source: 'option' | 'environment' }
  | { readonly cookie: Uint8Array; readonly source: 'file' | 'user-file'; readonly file: string }

/**
 * Finds the cookie, making the user's own file if it comes to that. One newline at the end does not count, wherever the
 * cookie comes from, so that a file and a variable filled from it agree.
 *
 * Throws ERR_SKEIN_BAD_COOKIE, ERR_SKEIN_COOKIE_FILE or ERR_SKEIN_INSECURE_FILE.
 */
export const resolveCookie = async (options: CookieOptions): Promise<ResolvedCookie> => {
  const { cookie, env } = options
  if (cookie !== undefined) return { cookie: usableCookie(cookie, 'option cookie'), source: 'option' }

  const fromEnvironment = env.SKEIN_COOKIE
  if (fromEnvironment !== undefined)
    return { cookie: usableCookie(fromEnvironment, 'SKEIN_COOKIE'), source: 'environment' }

  const named = env.SKEIN_COOKIE_FILE
  if (named !== undefined) return { cookie: await fromNamedFile(named), source: 'file', file: named }

  const file = join(options.configDir ?? configFolder(env), 'cookie')
  return { cookie: await fromUserFile(file), source: 'user-file', file }
}

export interface AcceptedCookieOptions {
  /** Texts count as UTF-8. */
  readonly cookies?: readonly (string | Uint8Array)[] | undefined
  readonly env: Environment
}

/**
 * The cookies that are accepted beside that of the node: the option, or the lines of the file that SKEIN_ACCEPT_COOKIES_FILE
 * names. Empty lines do not count.
 *
 * Throws ERR_SKEIN_BAD_COOKIE, ERR_SKEIN_COOKIE_FILE or ERR_SKEIN_INSECURE_FILE.
 */
export const resolveAcceptedCookies = async ({ cookies, env }: AcceptedCookieOptions): Promise<Uint8Array[]> => {
  if (cookies !== undefined) return cookies.map((cookie) => usableCookie(cookie, 'option acceptCookies'))
  const file = env.SKEIN_ACCEPT_COOKIES_FILE
  if (file === undefined) return []
  const content = await readSecretFile(file).catch(fail(file))
  if (content === undefined) throw new SkeinError('ERR_SKEIN_COOKIE_FILE', `There is no cookie file ${file}`)
  return linesOf(content)
    .filter(({ length }) => length > 0)
    .map((line) => usableCookie(line, file))
}

const linesOf = (content: Uint8Array): Uint8Array[] => {
  const lines: Uint8Array[] = []
  for (let start = 0; start < content.length; ) {
    const newline = content.indexOf(NEWLINE, start)
    const end = newline < 0 ? content.length : newline + 1
    lines.push(withoutNewline(content.subarray(start, end)))
    start = end
  }
  return lines
}

const fromNamedFile = async (file: string): Promise<Uint8Array> => {
  const content = await readSecretFile(file).catch(fail(file))
  if (content === undefined) throw new SkeinError('ERR_SKEIN_COOKIE_FILE', `There is no cookie file ${file}`)
  return usableCookie(content, file)
}

const fromUserFile = async (file: string): Promise<Uint8Array> => {
  const made = new TextEncoder().encode(`${randomBytes(MADE_COOKIE_BYTES).toString('hex')}\n`)
  const content = (await readSecretFile(file).catch(fail(file))) ?? (await makeSecretFile(file, made).catch(fail(file)))
  return usableCookie(content, file)
}

/** The bytes of a cookie, wherever it comes from. Throws ERR_SKEIN_BAD_COOKIE. */
export const usableCookie = (value: string | Uint8Array, where: string): Uint8Array => {
  const bytes = typeof value === 'string' ? new TextEncoder().encode(value) : value
  const cookie = new Uint8Array(withoutNewline(bytes))
  if (cookie.length < MIN_COOKIE_BYTES || cookie.length > MAX_COOKIE_BYTES) {
    const expected = `expected ${MIN_COOKIE_BYTES} to ${MAX_COOKIE_BYTES}`
    throw new SkeinError('ERR_SKEIN_BAD_COOKIE', `The cookie from ${where} has ${cookie.length} bytes, ${expected}`)
  }
  return cookie
}

const withoutNewline = (bytes: Uint8Array): Uint8Array => {
  if (bytes.at(-1) !== NEWLINE) return bytes
  return bytes.subarray(0, bytes.at(-2) === CARRIAGE_RETURN ? -2 : -1)
}

const fail = (file: string) => (cause: unknown) => {
  if (cause instanceof SkeinError) throw cause
  const why = cause instanceof Error ? cause.message : String(cause)
  throw new SkeinError('ERR_SKEIN_COOKIE_FILE', `The cookie file ${file} cannot be used: ${why}`, { cause })
}
