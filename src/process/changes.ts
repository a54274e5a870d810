/**
 * Changes that somebody may wait for until something is so.
 */
import type { Clock } from '../../transport/clock.ts'

export class Changes {
  /** Who waits; one at a time. */
  #look: (() => void) | undefined

  /** Something has changed. */
  happened(): void {
    this.#look?.()
  }

  /** Resolves when that is so, which is asked after each change, or when the time is over. */
  until(clock: Clock, isSo: () => boolean, timeoutMs: number): Promise<void> {
    if (isSo() || timeoutMs <= 0) return Promise.resolve()
    return new Promise((resolve) => {
      const over = (): void => {
        timer.cancel()
        this.#look = undefined
        resolve()
      }
      const timer = clock.after(timeoutMs, over)
      this.#look = () => isSo() && over()
    })
  }
}
