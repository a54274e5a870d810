/**
 * A short-lived hidden node that dials whom it was told of and whom it finds, and asks them a few things.
 *
 * It is the tool behind all findings about other nodes. Unlike an ordinary node it can be made to show another calendar
 * time, and its own certificate is good at any time: so a clock that is wrong, here or there, does not keep it from asking
 * how wrong. What members answer is judged, not believed. Every wait is bounded.
 */
import { hostname } from 'node:os'
import { type Attempt, type ErrorCode, isSkeinError } from '../../certs/errors.ts'
import { createIdentity } from '../../certs/identity.ts'
import { Keyring } from '../../certs/keyring.ts'
import { deriveKeys } from '../../certs/keys.ts'
import { type Address, formatAddress } from '../../transport/address.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Random } from '../../transport/random.ts'
import type { ConnectedNode } from '../cluster/connected-node.ts'
import { isNodeName } from '../cluster/node-name.ts'
import type { Config } from '../config.ts'
import type { SkeinNode } from '../node.ts'
import { safeMessage } from '../safe-text.ts'
import { startConfigured } from '../start.ts'
import { SYSTEM_PROCESS, type SystemReply, type SystemRequest } from '../system-process.ts'
import { readAddress, type WayName, wayOf } from './reach-report.ts'

/** Longer than a dial takes to fail. */
const DISCOVER_MS = 3500
const ASK_MS = 2000
/** Nodes that discovery names and that are dialled. */
const MAX_FOUND = 8
/** Members that are asked. */
const MAX_ASKED = 8
/** What one member may tell of others: nodes, and addresses of each. */
const MAX_TOLD = 4096
const MAX_LISTENS = 64
const NAME_BYTES = 6
/** The certificate of the tool is valid whatever the clock of the other side shows: 1990 to 2049. */
const ALWAYS = { wallNowMs: Date.UTC(1990, 0), validForMs: Date.UTC(2049, 0) - Date.UTC(1990, 0) }

/** One dial and how it ended. */
export interface Dial {
  /** As it was given or found. */
  readonly target: string
  /** 'local' is a port of this machine, where silence is no news. */
  readonly through: 'seeds' | 'local' | 'discovery'
  readonly result:
    | { readonly type: 'up'; readonly node: string; readonly tookMs: number; readonly way: WayName }
    | {
        readonly type: 'failed'
        readonly code: ErrorCode | 'ERROR'
        readonly message: string
        readonly attempts: readonly Attempt[]
      }
}

/** Codes of attempts to which nobody answered, or which never began. */
const SILENT: readonly string[] = [
  'ERROR',
  'ERR_SKEIN_BAD_ADDRESS',
  'ERR_SKEIN_BAD_NAME',
  'ERR_SKEIN_CONNECT_FAILED',
  'ERR_SKEIN_CONNECT_TIMEOUT',
  'ERR_SKEIN_CONNECTION_LOST',
  'ERR_SKEIN_LIMIT',
  'ERR_SKEIN_NODE_UNKNOWN',
  'ERR_SKEIN_NO_RELAY',
  'ERR_SKEIN_UNKNOWN_HOST',
] satisfies readonly (ErrorCode | 'ERROR')[]

/** The attempt to which somebody answered, with a refusal; undefined where nobody did, or where the dial succeeded. */
export const refusalOf = ({ target, result }: Dial): Attempt | undefined => {
  if (result.type === 'up') return undefined
  const { code, message, attempts } = result
  const all = attempts.length > 0 ? attempts : [{ what: target, code, message }]
  return all.find((attempt) => !SILENT.includes(attempt.code))
}

/** UDP went there and back. */
export const isDirect = (way: WayName): boolean => way === 'port' || way === 'socket'

/** What a member tells of itself. */
export interface MemberFacts {
  readonly name: string
  /** Where it was reached, and how. */
  readonly host: string
  readonly way: WayName
  /** Its clock minus ours, and half the round trip, by which that may be wrong; undefined where it does not tell. */
  readonly clock: { readonly aheadMs: number; readonly uncertainMs: number } | undefined
  /** It finds others by multicast DNS, and that works by its own account. */
  readonly usesMulticast: boolean
  /** Whom it is connected with. */
  readonly connected: readonly SeenNode[]
}

/** A node as another one sees it. */
export interface SeenNode {
  readonly name: string
  readonly address: Address
  readonly way: WayName
  readonly listens: readonly Address[]
}

export interface VisitOptions {
  readonly config: Config
  readonly cookie: Uint8Array
  readonly clock: Clock
  readonly random: Random
  /** Where a node of this machine may be. */
  readonly local: Address
  /** Ends the visit before its time. */
  readonly signal: AbortSignal
}

export class Visit {
  readonly node: SkeinNode
  readonly #clock: Clock
  /** All that was dialled before the members were asked. */
  readonly dials: readonly Dial[]
  readonly members: readonly MemberFacts[]

