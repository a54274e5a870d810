/**
 * Checks what the handlers of a machine return: known words, fit values, and nothing that the step does not declare.
 *
 * The compiler checks most of this too (shape.ts). Here nothing is taken on its word, because a misspelt word or a state
 * nobody declared would otherwise be lost in silence.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { nearestOf } from '../../nearest-name.ts'
import { DELAY, isDelay, type Table, type TableStep, type TimeoutKey } from './definition.ts'
import type { EventMessage, MachineResult } from './machine.ts'

/** Events that one result may insert. */
export const MAX_INSERTED_EVENTS = 1000

const MAX_SHOWN = 64

const ENTER_WORDS = ['data', 'stateTimeoutMs', 'eventTimeoutMs', 'timeoutsMs', 'stop']
const WORDS = [...ENTER_WORDS, 'next', 'repeat', 'reply', 'postpone', 'insert']

/** A machine that stops does nothing else afterwards. */
const WORDS_WITH_STOP = ['stop', 'data', 'reply']

export interface ResultContext {
  readonly table: Table
  readonly step: TableStep
  /** What is handled. */
  readonly kind: 'enter' | 'call' | 'event'
  /** Where the machine is. */
  readonly state: string
}

/** Throws ERR_SKEIN_BAD_RETURN, ERR_SKEIN_BAD_TRANSITION or ERR_SKEIN_LIMIT. */
export const checkResult = (value: unknown, context: ResultContext): MachineResult => {
  if (value === undefined) return {}
  const { step, kind, state, table } = context
  const result = checkWords(value, step, kind === 'enter' ? ENTER_WORDS : WORDS)
  const { next, repeat, postpone, stop } = result
  if (stop !== undefined) checkStop(result, step)
  if (next !== undefined) checkNext(next, step)
  if (repeat !== undefined && (repeat !== true || next !== undefined))
    throw bad(step, 'repeat other than true, or with next')
  if (postpone !== undefined) checkPostpone(result, step)
  if ('reply' in result && kind !== 'call') throw bad(step, 'a reply, and there is no call')
  checkInserted(result, step)
  checkTimeouts(result, step, table, next ?? state)
  return result
}

const checkWords = (value: unknown, step: TableStep, known: readonly string[]): MachineResult => {
  if (typeof value !== 'object' || value === null) {
    throw bad(step, `${shown(value)}; it may return an object or nothing`)
  }
  const words = Object.keys(value)
  const stray = words.find((word) => !known.includes(word))
  if (stray !== undefined) {
    throw bad(step, `the word ${shown(stray)}; it may return ${known.join(', ')}${guess(stray, known)}`)
  }
  // A Map, say, was meant to be something.
  if (words.length === 0 && Object.getPrototypeOf(value) !== Object.prototype) {
    throw bad(step, 'an object with nothing in it that it may return')
  }
  return value
}

const checkStop = (result: MachineResult, step: TableStep): void => {
  const more = Object.keys(result).find((word) => !WORDS_WITH_STOP.includes(word))
  if (more !== undefined) throw bad(step, `stop together with ${more}`)
  if (!step.may.includes('stop')) throw undeclared(step, 'stops', `may: 'stop'`)
}

const checkNext = (next: unknown, step: TableStep): void => {
  if (typeof next !== 'string') throw bad(step, 'next other than the name of a state')
  if (!step.to.includes(next)) throw undeclared(step, `goes to ${shown(next)}`, `to: ${shown(next)}`)
}

const checkPostpone = (result: MachineResult, step: TableStep): void => {
  if (result.postpone !== true) throw bad(step, 'postpone other than true')
  if ('reply' in result) throw bad(step, 'a reply to a call that it postpones; the call comes again')
  if (!step.may.includes('postpone')) throw undeclared(step, 'postpones', `may: 'postpone'`)
}

const checkInserted = (result: MachineResult, step: TableStep): void => {
  const events = insertedBy(result)
  if (events.length > MAX_INSERTED_EVENTS) {
    const text = `${step.title} inserts ${events.length} events; ${MAX_INSERTED_EVENTS} are the limit.`
    throw new SkeinError('ERR_SKEIN_LIMIT', text)
  }
  if (events.some((event) => nameOf(event) === undefined)) throw bad(step, 'insert with what is no event')
}

/** The events to be inserted, in order. */
export const insertedBy = ({ insert }: MachineResult): readonly EventMessage[] => {
  if (insert === undefined) return []
  return Array.isArray(insert) ? (insert as readonly EventMessage[]) : [insert as EventMessage]
}

/** The name of an event or request; undefined if it has none. */
export const nameOf = (message: unknown): string | undefined => {
  if (typeof message === 'string') return message
  if (typeof message !== 'object' || message === null || !('type' in message)) return undefined
  return typeof message.type === 'string' ? message.type : undefined
}

/** The timeouts to be set, each with its delay. */
export const timeoutsIn = ({ stateTimeoutMs, eventTimeoutMs, timeoutsMs }: MachineResult): [TimeoutKey, number][] => {
  const all: [TimeoutKey, number][] = []
  if (stateTimeoutMs !== undefined) all.push(['state', stateTimeoutMs])
  if (eventTimeoutMs !== undefined) all.push(['event', eventTimeoutMs])
  if (timeoutsMs === undefined) return all
  for (const [name, ms] of Object.entries(timeoutsMs)) if (ms !== undefined) all.push([`timeout ${name}`, ms])
  return all
}

/** Timeouts of the state it is about to be in need their handler there; those by name need one in some state. */
const checkTimeouts = (result: MachineResult, step: TableStep, table: Table, state: string): void => {
  const { timeoutsMs } = result
  if (timeoutsMs !== undefined && (typeof timeoutsMs !== 'object' || timeoutsMs === null)) {
    throw bad(step, 'timeoutsMs other than an object of delays by name')
  }
  for (const [key, ms] of timeoutsIn(result)) {
    if (!isDelay(ms)) throw bad(step, `a delay ${shown(ms)} for "${key}"; it is ${DELAY}`)
    const handled = key === 'state' || key === 'event' ? table.states.get(state)?.timeouts : table.timeouts
    if (handled?.has(key) !== true) throw bad(step, `a delay for "${key}", which state ${state} does not handle`)
  }
}

const bad = ({ title }: TableStep, text: string): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_RETURN', `${title} returned ${text}.`)

const undeclared = ({ title, to }: TableStep, what: string, remedy: string): SkeinError => {
  const declared = to.length === 0 ? 'no transition' : `transitions to ${to.join(', ')}`
  return new SkeinError('ERR_SKEIN_BAD_TRANSITION', `${title} ${what}; it declares ${declared}. Declare it: ${remedy}.`)
}

const guess = (word: string, known: readonly string[]): string => {
  const nearest = nearestOf(word, known)
  return nearest === undefined ? '' : `; did you mean "${nearest}"`
}

const shown = (value: unknown): string => {
  if (typeof value === 'object' && value !== null) return 'an object'
  return (typeof value === 'string' ? JSON.stringify(value) : String(value)).slice(0, MAX_SHOWN)
}
