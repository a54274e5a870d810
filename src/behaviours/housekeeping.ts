/**
 * What GenServers and state machines do alike: answering, turning down what nobody handles, and ending.
 */
import { SkeinError } from '../../certs/errors.ts'
import { Pid } from '../pid.ts'
import type { From } from '../process/calls.ts'
import { unsentReply } from '../process/refusal.ts'
import { INSIDE, type Self } from '../process/self.ts'
import { isParent } from '../process/serve.ts'
import type { Reason } from '../signals.ts'
import { StreamMessage } from '../streams/stream-message.ts'

/** How long `terminate` may take: OTP's default for the shutdown of a worker. */
export const TERMINATE_TIMEOUT_MS = 5000

export const isPromise = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'

/** Replies to a call. A caller whose reply cannot be sent learns why; that is no reason for the server to end. */
export const answer = (self: Self, from: From, value: unknown): void => {
  const { process, services } = self[INSIDE]
  try {
    services.calls.reply(process, from, value)
  } catch (error) {
    const refusal = unsentReply(error)
    if (refusal === undefined) throw error
    services.calls.refuse(process, from, refusal)
  }
}

/** A call that nobody handles: it fails at the caller with ERR_SKEIN_NO_HANDLER, which says why. */
export const refuseUnhandled = (self: Self, from: From, text: string): void => {
  const { process, services } = self[INSIDE]
  services.calls.refuse(process, from, { refused: 'ERR_SKEIN_NO_HANDLER', text })
}

/** A message that nobody handles is a dead letter; a stream would hold up its writer for ever. */
export const reportUnhandled = (self: Self, message: unknown): void => {
  const { process, services } = self[INSIDE]
  if (message instanceof StreamMessage) message.cancel()
  services.report({ type: 'deadLetter', to: process.pid, from: undefined, reason: 'ERR_SKEIN_NO_HANDLER' })
}

/** To a process that traps exits the EXIT of its parent is no message but the end (OTP, gen_server: terminate/2). */
export const orderToEnd = (self: Self, entry: unknown): { readonly reason: Reason } | undefined => {
  if (!self.trapExit || typeof entry !== 'object' || entry === null) return undefined
  const { type, pid, reason } = entry as { type?: unknown; pid?: unknown; reason?: unknown }
  return type === 'EXIT' && pid instanceof Pid && isParent(self, pid) ? { reason } : undefined
}

/** Waits for what `terminate` returned. Rejects as it does, or with ERR_SKEIN_HANDLER_TIMEOUT. */
export const terminated = (self: Self, last: unknown): Promise<void> | void => {
  if (!isPromise(last)) return
  const { clock } = self[INSIDE].services
  return new Promise((resolve, reject) => {
    const timer = clock.after(TERMINATE_TIMEOUT_MS, () => {
      const text = `terminate did not return within ${TERMINATE_TIMEOUT_MS} ms.`
      reject(new SkeinError('ERR_SKEIN_HANDLER_TIMEOUT', text))
    })
    const done = (settle: () => void): void => {
      timer.cancel()
      settle()
    }
    last.then(
      () => done(resolve),
      (error: unknown) => done(() => reject(error)),
    )
  })
}