  private constructor(node: SkeinNode, clock: Clock, dials: readonly Dial[], members: readonly MemberFacts[]) {
    this.node = node
    this.#clock = clock
    this.dials = dials
    this.members = members
  }

  /** Dials and asks. Rejects only where the node cannot be started. */
  static async pay(options: VisitOptions): Promise<Visit> {
    const first = await Visit.#pay(options, options.clock)
    const shifted = options.signal.aborted ? undefined : clockFor(first.dials, options.clock)
    if (shifted === undefined) return first
    // Certificates were outside their period: with a calendar that they fit one can at least ask what the time is there.
    const others = await Visit.#lookAgain(options, shifted)
    const known = new Set(first.members.map(({ name }) => name))
    const members = [...first.members, ...others.filter(({ name }) => !known.has(name))]
    return new Visit(first.node, options.clock, first.dials, members)
  }

  /** Never rejects: the first visit stands in any case. */
  static async #lookAgain(options: VisitOptions, shifted: Clock): Promise<readonly MemberFacts[]> {
    try {
      const second = await Visit.#pay(options, shifted)
      await second.node.stop()
      return inTimeOf(second.members, shifted, options.clock)
    } catch {
      return []
    }
  }

  static async #pay({ config, cookie, random, local, signal }: VisitOptions, clock: Clock): Promise<Visit> {
    const name = `skein-doctor-${Buffer.from(random.bytes(NAME_BYTES)).toString('hex')}@${hostname()}`
    const identity = await createIdentity({ ...ALWAYS, random: (count) => random.bytes(count) })
    const own = {
      name,
      identity,
      port: 0,
      portFallback: true,
      hidden: true,
      tcp: false,
      portMapping: false,
      ca: undefined,
    }
    const settings: Config = { ...config, ...own }
    const node = await startConfigured(settings, new Keyring(deriveKeys(cookie, config.cluster)), undefined, clock)
    // Whoever waits for a node that stops is told at once.
    signal.addEventListener('abort', () => void node.stop(), { once: true })
    if (signal.aborted) await node.stop()
    try {
      const dials = await dialAll(node, config, local, clock)
      const names = [...new Set(dials.flatMap(({ result }) => (result.type === 'up' ? [result.node] : [])))]
      const members = await Promise.all(names.slice(0, MAX_ASKED).map((one) => askMember(node, one, clock)))
      return new Visit(node, clock, dials, members)
    } catch (error) {
      await node.stop()
      throw error
    }
  }

  /** Connects to a name or address. */
  dial(target: string): Promise<Dial> {
    return dialOne(this.node, this.#clock, target, 'discovery')
  }

  /** Asks the system process of a node; undefined where no answer comes in time. */
  ask(node: string, request: SystemRequest, timeoutMs = ASK_MS): Promise<SystemReply | undefined> {
    return ask(this.node, node, request, timeoutMs)
  }

  /** How this node is connected to that one now. */
  connectionTo(name: string): SeenNode | undefined {
    const found = this.node.connectedNodes().find((one) => one.name === name)
    return judged(found)[0]
  }
}

const dialAll = async (node: SkeinNode, config: Config, local: Address, clock: Clock): Promise<readonly Dial[]> => {
  const { seeds, mdns, dht, dns } = config.discovery
  const given = seeds.map((seed) => dialOne(node, clock, formatAddress(seed), 'seeds'))
  const isAutomatic = mdns || dht !== undefined
  const automatic = isAutomatic ? [dialOne(node, clock, formatAddress(local), 'local')] : []
  // Members tell of others, whatever led to them.
  const found = isAutomatic || dns.length > 0 || seeds.length > 0 ? dialFound(node, clock) : Promise.resolve([])
  return withoutDoubles([...(await Promise.all([...given, ...automatic])), ...(await found)])
}

/** Who was reached by one dial need not be told of by a second; nor who was sought where he was found otherwise. */
const withoutDoubles = (dials: readonly Dial[]): Dial[] => {
  const up = new Map<string, Dial>()
  for (const dial of dials) if (dial.result.type === 'up' && !up.has(dial.result.node)) up.set(dial.result.node, dial)
  return dials.filter((dial) => (dial.result.type === 'up' ? up.get(dial.result.node) === dial : !up.has(dial.target)))
}

/** Those that discovery names within its time, or until enough of them are known. */
const dialFound = async (node: SkeinNode, clock: Clock): Promise<readonly Dial[]> => {
  const dials = new Map<string, Promise<Dial>>()
  const events = node.events[Symbol.asyncIterator]()
  const timer = clock.after(DISCOVER_MS, () => void events.return?.())
  for (let step = await events.next(); step.done !== true; step = await events.next()) {
    const event = step.value
    if (event.type !== 'discovered' || event.sources.every((source) => source === 'seeds')) continue
    const targets = event.node === undefined ? event.addresses.map(formatAddress) : [event.node]
    for (const target of targets) {
      if (dials.size < MAX_FOUND && !dials.has(target)) dials.set(target, dialOne(node, clock, target, 'discovery'))
    }
    if (dials.size >= MAX_FOUND) break
  }
  timer.cancel()
  await events.return?.()
  return Promise.all(dials.values())
}

