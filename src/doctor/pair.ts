/**
 * Why two other nodes do or do not reach each other: both are asked to try, since each sees its own side only.
 *
 * A node that this machine does not reach can be asked nothing; what other members see of it still tells of its NAT. The
 * verdict is the most likely cause, the surest first.
 */
import type { NatClass } from '../../discovery/source.ts'
import { formatAddress } from '../../transport/address.ts'
import { isNodeName } from '../cluster/node-name.ts'
import { type Finding, failed, ok, repeated, warning } from './finding.ts'
import { hint, meaning } from './members.ts'
import { natOf, OPEN_A_PORT } from './nat.ts'
import { locate, tellConnection, tellWhere, type Whereabouts } from './node-way.ts'
import { type ReachReport, readReport } from './reach-report.ts'
import type { Visit } from './visit.ts'

/** A dial of theirs takes up to eight seconds: looking up, trying, a relay. */
const REPORT_MS = 9000

/** One of the two. */
export interface Side {
  readonly name: string
  readonly nat: NatClass
  /** How the class is known. */
  readonly evidence: string
  /** What it says of its way to the other; undefined: it could not be asked. */
  readonly report: ReachReport | undefined
}

export const checkPair = async (visit: Visit, one: string, other: string): Promise<readonly Finding[]> => {
  const places = await Promise.all([locate(visit, one), locate(visit, other)])
  const findings = places.flatMap((place) => tellWhere(visit, place))
  const [a, b] = await Promise.all([meet(visit, places[0]), meet(visit, places[1])])
  const nameless = [a, b].find(({ name }) => !isNodeName(name))
  if (nameless !== undefined) {
    const what = `${nameless.name} is not reached from here, so its name is not known.`
    const why = 'The other node can be asked only for names.'
    return [...findings, failed('pair', what, why, `Give its name@host; skein doctor ${nameless.name} tells the rest.`)]
  }
  if (a.name === b.name) {
    const why = 'A node has no way to itself that could fail.'
    return [...findings, warning('pair', `Both are ${a.name}.`, why, 'Name two nodes: skein nodes lists all.')]
  }
  const sides = await Promise.all([look(visit, a, b.name), look(visit, b, a.name)])
  return [...findings, ...judgePair(sides)]
}

interface Met {
  readonly name: string
  readonly isUp: boolean
}

const meet = async (visit: Visit, { target }: Whereabouts): Promise<Met> => {
  const { result } = await visit.dial(target)
  return result.type === 'up' ? { name: result.node, isUp: true } : { name: target, isUp: false }
}

const look = async (visit: Visit, { name, isUp }: Met, other: string): Promise<Side> => {
  const reply = isUp ? await visit.ask(name, { type: 'reach', node: other }, REPORT_MS) : undefined
  const report = reply?.type === 'reach' ? readReport(reply.reach) : undefined
  if (report !== undefined && report.nat !== 'unknown') {
    return { name, nat: report.nat, evidence: 'by its own account', report }
  }
  return { name, ...natBySight(visit, name), report }
}

/** The NAT of a node, from where several members see it. */
export const natBySight = (visit: Visit, name: string): Pick<Side, 'nat' | 'evidence'> => {
  const seen = visit.members.flatMap((member) =>
    member.connected
      .filter((at) => at.name === name && (at.way === 'port' || at.way === 'socket'))
      .map((at) => ({ member, at })),
  )
  const observations = seen.map(({ member, at }) => ({
    observer: { host: member.host, port: 0 },
    observed: at.address,
  }))
  const { nat } = natOf(
    observations,
    seen.flatMap(({ at }) => at.listens),
  )
  const evidence = seen.map(({ member, at }) => `${member.name} sees it at ${formatAddress(at.address)}`).join(', ')
  return { nat, evidence: evidence === '' ? 'nobody tells where it is seen' : evidence }
}

export const judgePair = (sides: readonly [Side, Side]): readonly Finding[] => {
  const [a, b] = sides
  const findings = [...tellNat(a), ...tellNat(b), ...tellWay(a, b), ...tellWay(b, a)]
  return [...findings, verdict(a, b)]
}

const tellNat = ({ name, nat, evidence }: Side): Finding[] => [ok('nat', `${name}: ${NAT_WORDS[nat]} (${evidence})`)]

