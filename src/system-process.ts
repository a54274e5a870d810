/**
 * The process every node registers as `skein`: answers the questions that tools ask (`skein nodes`, `skein ping`).
 *
 * It is an ordinary process, reached by an ordinary call from any member of the cluster, and it changes nothing. What is
 * no question it knows gets an answer that says so.
 */
import type { SourceStatus } from '../discovery/source.ts'
import type { Address } from '../transport/address.ts'
import { genServer } from './behaviours/gen-server.ts'
import type { ConnectedNode } from './cluster/peers.ts'
import type { DhtReport } from './dht-report.ts'

/** Registered name of the process. */
export const SYSTEM_PROCESS = 'skein'

export type SystemRequest =
  | { readonly type: 'ping' }
  | { readonly type: 'nodes' }
  | { readonly type: 'info' }
  | { readonly type: 'dht' }

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
  readonly discovery: readonly SourceStatus[]
  readonly counters: Readonly<Record<string, number>>
}

export type SystemReply =
  | { readonly type: 'pong'; readonly node: string }
  | { readonly type: 'nodes'; readonly nodes: readonly ConnectedNode[] }
  | { readonly type: 'info'; readonly info: NodeInfo }
  /** Undefined where a node takes part in no DHT. */
  | { readonly type: 'dht'; readonly dht: DhtReport | undefined }
  | { readonly type: 'unknown'; readonly knows: readonly SystemRequest['type'][] }

/** What the process asks its node. */
export interface SystemHost {
  /** name@host */
  readonly name: string
  info(): NodeInfo
  connectedNodes(): readonly ConnectedNode[]
  dht(): DhtReport | undefined
}

/** A GenServer, so that neither what looks like a call nor an answer that cannot be sent ends it. */
export const systemProcess = (host: SystemHost) =>
  genServer({
    init: () => ({ state: undefined }),
    handleCall: (request: unknown) => ({ reply: answer(host, request) }),
    label: 'what tools ask',
  })

const answer = (host: SystemHost, request: unknown): SystemReply => {
  const type = typeof request === 'object' && request !== null && 'type' in request ? request.type : undefined
  switch (type) {
    case 'ping':
      return { type: 'pong', node: host.name }
    case 'nodes':
      return { type: 'nodes', nodes: host.connectedNodes() }
    case 'info':
      return { type: 'info', info: host.info() }
    case 'dht':
      return { type: 'dht', dht: host.dht() }
    default:
      return { type: 'unknown', knows: ['ping', 'nodes', 'info', 'dht'] }
  }
}
