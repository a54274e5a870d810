/**
 * Judges what another node gives as its snapshot: it must be of that node, and only what fits the shape is taken over,
 * within the bounds of a snapshot. So a node can tell lies about itself, and nothing else.
 */
import type { ConnectionFigures } from '../cluster/connection-figures.ts'
import { Pid } from '../pid.ts'
import type { ProcessGlance } from '../process/census.ts'
import { plain } from './plain.ts'
import {
  MAX_CHILDREN_TOLD,
  MAX_CONNECTIONS_TOLD,
  MAX_COUNTERS,
  MAX_NAMES_TOLD,
  MAX_SUPERVISORS_TOLD,
  MAX_TREE_DEPTH,
  type NodeSnapshot,
  type SupervisionTree,
  TOP_PROCESSES,
} from './snapshot.ts'

const MAX_TEXT = 512
const MAX_SOURCES = 16
const MAX_GLANCE_NAMES = 8

type Said = Readonly<Record<string, unknown>>

/** Undefined: it is no snapshot of this node. */
export const checkSnapshot = (said: unknown, node: string): NodeSnapshot | undefined => {
  if (!isSaid(said) || said.node !== node || !isSaid(said.processes) || !isSaid(said.mailboxes)) return undefined
  const { processes, mailboxes } = said
  const connections = saidOf(said.connections)
  const names = saidOf(said.names)
  const eventLoop = saidOf(said.eventLoop)
  const memory = saidOf(said.memory)
  const glances = (value: unknown): ProcessGlance[] => list(value, TOP_PROCESSES, (one) => glance(one, node))
  const budget = { left: MAX_SUPERVISORS_TOLD * (1 + MAX_CHILDREN_TOLD) }
  return {
    node,
    id: text(said.id),
    incarnation: text(said.incarnation),
    uptimeMs: number(said.uptimeMs),
    processes: {
      count: number(processes.count),
      byMessages: glances(processes.byMessages),
      byBytes: glances(processes.byBytes),
      byBonds: glances(processes.byBonds),
    },
    mailboxes: {
      messages: number(mailboxes.messages),
      bytes: number(mailboxes.bytes),
      longest: number(mailboxes.longest),
      pressed: number(mailboxes.pressed),
      overflows: number(mailboxes.overflows),
    },
    connections: {
      count: number(connections.count),
      list: list(connections.list, MAX_CONNECTIONS_TOLD, connection),
    },
    names: { count: number(names.count), list: texts(names.list, MAX_NAMES_TOLD) },
    supervisors: list(said.supervisors, MAX_SUPERVISORS_TOLD, (one) => tree(one, node, 1, budget)),
    discovery: list(said.discovery, MAX_SOURCES, (one) => {
      const { source, state, detail, seen } = saidOf(one)
      const known = STATES.find((known) => known === state)
      return known && { source: text(source), state: known, detail: text(detail), seen: number(seen) }
    }),
    dht: isSaid(said.dht)
      ? {
          contacts: number(said.dht.contacts),
          items: number(said.dht.items),
          announcements: number(said.dht.announcements),
        }
      : undefined,
    eventLoop: {
      utilisation: number(eventLoop.utilisation),
      lagMs: number(eventLoop.lagMs),
      maxLagMs: number(eventLoop.maxLagMs),
    },
    memory: { residentBytes: number(memory.residentBytes), heapUsedBytes: number(memory.heapUsedBytes) },
    counters: Object.fromEntries(
      Object.entries(saidOf(said.counters))
        .slice(0, MAX_COUNTERS)
        .map(([name, value]) => [name.slice(0, MAX_TEXT), number(value)]),
    ),
    probes: saidOf(plain(saidOf(said.probes))),
  }
}

const STATES = ['starting', 'working', 'degraded', 'failed', 'stopped'] as const
const TREE_STATES = ['answered', 'silent', 'cut'] as const
const CHILD_STATES = ['running', 'restarting', 'stopped'] as const

/** Bytes are none: their members would be millions. */
export const isSaid = (value: unknown): value is Said =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value)
export const saidOf = (value: unknown): Said => (isSaid(value) ? value : {})
export const text = (value: unknown): string => (typeof value === 'string' ? value.slice(0, MAX_TEXT) : '')
export const textOrNot = (value: unknown): string | undefined => (typeof value === 'string' ? text(value) : undefined)
export const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0)

export const list = <T>(value: unknown, atMost: number, take: (one: unknown) => T | undefined): T[] =>
  (Array.isArray(value) ? value.slice(0, atMost) : []).map(take).filter((one): one is T => one !== undefined)

const texts = (value: unknown, atMost: number): string[] => list(value, atMost, (one) => textOrNot(one))

export const glance = (value: unknown, node: string): ProcessGlance | undefined => {
  const said = saidOf(value)
  if (!(said.pid instanceof Pid) || said.pid.node !== node) return undefined
  return {
    pid: said.pid,
    label: textOrNot(said.label),
    names: texts(said.names, MAX_GLANCE_NAMES),
    state: said.state === 'waiting' ? 'waiting' : 'running',
    messages: number(said.messages),
    bytes: number(said.bytes),
    bonds: number(said.bonds),
  }
}

const WAYS: readonly ConnectionFigures['way'][] = ['port', 'socket', 'relay', 'tcp']

const connection = (value: unknown): ConnectionFigures => {
  const said = saidOf(value)
  return {
    node: text(said.node),
    address: text(said.address),
    way: WAYS.find((known) => known === said.way) ?? 'port',
    hidden: said.hidden === true,
    dialled: said.dialled === true,
    protocolVersion: number(said.protocolVersion),
    rttMs: number(said.rttMs),
    sentBytes: number(said.sentBytes),
    receivedBytes: number(said.receivedBytes),
    lostPackets: number(said.lostPackets),
    pathSizeBytes: number(said.pathSizeBytes),
    silentMs: number(said.silentMs),
    dedicatedLanes: number(said.dedicatedLanes),
    heldLanes: number(said.heldLanes),
    queuedBytes: number(said.queuedBytes),
  }
}

const tree = (value: unknown, node: string, depth: number, budget: { left: number }): SupervisionTree | undefined => {
  const said = saidOf(value)
  const status = TREE_STATES.find((known) => known === said.status)
  if (status === undefined || !(said.pid instanceof Pid) || said.pid.node !== node || depth > MAX_TREE_DEPTH + 1) {
    return undefined
  }
  const children = list(said.children, MAX_CHILDREN_TOLD, (one) => {
    const child = saidOf(one)
    const state = CHILD_STATES.find((known) => known === child.status)
    if (state === undefined || budget.left-- <= 0) return undefined
    return {
      id: text(child.id),
      pid: child.pid instanceof Pid ? child.pid : undefined,
      status: state,
      type: child.type === 'supervisor' ? ('supervisor' as const) : ('worker' as const),
      tree: child.tree === undefined ? undefined : tree(child.tree, node, depth + 1, budget),
    }
  })
  return { pid: said.pid, label: textOrNot(said.label), status, children }
}
