/**
 * The process every node registers as `skein`: answers the questions that tools ask (`skein nodes`, `skein ping`,
 * `skein doctor`).
 *
 * It is an ordinary process, reached by an ordinary call from any member of the cluster, and it changes nothing, but that
 * the node connects to a member it is asked about. What is no question it knows gets an answer that says so. It is
 * guarded: no member can end it. Of other nodes it takes calls alone, so that nobody can pass off a DOWN.
 */
import { isSkeinError } from '../certs/errors.ts'
import type { SourceStatus } from '../discovery/source.ts'
import type { Address } from '../transport/address.ts'
import { genServer } from './behaviours/gen-server.ts'
import type { ConnectedNode } from './cluster/connected-node.ts'
import type { DhtReport } from './dht-report.ts'
import type { ReachReport } from './doctor/reach-report.ts'
import { EventFollowers } from './event-followers.ts'
import type { NodeEvent } from './event-stream.ts'
import type { NodeSnapshot } from './observe/snapshot.ts'
import type { From } from './process/calls.ts'
import type { ProcessDetail, ProcessPage } from './process/process-page.ts'
import type { Grants } from './process/rights.ts'
import type { Self } from './process/self.ts'
import { NOTHING } from './services/channel.ts'

/** Snapshots that others wait for at once. */
const MAX_WAITING = 256
/** Nodes that are sought for others at once: each search asks every source, and others want their snapshots. */
const MAX_REACHING = 8
const MOST = { snapshot: MAX_WAITING, reach: MAX_REACHING } as const

/** Registered name of the process. */
export const SYSTEM_PROCESS = 'skein'

/** What the process `skein` of every node is called with, as far as `allow` lets others look. */
export type SystemRequest =
  | { readonly type: 'ping' }
  | { readonly type: 'nodes' }
  | { readonly type: 'info' }
  | { readonly type: 'dht' }
  | { readonly type: 'snapshot' }
  | { readonly type: 'time' }
  /** Events are to be sent to the process that asks, from now on, each in a FollowedEvent. */
  | { readonly type: 'follow' }
  /** A page of processes: those with a greater number. */
  | { readonly type: 'processes'; readonly after: number }
  /** One process, by its number. */
  | { readonly type: 'process'; readonly number: number }
  | { readonly type: 'reach'; readonly node: string }

/** What a node says of itself. */
export interface NodeInfo {
  readonly name: string
  readonly id: string
  readonly incarnation: string
  readonly cluster: string
  readonly addresses: readonly Address[]
  readonly nodes: readonly string[]
  readonly processes: number
  readonly registered: readonly string[]
  /** That it offers to be started by name. */
  readonly behaviours: readonly string[]
  readonly discovery: readonly SourceStatus[]
  readonly counters: Readonly<Record<string, number>>
}

/** What the process `skein` answers. */
export type SystemReply =
  | { readonly type: 'pong'; readonly node: string }
  | { readonly type: 'nodes'; readonly nodes: readonly ConnectedNode[] }
  | { readonly type: 'info'; readonly info: NodeInfo }
  /** Undefined where a node takes part in no DHT. */
  | { readonly type: 'dht'; readonly dht: DhtReport | undefined }
  /** What the observer tells of the node. */
  | { readonly type: 'snapshot'; readonly snapshot: NodeSnapshot }
  | { readonly type: 'processes'; readonly page: ProcessPage }
  /** Undefined: there is no such process. */
  | { readonly type: 'process'; readonly process: ProcessDetail | undefined }
  /** What the calendar of the node shows, milliseconds since 1970. */
  | { readonly type: 'time'; readonly wallMs: number }
  /** Whether and how the node reaches another one. */
  | { readonly type: 'reach'; readonly reach: ReachReport }
  | { readonly type: 'following' }
  /** Too many answers that take their time are asked for at once, or too many follow already. */
  | { readonly type: 'busy' }
  | { readonly type: 'unknown'; readonly knows: readonly SystemRequest['type'][] }

