/** What the director of a soak run and its members say to each other over IPC. */

export interface MemberOptions {
  readonly name: string
  readonly cookie: string
  /** File of its key: a restarted member is the same node. */
  readonly identity: string
  /** host:port; also where the DHT begins. */
  readonly seeds: readonly string[]
  /** Messages above this size are compressed; 0: none. */
  readonly compressAboveBytes: number
  /** Messages per second that it sends. */
  readonly rate: number
  readonly seed: number
}

export type MemberCommand =
  | { readonly do: 'start'; readonly options: MemberOptions }
  /** `pace`: times the rate, and all other work with it. */
  | { readonly do: 'load'; readonly on: boolean; readonly pace: number }
  /** `gc`: collects all garbage first. */
  | { readonly do: 'sample'; readonly gc: boolean }
  /** `farewell`: each sender of numbered messages sends a last one to everybody. */
  | { readonly do: 'farewell' | 'census' | 'settled' | 'stop' }
  /** Ends the connection to a node. */
  | { readonly do: 'disconnect'; readonly node: string }
  /** Connects to each of these, if it is not. */
  | { readonly do: 'meet'; readonly nodes: readonly string[] }
  /** Ends the children of the supervisor, or starts them. */
  | { readonly do: 'children'; readonly run: boolean }
  | { readonly do: 'heapSnapshot'; readonly file: string }

export type MemberReport = { readonly type: 'violation'; readonly text: string }

/** What one process looks like at one moment. Sizes in bytes. */
export interface Sample {
  readonly rss: number
  /** Only right after a collection. */
  readonly heapAfterGc: number | undefined
  /** Of it, what V8 has compiled: machine code and bytecode, and what belongs to them. */
  readonly codeAfterGc: number | undefined
  readonly heapUsed: number
  readonly external: number
  readonly arrayBuffers: number
  /** Microseconds of processor time since the start. */
  readonly cpuMicros: number
  /** What keeps an event loop busy, by kind: process.getActiveResourcesInfo. */
  readonly resources: Readonly<Record<string, number>>
  /** What the node tells in its snapshot, by name. */
  readonly figures: Readonly<Record<string, number>>
  /** node.counters(). */
  readonly counters: Readonly<Record<string, number>>
}

/** How many there are: of each class of the project, and of entries in its maps and sets, as `Class#field`. */
export interface Census {
  readonly instances: Readonly<Record<string, number>>
  readonly tables: Readonly<Record<string, number>>
}

/** Of the load of one member. */
export interface Settled {
  readonly node: string
  /** What has begun and is not over, by kind of work; only what is not 0. */
  readonly outstanding: Readonly<Record<string, number>>
  /** The number of the last message, by sender and by node that it went to. */
  readonly sent: Readonly<Record<string, Readonly<Record<string, number>>>>
  /** The number of the last message that came, by sender. */
  readonly heard: Readonly<Record<string, number>>
  readonly connected: readonly string[]
  /** Children of the supervisor that run here. */
  readonly children: readonly string[]
  readonly counts: Readonly<Record<string, number>>
}

export const CHILDREN = ['c1', 'c2', 'c3', 'c4', 'c5', 'c6'] as const
