/**
 * Errors on the wire: a map with known keys, so that later versions can add some and readers skip what they do not know.
 *
 * A SkeinError and the error classes of the language come back as themselves, any other error as a plain Error under its
 * own name. Properties beside name, message, stack, code, cause, errors, hint and attempts stay behind.
 */
import { type Attempt, isErrorCode, SkeinError } from '../../certs/errors.ts'

/** UTF-16 units of a stack; the rest is cut. */
const MAX_STACK_LENGTH = 8192

/** Error classes that come back as themselves, besides SkeinError and AggregateError. */
const ERROR_TYPES: ReadonlyMap<string, new (message: string) => Error> = new Map([
  ['EvalError', EvalError],
  ['RangeError', RangeError],
  ['ReferenceError', ReferenceError],
  ['SyntaxError', SyntaxError],
  ['TypeError', TypeError],
  ['URIError', URIError],
])

/** What is written of an error. */
export const fieldsOf = (value: Error): Record<string, unknown> => {
  const { code, cause } = value as { code?: unknown; cause?: unknown }
  const fields: Record<string, unknown> = { name: text(value.name) ?? 'Error', message: text(value.message) ?? '' }
  if (typeof value.stack === 'string') fields.stack = value.stack.slice(0, MAX_STACK_LENGTH)
  if (typeof code === 'string' || typeof code === 'number') fields.code = code
  if (cause !== undefined) fields.cause = cause
  if (value instanceof SkeinError) {
    fields.hint = value.hint
    if (value.attempts.length > 0)
      fields.attempts = value.attempts.map(({ what, code, message }) => ({ what, code, message }))
  } else if (value instanceof AggregateError) {
    fields.errors = value.errors
  }
  return fields
}

/** An error of the sender as this node's own; fields that are missing or of a wrong type are left out. */
export const makeError = (fields: Record<string, unknown>): Error => {
  const name = text(fields.name) ?? 'Error'
  const message = text(fields.message) ?? ''
  const { code, cause } = fields
  let error: Error
  if (name === 'SkeinError' && isErrorCode(code)) {
    const hint = text(fields.hint)
    error = new SkeinError(code, message, {
      cause,
      attempts: attemptsOf(fields.attempts),
      ...(hint === undefined ? {} : { hint }),
    })
  } else {
    error = Array.isArray(fields.errors)
      ? new AggregateError(fields.errors, message)
      : new (ERROR_TYPES.get(name) ?? Error)(message)
    if (error.name !== name) hidden(error, 'name', name)
    if (Object.hasOwn(fields, 'cause')) hidden(error, 'cause', cause)
    if (typeof code === 'string' || typeof code === 'number') (error as { code?: unknown }).code = code
  }
  // Assigned, not defined: defining it would first format the trace captured just now.
  error.stack = text(fields.stack) ?? `${name}: ${message}`
  return error
}

/** As the language itself defines these properties: not enumerable. */
const hidden = (error: Error, key: string, value: unknown): void => {
  Object.defineProperty(error, key, { value, writable: true, configurable: true, enumerable: false })
}

const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined)

const attemptsOf = (value: unknown): Attempt[] => (Array.isArray(value) ? value.filter(isAttempt) : [])

const isAttempt = (value: unknown): value is Attempt => {
  const { what, code, message } = (value ?? {}) as Partial<Record<keyof Attempt, unknown>>
  return typeof what === 'string' && typeof code === 'string' && typeof message === 'string'
}
