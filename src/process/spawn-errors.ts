/**
 * How a request to spawn fails, in errors.
 */
import { ERRORS, isSkeinError, SkeinError } from '../../certs/errors.ts'
import { isShortName } from '../cluster/node-name.ts'
import { safeMessage } from '../safe-text.ts'
import type { Reason } from '../signals.ts'
import { isVersion } from './catalogue.ts'
import { checkTimeout, type Impatience } from './patience.ts'
import type { Refusal } from './refusal.ts'
import type { SpawnOnOptions } from './spawns.ts'
import { startFailed } from './starts.ts'

/** Checks what only JavaScript callers can get wrong, and what must not reach the other node. */
export const checkRequest = (
  node: string,
  behaviour: string,
  args: unknown,
  { name, version, timeoutMs }: SpawnOnOptions,
): void => {
  checkTimeout(timeoutMs)
  if (typeof node !== 'string' || typeof behaviour !== 'string' || !Array.isArray(args)) {
    const text = 'A process is spawned by the name of a node, the name of a behaviour, and an array of arguments.'
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', text)
  }
  if (version !== undefined && !isVersion(version)) {
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `"${String(version).slice(0, 100)}" cannot be a version.`)
  }
  for (const one of name === undefined ? [behaviour] : [behaviour, name]) {
    if (!isShortName(one)) throw new SkeinError('ERR_SKEIN_BAD_NAME', `"${String(one).slice(0, 100)}" is not a name.`)
  }
}

export const impatient = (what: string, why: Impatience, signal: AbortSignal | undefined): SkeinError => {
  if (why.type === 'aborted') return aborted(what, signal)
  return new SkeinError('ERR_SKEIN_CALL_TIMEOUT', `There was no answer about ${what} within ${why.timeoutMs} ms.`)
}

export const aborted = (what: string, signal: AbortSignal | undefined): SkeinError =>
  new SkeinError('ERR_SKEIN_CALL_ABORTED', `The request for ${what} was abandoned.`, { cause: signal?.reason })

export const unreachable = (what: string): SkeinError =>
  new SkeinError('ERR_SKEIN_NOCONNECTION', `There is no ${what}: the node cannot be reached.`)

/** The refusal of the other node as an error of this one. */
export const refusedSpawn = (what: string, reason: Reason): SkeinError => {
  if (typeof reason !== 'object' || reason === null || !('refused' in reason)) return startFailed(what, reason)
  const { refused, text } = reason as Refusal
  if (typeof refused !== 'string' || !Object.hasOwn(ERRORS, refused) || typeof text !== 'string') {
    return startFailed(what, reason)
  }
  return new SkeinError(refused, text)
}

/** Code and message; the rest, as the stack, is nobody else's business. */
export const refusalOf = (error: unknown): Refusal => {
  const refused = isSkeinError(error) ? error.code : 'ERR_SKEIN_START_FAILED'
  return { refused, text: safeMessage(error) }
}
