/**
 * Deadlines of many waits with few timers: all waits of the same duration stand in one line, and since each that comes is
 * due after those before it, one timer, for the first, does for all. Most waits end long before they are due, so the
 * timer is left as it is when they do, and looks again when it fires. For the same reason the clock is asked once at the
 * end of a turn, for all waits that began in it and still go on.
 *
 * The timers run in the background: whoever waits has something else, a socket or a simulation, to keep things going.
 */
import type { Clock, Timer } from '../../transport/clock.ts'

/** Durations whose timer is kept although nobody waits; a program uses a few. */
const MAX_IDLE_LINES = 16

/** What has a deadline: it stands in one line at a time. The fields are for Deadlines alone. */
export interface Expiring<T> {
  line: Line<T> | undefined
  batch: Batch | undefined
  before: T | undefined
  after: T | undefined
}

/** Waits of the same duration that began in the same turn. */
interface Batch {
  /** Infinity until the turn is over. */
  dueMs: number
}

interface Line<T> {
  readonly durationMs: number
  first: T | undefined
  last: T | undefined
  /** Of the present turn. */
  batch: Batch | undefined
  timer: Timer | undefined
}

export class Deadlines<T extends Expiring<T>> {
  readonly #clock: Clock
  readonly #expired: (one: T, durationMs: number) => void
  readonly #lines = new Map<number, Line<T>>()
  /** The line used last: nearly always the next one too. */
  #usual: Line<T> | undefined
  /** Those with waits that began in this turn. */
  #begun: Line<T>[] = []

  /** `expired` is told of one that waited longer than this. It must not throw. */
  constructor(clock: Clock, expired: (one: T, durationMs: number) => void) {
    this.#clock = clock
    this.#expired = expired
  }

  /** `durationMs` is finite. */
  begin(one: T, durationMs: number): void {
    const line = this.#usual?.durationMs === durationMs ? this.#usual : this.#line(durationMs)
    one.line = line
    one.batch = line.batch ?? this.#newBatch(line)
    one.before = line.last
    if (line.last === undefined) line.first = one
    else line.last.after = one
    line.last = one
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
    this.#usual = undefined
  }

  #line(durationMs: number): Line<T> {
    let line = this.#lines.get(durationMs)
    if (line === undefined) {
      line = { durationMs, first: undefined, last: undefined, batch: undefined, timer: undefined }
      this.#lines.set(durationMs, line)
    }
    this.#usual = line
    return line
  }

  #newBatch(line: Line<T>): Batch {
    line.batch = { dueMs: Number.POSITIVE_INFINITY }
    line.timer ??= this.#clock.after(line.durationMs, () => this.#fire(line), true)
    if (this.#begun.push(line) === 1) this.#clock.endOfTurn(() => this.#endTurn())
    return line.batch
  }

  #endTurn(): void {
    const nowMs = this.#clock.now()
    const begun = this.#begun
    this.#begun = []
    for (const line of begun) {
      if (line.batch !== undefined) line.batch.dueMs = nowMs + line.durationMs
      line.batch = undefined
    }
  }

  #fire(line: Line<T>): void {
    line.timer = undefined
    const nowMs = this.#clock.now()
    for (;;) {
      const { first } = line
      if (first === undefined || dueMsOf(first) > nowMs) break
      this.end(first)
      this.#expired(first, line.durationMs)
    }
    // What expired may have been followed by new waits, which have seen to the timer, or even to the line.
    if (line.timer !== undefined || this.#lines.get(line.durationMs) !== line) return
    if (line.first === undefined) {
      this.#remove(line)
      return
    }
    const leftMs = Math.min(dueMsOf(line.first) - nowMs, line.durationMs)
    line.timer = this.#clock.after(leftMs, () => this.#fire(line), true)
  }

  #remove(line: Line<T>): void {
    line.timer?.cancel()
    this.#lines.delete(line.durationMs)
    if (this.#usual === line) this.#usual = undefined
  }
}

const dueMsOf = ({ batch }: Expiring<unknown>): number => batch?.dueMs ?? Number.POSITIVE_INFINITY
