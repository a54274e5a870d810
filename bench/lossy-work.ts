/** What the two ends of the lossy wire do, and what comes of it: the same for every system that is measured. */

export interface LossyWork {
  /** Of one message of the bulk sender, which sends as fast as its backpressure lets it. */
  readonly bulkBytes: number
  /** Light and bulk run so long before anything is measured. */
  readonly warmUpMs: number
  readonly durationMs: number
  /** Between an answer to the light sender and its next message. */
  readonly pauseMs: number
}

export interface SideBySide {
  /** Round trips of the light sender. */
  readonly lightMs: readonly number[]
  /** What reached the receiving process meanwhile. */
  readonly bytesPerSecond: number
}

/** To a Skein node of the bench. */
export type LossyCommand =
  | { readonly type: 'start'; readonly name: string; readonly host: string; readonly cookie: string }
  | { readonly type: 'connect'; readonly address: string }
  | { readonly type: 'measure'; readonly work: LossyWork }
