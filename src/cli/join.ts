/**
 * `skein join TOKEN`: takes an invitation, keeps the cookie it brings, and goes on as `skein start` does.
 *
 * Until the cookie is on the disk this is a hidden node of the meeting that the token opens (invitation.ts). A cookie that
 * is there already is never written over.
 */
import { join } from 'node:path'
import type { Command } from 'commander'
import { configFolder } from '../../certs/config-folder.ts'
import { type ResolvedCookie, usableCookie } from '../../certs/cookie.ts'
import { SkeinError } from '../../certs/errors.ts'
import { fingerprintOf } from '../../certs/keyring.ts'
import { deriveKeys } from '../../certs/keys.ts'
import { makeSecretFile, readSecretFile } from '../../certs/secret-file.ts'
import { formatAddress } from '../../transport/address.ts'
import { DEFAULT_CLUSTER, processEnvironment } from '../config.ts'
import { addHelp } from './help.ts'
import { expired, type Handover, redeem, startMeetingNode } from './invitation.ts'
import { decodeToken, type Invitation, meetingPlaceOf } from './invitation-token.ts'
import { addClusterOptions, toSettings } from './options.ts'
import { invocation, printLine } from './output.ts'
import { addNodeOptions, type StartCommandOptions, stay } from './start.ts'
import { Tool } from './tool-node.ts'

const NEWLINE = 0x0a
const CARRIAGE_RETURN = 0x0d

export const addJoin = (program: Command): void => {
  const command = program
    .command('join')
    .description('become a member by the line that "skein invite" printed, and stay')
    .argument('<token>', 'what stands behind "join" in that line')
  addHelp(
    addClusterOptions(addNodeOptions(command)).action(run),
    [
      { command: 'skein join AWkV...', does: 'the line from the other machine' },
      { command: 'skein join AWkV... --name b', does: 'under a name of your choice' },
    ],
    `The cookie of the cluster is kept in the user's own cookie file, or beside it if there is another; --cookie-file names
a new file instead. From then on "skein start" is enough, with the options that this command prints.`,
  )
}

const run = async (token: string, options: StartCommandOptions): Promise<void> => {
  if (options.cluster !== undefined) {
    throw new SkeinError('ERR_SKEIN_BAD_OPTION', '--cluster does not go with join: the invitation names the cluster.')
  }
  const invitation = decodeToken(token.trim())
  await mustHaveRoom(options.cookieFile)
  const { handover, name } = await accept(invitation, options)
  const cookie = await keep(handover, options.cookieFile)
  const { cluster, seeds, dht } = handover
  const known = {
    cluster,
    seed: [...seeds, ...(options.seed ?? [])],
    ...(dht.length + (options.dht?.length ?? 0) === 0 ? {} : { dht: [...dht, ...(options.dht ?? [])] }),
  }
  if (options.json !== true) tellHowNextTime(handover, cookie, options.name)
  await stay({ ...options, ...known, name }, cookie)
}

/** The invitation would be used up before it turned out that there is no place for what it brings. */
const mustHaveRoom = async (chosen: string | undefined): Promise<void> => {
  const file = chosen ?? ownCookieFile()
  const content = await readSecretFile(file)
  if (chosen === undefined || content === undefined) return
  throw new SkeinError('ERR_SKEIN_COOKIE_FILE', `${file} is there already, and is not written over.`, {
    hint: 'Name a file that does not exist yet, or leave --cookie-file out.',
  })
}

/** Gives what makes a member, and the name under which it was asked for. */
const accept = async (
  invitation: Invitation,
  options: StartCommandOptions,
): Promise<{ readonly handover: Handover; readonly name: string }> => {
  const seeds = [...invitation.addresses.map(formatAddress), ...(options.seed ?? [])]
  const { name } = options
  const meeting = { ...(name === undefined ? {} : { name }), hidden: true, seeds }
  const { node, config } = await startMeetingNode(meetingPlaceOf(invitation.secret), meeting, toSettings(options))
  try {
    const inviter = await new Tool(node, config).anyMember().catch((error: unknown) => {
      throw nobody(invitation, error)
    })
    return { handover: await redeem(node, inviter), name: node.name }
  } finally {
    await node.stop()
  }
}

const nobody = ({ endMs }: Invitation, cause: unknown): unknown => {
  // The clock of this machine may be wrong, so it is asked only now.
  if (Date.now() >= endMs) return expired()
  if (!(cause instanceof SkeinError)) return cause
  return new SkeinError('ERR_SKEIN_CONNECT_FAILED', 'Nobody waits for this invitation.', {
    cause,
    attempts: cause.attempts,
    hint: 'It was used, "skein invite" was ended, or its UDP port cannot be reached from here: "skein doctor" tells more. Where this machine can be reached more easily, invite from here.',
  })
}

/**
 * The user's own cookie file, if there is none yet or it holds this very cookie: commands need no option then. Else a
 * file beside it that is named by the cluster, or if that holds a third cookie, by the cookie's fingerprint too.
 */
const keep = async ({ cookie, cluster }: Handover, chosen: string | undefined): Promise<ResolvedCookie> => {
  const named = `${ownCookieFile()}-${cluster}`
  const fingerprint = fingerprintOf(deriveKeys(cookie, cluster))
  const files = chosen === undefined ? [ownCookieFile(), named, `${named}-${fingerprint}`] : [chosen]
  // One newline at the end does not count, but what stands before it may look like a part of it.
  const content = cookie.at(-1) === CARRIAGE_RETURN ? cookie : Uint8Array.of(...cookie, NEWLINE)
  for (const file of files) {
    const kept = await makeSecretFile(file, content).catch(cannotKeep(file))
    if (isCookie(kept, cookie)) return { cookie, source: 'file', file }
  }
  throw new SkeinError(
    'ERR_SKEIN_COOKIE_FILE',
    `${files.join(' and ')} hold other cookies, and are not written over.`,
    {
      hint: 'Name a file that does not exist yet by --cookie-file, and ask for another invitation.',
    },
  )
}

const ownCookieFile = (): string => join(configFolder(processEnvironment()), 'cookie')

const isCookie = (content: Uint8Array, cookie: Uint8Array): boolean => {
  try {
    return Buffer.from(usableCookie(content, 'a file')).equals(cookie)
  } catch {
    return false
  }
}

const cannotKeep = (file: string) => (cause: unknown) => {
  if (cause instanceof SkeinError) throw cause
  const why = cause instanceof Error ? cause.message : String(cause)
  const hint = 'The invitation is used up: ask for another one, and name a place for the cookie by --cookie-file.'
  throw new SkeinError('ERR_SKEIN_COOKIE_FILE', `The cookie cannot be kept in ${file}: ${why}`, { hint, cause })
}

const tellHowNextTime = ({ cluster, seeds }: Handover, cookie: ResolvedCookie, name: string | undefined): void => {
  const file = 'file' in cookie && cookie.file !== ownCookieFile() ? ` --cookie-file ${asTyped(cookie.file)}` : ''
  const named = cluster === DEFAULT_CLUSTER ? '' : ` --cluster ${cluster}`
  const [seed] = seeds
  const options = `${name === undefined ? '' : ` --name ${name}`}${file}${named}${seed === undefined ? '' : ` --seed ${seed}`}`
  printLine(`The invitation to cluster ${cluster} was good. Next time: ${invocation()} start${options}`)
}

/** A path with spaces has to be one argument, in any shell. */
const asTyped = (path: string): string => (/^[\w./\\:@%+-]+$/.test(path) ? path : `"${path}"`)
