/** What the parts of the example say to each other. */
import type { Request } from 'skein'

/** The counter is asked for the next number. */
export type Count = Request<'count', number>

/** A note is told what the counter says, and asked what it was told last. */
export type Note = Request<{ readonly total: number; readonly token: string }, boolean> | Request<'last', number>

/** From main.ts to the process of a node. */
export type Command = 'count' | 'stop'

/** And back: when it is there, and for each `count`. */
export interface Ready {
  readonly node: string
  readonly address: string
}

export interface Counted {
  readonly total: number
  readonly node: string
}