const dialOne = async (node: SkeinNode, clock: Clock, target: string, through: Dial['through']): Promise<Dial> => {
  const startMs = clock.now()
  try {
    const name = await node.connect(target)
    const tookMs = clock.now() - startMs
    const way = wayOf(node.connectedNodes().find((one) => one.name === name)?.way)
    return { target, through, result: { type: 'up', node: name, tookMs, way } }
  } catch (error) {
    const message = safeMessage(error)
    const { code, attempts } = isSkeinError(error) ? error : { code: 'ERROR' as const, attempts: [] }
    return { target, through, result: { type: 'failed', code, message, attempts } }
  }
}

const ask = async (
  node: SkeinNode,
  name: string,
  request: SystemRequest,
  timeoutMs: number,
): Promise<SystemReply | undefined> => {
  try {
    return (await node.call({ name: SYSTEM_PROCESS, node: name }, request, { timeoutMs })) as SystemReply
  } catch {
    return undefined
  }
}

const askMember = async (node: SkeinNode, name: string, clock: Clock): Promise<MemberFacts> => {
  const [time, info, nodes] = await Promise.all([
    askTime(node, name, clock),
    ask(node, name, { type: 'info' }, ASK_MS),
    ask(node, name, { type: 'nodes' }, ASK_MS),
  ])
  const sources = info?.type === 'info' && Array.isArray(info.info?.discovery) ? info.info.discovery : []
  const connection = node.connectedNodes().find((one) => one.name === name)
  return {
    name,
    host: connection?.address.host ?? '',
    way: wayOf(connection?.way),
    clock: time,
    usesMulticast: sources.some((one) => one?.source === 'mdns' && one.state === 'working'),
    connected:
      nodes?.type === 'nodes' && Array.isArray(nodes.nodes) ? nodes.nodes.slice(0, MAX_TOLD).flatMap(judged) : [],
  }
}

/** As NTP does it: the answer was made about half way between question and answer (RFC 5905 section 8). */
const askTime = async (node: SkeinNode, name: string, clock: Clock): Promise<MemberFacts['clock']> => {
  const startMs = clock.now()
  const reply = await ask(node, name, { type: 'time' }, ASK_MS)
  const tookMs = clock.now() - startMs
  if (reply?.type !== 'time' || !Number.isSafeInteger(reply.wallMs)) return undefined
  return { aheadMs: reply.wallMs - (clock.wallNow() - tookMs / 2), uncertainMs: tookMs / 2 }
}

/** What another node says of a third: anything may stand there. A place that is no literal address is nowhere. */
export const judged = (value: unknown): SeenNode[] => {
  if (typeof value !== 'object' || value === null) return []
  const { name, address: at, listens, way } = value as { readonly [K in keyof ConnectedNode]?: unknown }
  const address = readAddress(at)
  if (typeof name !== 'string' || !isNodeName(name) || address === undefined) return []
  const own = Array.isArray(listens) ? listens.slice(0, MAX_LISTENS).map(readAddress) : []
  return [{ name, address, way: wayOf(way), listens: own.filter((one) => one !== undefined) }]
}

const ISO_TIME = /\d{4}-\d\d-\d\dT[\d:.]+Z/
const HOUR_MS = 60 * 60_000

/** A clock at whose time the certificates that were refused are good; undefined where none was. */
const clockFor = (dials: readonly Dial[], clock: Clock): Clock | undefined => {
  for (const dial of dials) {
    const refusal = refusalOf(dial)
    const message = refusal?.code === 'ERR_SKEIN_CERT_EXPIRED' ? refusal.message : ''
    const limitMs = Date.parse(ISO_TIME.exec(message)?.[0] ?? '')
    if (Number.isNaN(limitMs)) continue
    // Not yet valid: a moment after its beginning. Expired: an hour before its end.
    const goodMs = limitMs > clock.wallNow() ? limitMs + HOUR_MS : limitMs - HOUR_MS
    const shiftMs = goodMs - clock.wallNow()
    return { ...clock, wallNow: () => clock.wallNow() + shiftMs }
  }
  return undefined
}

/** What the members said of their clocks, compared with the true calendar of this machine. */
const inTimeOf = (members: readonly MemberFacts[], shifted: Clock, clock: Clock): readonly MemberFacts[] => {
  const shiftMs = shifted.wallNow() - clock.wallNow()
  return members.map((member) =>
    member.clock === undefined
      ? member
      : { ...member, clock: { ...member.clock, aheadMs: member.clock.aheadMs + shiftMs } },
  )
}
