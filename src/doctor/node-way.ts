/**
 * Why this machine does or does not reach one node, step by step: who knows it, what was tried, what answers there.
 */

import { isExemptHost } from '../../discovery/dht/dht-id.ts'
import { type Address, formatAddress } from '../../transport/address.ts'
import { isOnLink } from '../../transport/local-address.ts'
import { fullNodeName, hostOfNodeName, isNodeName } from '../cluster/node-name.ts'
import { isAddressTarget } from '../cluster/node-target.ts'
import type { DiscoveredNode } from '../node-discovery.ts'
import { type Finding, failed, ok, repeated, warning } from './finding.ts'
import { hint, meaning } from './members.ts'
import { OPEN_A_PORT } from './nat.ts'
import type { Sounding } from './sounding.ts'
import { type Dial, refusalOf, type SeenNode, type Visit } from './visit.ts'

/** What members may tell of one node; of a name without a host there may be many. */
const MAX_SEEN = 32

/** What a node is called, and where it may be. */
export interface Whereabouts {
  /** name@host, or the address that was given. */
  readonly target: string
  readonly found: readonly DiscoveredNode[]
  /** Members that are connected with it, and how they see it. */
  readonly seen: readonly { readonly by: string; readonly at: SeenNode }[]
}

/** Looks a node up by everybody. Throws ERR_SKEIN_BAD_NAME. */
export const locate = async (visit: Visit, text: string): Promise<Whereabouts> => {
  const found = await visit.node.discovery.lookup(text).catch(() => [])
  const told = visit.members.flatMap(({ name, connected }) =>
    connected.filter((at) => isMeant(at.name, text)).map((at) => ({ by: name, at })),
  )
  const seen = told.slice(0, MAX_SEEN)
  const member = visit.members.find(({ name }) => isMeant(name, text))?.name
  const full = isAddressTarget(text) ? text : fullNodeName(text, hostOfNodeName(visit.node.name))
  const target = found[0]?.name ?? member ?? seen[0]?.at.name ?? full
  return { target, found, seen }
}

const isMeant = (name: string, text: string): boolean =>
  name === text || (!text.includes('@') && name.startsWith(`${text}@`))

/** Which places know the node. */
export const tellWhere = (visit: Visit, { target, found, seen }: Whereabouts): readonly Finding[] => {
  if (!isNodeName(target)) return []
  const findings = found.map(({ name, addresses, sources }) =>
    ok(
      'discovery',
      `${name} is known through ${sources.join(', ')}, at ${addresses.map(formatAddress).join(', ') || 'no address'}`,
    ),
  )
  for (const { by, at } of seen) {
    findings.push(ok('discovery', `${by} is connected with ${at.name} (${at.way}) at ${formatAddress(at.address)}`))
  }
  if (findings.length > 0) return findings
  const sources = visit.node.discovery
    .status()
    .map(({ source, state, detail }) => `${source} is ${state}: ${repeated(detail)}`)
  return [
    failed(
      'discovery',
      `Nobody knows a node ${target}.`,
      sources.join('; ') || 'No way of discovery is switched on.',
      'Check the name (skein nodes lists all), start the node, or name its address: skein doctor HOST:PORT.',
    ),
  ]
}

/** Each attempt of a dial that failed. */
export const tellAttempts = (from: string, dial: Dial['result']): readonly Finding[] => {
  if (dial.type === 'up') return []
  return dial.attempts.map(({ what, code, message }) =>
    warning(
      'attempt',
      `${from} tried ${repeated(what)}: ${repeated(message)} (${repeated(code)})`,
      meaning(code),
      hint(code),
    ),
  )
}

/** Where datagrams to a node would go. */
export const addressesOf = ({ target, found, seen }: Whereabouts, parsed: readonly Address[]): readonly Address[] => {
  const all = isNodeName(target)
    ? [
        ...found.flatMap(({ addresses }) => addresses),
        ...seen.filter(({ at }) => at.way === 'port').map(({ at }) => at.address),
      ]
    : parsed
  return [...new Map(all.map((address) => [formatAddress(address), address])).values()]
}

