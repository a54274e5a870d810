/**
 * A definition made ready to run: checked once, and turned into a table that says for each state what happens on which
 * event. What is common to all states stands in every state that has nothing of its own for it.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { nearestOf } from '../../nearest-name.ts'
import type { MailboxOptions } from '../../process/behaviour.ts'
import type { From } from '../../process/calls.ts'
import { checkSchemas, type Schemas } from '../../process/schema.ts'
import type { Reason } from '../../signals.ts'
import type { Machine } from './machine.ts'
import type { Act } from './shape.ts'

/** The longest delay that a timer of Node keeps, more than 24 days. */
export const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** Timeouts that one machine may have at a time: as many as it has names for. */
export const MAX_TIMEOUTS = 1000

/** A timeout of a machine: that of the state, that of the next event, or one by name. */
export type TimeoutKey = 'state' | 'event' | `timeout ${string}`

/** What happens on an event of a state. */
export interface TableStep {
  /** Like "button in state locked", for errors. */
  readonly title: string
  /** The states it may lead to, in the order in which they are declared. */
  readonly to: readonly string[]
  readonly may: readonly Act[]
  readonly act: (machine: Machine, event: unknown, from: From | undefined) => unknown
}

export interface TableState {
  readonly enter: TableStep | undefined
  /** How long the machine stays in the state, unless something else is said. */
  readonly afterMs: number | undefined
  readonly on: ReadonlyMap<string, TableStep>
  readonly calls: ReadonlyMap<string, TableStep>
  readonly timeouts: ReadonlyMap<TimeoutKey, TableStep>
}

export interface Table {
  readonly data: (...args: unknown[]) => unknown
  readonly initial: string
  readonly states: ReadonlyMap<string, TableState>
  /** Every timeout that some state handles. */
  readonly timeouts: ReadonlySet<TimeoutKey>
  readonly terminate: ((machine: Machine, reason: Reason) => unknown) | undefined
  readonly label: string | undefined
  readonly mailbox: MailboxOptions | undefined
  readonly schema: Schemas | undefined
}

type Entries = Readonly<Record<string, unknown>>

const DEFINITION_KEYS = ['data', 'initial', 'states', 'common', 'terminate', 'label', 'mailbox', 'schema']
const STATE_KEYS = ['enter', 'on', 'calls', 'stateTimeout', 'eventTimeout', 'timeouts']
const STEP_KEYS = ['to', 'may', 'do']
const ACTS: readonly string[] = ['postpone', 'stop']

/** Throws ERR_SKEIN_BAD_ARGUMENT for a definition that cannot work. */
export const tableOf = (definition: unknown): Table => {
  const { data, initial, states, common, terminate, label, mailbox, schema } = entriesOf(
    definition,
    'The definition of a state machine',
    DEFINITION_KEYS,
  )
  if (typeof data !== 'function') throw unfit('data is a function that gives the data to begin with.')
  if (terminate !== undefined && typeof terminate !== 'function') throw unfit('terminate is a function.')
  if (label !== undefined && typeof label !== 'string') throw unfit('label is a text.')
  checkSchemas(schema as Schemas | undefined)
  const names = Object.keys(entriesOf(states, 'states'))
  if (names.length === 0) throw unfit('states is empty.')
  const shared = common === undefined ? {} : entriesOf(common, 'common', STATE_KEYS)
  const table = new Map(
    Object.entries(states as Entries).map(([name, state]) => [name, new StateReader(name, names).read(state, shared)]),
  )
  const timeouts = new Set([...table.values()].flatMap((state) => [...state.timeouts.keys()]))
  if (timeouts.size > MAX_TIMEOUTS) {
    throw new SkeinError('ERR_SKEIN_LIMIT', `A machine has ${timeouts.size} timeouts; ${MAX_TIMEOUTS} are the limit.`)
  }
  return {
    data: data as Table['data'],
    initial: stateName(initial, 'initial', names),
    states: table,
    timeouts,
    terminate: terminate as Table['terminate'],
    label,
    mailbox: mailbox as MailboxOptions | undefined,
    schema: schema as Schemas | undefined,
  }
}

/** Reads one state of a definition. */
class StateReader {
  readonly #name: string
  readonly #names: readonly string[]

  constructor(name: string, names: readonly string[]) {
    this.#name = name
    this.#names = names
  }

