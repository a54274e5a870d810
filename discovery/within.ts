/**
 * Waiting for something, but not forever.
 */
import type { Clock, Timer } from '../transport/clock.ts'

/** What the promise gives, or undefined when the time is over first. Rejects as the promise does until then. */
export const within = async <T>(clock: Clock, ms: number, promise: Promise<T>): Promise<T | undefined> => {
  let timer: Timer | undefined
  const late = new Promise<undefined>((resolve) => {
    timer = clock.after(ms, () => resolve(undefined))
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    timer?.cancel()
  }
}
