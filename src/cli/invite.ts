/**
 * `skein invite`: prints one line that makes another machine a member, and waits until it was used, once.
 *
 * It takes cluster, cookie and the addresses of members from this machine and hands them to whoever has the token, on a
 * port of its own; the members know nothing of it. When the token was used, its time is over, or on Ctrl-C the port is
 * closed, and the token opens nothing any more.
 */
import { hostname } from 'node:os'
import type { Command } from 'commander'
import { SkeinError } from '../../certs/errors.ts'
import { type Address, formatAddress, parseHostPort } from '../../transport/address.ts'
import { systemRandom } from '../../transport/random.ts'
import type { ConnectedNode } from '../cluster/connected-node.ts'
import { isLoopback } from '../cluster/membership/member-record.ts'
import { processEnvironment } from '../config.ts'
import { loadConfig } from '../config-file.ts'
import { DEFAULT_PORT } from '../discovery-config.ts'
import type { SkeinNode } from '../node.ts'
import { addHelp } from './help.ts'
import {
  expired,
  type Handover,
  INVITATION_PROCESS,
  invitationProcess,
  MAX_SEEDS,
  startMeetingNode,
} from './invitation.ts'
import {
  encodeToken,
  type Invitation,
  isPlainAddress,
  MAX_TOKEN_ADDRESSES,
  meetingPlaceOf,
  SECRET_BYTES,
} from './invitation-token.ts'
import { addClusterOptions, appended, type ClusterOptions, findCookie, parsePort, toSettings } from './options.ts'
import { invocation, palette, printJson, printLine } from './output.ts'
import { parseSpan, spanInWords } from './time-span.ts'
import { type Tool, withTool } from './tool-node.ts'

const DEFAULT_SPAN_MS = 10 * 60_000
/** The invited one has what it came for and goes; a later one is told meanwhile that it comes too late. */
const LEAVE_TIMEOUT_MS = 10_000

interface InviteOptions extends ClusterOptions {
  readonly for?: number
  readonly port?: number
  readonly address?: readonly string[]
}

export const addInvite = (program: Command): void => {
  const command = program
    .command('invite')
    .description('print one line that makes another machine a member, and wait until it was used')
    .option('--for <time>', 'how long it is good, such as 30s, 10m or 2h (default: 10m)', parseSpan)
    .option('--port <port>', 'UDP port to wait at (default: any free one)', parsePort)
    .option('--address <host>', 'where others reach this machine, beside its own addresses; may be repeated', appended)
  addHelp(
    addClusterOptions(command).action(invite),
    [
      { command: 'skein invite', does: 'prints "skein join ..." for another machine of the network' },
      { command: 'skein invite --for 1h', does: 'it is good for an hour instead of ten minutes' },
      {
        command: 'skein invite --address 203.0.113.7 --port 4434',
        does: 'for a machine elsewhere: UDP port 4434 of that address must lead here',
      },
    ],
    'The line is as good as the cookie until it was used: show it to nobody but whom you invite.',
  )
}

const invite = async (options: InviteOptions): Promise<void> => {
  const handover = await handoverOf(options)
  const secret = systemRandom.bytes(SECRET_BYTES)
  const { port = 0 } = options
  const { node } = await startMeetingNode(meetingPlaceOf(secret), { name: 'invitation', port }, toSettings(options))
  try {
    const addresses = tokenAddresses(node, options.address ?? [])
    await wait(node, { secret, endMs: endAfter(options.for ?? DEFAULT_SPAN_MS), addresses }, handover, options)
  } finally {
    await node.stop()
  }
}

/** Whole seconds, as the token has them. */
const endAfter = (spanMs: number): number => Math.ceil((Date.now() + spanMs) / 1000) * 1000

type Outcome =
  | { readonly type: 'used'; readonly node: string }
  | { readonly type: 'expired' }
  | { readonly type: 'withdrawn' }

const wait = async (
  node: SkeinNode,
  invitation: Invitation,
  handover: Handover,
  { json = false, for: spanMs = DEFAULT_SPAN_MS }: InviteOptions,
): Promise<void> => {
  const stopped = new AbortController()
  const outcome = new Promise<Outcome>((resolve) => {
    const onUsed = (by: string): void => resolve({ type: 'used', node: by })
    node.spawnWith({ name: INVITATION_PROCESS }, invitationProcess({ handover, endMs: invitation.endMs, onUsed }))
    const timer = setTimeout(() => resolve({ type: 'expired' }), invitation.endMs - Date.now())
    stopped.signal.addEventListener('abort', () => clearTimeout(timer))
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve({ type: 'withdrawn' }))
  })
  try {
    if (json) tellPrograms(invitation, handover)
    else tellPeople(invitation, handover, spanMs)
    const end = await outcome
    if (end.type === 'expired') throw expired()
    if (end.type === 'withdrawn') {
      if (json) printJson(end)
      else printLine('The invitation is taken back: its line opens nothing any more.')
      return
    }
    const by = node.connectedNodes().find(({ name }) => name === end.node)
    const from = by === undefined ? {} : { address: formatAddress(by.address) }
    if (json) printJson({ ...end, ...from })
    else printLine(`${palette().good('used')} by ${end.node}${by === undefined ? '' : `, from ${from.address}`}`)
    await leaving(node, end.node)
  } finally {
    stopped.abort()
  }
}

