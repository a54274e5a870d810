/**
 * Lets a few operations run at a time and the others wait in order: a thousand processes that load their state at once
 * must not open a thousand files. Bounded; who finds too many waiting is refused.
 */
import { SkeinError } from '../../../certs/errors.ts'

/** Node works on files with four threads unless told otherwise; more at once only hold files open. */
const MAX_AT_ONCE = 8
const MAX_WAITING = 1_000_000

export class Turnstile {
  readonly #waiting = new Set<() => void>()
  #running = 0

  /** Runs the operation when it is its turn. Throws ERR_SKEIN_LIMIT if too many wait. */
  async pass<T>(operation: () => Promise<T>): Promise<T> {
    if (this.#running < MAX_AT_ONCE) this.#running++
    else await this.#turn()
    try {
      return await operation()
    } finally {
      this.#next()
    }
  }

  #turn(): Promise<void> {
    if (this.#waiting.size >= MAX_WAITING) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `more than ${MAX_WAITING} operations wait for the disk`)
    }
    return new Promise((resolve) => {
      this.#waiting.add(resolve)
    })
  }

  /** The place is handed over, not given back, so that nobody overtakes. */
  #next(): void {
    const [next] = this.#waiting
    if (next === undefined) {
      this.#running--
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
