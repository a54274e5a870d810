/**
 * Takes the snapshot of its own node. One is taken at a time: whoever asks meanwhile gets the same, so that many who ask
 * cost no more than one.
 */
import type { SourceStatus } from '../../discovery/source.ts'
import type { Clock } from '../../transport/clock.ts'
import type { ConnectionFigures } from '../cluster/connection-figures.ts'
import type { Traffic } from '../cluster/peer.ts'
import type { DhtReport } from '../dht-report.ts'
import type { Origin } from '../pid.ts'
import { firstOf } from '../process/first-of.ts'
import type { Processes } from '../process/processes.ts'
import type { EventLoopMeter } from './event-loop.ts'
import type { Probes } from './probes.ts'
import type { Runtime } from './runtime.ts'
import {
  MAX_CONNECTIONS_TOLD,
  MAX_COUNTERS,
  MAX_NAMES_TOLD,
  MAX_SUPERVISORS_TOLD,
  type NodeSnapshot,
  TOP_PROCESSES,
} from './snapshot.ts'
import { supervisionTrees } from './supervision-trees.ts'

/** What is looked at. */
export interface ObservedParts {
  readonly self: Origin
  readonly clock: Clock
  readonly runtime: Runtime
  readonly processes: Processes
  /** Hidden nodes included. */
  connections(): readonly ConnectionFigures[]
  /** Signals to and from other nodes. */
  readonly traffic: Readonly<Traffic>
  discovery(): readonly SourceStatus[]
  dht(): DhtReport | undefined
  /** Of the port. */
  counters(): Readonly<Record<string, number>>
}

export class LocalSnapshots {
  readonly #parts: ObservedParts
  readonly #probes: Probes
  readonly #eventLoop: EventLoopMeter
  readonly #startedMs: number
  #taking: Promise<NodeSnapshot> | undefined

  constructor(parts: ObservedParts, probes: Probes, eventLoop: EventLoopMeter) {
    this.#parts = parts
    this.#probes = probes
    this.#eventLoop = eventLoop
    this.#startedMs = parts.clock.now()
  }

  get uptimeMs(): number {
    return this.#parts.clock.now() - this.#startedMs
  }

  /** Takes a second at most, for supervisors that are silent. */
  take(): Promise<NodeSnapshot> {
    this.#taking ??= this.#take().finally(() => {
      this.#taking = undefined
    })
    return this.#taking
  }

  async #take(): Promise<NodeSnapshot> {
    const { self, clock, runtime, processes, connections, traffic, discovery, dht, counters } = this.#parts
    const census = processes.inspection.census(TOP_PROCESSES, MAX_SUPERVISORS_TOLD)
    const { tally } = processes
    const all = connections()
    const names = processes.registered()
    const report = dht()
    const memory = runtime.memoryUsage()
    const signals = { signalsSent: traffic.sent, signalsReceived: traffic.received }
    const numbers = Object.entries({ ...tally, ...signals, ...counters() }).filter(
      (entry): entry is [string, number] => typeof entry[1] === 'number',
    )
    return {
      node: self.name,
      id: self.id,
      incarnation: self.incarnation,
      uptimeMs: this.uptimeMs,
      processes: {
        count: census.count,
        byMessages: census.byMessages,
        byBytes: census.byBytes,
        byBonds: census.byBonds,
      },
      mailboxes: {
        messages: census.messages,
        bytes: census.bytes,
        longest: census.longest,
        pressed: census.pressed,
        overflows: tally.mailboxOverflows,
      },
      connections: { count: all.length, list: all.slice(0, MAX_CONNECTIONS_TOLD) },
      names: { count: names.length, list: firstOf(names, MAX_NAMES_TOLD) },
      supervisors: await supervisionTrees({ self, clock, caller: processes, supervisors: census.supervisors }),
      discovery: discovery(),
      dht: report && { contacts: report.contacts.length, items: report.items, announcements: report.announcements },
      eventLoop: this.#eventLoop.read(),
      memory: { residentBytes: memory.rss, heapUsedBytes: memory.heapUsed },
      counters: Object.fromEntries(numbers.slice(0, MAX_COUNTERS)),
      probes: this.#probes.read(),
    }
  }
}
