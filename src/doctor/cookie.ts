/**
 * The cookie: whether there is one that can be used, and whether it is that of the cluster.
 *
 * Nothing is made here: a doctor that wrote a first cookie would make the next look easier and the cluster no whole.
 * Whether two machines have the same one is told by a tag of cookie and cluster, which nodes show to their LAN anyway.
 */
import { access } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { configFolder, type Environment } from '../../certs/config-folder.ts'
import { resolveCookie } from '../../certs/cookie.ts'
import { isSkeinError } from '../../certs/errors.ts'
import { deriveKeys } from '../../certs/keys.ts'
import { type Finding, failed, ok, unexpected, warning } from './finding.ts'

const VARIABLE = 'SKEIN_COOKIE'

export interface CookieFacts {
  readonly finding: Finding
  /** Undefined where none can be used. */
  readonly cookie: Uint8Array | undefined
  /** Where it is from, for people. */
  readonly place: string
}

/** Never rejects. */
export const findCookie = async (env: Environment, cluster: string): Promise<CookieFacts> => {
  const own = join(configFolder(env), 'cookie')
  const isOwn = env.SKEIN_COOKIE === undefined && env.SKEIN_COOKIE_FILE === undefined
  const place = env.SKEIN_COOKIE === undefined ? (env.SKEIN_COOKIE_FILE ?? own) : VARIABLE
  if (isOwn && !(await isThere(own))) {
    const what = `There is no cookie yet: ${own} is missing.`
    const why = 'The first node started here makes one of its own, which no other machine has.'
    return {
      finding: warning('cookie', what, why, `Copy the cookie of a member: ${copy(own)}`),
      cookie: undefined,
      place,
    }
  }
  try {
    const found = await resolveCookie({ env })
    const { clusterTag } = deriveKeys(found.cookie, cluster)
    const what = `Found in ${place}${'file' in found ? ', readable by its owner alone' : ''}; cluster "${cluster}", tag ${clusterTag}`
    const why =
      'Nodes with another tag are not of this cluster: compare it with that of skein doctor on the other machine.'
    return { finding: ok('cookie', what, why), cookie: found.cookie, place }
  } catch (error) {
    return { finding: refused(error), cookie: undefined, place }
  }
}

const refused = (error: unknown): Finding => {
  if (!isSkeinError(error)) return unexpected('cookie', error)
  return failed('cookie', `${error.message} (${error.code})`, 'A node does not start with it.', error.hint)
}

const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    (error: NodeJS.ErrnoException) => error.code !== 'ENOENT',
  )

/** How to have the cookie of another machine in this file. */
const copy = (file: string): string =>
  process.platform === 'win32'
    ? `scp HOST:.config/skein/cookie "${file}"`
    : `mkdir -p '${dirname(file)}' && scp HOST:.config/skein/cookie '${file}' && chmod 600 '${file}'`

/** How to have the same cookie here, wherever it is from. */
export const copyTo = (place: string): string =>
  place === VARIABLE ? `set ${VARIABLE} to that of the other` : copy(place)
