/**
 * Deadlines of many waits with few timers: waits of the same duration stand in one line, and since each that comes is due
 * after those before it, one timer, for the first, does for all. When waits end the timer is left as it is, and looks
 * again when it fires.
 *
 * The timers run in the background: whoever waits has something else, a socket or a simulation, to keep things going.
 */
import type { Clock, Timer } from '../../transport/clock.ts'

/** Durations whose timer is kept although nobody waits; a program uses a few. */
const MAX_IDLE_LINES = 16

/** What has a deadline: it stands in one line at a time. The fields are for Deadlines alone. */
export interface Expiring<T> {
  line: Line<T> | undefined
  dueMs: number
  before: T | undefined
  after: T | undefined
}

/** Waits of the same duration, that which is due first at the front. */
interface Line<T> {
  readonly durationMs: number
  first: T | undefined
  last: T | undefined
  timer: Timer | undefined
}

export class Deadlines<T extends Expiring<T>> {
  readonly #clock: Clock
  readonly #expired: (one: T, durationMs: number) => void
  readonly #lines = new Map<number, Line<T>>()
  /** `expired` is told of one that waited longer than this. It must not throw. */
  constructor(clock: Clock, expired: (one: T, durationMs: number) => void) {
    this.#clock = clock
    this.#expired = expired
  }

  /** `durationMs` is finite; `nowMs` is never less than it was for the one before. Each waits once. */
  begin(one: T, durationMs: number, nowMs: number): void {
    let line = this.#lines.get(durationMs)
    if (line === undefined) {
      line = { durationMs, first: undefined, last: undefined, timer: undefined }
      this.#lines.set(durationMs, line)
    }
    one.line = line
    one.dueMs = nowMs + durationMs
    one.before = line.last
    if (line.last === undefined) line.first = one
    else line.last.after = one
    line.last = one
    line.timer ??= this.#clock.after(durationMs, () => this.#fire(line), true)
  }

  /** Idempotent. After this it does not expire. */
  end(one: T): void {
    const { line, before, after } = one
    if (line === undefined) return
    one.line = undefined
    one.before = undefined
    one.after = undefined
    if (before === undefined) line.first = after
    else before.after = after
    if (after === undefined) line.last = before
    else after.before = before
    if (line.first === undefined && this.#lines.size > MAX_IDLE_LINES) this.#remove(line)
  }

  /** Nothing expires any more. */
  stop(): void {
    for (const line of this.#lines.values()) line.timer?.cancel()
    this.#lines.clear()
  }

  #fire(line: Line<T>): void {
    line.timer = undefined
    const nowMs = this.#clock.now()
    for (;;) {
      const { first } = line
      if (first === undefined || first.dueMs > nowMs) break
      this.end(first)
      this.#expired(first, line.durationMs)
    }
    // What expired may have ended others of the line, and the line with them.
    if (this.#lines.get(line.durationMs) !== line) return
    if (line.first === undefined) this.#remove(line)
    else line.timer = this.#clock.after(line.first.dueMs - nowMs, () => this.#fire(line), true)
  }

  #remove(line: Line<T>): void {
    line.timer?.cancel()
    this.#lines.delete(line.durationMs)
  }
}
