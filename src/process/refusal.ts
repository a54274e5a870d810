/**
 * Refusals: a request is turned down by a process that lives on, or on its behalf. Travels as the reason of a failed call.
 */
import { type ErrorCode, isSkeinError, SkeinError } from '../../certs/errors.ts'
import type { Issue } from './schema.ts'

const MAX_ERROR_TEXT = 200

/** At the caller it becomes the error of that code. */
export interface Refusal {
  readonly refused: ErrorCode
  readonly text: string
  readonly issues?: readonly Issue[]
}

/** Codes that a refusal may carry; any other is somebody's exit reason that happens to look like one. */
const REFUSALS: ReadonlySet<unknown> = new Set<ErrorCode>([
  'ERR_SKEIN_BAD_REQUEST',
  'ERR_SKEIN_NO_HANDLER',
  'ERR_SKEIN_UNSERIALISABLE',
  'ERR_SKEIN_MESSAGE_TOO_LARGE',
  'ERR_SKEIN_QUEUE_FULL',
  'ERR_SKEIN_MAILBOX_FULL',
  'ERR_SKEIN_UNKNOWN_TYPE',
  'ERR_SKEIN_FORBIDDEN',
  'ERR_SKEIN_LIMIT',
])

/** For what the called node does not allow the asking one. */
export const FORBIDDEN: Refusal = { refused: 'ERR_SKEIN_FORBIDDEN', text: 'Its node does not allow it.' }

/** For a request whose schema found these issues. */
export const badRequest = (issues: readonly Issue[]): Refusal => ({
  refused: 'ERR_SKEIN_BAD_REQUEST',
  text: `The request does not fit the schema: ${issues.map(inWords).join('; ')}`,
  issues,
})

const inWords = ({ path, message }: Issue): string => (path === '' ? message : `${path}: ${message}`)

/** For a request that holds a registered type this node does not know. */
export const unreadable = ({ message }: SkeinError): Refusal => ({ refused: 'ERR_SKEIN_UNKNOWN_TYPE', text: message })

/** For a reply that could not be sent. Undefined: the error is none of these. */
export const unsentReply = (error: unknown): Refusal | undefined =>
  isSkeinError(error) && REFUSALS.has(error.code)
    ? { refused: error.code, text: `The reply could not be sent: ${error.message.slice(0, MAX_ERROR_TEXT)}` }
    : undefined

/** The caller's error, if the reason of a failed call is a refusal. Its cause: the issues. */
export const refusalError = (name: string, reason: unknown): SkeinError | undefined => {
  if (typeof reason !== 'object' || reason === null || !('refused' in reason)) return undefined
  const { refused, text, issues } = reason as Refusal
  if (!REFUSALS.has(refused) || typeof text !== 'string') return undefined
  return new SkeinError(refused, `${name} did not take the request. ${text}`, { cause: issues })
}
