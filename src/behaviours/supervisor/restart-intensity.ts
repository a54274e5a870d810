/**
 * How many restarts are too many: more than `maxRestarts` within `withinMs` (OTP, supervisor: "Maximum Restart Intensity").
 * A restart that lies exactly `withinMs` back still counts. Knows no clock: it is told the time.
 */
import type { SupervisorOptions } from './spec.ts'

export class RestartIntensity {
  readonly #maxRestarts: number
  readonly #withinMs: number
  /** When the last restarts were, oldest first; no more than `maxRestarts`. */
  readonly #times: number[] = []

  constructor({ maxRestarts, withinMs }: Required<Pick<SupervisorOptions, 'maxRestarts' | 'withinMs'>>) {
    this.#maxRestarts = maxRestarts
    this.#withinMs = withinMs
  }

  /** Counts a restart. False: it is one too many. */
  allows(nowMs: number): boolean {
    if (this.#maxRestarts === Number.POSITIVE_INFINITY) return true
    const times = this.#times
    while (times.length > 0 && (times[0] as number) < nowMs - this.#withinMs) times.shift()
    if (times.length >= this.#maxRestarts) return false
    times.push(nowMs)
    return true
  }
}
