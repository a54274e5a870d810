/** Waiting for what takes a while to become so. */
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 200

/** Resolves with '' as soon as `look` gives it; after the time, with what it gave last. */
export const eventually = async (timeoutMs: number, look: () => Promise<string>): Promise<string> => {
  const endMs = performance.now() + timeoutMs
  for (;;) {
    const wrong = await look()
    if (wrong === '' || performance.now() > endMs) return wrong
    await sleep(POLL_MS)
  }
}

/** Tries again what fails, until the time is over. */
export const again = async (timeoutMs: number, attempt: () => Promise<void>): Promise<void> => {
  const endMs = performance.now() + timeoutMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > endMs) throw error
      await sleep(POLL_MS)
    }
  }
}
