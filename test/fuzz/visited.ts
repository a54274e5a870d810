/** A node with processes, for its services, to which one other node is connected: what that one sends is delivered to it. */
import type { ConnectedNode } from '../../src/cluster/connected-node.ts'
import { Probes } from '../../src/observe/probes.ts'
import { Processes } from '../../src/process/processes.ts'
import type { ProcessReport } from '../../src/process/report.ts'
import type { Route } from '../../src/route.ts'
import type { ServicesHost } from '../../src/services/services.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { Chance } from './chance.ts'
import { Broken } from './target.ts'
import { codecOf, HERE, THERE } from './values.ts'

/** It has tables of some size, and nothing of an input stays in it. */
const codec = codecOf(HERE, THERE).forStorage()

const visitor: ConnectedNode = {
  name: THERE.name,
  id: THERE.id,
  incarnation: THERE.incarnation,
  hidden: false,
  version: 2,
} as unknown as ConnectedNode

export interface Visited {
  readonly host: ServicesHost
  readonly processes: Processes
  readonly clock: VirtualClock
  /** Of the other node. */
  readonly route: Route
}

/** More than any process may take for its end. */
const STOP_MS = 10_000

/** `defect` hears of errors that the node calls its own, `report` of what becomes of processes. */
export const visit = (defect: (error: unknown) => void, report: (event: ProcessReport) => void = () => {}): Visited => {
  const clock = new VirtualClock()
  const random = new Chance(1)
  const route: Route = {
    node: THERE.name,
    origin: THERE,
    version: 2,
    waits: false,
    send: () => true,
    drained: () => Promise.resolve(),
    senderGone: () => {},
    giveUp: () => {},
  } as unknown as Route
  const processes = new Processes({
    origin: HERE,
    clock,
    random,
    router: {
      toOrigin: (origin) => (origin.key === THERE.key ? route : 'noconnection'),
      toNode: (name) => (name === THERE.name ? route : 'noconnection'),
    },
    report,
    stateCodec: codec,
  })
  const host: ServicesHost = {
    self: HERE,
    hidden: false,
    clock,
    random,
    processes,
    probes: new Probes(),
    codec,
    loopMeter: () => 0,
    stop: () => Promise.resolve(),
    connected: () => [visitor],
    connectedAs: (name) => (name === THERE.name ? visitor : undefined),
    emit: () => {},
    defect,
  }
  return { host, processes, clock, route }
}

/** The end of every such world: its processes stop, and what was found while it lived is thrown. */
export const closeDown = async ({ processes, clock }: Visited, found: readonly unknown[]): Promise<void> => {
  const stopped = processes.stop(0)
  clock.advance(STOP_MS)
  await stopped
  if (found.length > 0) throw found[0] instanceof Error ? found[0] : new Broken(String(found[0]))
}
