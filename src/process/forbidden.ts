/**
 * What other nodes tried without a right to it: counted, and told so that no number of attempts drowns anything else.
 *
 * The first attempt of a node of each kind is told at once, and then no more than one in a while, with how many there were.
 */
import type { Clock } from '../../transport/clock.ts'
import type { Origin } from '../pid.ts'

/** What was tried: a kind of signal, or a subject of the rules. */
export type Attempted =
  | 'send'
  | 'cast'
  | 'call'
  | 'exit'
  | 'link'
  | 'monitor'
  | 'processInfo'
  | 'stream'
  | 'spawn'
  | 'register'
  | 'groups'
  | 'rooms'
  | 'supervise'

/** A node tried what it may not, `count` times since this was told last. */
export interface ForbiddenAttempt {
  readonly type: 'forbidden'
  /** name@host, and id. */
  readonly node: string
  readonly id: string
  readonly attempt: Attempted
  readonly count: number
}

/** Between two events about the same attempts of the same node. */
const INTERVAL_MS = 10_000
/** Nodes and kinds remembered; the oldest is forgotten first, and then told of at once again. */
const MAX_REMEMBERED = 4096
/** At most so many events, of all nodes together, in one interval. */
const MAX_EVENTS_PER_INTERVAL = 256
/** Dead letters told of for one reason of this kind, of all nodes together, in one interval. */
const MAX_LETTERS_PER_INTERVAL = 64

interface Told {
  untold: number
  nextMs: number
}

export class Forbidden {
  readonly #clock: Pick<Clock, 'now'>
  readonly #tell: (event: ForbiddenAttempt) => void
  readonly #told = new Map<string, Told>()
  #count = 0
  #intervalMs = Number.NEGATIVE_INFINITY
  #events = 0
  #letters = 0

  constructor(clock: Pick<Clock, 'now'>, tell: (event: ForbiddenAttempt) => void) {
    this.#clock = clock
    this.#tell = tell
  }

  /** Attempts since the start of the node. */
  get count(): number {
    return this.#count
  }

  /** An attempt was refused; undefined: of a node that is not known yet. */
  note(origin: Origin | undefined, attempt: Attempted): void {
    this.#count++
    if (origin === undefined) return
    const { id, name: node } = origin
    const nowMs = this.#turn()
    const key = `${id} ${attempt}`
    const told = this.#told.get(key) ?? this.#remember(key)
    told.untold++
    if (nowMs < told.nextMs || this.#events >= MAX_EVENTS_PER_INTERVAL) return
    this.#events++
    const { untold: count } = told
    told.untold = 0
    told.nextMs = nowMs + INTERVAL_MS
    this.#tell({ type: 'forbidden', node, id, attempt, count })
  }

  /** Whether one more message or exit signal that was refused is to be told of as a dead letter. */
  hasLetter(): boolean {
    this.#turn()
    return this.#letters++ < MAX_LETTERS_PER_INTERVAL
  }

  #turn(): number {
    const nowMs = this.#clock.now()
    if (nowMs - this.#intervalMs >= INTERVAL_MS) {
      this.#intervalMs = nowMs
      this.#events = 0
      this.#letters = 0
    }
    return nowMs
  }

  #remember(key: string): Told {
    for (const oldest of this.#told.keys()) {
      if (this.#told.size < MAX_REMEMBERED) break
      this.#told.delete(oldest)
    }
    const told: Told = { untold: 0, nextMs: Number.NEGATIVE_INFINITY }
    this.#told.set(key, told)
    return told
  }
}
