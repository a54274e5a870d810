/**
 * What `skein attach` says to the process `skein.attach` of a node, and what that answers: plain data of a bounded size.
 *
 * All requests are calls of one process, the attached one: a session belongs to the pid that opened it, which the
 * connection proves, and ends when that process ends. Types and limits only.
 */

/** Registered name of the process, where the option `attach` lets others in. */
export const ATTACH_PROCESS = 'skein.attach'

/** Code of one evaluation, characters. */
export const MAX_CODE_LENGTH = 64 * 1024
/** Of what an evaluation gave, or printed at once, characters. */
export const MAX_TEXT_LENGTH = 64 * 1024
/** Names that complete one word. */
export const MAX_COMPLETIONS = 200
/** Wide terminals gain nothing beyond it. */
export const MAX_COLUMNS = 500

export type AttachRequest =
  | { readonly type: 'open' }
  /** The answer comes when the code is through: if it gives a promise, when that is settled. */
  | {
      readonly type: 'evaluate'
      readonly code: string
      /** `text` is what util.inspect shows, `data` the value as far as it is plain. */
      readonly format: 'text' | 'data'
      readonly columns?: number
      readonly colours?: boolean
    }
  /** Waits no longer for the promise. */
  | { readonly type: 'giveUp' }
  | { readonly type: 'complete'; readonly line: string }

export type AttachReply =
  /** `engine` is the version of Node.js. */
  | { readonly type: 'opened'; readonly node: string; readonly engine: string }
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'data'; readonly value: unknown }
  /** The code threw. */
  | { readonly type: 'threw'; readonly text: string }
  /** More code has to follow; `text` says what is wrong should none follow. */
  | { readonly type: 'incomplete'; readonly text: string }
  | { readonly type: 'givenUp' }
  /** The names that the end of the line, `word`, may become. */
  | { readonly type: 'completions'; readonly word: string; readonly names: readonly string[] }
  /** The request cannot be met, or makes no sense. */
  | { readonly type: 'refused'; readonly text: string }

/** A cast to the attached process: what the code wrote to its console. */
export interface AttachOutput {
  readonly type: 'output'
  readonly text: string
}
