/** Turns: a few at a time do something costly, the others wait, the oldest first, in a queue that is bounded. */

export interface Turn {
  /** Done, or no longer wanted. Idempotent. */
  end(): void
}

const NO_TURN: Turn = { end: () => {} }

export class Turns {
  readonly #atOnce: number
  readonly #maxWaiting: number
  readonly #waiting = new Set<() => void>()
  #running = 0

  constructor(atOnce: number, maxWaiting: number) {
    this.#atOnce = atOnce
    this.#maxWaiting = maxWaiting
  }

  /** Calls `start` when it is this one's turn: at once, later, or never if too many wait. */
  take(start: () => void): Turn {
    if (this.#running >= this.#atOnce && this.#waiting.size >= this.#maxWaiting) return NO_TURN
    let state: 'waiting' | 'running' | 'over' = 'waiting'
    const begin = (): void => {
      state = 'running'
      this.#running++
      start()
    }
    const end = (): void => {
      if (state === 'waiting') this.#waiting.delete(begin)
      if (state === 'running') this.#running--
      const wasRunning = state === 'running'
      state = 'over'
      if (wasRunning) this.#next()
    }
    if (this.#running < this.#atOnce) begin()
    else this.#waiting.add(begin)
    return { end }
  }

  #next(): void {
    const [first] = this.#waiting
    if (first === undefined) return
    this.#waiting.delete(first)
    first()
  }
}
