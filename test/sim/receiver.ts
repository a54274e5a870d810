/** How actors wait for messages. */
import { isSkeinError } from '../../certs/errors.ts'
import type { Self } from '../../src/index.ts'
import type { Style } from './facts.ts'

/** How long an actor of style "timeout" waits at a time. */
const RECEIVE_TIMEOUT_MS = 700

/** The ways to wait for a message: all of them give every message in order. */
export const receiver = (self: Self, style: Style): (() => Promise<unknown>) => {
  if (style === 'receive') return () => self.receive()
  if (style === 'match') return () => self.receive((message) => message !== undefined)
  if (style === 'iterate') {
    const steps = self[Symbol.asyncIterator]()
    return async () => (await steps.next()).value
  }
  return async () => {
    for (;;) {
      try {
        return await self.receive(undefined, { timeoutMs: RECEIVE_TIMEOUT_MS })
      } catch (error) {
        if (!isSkeinError(error, 'ERR_SKEIN_RECEIVE_TIMEOUT')) throw error
      }
    }
  }
}
