/**
 * What the judge of `skein chaos` and its node processes say to each other.
 */

/** Global names that nodes compete for. */
export const CHAOS_NAMES = ['lock-1', 'lock-2', 'lock-3'] as const

/** What a node process is told to be. */
export interface ChaosSettings {
  readonly name: string
  readonly cluster: string
  readonly cookie: string
  /** A file, so that a restarted node has the key of its predecessor. */
  readonly identity: string
  readonly seeds: readonly string[]
}

/** What a node sees. */
export interface ChaosView {
  /** Connected nodes, sorted. */
  readonly nodes: readonly string[]
  /** Global name -> its holder and token. */
  readonly names: Readonly<Record<string, string>>
  /** Names that a process of this node holds. */
  readonly held: readonly string[]
  /** Calls that got their reply, since the start. */
  readonly answered: number
}

/** Questions with their arguments and answers. */
export interface ChaosQuestions {
  /** Gives the port. */
  start: { readonly ask: ChaosSettings; readonly answer: number }
  view: { readonly ask: null; readonly answer: ChaosView }
  /** Tries to get the name, and holds it. */
  grab: { readonly ask: string; readonly answer: null }
  /** Ends the process that holds it. */
  drop: { readonly ask: string; readonly answer: null }
  stop: { readonly ask: null; readonly answer: null }
}

export type ChaosEvent =
  /** A call to that node ended without its reply. */
  | { readonly type: 'noReply'; readonly to: string; readonly code: string; readonly tookMs: number }
  /** A call was answered with something else than what it had asked. */
  | { readonly type: 'wrongReply'; readonly to: string }
  /** The holder of a name writes to what the name protects. */
  | { readonly type: 'write'; readonly name: string; readonly token: string; readonly holder: string }
  /** The node left others that it still reached, because it lost some that they see (docs/partitions.md). */
  | { readonly type: 'steppedBack' }
  /** Something in the process was caught by nobody. */
  | { readonly type: 'defect'; readonly text: string }
