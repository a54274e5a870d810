/**
 * Schemas of messages: what arrives from another node is checked before it reaches a mailbox.
 *
 * Any library that speaks Standard Schema (https://standardschema.dev) will do; the interface is repeated here as types.
 * Messages within a node are not checked: their senders are held to the types by the compiler. System messages are never
 * checked. A schema must answer at once, because a message that waits for its check would be overtaken by others.
 * Nothing that a schema does, throwing included, costs more than the message.
 */
import { SkeinError } from '../../certs/errors.ts'

/** The part of Standard Schema, version 1, that is used here. */
export interface StandardSchema<Input = unknown, Output = Input> {
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => Verdict<Output> | Promise<Verdict<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

type Verdict<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** What a schema has against a value, and where in it. */
interface SchemaIssue {
  readonly message: string
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** For each kind of message its schema; a kind without one is not checked. */
export interface Schemas {
  readonly call?: StandardSchema
  readonly cast?: StandardSchema
  readonly info?: StandardSchema
}

/** What is wrong with a message: where in it, and what. */
export interface Issue {
  /** Like `items.0.price`; empty for the whole. */
  readonly path: string
  readonly message: string
}

/** Issues of one message that are told; the others are left out. */
const MAX_ISSUES = 8
const MAX_ISSUE_TEXT = 200
const MAX_PATH_STEPS = 32

export type Checked =
  | { readonly type: 'good'; readonly value: unknown }
  | { readonly type: 'bad'; readonly issues: readonly Issue[] }

/** Never throws. */
export const checkMessage = (schema: StandardSchema, value: unknown): Checked => {
  try {
    const verdict = schema['~standard'].validate(value)
    if ('then' in verdict) {
      verdict.then(ignore, ignore)
      return bad('An asynchronous schema cannot be used: the order of messages would be lost.')
    }
    if (verdict.issues === undefined) return { type: 'good', value: verdict.value }
    return { type: 'bad', issues: Array.from(verdict.issues.slice(0, MAX_ISSUES), toIssue) }
  } catch (error) {
    return bad(error instanceof Error ? `The schema failed: ${error.message}` : 'The schema failed.')
  }
}

const bad = (message: string): Checked => ({ type: 'bad', issues: [{ path: '', message: brief(message) }] })

const toIssue = ({ message, path = [] }: SchemaIssue): Issue => {
  const steps = path.slice(0, MAX_PATH_STEPS).map((step) => String(typeof step === 'object' ? step.key : step))
  return { path: brief(steps.join('.')), message: brief(String(message)) }
}

const ignore = (): void => {}

const brief = (text: string): string => text.slice(0, MAX_ISSUE_TEXT)

/** Checks what only JavaScript callers can get wrong. Throws ERR_SKEIN_BAD_ARGUMENT. */
export const checkSchemas = (schemas: Schemas | undefined): void => {
  for (const [kind, schema] of Object.entries(schemas ?? {})) {
    const standard = (schema as StandardSchema | undefined)?.['~standard']
    if (schema === undefined || (standard?.version === 1 && typeof standard.validate === 'function')) continue
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `schema.${kind} is not a Standard Schema of version 1.`)
  }
}
