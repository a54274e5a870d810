/**
 * One timer for all deadlines of a connection. It is only moved forward: firing early costs a look, moving it back on each
 * packet costs more.
 */
import type { Clock, Timer } from './clock.ts'

/** It is never armed for less than this, ms. */
const SLACK_MS = 1

export class DeadlineTimer {
  readonly #clock: Clock
  readonly #due: () => void
  #timer: Timer | undefined
  #atMs = Number.POSITIVE_INFINITY

  constructor(clock: Clock, due: () => void) {
    this.#clock = clock
    this.#due = due
  }

  /** In so many milliseconds from `nowMs`, or before; Infinity for no deadline, which leaves an earlier one standing. */
  arm(nowMs: number, inMs: number): void {
    const atMs = nowMs + inMs + SLACK_MS
    if (atMs >= this.#atMs || atMs === Number.POSITIVE_INFINITY) return
    this.#timer?.cancel()
    this.#atMs = atMs
    this.#timer = this.#clock.after(atMs - nowMs, this.#fire)
  }

  cancel(): void {
    this.#timer?.cancel()
  }

  readonly #fire = (): void => {
    this.#timer = undefined
    this.#atMs = Number.POSITIVE_INFINITY
    this.#due()
  }
}