/** Resolves when the node has gone, or after a while: a reply under way shall not be cut off. */
const leaving = async (node: SkeinNode, name: string): Promise<void> => {
  const events = node.events[Symbol.asyncIterator]()
  const timer = setTimeout(() => void events.return?.(), LEAVE_TIMEOUT_MS)
  while (node.connectedNodes().some((one) => one.name === name)) if ((await events.next()).done === true) break
  clearTimeout(timer)
}

const tellPrograms = ({ addresses, endMs, ...invitation }: Invitation, { cluster, seeds }: Handover): void => {
  printJson({
    type: 'invitation',
    cluster,
    token: encodeToken({ addresses, endMs, ...invitation }),
    addresses: addresses.map(formatAddress),
    seeds,
    until: new Date(endMs).toISOString(),
  })
}

const tellPeople = (invitation: Invitation, { cluster, seeds }: Handover, spanMs: number): void => {
  const skein = invocation()
  printLine(`One machine can become a member of cluster ${cluster} within ${spanInWords(spanMs)}, by this line:`)
  printLine()
  printLine(palette().bold(`${skein === 'skein' ? 'npx skein' : skein} join ${encodeToken(invitation)}`))
  printLine()
  if (invitation.addresses.every(isLoopback)) printLine('It works on this machine only: there is no other address.')
  else if (seeds.every((seed) => isLoopback(parseHostPort(seed, DEFAULT_PORT)))) {
    printLine('The nodes that run listen on this machine only, and the other one will not reach them.')
  }
  printLine('Until then it is as good as the cookie. Waiting; Ctrl-C takes it back.')
}

/** Given ones first: they are there because the machine's own do not do. */
const tokenAddresses = ({ addresses: own }: SkeinNode, given: readonly string[]): readonly Address[] => {
  const port = own[0]?.port ?? 0
  const fromOutside = own.filter((address) => !isLoopback(address))
  const usable = fromOutside.length > 0 ? fromOutside : own
  return [...given.map((text) => parseHostPort(text, port)), ...usable].slice(0, MAX_TOKEN_ADDRESSES)
}

/** What makes a member, from a member that runs. */
const handoverOf = async (options: InviteOptions): Promise<Handover> => {
  mustBePlain([...(options.address ?? []), ...(options.seed ?? []), ...(options.dht ?? [])])
  await mustLetInByCookie(options)
  const { cookie } = await findCookie(options)
  const given = (options.address ?? []).map((text) => parseHostPort(text, DEFAULT_PORT).host)
  return withTool(options, async (tool) => {
    const seeds = seedsOf(await connectedMembers(tool), given, options.seed ?? [])
    return { cluster: tool.cluster, cookie, seeds, dht: (options.dht ?? []).slice(0, MAX_SEEDS) }
  })
}

/** Others would be refused by the invited one, when the invitation is used up. */
const mustBePlain = (addresses: readonly string[]): void => {
  const odd = addresses.find((text) => !isPlainAddress(text))
  if (odd === undefined) return
  throw new SkeinError('ERR_SKEIN_BAD_ADDRESS', `"${odd.slice(0, 120)}" is no address that an invitation can hold.`, {
    hint: 'Give an IP address or a host name in ASCII, as in 203.0.113.7 or host.example:4433.',
  })
}

/** The invited one brings a key of its own making. */
const mustLetInByCookie = async (options: InviteOptions): Promise<void> => {
  const { config } = await loadConfig(toSettings(options), processEnvironment(), hostname())
  if (config.ca === undefined) return
  throw new SkeinError(
    'ERR_SKEIN_BAD_OPTION',
    'Where an authority (ca) decides who is let in, an invitation is not enough.',
    {
      hint: 'Issue a certificate with "skein certs issue", and start the other node with it.',
    },
  )
}

const connectedMembers = async (tool: Tool): Promise<readonly ConnectedNode[]> => {
  const contact = await tool.anyMember()
  const reply = await tool.ask(contact, { type: 'nodes' })
  const others = reply.type === 'nodes' ? reply.nodes : []
  return [...tool.node.connectedNodes().filter(({ name }) => name === contact), ...others].filter(
    ({ hidden }) => !hidden,
  )
}

/**
 * Where members listen, and where they were reached: a few of each before more of one. This machine's own have the given
 * hosts besides. Loopback addresses only where there are no others.
 */
const seedsOf = (members: readonly ConnectedNode[], given: readonly string[], seeds: readonly string[]): string[] => {
  const found = members.map(({ address, listens, isDialledThere }) => {
    const isHere = isLoopback(address)
    const port = listens[0]?.port ?? address.port
    return [...(isHere ? given.map((host) => ({ host, port })) : []), ...(isDialledThere ? [address] : []), ...listens]
  })
  const longest = Math.max(0, ...found.map(({ length }) => length))
  const inTurn = Array.from({ length: longest }, (_, turn) =>
    found.flatMap((list) => list.slice(turn, turn + 1)),
  ).flat()
  const all = [...new Set([...seeds, ...inTurn.map(formatAddress)])]
  const fromOutside = all.filter((text) => !isLoopback(parseHostPort(text, DEFAULT_PORT)))
  return (fromOutside.length > 0 ? fromOutside : all).slice(0, MAX_SEEDS)
}