/** What it comes to. */
export const judgeWay = (
  { target, found }: Whereabouts,
  dial: Dial,
  connection: SeenNode | undefined,
  soundings: readonly Sounding[],
): Finding => {
  const { result } = dial
  if (result.type === 'up') return tellConnection('This machine', result.node, connection)
  const what = `${target} cannot be reached from this machine: ${result.code}.`
  const refusal = refusalOf(dial)
  if (refusal !== undefined) {
    const { code } = refusal
    return failed('connection', what, `Somebody answered and refused: ${code}. ${meaning(code)}`, hint(code))
  }
  if (soundings.length === 0) {
    const remedy = 'See to the failures above, if there are any; then start that node, or name its address.'
    return failed('connection', what, 'Nothing tells at which address it is, so nothing could be tried.', remedy)
  }
  // A private address may well be somebody else's here: that it is closed tells only where all are.
  const open = soundings.filter(({ udp }) => udp !== 'closed')
  const where = (kind: (one: Sounding) => boolean): string =>
    open
      .filter(kind)
      .map(({ address }) => formatAddress(address))
      .join(', ')
  const answering = where(({ udp }) => udp === 'answered')
  if (answering !== '' && found.length > 0) {
    // It was found by a tag that only those with the cookie know.
    return failed(
      'connection',
      what,
      `Small datagrams get to ${answering} and back, and cookie and cluster are the same: those of QUIC, of 1200 bytes and more, do not.`,
      'Something on the way drops larger datagrams or QUIC itself: look at tunnels, their MTU (ip link), and firewalls that inspect UDP.',
    )
  }
  if (answering !== '') {
    return failed(
      'connection',
      what,
      `Wrong cookie: the DHT answers at ${answering}, so UDP is not blocked, while QUIC is silent as to a stranger.`,
      'Give both machines the same cookie; the tags that skein doctor shows on both must be equal.',
    )
  }
  if (open.length === 0) {
    const closed = soundings.map(({ address }) => formatAddress(address)).join(', ')
    return failed(
      'connection',
      what,
      `Nobody listens at ${closed}: the node has ended or has another port.`,
      'Start it again, or wait until discovery forgets it.',
    )
  }
  const there = where(({ tcp }) => tcp === 'there')
  if (there !== '') {
    return failed(
      'connection',
      what,
      `UDP blocked: the host of ${there} answers TCP and nothing by UDP.`,
      'Let UDP to the port of the node pass in the firewalls of both sides.',
    )
  }
  const far = open.filter(({ address }) => isExemptHost(address.host) && !isOnLink(address.host))
  if (far.length > 0 && far.length === open.length) {
    return failed(
      'connection',
      what,
      'All its addresses are private ones of another network: it is behind a NAT.',
      OPEN_A_PORT,
    )
  }
  return failed(
    'connection',
    what,
    `Nothing answers at ${where(() => true)}, neither by UDP nor by TCP.`,
    'Run skein doctor on that machine too: it may be down, or its firewall drops everything.',
  )
}

/** A connection that is there, and by which way. */
export const tellConnection = (
  from: string,
  to: string,
  connection: Pick<SeenNode, 'address' | 'way'> | undefined,
): Finding => {
  if (connection === undefined) return ok('connection', `${from} is connected with ${to}`)
  const at = formatAddress(connection.address)
  switch (connection.way) {
    case 'relay':
      return warning(
        'connection',
        `${from} is connected with ${to} through a relay at ${at}.`,
        'No direct way was found so far; a relay costs time, and room on the relaying member.',
        OPEN_A_PORT,
      )
    case 'tcp':
      return warning(
        'connection',
        `${from} is connected with ${to} over TCP at ${at}.`,
        'UDP did not get through; over TCP a lost packet holds up all lanes.',
        "Let UDP to and from the nodes' ports pass in the firewalls of both sides.",
      )
    default:
      return ok('connection', `${from} is connected with ${to} directly, at ${at}`)
  }
}
