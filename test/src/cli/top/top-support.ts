/** Snapshots and samples for the tests of `skein top`. */

import type { Sample } from '../../../../src/cli/top/samples.ts'
import type { ConnectionFigures } from '../../../../src/cluster/connection-figures.ts'
import type { NodeSnapshot } from '../../../../src/observe/snapshot.ts'
import { Origin, Pid } from '../../../../src/pid.ts'
import type { ProcessGlance } from '../../../../src/process/census.ts'

const ID = 'abcdefghijklmnopqrstuvwxyz234567'

export const connection = (node: string, over: Partial<ConnectionFigures> = {}): ConnectionFigures => ({
  node,
  address: '10.0.0.2:4433',
  way: 'port',
  hidden: false,
  dialled: true,
  protocolVersion: 1,
  rttMs: 0.5,
  sentBytes: 1000,
  receivedBytes: 2000,
  lostPackets: 0,
  pathSizeBytes: 1350,
  silentMs: 0,
  dedicatedLanes: 0,
  heldLanes: 0,
  queuedBytes: 0,
  ...over,
})

export const glance = (node: string, number: number, over: Partial<ProcessGlance> = {}): ProcessGlance => ({
  pid: new Pid(new Origin(node, ID, '0123456789abcdef'), number),
  label: undefined,
  names: [],
  state: 'waiting',
  messages: 0,
  bytes: 0,
  bonds: 0,
  ...over,
})

export const snapshot = (node: string, over: Partial<NodeSnapshot> = {}): NodeSnapshot => ({
  node,
  id: ID,
  incarnation: '0123456789abcdef',
  uptimeMs: 65_000,
  processes: { count: 12, byMessages: [], byBytes: [], byBonds: [] },
  mailboxes: { messages: 3, bytes: 0, longest: 2, pressed: 0, overflows: 0 },
  connections: { count: 0, list: [] },
  names: { count: 4, list: [] },
  supervisors: [],
  discovery: [],
  dht: undefined,
  eventLoop: { utilisation: 0.07, lagMs: 0.2, maxLagMs: 1.5 },
  memory: { residentBytes: 84_000_000, heapUsedBytes: 21_000_000 },
  counters: { signalsSent: 100, signalsReceived: 300 },
  probes: {},
  ...over,
})

export const sample = (now: NodeSnapshot, before?: NodeSnapshot): Sample => ({
  node: now.node,
  snapshot: now,
  code: undefined,
  before: before && { snapshot: before, spanMs: now.uptimeMs - before.uptimeMs },
})

export const gone = (node: string, code = 'ERR_SKEIN_NOCONNECTION'): Sample => ({
  node,
  snapshot: undefined,
  code,
  before: undefined,
})
