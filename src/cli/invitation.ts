/**
 * What happens between inviter and invited: a node of a cluster of its own, with the process `skein.invitation` on the
 * inviter's side, which hands over name, cookie and addresses of the real cluster once.
 *
 * Whoever gets as far as that process has proven in the handshake that it has the secret of the token. Nothing else of the
 * inviter's node can be used by it. An accepted cookie, a list of members and the like are about the real cluster, and do
 * not count here.
 */
import { hostname } from 'node:os'
import { usableCookie } from '../../certs/cookie.ts'
import { isSkeinError, SkeinError } from '../../certs/errors.ts'
import { Keyring } from '../../certs/keyring.ts'
import { deriveKeys } from '../../certs/keys.ts'
import { genServer } from '../behaviours/gen-server.ts'
import { isShortName } from '../cluster/node-name.ts'
import { type Config, processEnvironment, resolveConfig, type StartOptions } from '../config.ts'
import { loadConfig } from '../config-file.ts'
import type { SkeinNode } from '../node.ts'
import type { Behaviour } from '../process/behaviour.ts'
import { startConfigured } from '../start.ts'
import { isPlainAddress, type MeetingPlace } from './invitation-token.ts'

export const INVITATION_PROCESS = 'skein.invitation'
/** Addresses of members that are handed over: the first that answers tells of all others. */
export const MAX_SEEDS = 16

const REDEEM_TIMEOUT_MS = 5000

/** What the invited one needs to be a member. */
export interface Handover {
  readonly cluster: string
  readonly cookie: Uint8Array
  /** host:port of members. */
  readonly seeds: readonly string[]
  /** host:port of nodes of the DHT. */
  readonly dht: readonly string[]
}

type Request = { readonly type: 'redeem' }

type Reply =
  | ({ readonly type: 'handover' } & Handover)
  | { readonly type: 'used' }
  | { readonly type: 'expired' }
  | { readonly type: 'unknown' }

interface InvitationTerms {
  readonly handover: Handover
  /** Milliseconds since 1970. */
  readonly endMs: number
  /** The node of this name has got it. */
  readonly onUsed: (node: string) => void
}

/** The process that hands over, once. */
export const invitationProcess = ({ handover, endMs, onUsed }: InvitationTerms): Behaviour<unknown> => {
  const behaviour = genServer({
    init: () => ({ state: { used: false } }),
    handleCall: (request: unknown, from, { used }) => {
      const answer = (reply: Reply) => ({ reply })
      if (!isRedeem(request)) return answer({ type: 'unknown' })
      if (used) return answer({ type: 'used' })
      if (Date.now() >= endMs) return answer({ type: 'expired' })
      onUsed(from.call.origin.name)
      return { ...answer({ type: 'handover', ...handover }), state: { used: true } }
    },
    label: 'hands over the cookie, once',
  })
  return Object.assign(behaviour, { traits: { ...behaviour.traits, guarded: true } }) as Behaviour<unknown>
}

/**
 * The other side: asks the inviter's node. Throws ERR_SKEIN_INVITATION_USED, ERR_SKEIN_INVITATION_EXPIRED, or
 * ERR_SKEIN_BAD_REPLY if what was handed over makes no sense.
 */
export const redeem = async (node: SkeinNode, inviter: string): Promise<Handover> => {
  const request: Request = { type: 'redeem' }
  const target = { name: INVITATION_PROCESS, node: inviter }
  const reply: unknown = await node.call(target, request, { timeoutMs: REDEEM_TIMEOUT_MS })
  const type = isRecord(reply) ? reply.type : undefined
  if (type === 'used') throw new SkeinError('ERR_SKEIN_INVITATION_USED', 'Somebody has used this invitation before.')
  if (type === 'expired') throw expired()
  if (type !== 'handover' || !isRecord(reply)) throw badReply('it does not know what was asked')
  return checkHandover(reply)
}

export const expired = (): SkeinError =>
  new SkeinError('ERR_SKEIN_INVITATION_EXPIRED', 'The time of this invitation is over.')

interface MeetingOptions {
  readonly name?: string
  readonly port?: number
  readonly hidden?: boolean
  /** host:port of the inviter. */
  readonly seeds?: readonly string[]
}

/** A node of the meeting alone, and the settings it has: of `usual`, what says how this machine is reached. */
export const startMeetingNode = async (
  { cluster, cookie }: MeetingPlace,
  { name, port = 0, hidden = false, seeds = [] }: MeetingOptions,
  usual: StartOptions,
): Promise<{ readonly node: SkeinNode; readonly config: Config }> => {
  const { config } = await loadConfig(usual, processEnvironment(), hostname())
  const { host, tcp, busyPoll, logLevel, discovery } = config
  const nameToUse = name ?? config.name
  const options: StartOptions = {
    ...(nameToUse === undefined ? {} : { name: nameToUse }),
    cluster,
    ...(host === undefined ? {} : { host }),
    port,
    tcp,
    busyPoll,
    logLevel,
    hidden,
    discovery: { mdns: discovery.mdns, dht: false, dns: [], seeds },
    mesh: 'none',
    relay: false,
    allow: 'strict',
  }
  const settings = resolveConfig(options, {}, hostname())
  return { node: await startConfigured(settings, new Keyring(deriveKeys(cookie, cluster))), config: settings }
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

const isRedeem = (request: unknown): request is Request => isRecord(request) && request.type === 'redeem'

/** The inviter is trusted with the cluster, and yet may run another version, or be broken. */
const checkHandover = ({ cluster, cookie, seeds, dht }: Readonly<Record<string, unknown>>): Handover => {
  if (typeof cluster !== 'string' || !isShortName(cluster)) throw badReply('it names no cluster')
  if (!(cookie instanceof Uint8Array)) throw badReply('it holds no cookie')
  return { cluster, cookie: checkCookie(cookie), seeds: checkAddresses(seeds), dht: checkAddresses(dht) }
}

const checkCookie = (cookie: Uint8Array): Uint8Array => {
  try {
    return usableCookie(cookie, 'the invitation')
  } catch (error) {
    throw badReply(isSkeinError(error) ? error.message : 'it holds no cookie')
  }
}

const checkAddresses = (value: unknown): readonly string[] => {
  const isList = Array.isArray(value) && value.length <= MAX_SEEDS
  if (!isList || !value.every(isAddress)) throw badReply('it holds something that is no list of addresses')
  return value
}

const isAddress = (value: unknown): value is string => typeof value === 'string' && isPlainAddress(value)

const badReply = (why: string): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_REPLY', `What the inviting node handed over cannot be used: ${why}.`)
