/** What the director of a chaos run and its members say to each other over IPC. */
import type { SkeinNode } from '../../src/index.ts'

export interface MemberOptions {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly cookie: string
  /** File of its key: a restarted member is the same node. */
  readonly identity: string
  readonly seeds: readonly string[]
  /** Modules whose default export is called before the node starts. */
  readonly before?: readonly string[]
}

/** What a member does besides: the default export of a module. Arguments and result cross as JSON. */
export type Role = (node: SkeinNode, ...args: never[]) => unknown

export type MemberCommand =
  | { readonly do: 'start'; readonly options: MemberOptions }
  | { readonly do: 'state' }
  | { readonly do: 'grab' | 'drop'; readonly name: string }
  | { readonly do: 'drain'; readonly timeoutMs: number }
  | { readonly do: 'stop' }
  /** Share of the time, 0 to 1, that it burns. */
  | { readonly do: 'burn'; readonly share: number }
  /** Has this module's default export work on the node: see Role. */
  | { readonly do: 'role'; readonly module: string; readonly args: readonly unknown[] }

/** What one member sees. */
export interface MemberState {
  readonly nodes: readonly string[]
  /** Name -> pid and token. */
  readonly names: Readonly<Record<string, string>>
  readonly group: readonly string[]
  /** Children that run here: id and pid. */
  readonly running: readonly string[]
  /** Numbered messages so far. */
  readonly received: number
  /** Numbered messages that were not sent because a queue was full. */
  readonly shed: number
}

export type MemberReport =
  | { readonly type: 'event'; readonly event: { readonly type: string } }
  | { readonly type: 'violation'; readonly text: string }
  /** A holder of a name writes to the resource that the name protects. */
  | { readonly type: 'write' | 'registered'; readonly name: string; readonly token: string; readonly holder: string }
  | { readonly type: 'refusedName'; readonly name: string; readonly code: string }
  | { readonly type: 'childRuns' | 'childEnded'; readonly id: string; readonly pid: string }

/** Children of the supervisor. */
export const CHILDREN = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8'] as const
/** Names that members fight for. */
export const NAMES = ['lock-1', 'lock-2', 'lock-3', 'lock-4'] as const
