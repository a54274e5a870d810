/**
 * Waiting for the end of a process of this node without a monitor, and so without a message in anybody's mailbox.
 */
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Process } from '../process/process.ts'

/** Resolves with true when the process has ended and all who are concerned were told, with false after `timeoutMs`. */
export const endsWithin = (process: Process, timeoutMs: number, clock: Clock): Promise<boolean> => {
  if (process.ended !== undefined) return Promise.resolve(true)
  return new Promise((resolve) => {
    const { signal } = process
    let timer: Timer | undefined
    const onEnd = (): void => {
      timer?.cancel()
      resolve(true)
    }
    signal.addEventListener('abort', onEnd, { once: true })
    if (timeoutMs === Number.POSITIVE_INFINITY) return
    timer = clock.after(timeoutMs, () => {
      signal.removeEventListener('abort', onEnd)
      resolve(false)
    })
  })
}
