/**
 * What a node tells by its process `skein` (system-process.ts).
 */
import { reportReach } from './doctor/reach-report.ts'
import type { SkeinNode } from './node.ts'
import type { NodeParts } from './node-parts.ts'
import type { Processes } from './process/processes.ts'
import type { SystemHost } from './system-process.ts'

export const systemHost = (node: SkeinNode, { cluster, clock, dht }: NodeParts, processes: Processes): SystemHost => {
  const reach = {
    connectedNodes: () => node.connectedNodes(),
    connect: (name: string) => node.connect(name),
    nat: () => node.discovery.record().nat ?? 'unknown',
  }
  return {
    name: node.name,
    events: node.events,
    info: () => ({
      name: node.name,
      id: node.id,
      incarnation: node.incarnation,
      cluster,
      addresses: node.addresses,
      nodes: node.nodes(),
      processes: processes.count,
      registered: processes.registered(),
      behaviours: processes.catalogue.names(),
      discovery: node.discovery.status(),
      counters: node.counters(),
    }),
    connectedNodes: () => node.connectedNodes(),
    dht: () => dht?.(),
    snapshot: () => node.observer.local(),
    processPage: (after) => processes.inspection.page(after),
    processDetail: (number) => processes.inspection.detail(number),
    wallNow: () => clock.wallNow(),
    reach: (name) => reportReach(reach, name),
  }
}