  read(state: unknown, common: Entries): TableState {
    const own = entriesOf(state, `State ${this.#name}`, STATE_KEYS)
    const enter = own.enter ?? common.enter
    const stateTimeout = own.stateTimeout ?? common.stateTimeout
    const eventTimeout = own.eventTimeout ?? common.eventTimeout
    const timeouts = new Map<TimeoutKey, TableStep>()
    if (stateTimeout !== undefined) timeouts.set('state', this.#step('stateTimeout', stateTimeout, ['afterMs']))
    if (eventTimeout !== undefined) timeouts.set('event', this.#step('eventTimeout', eventTimeout))
    for (const [name, step] of this.#section('timeouts', own, common)) timeouts.set(`timeout ${name}`, step)
    return {
      enter: enter === undefined ? undefined : this.#enterStep(enter),
      afterMs: this.#afterMs(stateTimeout),
      on: this.#section('on', own, common),
      calls: this.#section('calls', own, common),
      timeouts,
    }
  }

  #section(section: 'on' | 'calls' | 'timeouts', own: Entries, common: Entries): Map<string, TableStep> {
    const where = this.#at(section)
    const steps: Entries = {
      ...(common[section] === undefined ? {} : entriesOf(common[section], `${section} of common`)),
      ...(own[section] === undefined ? {} : entriesOf(own[section], where)),
    }
    const prefix = { on: '', calls: 'call ', timeouts: 'timeout ' }[section]
    return new Map(Object.entries(steps).map(([name, step]) => [name, this.#step(prefix + name, step)]))
  }

  #step(what: string, step: unknown, moreKeys: readonly string[] = []): TableStep {
    const title = this.#at(what)
    if (typeof step === 'function') return { title, to: [], may: [], act: step as TableStep['act'] }
    if (step === 'postpone') return { title, to: [], may: ['postpone'], act: () => ({ postpone: true }) }
    const {
      to,
      may,
      do: act,
    } = entriesOf(step, `${title} is a function, 'postpone', or an object that`, [...STEP_KEYS, ...moreKeys])
    const targets = listOf(to).map((target) => stateName(target, `to of ${title}`, this.#names))
    const acts = listOf(may).map((one) => {
      if (ACTS.includes(one as string)) return one as Act
      throw unfit(`may of ${title} is 'postpone', 'stop', or a list of these.`)
    })
    if (typeof act === 'function') return { title, to: targets, may: acts, act: act as TableStep['act'] }
    if (act !== undefined) throw unfit(`do of ${title} is a function.`)
    if (targets.length !== 1 || acts.length > 0) throw unfit(`${title} has no "do", so it needs one state in "to".`)
    const [next] = targets
    return { title, to: targets, may: [], act: () => ({ next }) }
  }

  #enterStep(enter: unknown): TableStep {
    const step = this.#step('enter', enter)
    if (step.to.length === 0 && !step.may.includes('postpone')) return step
    throw unfit(`${step.title} neither goes to a state nor postpones.`)
  }

  #afterMs(stateTimeout: unknown): number | undefined {
    if (typeof stateTimeout !== 'object' || stateTimeout === null || !('afterMs' in stateTimeout)) return undefined
    const { afterMs } = stateTimeout
    if (isDelay(afterMs)) return afterMs
    throw unfit(`afterMs of ${this.#at('stateTimeout')} is ${DELAY}.`)
  }

  #at(what: string): string {
    return `${what} in state ${this.#name}`
  }
}

export const DELAY = `a number of milliseconds from 0 to ${MAX_TIMEOUT_MS}, or Infinity`

export const isDelay = (ms: unknown): ms is number =>
  typeof ms === 'number' && ms >= 0 && (ms <= MAX_TIMEOUT_MS || ms === Number.POSITIVE_INFINITY)

/** What is in an object; with `known` keys no others may be. */
const entriesOf = (value: unknown, what: string, known?: readonly string[]): Entries => {
  if (typeof value !== 'object' || value === null) throw unfit(`${what} is no object.`)
  const stray = known && Object.keys(value).find((key) => !known.includes(key))
  if (known !== undefined && stray !== undefined) {
    throw unfit(`${what} has "${stray}", which is none of ${known.join(', ')}.${guess(stray, known)}`)
  }
  return value as Entries
}

const stateName = (name: unknown, what: string, names: readonly string[]): string => {
  if (typeof name === 'string' && names.includes(name)) return name
  throw unfit(`${what} names the state "${String(name)}", which is not declared.${guess(String(name), names)}`)
}

const listOf = (value: unknown): readonly unknown[] => {
  if (value === undefined) return []
  return Array.isArray(value) ? value : [value]
}

const guess = (word: string, known: readonly string[]): string => {
  const nearest = nearestOf(word, known)
  return nearest === undefined ? '' : ` Did you mean "${nearest}"?`
}

const unfit = (text: string): SkeinError => new SkeinError('ERR_SKEIN_BAD_ARGUMENT', text)
