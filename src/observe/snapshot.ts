/**
 * A snapshot: what one node tells of itself, of bounded size whatever runs on it. Types only; local-snapshot.ts takes it,
 * check-snapshot.ts judges those of others.
 */
import type { SourceStatus } from '../../discovery/source.ts'
import type { ChildInfo } from '../behaviours/supervisor/request.ts'
import type { ConnectionFigures } from '../cluster/connection-figures.ts'
import type { Pid } from '../pid.ts'
import type { ProcessGlance } from '../process/census.ts'
import type { EventLoopFigures } from './event-loop.ts'

/** The largest processes by each measure. */
export const TOP_PROCESSES = 10
export const MAX_CONNECTIONS_TOLD = 256
export const MAX_NAMES_TOLD = 256
/** Supervisors asked, over all trees. */
export const MAX_SUPERVISORS_TOLD = 64
export const MAX_CHILDREN_TOLD = 64
export const MAX_TREE_DEPTH = 8
/** Named counts. */
export const MAX_COUNTERS = 128

/** A supervisor and what it says of its children. */
export interface SupervisionTree {
  readonly pid: Pid
  readonly label: string | undefined
  /** silent: it did not answer in time. cut: it was not asked, the limits of a snapshot were reached. */
  readonly status: 'answered' | 'silent' | 'cut'
  /** The first 64. */
  readonly children: readonly (Pick<ChildInfo, 'id' | 'pid' | 'status' | 'type'> & {
    /** Of a child that is a supervisor of this node. */
    readonly tree: SupervisionTree | undefined
  })[]
}

/** What one node tells of itself at one moment. Lists are cut to bounds; the counts beside them are not. */
export interface NodeSnapshot {
  /** name@host */
  readonly node: string
  readonly id: string
  readonly incarnation: string
  readonly uptimeMs: number
  readonly processes: {
    readonly count: number
    readonly byMessages: readonly ProcessGlance[]
    readonly byBytes: readonly ProcessGlance[]
    readonly byBonds: readonly ProcessGlance[]
  }
  readonly mailboxes: {
    /** In all mailboxes. */
    readonly messages: number
    readonly bytes: number
    /** Messages in the longest one. */
    readonly longest: number
    /** That hold their senders back now. */
    readonly pressed: number
    /** Times that one began to overflow, since the start. */
    readonly overflows: number
  }
  readonly connections: { readonly count: number; readonly list: readonly ConnectionFigures[] }
  readonly names: { readonly count: number; readonly list: readonly string[] }
  /** Of all supervisors that have none above them here. */
  readonly supervisors: readonly SupervisionTree[]
  readonly discovery: readonly SourceStatus[]
  /** Undefined where the node takes part in no DHT. */
  readonly dht: { readonly contacts: number; readonly items: number; readonly announcements: number } | undefined
  readonly eventLoop: EventLoopFigures
  readonly memory: { readonly residentBytes: number; readonly heapUsedBytes: number }
  /** Of the port and of the process layer, since the start. */
  readonly counters: Readonly<Record<string, number>>
  /** What services tell of themselves: see Probes. */
  readonly probes: Readonly<Record<string, unknown>>
}