const NAT_WORDS: Readonly<Record<NatClass, string>> = {
  unknown: 'the class of its NAT, if there is one, is not known',
  open: 'no NAT',
  cone: 'a cone NAT',
  symmetric: 'a symmetric NAT',
}

const tellWay = (from: Side, to: Side): Finding[] => {
  const { name, report } = from
  if (report === undefined) {
    const why = 'This machine does not reach it, or it gave no answer in time, or is of an earlier version.'
    return [
      warning(
        'connection',
        `${name} could not be asked for its way to ${to.name}.`,
        why,
        `Run skein doctor ${to.name} on its machine.`,
      ),
    ]
  }
  const attempts = report.attempts.map(({ what, code, message }) =>
    warning(
      'attempt',
      `${name} tried ${repeated(what)}: ${repeated(message)} (${repeated(code)})`,
      meaning(code),
      hint(code),
    ),
  )
  if (report.connection !== undefined) return [...attempts, tellConnection(name, to.name, report.connection)]
  const code = report.code ?? 'ERROR'
  return [
    ...attempts,
    failed(
      'connection',
      `${name} does not reach ${to.name}: ${repeated(report.message)} (${repeated(code)})`,
      meaning(code),
      hint(code),
    ),
  ]
}

const verdict = (a: Side, b: Side): Finding => {
  const ways = [a.report?.connection?.way, b.report?.connection?.way].filter((way) => way !== undefined)
  const pair = `${a.name} and ${b.name}`
  const areSymmetric = a.nat === 'symmetric' && b.nat === 'symmetric'
  if (areSymmetric) return symmetricPair(pair, ways.length > 0)
  if (ways.some((way) => way !== 'relay')) return ok('pair', `${pair} are connected`)
  if (ways.length > 0) {
    return warning(
      'pair',
      `${pair} are connected through a relay.`,
      'A direct way is still being tried, or the NATs do not allow one.',
      OPEN_A_PORT,
    )
  }
  const codes = [a, b].flatMap(({ report }) => [
    ...(report?.attempts.map(({ code }) => code) ?? []),
    report?.code ?? '',
  ])
  const telling = codes.find((code) => TELLING.includes(code))
  if (telling !== undefined)
    return failed('pair', `${pair} refuse each other: ${telling}.`, meaning(telling), hint(telling))
  if (a.report === undefined && b.report === undefined) {
    return failed(
      'pair',
      `Neither of ${pair} could be asked.`,
      'This machine does not reach them, or they gave no answer in time.',
      `Run skein doctor ${b.name} on the machine of ${a.name}, or give --seed with a member.`,
    )
  }
  const behind = [a, b].filter(({ nat }) => nat === 'cone' || nat === 'symmetric')
  if (behind.length > 0) {
    const who = behind.map(({ name }) => name).join(' and ')
    const why = `${who} ${behind.length === 1 ? 'is' : 'are'} behind a NAT, and no member brought the two together.`
    return failed('pair', `${pair} do not reach each other.`, why, OPEN_A_PORT)
  }
  return failed(
    'pair',
    `${pair} do not reach each other.`,
    'Nothing of one gets to the other: a firewall between them drops UDP, or one is down.',
    `Run skein doctor ${b.name} on the machine of ${a.name}, and let UDP to the ports of both pass.`,
  )
}

export const symmetricPair = (pair: string, isConnected: boolean): Finding => {
  const what = `Symmetric pair: ${pair} are both behind a symmetric NAT.`
  const why = 'Neither can know at which port the other will be seen, so no direct way can be opened between them'
  return isConnected
    ? warning('pair', what, `${why}; they talk through a relay.`, OPEN_A_PORT)
    : failed('pair', what, `${why}, and no relay is known to bring them together.`, OPEN_A_PORT)
}

/** Codes that name a cause by themselves. */
const TELLING: readonly string[] = [
  'ERR_SKEIN_WRONG_CLUSTER',
  'ERR_SKEIN_WRONG_COOKIE',
  'ERR_SKEIN_CERT_EXPIRED',
  'ERR_SKEIN_CERT_FOREIGN',
  'ERR_SKEIN_NAME_TAKEN',
  'ERR_SKEIN_VERSION',
  'ERR_SKEIN_STALE_INCARNATION',
]
