/** Takes a sample of this process and its node. */
import { getHeapCodeStatistics } from 'node:v8'
import type { NodeSnapshot, SkeinNode } from '../../src/index.ts'
import type { Sample } from './protocol.ts'

export const takeSample = async (node: SkeinNode, collects: boolean): Promise<Sample> => {
  const figures = figuresOf(await node.observer.local())
  const resources: Record<string, number> = {}
  for (const kind of process.getActiveResourcesInfo()) resources[kind] = (resources[kind] ?? 0) + 1
  if (collects) globalThis.gc?.()
  const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage()
  const { user, system } = process.cpuUsage()
  const isClean = collects && globalThis.gc !== undefined
  const heapAfterGc = isClean ? heapUsed : undefined
  const codeAfterGc = isClean ? codeBytes() : undefined
  const counters = node.counters()
  return {
    rss,
    heapAfterGc,
    codeAfterGc,
    heapUsed,
    external,
    arrayBuffers,
    cpuMicros: user + system,
    resources,
    figures,
    counters,
  }
}

const codeBytes = (): number => {
  const { code_and_metadata_size: machineCode, bytecode_and_metadata_size: bytecode } = getHeapCodeStatistics()
  return machineCode + bytecode
}

/** What can grow: counts of what there is now. */
const figuresOf = ({ processes, mailboxes, connections, names, discovery, dht, probes, counters }: NodeSnapshot) => {
  const sum = (what: 'queuedBytes' | 'dedicatedLanes' | 'heldLanes'): number =>
    connections.list.reduce((total, one) => total + one[what], 0)
  const figures: Record<string, number> = {
    processes: processes.count,
    'mailbox messages': mailboxes.messages,
    'mailbox bytes': mailboxes.bytes,
    connections: connections.count,
    'queued bytes': sum('queuedBytes'),
    'dedicated lanes': sum('dedicatedLanes'),
    'held lanes': sum('heldLanes'),
    names: names.count,
    'dht contacts': dht?.contacts ?? 0,
    'dht items': dht?.items ?? 0,
    'dht announcements': dht?.announcements ?? 0,
    'dead letters': counters.deadLetters ?? 0,
    crashes: counters.crashes ?? 0,
  }
  for (const { source, seen } of discovery) figures[`seen by ${source}`] = seen
  for (const [probe, told] of Object.entries(probes)) {
    for (const [name, value] of Object.entries(typeof told === 'object' && told !== null ? told : {})) {
      if (typeof value === 'number') figures[`${probe} ${name}`] = value
    }
  }
  return figures
}
