/**
 * Deadlines of many waits with few timers: all waits of the same duration stand in one line, and since each that comes is
 * due after those before it, one timer, for the first, does for all. Most waits end long before they are due, so the
 * timer is left as it is when they do, and looks again when it fires.
 *
 * The timers run in the background: whoever waits has something else, a socket or a simulation, to keep things going.
 */
import type { Clock, Timer } from '../../transport/clock.ts'

/** Durations whose timer is kept although nobody waits; a program uses a few. */
const MAX_IDLE_LINES = 16

/** Something that waits, for so long at most. It stands in one line at a time. */
export abstract class Deadline {
  /** @internal */ dueMs = 0
  /** @internal */ line: Line | undefined
  /** @internal */ before: Deadline | undefined
  /** @internal */ after: Deadline | undefined

  /** It took longer than this. Must not throw. */
  abstract expire(durationMs: number): void
}

interface Line {
  readonly durationMs: number
  first: Deadline | undefined
  last: Deadline | undefined
  timer: Timer | undefined
}

export class Deadlines {
  readonly #clock: Clock
  readonly #lines = new Map<number, Line>()
  /** The line used last: nearly always the next one too. */
  #usual: Line | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `durationMs` is finite. */
  begin(deadline: Deadline, durationMs: number): void {
    const line = this.#usual?.durationMs === durationMs ? this.#usual : this.#line(durationMs)
    deadline.dueMs = this.#clock.now() + durationMs
    deadline.line = line
    deadline.before = line.last
    if (line.last === undefined) line.first = deadline
    else line.last.after = deadline
    line.last = deadline
    line.timer ??= this.#clock.after(durationMs, () => this.#fire(line), true)
  }

  /** Idempotent. It does not expire after this. */
  end(deadline: Deadline): void {
    const { line, before, after } = deadline
    if (line === undefined) return
    deadline.line = undefined
    deadline.before = undefined
    deadline.after = undefined
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

  #line(durationMs: number): Line {
    let line = this.#lines.get(durationMs)
    if (line === undefined) {
      line = { durationMs, first: undefined, last: undefined, timer: undefined }
      this.#lines.set(durationMs, line)
    }
    this.#usual = line
    return line
  }

  #fire(line: Line): void {
    line.timer = undefined
    const nowMs = this.#clock.now()
    for (;;) {
      const { first } = line
      if (first === undefined || first.dueMs > nowMs) break
      this.end(first)
      first.expire(line.durationMs)
    }
    // What expired may have been followed by new waits, which have seen to the timer, or even to the line.
    if (line.timer !== undefined || this.#lines.get(line.durationMs) !== line) return
    if (line.first === undefined) this.#remove(line)
    else line.timer = this.#clock.after(line.first.dueMs - nowMs, () => this.#fire(line), true)
  }

  #remove(line: Line): void {
    line.timer?.cancel()
    this.#lines.delete(line.durationMs)
    if (this.#usual === line) this.#usual = undefined
  }
}
