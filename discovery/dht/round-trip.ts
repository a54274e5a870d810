/**
 * How long answers take: smoothed round trip and its variation (RFC 6298), and the time after which an answer is late.
 */

/** An answer is never called late before this: the other side may be busy for a moment. */
const MIN_TIMEOUT_MS = 50
const MAX_TIMEOUT_MS = 1000

/** RFC 6298 section 2. */
const SMOOTHED_GAIN = 1 / 8
const VARIATION_GAIN = 1 / 4
const VARIATIONS = 4

export class RoundTrip {
  #smoothedMs: number
  #variationMs: number

  /** `variationMs`: how much round trips vary elsewhere, where that is known. Half of the first one is a poor guess. */
  constructor(firstMs: number, variationMs = firstMs / 2) {
    this.#smoothedMs = firstMs
    this.#variationMs = variationMs
  }

  get smoothedMs(): number {
    return this.#smoothedMs
  }

  get variationMs(): number {
    return this.#variationMs
  }

  /** When an answer counts as late. */
  get timeoutMs(): number {
    const timeoutMs = this.#smoothedMs + VARIATIONS * this.#variationMs
    return Math.min(Math.max(timeoutMs, MIN_TIMEOUT_MS), MAX_TIMEOUT_MS)
  }

  add(sampleMs: number): void {
    this.#variationMs += VARIATION_GAIN * (Math.abs(sampleMs - this.#smoothedMs) - this.#variationMs)
    this.#smoothedMs += SMOOTHED_GAIN * (sampleMs - this.#smoothedMs)
  }
}
