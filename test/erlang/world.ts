/** What a scenario runs on: Skein or Erlang, two nodes in processes of their own each. */
import type { NodeName } from './scenario.ts'

/** A pid, a reference or the `from` of a call; `key` is equal exactly when it is the same. `raw` is the world's own. */
export class Handle {
  readonly key: string
  readonly raw: unknown

  constructor(key: string, raw: unknown) {
    this.key = key
    this.raw = raw
  }
}

/**
 * What goes to a world and comes back. Messages of the system come back as lists that begin with DOWN, EXIT, nodeup,
 * nodedown or call; an end by an error as `{ error }`; a name on a node as `{ name, node }`.
 */
export type Term =
  | string
  | number
  | boolean
  | Handle
  | readonly Term[]
  | { readonly error: Term }
  | { readonly name: string; readonly node: NodeName }

export interface World {
  readonly name: string
  /** A new process of this name; gives its pid. */
  spawn(node: NodeName, actor: string): Promise<Term>
  /** Has a process carry out an operation; `ended` if it ended instead. */
  act(node: NodeName, actor: string, operation: string, args: readonly Term[]): Promise<Term>
  /** Waits for the end of a process; gives its reason. */
  ended(node: NodeName, actor: string): Promise<Term>
  /** Ends all processes of a scenario, whatever they do. */
  clear(node: NodeName): Promise<void>
  /** Connects the first node to the second; resolves when both know. */
  connect(): Promise<void>
  disconnect(): Promise<void>
  /** kill -9 of the second node. */
  kill(): Promise<void>
  /** Starts the second node again. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** How long an operation waits for a message that should come. */
export const PATIENCE_MS = 8_000
