/** What the watch and the thread it watches say to each other. */

export type FindingKind = 'crash' | 'hang' | 'growth'

export interface Finding {
  readonly kind: FindingKind
  readonly what: string
  /** Where there is one input that shows it. */
  readonly input: Uint8Array | undefined
}

export interface Order {
  readonly target: string
  readonly seed: number
  /** Inputs to run, and when to end without them, milliseconds since 1970. */
  readonly inputs: number
  readonly untilMs: number
  /** Run first; what adds coverage is worked with. */
  readonly corpus: readonly Uint8Array[]
  /** Findings that are known: they are not told again. */
  readonly known: readonly string[]
  /** What is like one of these is not run: it would hang too. */
  readonly hung: readonly Uint8Array[]
  /** Nothing but this input. */
  readonly replay?: Uint8Array
  readonly shared: SharedArrayBuffer
}

export type Told =
  | { readonly type: 'ready' }
  /** An input that reached something new. */
  | { readonly type: 'kept'; readonly input: Uint8Array }
  | { readonly type: 'found'; readonly finding: Finding; readonly signature: string }
  | { readonly type: 'done'; readonly figures: RunFigures; readonly corpus: readonly Uint8Array[] }

export interface RunFigures {
  readonly inputs: number
  readonly ran: number
  readonly known: number
  readonly refused: number
}

/** Words of the shared memory: how many inputs were begun, whether one is under way, its length; then its bytes. */
export const BEGUN = 0
export const UNDER_WAY = 1
export const LENGTH = 2
export const WORDS_BYTES = 16
export const MAX_INPUT_BYTES = 64 * 1024
/** An input that takes longer hangs: time of the processor. */
export const HANG_MS = 1000

const NEAR_BYTES = 2

/** Whether they differ in so few bytes that they probably do the same. */
export const isNear = (a: Uint8Array, b: Uint8Array): boolean => {
  let different = Math.abs(a.length - b.length)
  for (let i = 0; i < a.length && i < b.length && different <= NEAR_BYTES; i++) if (a[i] !== b[i]) different++
  return different <= NEAR_BYTES
}
