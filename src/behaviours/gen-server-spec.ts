/**
 * What a GenServer is made of: the functions of its spec, and the results they may give.
 *
 * Results are checked each time, because a state that was returned bare, or a misspelt word, would otherwise be lost in
 * silence. Unknown words are refused for the same cause.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { MailboxOptions } from '../process/behaviour.ts'
import type { From } from '../process/calls.ts'
import type { DeclaredReplies } from '../process/protocol.ts'
import { checkSchemas, type StandardSchema } from '../process/schema.ts'
import type { Self } from '../process/self.ts'
import type { Reason } from '../signals.ts'
import type { StateStore } from './store/store.ts'

/** What `handleInfo` is given when `timeoutMs` have passed without a message. */
export interface TimeoutMessage {
  readonly type: 'timeout'
}

/** What follows from `init`: a state, or the end. */
export type Initial<State, Continue = never> = Started<State, Continue> | { readonly stop: Reason }

/** The state to begin with, and what comes first. */
interface Started<State, Continue> {
  readonly state: State
  /** `handleContinue` is given this before any message. */
  readonly continue?: Continue
  /** `handleInfo` is given `{ type: 'timeout' }` if no message comes for so many milliseconds. */
  readonly timeoutMs?: number
}

/** What follows from a message. What is left out stays as it is. */
export interface Result<State, Continue = never> {
  readonly state?: State
  /** `handleContinue` is given this before any other message. */
  readonly continue?: Continue
  /** `handleInfo` is given `{ type: 'timeout' }` if no message comes for so many milliseconds. */
  readonly timeoutMs?: number
  /** The server ends with this reason, after `terminate`. */
  readonly stop?: Reason
}

/** What follows from a call. Without a reply the caller waits: `self.reply(from, value)` answers it later. */
export interface CallResult<State, Continue = never> extends Result<State, Continue> {
  readonly reply?: unknown
}

/** A result at once or later; messages wait meanwhile. */
type Eventually<T> = T | Promise<T>

/** What a function gives that returns nothing. */
export type Nothing = ReturnType<() => void> | undefined

/** State that outlives its process. */
export interface Persistence<State, Args extends unknown[]> {
  readonly store: StateStore
  /** Where in the store; from the arguments of `init` if there are several servers of this kind. */
  readonly key: string | ((...args: Args) => string)
  /** Saves at most so often. Default 0: each change is saved before the reply to it goes out. */
  readonly intervalMs?: number
  /** Makes the state of what was saved and what `init` gave. Default: what was saved. */
  readonly restore?: (saved: unknown, initial: State) => State
}

/** The functions of a GenServer. Each may return a promise. One that throws ends the server with what it threw. */
export interface GenServerSpec<
  State,
  Args extends unknown[],
  Request,
  Outcome,
  Cast,
  Info,
  Continue,
  CheckedRequest = unknown,
  CheckedCast = unknown,
  CheckedInfo = unknown,
> {
  /** Messages wait until it is through. */
  readonly init: (self: Self, ...args: Args) => Eventually<Initial<State, NoInfer<Continue>>>
  readonly handleCall?: (
    request: Request,
    from: From<DeclaredReplies<Request>>,
    state: State,
    self: Self,
  ) => Eventually<Outcome>
  readonly handleCast?: (
    message: Cast,
    state: State,
    self: Self,
  ) => Eventually<Result<NoInfer<State>, NoInfer<Continue>> | Nothing>
  /** Whatever is neither a call nor a cast: what was sent, system messages, timeouts. */
  readonly handleInfo?: (
    message: Info,
    state: State,
    self: Self,
  ) => Eventually<Result<NoInfer<State>, NoInfer<Continue>> | Nothing>
  readonly handleContinue?: (
    value: Continue,
    state: State,
    self: Self,
  ) => Eventually<Result<NoInfer<State>, NoInfer<Continue>> | Nothing>
  /** The last thing to run: after `stop`, an error, or, if the server traps exits, the end of its parent. */
  readonly terminate?: (reason: Reason, state: State, self: Self) => Eventually<void>
  /** For people. */
  readonly label?: string
  /** How much may wait, and what becomes of what is beyond that. */
  readonly mailbox?: MailboxOptions
  /** Checked where a message arrives from another node. */
  readonly schema?: {
    readonly call?: StandardSchema<unknown, CheckedRequest>
    readonly cast?: StandardSchema<unknown, CheckedCast>
    readonly info?: StandardSchema<unknown, CheckedInfo>
  }
  readonly persist?: Persistence<NoInfer<State>, NoInfer<Args>>
  /** Milliseconds that `init` may take. Default: Infinity. */
  readonly initTimeoutMs?: number
}

