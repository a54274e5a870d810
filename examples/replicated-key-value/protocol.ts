/** What the parts of the example say to each other. */
import type { Pid, Request } from 'skein'

/** When a value was written, and by which replica: of two stamps one is the later, whoever compares them. */
export interface Stamp {
  readonly counter: number
  /** Its pid, which no other replica has, not even of the same node when it starts again. */
  readonly replica: string
}

export interface Entry {
  readonly key: string
  readonly value: string
  readonly stamp: Stamp
}

/** What a replica is asked. */
export type Put = Request<{ readonly put: string; readonly value: string }, string>
export type Get = Request<{ readonly get: string }, string | undefined>

/** What a replica is told. */
export type News =
  /** By another replica. */
  | { readonly type: 'entries'; readonly entries: readonly Entry[] }
  /** By its node: there is another replica. */
  | { readonly type: 'met'; readonly replica: Pid }

/** From main.ts to the process of a node. */
export type Command = Put | Get | 'replicas' | 'stop'

/** And back: when it is there, and then for each command. */
export type Answer = { readonly address: string } | { readonly value: unknown }