/** What the process asks its node. */
export interface SystemHost {
  /** name@host */
  readonly name: string
  readonly events: AsyncIterable<NodeEvent>
  info(): NodeInfo
  connectedNodes(): readonly ConnectedNode[]
  dht(): DhtReport | undefined
  /** Never rejects. */
  snapshot(): Promise<NodeSnapshot>
  processPage(after: number): ProcessPage
  processDetail(number: number): ProcessDetail | undefined
  wallNow(): number
  /** Never rejects. */
  reach(node: unknown): Promise<ReachReport>
}

/** A GenServer, so that neither what looks like a call nor an answer that cannot be sent ends it. */
export const systemProcess = (host: SystemHost) => {
  const waiting = { snapshot: 0, reach: 0 }
  const followers = new EventFollowers(host.events)
  const behaviour = genServer({
    init: () => ({ state: undefined }),
    handleCall: (request: unknown, from, _state, self) => {
      if (typeOf(request) === 'follow') {
        const follows = from.pid !== undefined && followers.add(self, from.pid)
        return { reply: { type: follows ? 'following' : 'busy' } satisfies SystemReply }
      }
      const slow = slowAnswer(host, request)
      if (slow === undefined) return { reply: answer(host, request) }
      const { kind, begin } = slow
      if (waiting[kind] >= MOST[kind]) return { reply: { type: 'busy' } satisfies SystemReply }
      // Meanwhile others get their answers.
      waiting[kind]++
      void begin().then((reply) => {
        waiting[kind]--
        replySafely(self, from, reply)
      })
      return undefined
    },
    handleInfo: (message) => {
      if (typeOf(message) === 'DOWN') followers.down((message as { readonly ref?: unknown }).ref)
    },
    label: 'what tools ask',
  })
  const mayCall = (grants: Grants, request: unknown): boolean => grants.mayAsk(typeOf(request))
  const schema = { info: NOTHING, cast: NOTHING }
  return Object.assign(behaviour, { traits: { ...behaviour.traits, guarded: true, mayCall, schema } })
}

/** A caller whose connection is full asks again. */
const replySafely = (self: Self<unknown>, from: From, reply: SystemReply): void => {
  try {
    self.reply(from, reply)
  } catch (error) {
    if (!isSkeinError(error)) throw error
  }
}

const typeOf = (request: unknown): unknown =>
  typeof request === 'object' && request !== null && 'type' in request ? request.type : undefined

interface SlowAnswer {
  readonly kind: keyof typeof MOST
  readonly begin: () => Promise<SystemReply>
}

/** Questions for which others are asked first: supervisors, another node. */
const slowAnswer = (host: SystemHost, request: unknown): SlowAnswer | undefined => {
  switch (typeOf(request)) {
    case 'snapshot':
      return { kind: 'snapshot', begin: async () => ({ type: 'snapshot', snapshot: await host.snapshot() }) }
    case 'reach':
      return {
        kind: 'reach',
        begin: async () => ({ type: 'reach', reach: await host.reach((request as { readonly node?: unknown }).node) }),
      }
    default:
      return undefined
  }
}

const answer = (host: SystemHost, request: unknown): SystemReply => {
  switch (typeOf(request)) {
    case 'ping':
      return { type: 'pong', node: host.name }
    case 'nodes':
      return { type: 'nodes', nodes: host.connectedNodes() }
    case 'info':
      return { type: 'info', info: host.info() }
    case 'dht':
      return { type: 'dht', dht: host.dht() }
    case 'time':
      return { type: 'time', wallMs: host.wallNow() }
    case 'processes':
      return { type: 'processes', page: host.processPage(numberOf(request, 'after')) }
    case 'process':
      return { type: 'process', process: host.processDetail(numberOf(request, 'number')) }
    default:
      return {
        type: 'unknown',
        knows: ['ping', 'nodes', 'info', 'dht', 'snapshot', 'processes', 'process', 'time', 'follow', 'reach'],
      }
  }
}

/** What another node may have made anything of. */
const numberOf = (request: unknown, key: 'after' | 'number'): number => {
  const value = (request as Readonly<Record<string, unknown>>)[key]
  return typeof value === 'number' && value >= 0 ? value : 0
}