/** A spec whose types are known to its author only. */
export type AnySpec = GenServerSpec<unknown, unknown[], unknown, unknown, unknown, unknown, unknown>

export type AnyResult = CallResult<unknown, unknown>

export type HandlerName = 'handleCall' | 'handleCast' | 'handleInfo' | 'handleContinue'

const FUNCTIONS = ['handleCall', 'handleCast', 'handleInfo', 'handleContinue', 'terminate'] as const

/** Checks what only JavaScript callers can get wrong. Throws ERR_SKEIN_BAD_ARGUMENT. */
export const checkSpec = (spec: AnySpec): void => {
  if (typeof spec !== 'object' || spec === null) throw bad('A GenServer is made of an object of functions.')
  if (typeof spec.init !== 'function') throw bad('A GenServer needs a function init.')
  for (const name of FUNCTIONS) {
    const value: unknown = spec[name]
    if (value !== undefined && typeof value !== 'function') throw bad(`${name} must be a function.`)
  }
  const { persist, initTimeoutMs } = spec
  if (initTimeoutMs !== undefined && !isMilliseconds(initTimeoutMs)) throw bad(`initTimeoutMs ${MILLISECONDS}`)
  checkSchemas(spec.schema)
  if (persist === undefined) return
  if (typeof persist?.store?.load !== 'function') throw bad('persist.store must be a store.')
  if (typeof persist.key !== 'string' && typeof persist.key !== 'function') {
    throw bad('persist.key must be a text, or a function of the arguments of init that gives one.')
  }
  if (persist.intervalMs !== undefined && !isMilliseconds(persist.intervalMs)) {
    throw bad(`persist.intervalMs ${MILLISECONDS}`)
  }
}

/** What `init` gave. Throws ERR_SKEIN_BAD_RETURN. */
export const checkInitial = (spec: AnySpec, value: unknown): Result<unknown, unknown> => {
  const result = checkShape(spec, 'init', value)
  if ('reply' in result || !('state' in result || result.stop !== undefined)) throw badReturn('init', describe(value))
  return result
}

/** What a handler gave. Throws ERR_SKEIN_BAD_RETURN. */
export const checkResult = (spec: AnySpec, handler: HandlerName, value: unknown): AnyResult => {
  const result = checkShape(spec, handler, value)
  if (handler !== 'handleCall' && 'reply' in result) throw badReturn(handler, 'a reply')
  return result
}

const checkShape = (spec: AnySpec, name: string, value: unknown): AnyResult => {
  if (typeof value !== 'object' || value === null) throw badReturn(name, describe(value))
  let isEmpty = true
  for (const key in value) {
    isEmpty = false
    switch (key) {
      case 'reply':
      case 'state':
      case 'stop':
        break
      case 'continue':
        if (spec.handleContinue === undefined) throw badReturn(name, 'continue, and there is no handleContinue')
        break
      case 'timeoutMs': {
        const { timeoutMs } = value as AnyResult
        if (timeoutMs !== undefined && !isMilliseconds(timeoutMs))
          throw badReturn(name, 'a timeoutMs that is no number of milliseconds')
        if (spec.handleInfo === undefined) throw badReturn(name, 'timeoutMs, and there is no handleInfo')
        break
      }
      default:
        throw badReturn(name, `the word ${JSON.stringify(key).slice(0, MAX_SHOWN)}`)
    }
  }
  // A state that has nothing to enumerate, such as a Map, was meant to be something.
  if (isEmpty && Object.getPrototypeOf(value) !== Object.prototype) throw badReturn(name, describe(value))
  return value as AnyResult
}

const MILLISECONDS = 'must be a number of milliseconds, 0 or more.'

const isMilliseconds = (value: unknown): boolean => typeof value === 'number' && value >= 0

const MAX_SHOWN = 64

const describe = (value: unknown): string => {
  if (typeof value !== 'object' || value === null) return String(value).slice(0, MAX_SHOWN)
  if ('reply' in value) return 'a reply'
  return `an object of the kind ${String(value.constructor?.name).slice(0, MAX_SHOWN)} that has none of these words`
}

const RETURNS: Readonly<Record<string, string>> = {
  init: '{ state, continue?, timeoutMs? } or { stop }',
  handleCall: '{ reply?, state?, continue?, timeoutMs?, stop? } or nothing',
}

const badReturn = (name: string, found: string): SkeinError => {
  const may = RETURNS[name] ?? '{ state?, continue?, timeoutMs?, stop? } or nothing'
  return new SkeinError('ERR_SKEIN_BAD_RETURN', `${name} returned ${found}; it may return ${may}.`)
}

const bad = (text: string): SkeinError => new SkeinError('ERR_SKEIN_BAD_ARGUMENT', text)
