/**
 * How much of something somebody may do: so much at once, and so much in a second. Pure: the time is brought along.
 */
export interface AllowanceOptions {
  readonly burst: number
  readonly perSecond: number
}

export class Allowance {
  readonly #options: AllowanceOptions
  #left: number
  #atMs: number

  constructor(options: AllowanceOptions, nowMs: number) {
    this.#options = options
    this.#left = options.burst
    this.#atMs = nowMs
  }

  /** False: so much is not left. */
  has(nowMs: number, count = 1): boolean {
    const { burst, perSecond } = this.#options
    this.#left = Math.min(burst, this.#left + ((nowMs - this.#atMs) / 1000) * perSecond)
    this.#atMs = nowMs
    return this.#left >= count
  }

  /** False: it is used up. */
  take(nowMs: number, count = 1): boolean {
    if (!this.has(nowMs, count)) return false
    this.#left -= count
    return true
  }
}
