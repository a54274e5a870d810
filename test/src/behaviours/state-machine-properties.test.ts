/**
 * The order of events in a state machine, whatever its steps decide: random machines beside an interpreter that does the
 * same with plain lists, as OTP's documentation says it (gen_statem, "Transition actions").
 */
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { type MachineResult, stateMachine } from '../../../src/index.ts'
import { suite } from '../../support/suite.ts'
import { timedNode } from './state-machine-support.ts'

const test = suite('state machine properties', { watchdogMs: 120_000 })

const RUNS = 500
const seed = Date.now() & 0x7fffffff
console.log(`state machine properties seed: ${seed}`)
/** After so many events every step keeps: machines may drive each other in circles. */
const MAX_DECISIONS = 200

const STATES = ['a', 'b', 'c'] as const
type State = (typeof STATES)[number]
const EVENTS = ['e', 'f', 'g'] as const
/** Inserted ones insert nothing themselves. */
const INSERTED = ['x', 'y'] as const
const ALL = [...EVENTS, ...INSERTED, 'zero'] as const
type Name = (typeof ALL)[number]

interface Decision {
  readonly next?: State
  readonly postpone: boolean
  readonly repeat: boolean
  readonly insert: readonly (typeof INSERTED)[number][]
  /** Sets the timeout "zero" to 0 ms. */
  readonly zero: boolean
  /** The handler returns a promise. */
  readonly later: boolean
}

type Decisions = Readonly<Record<State, Readonly<Record<Name, Decision>>>>

const KEEP: Decision = { postpone: false, repeat: false, insert: [], zero: false, later: false }

const seldom = fc.integer({ min: 0, max: 3 }).map((n) => n === 0)
const decision = (name: Name): fc.Arbitrary<Decision> =>
  fc
    .record({
      next: fc.option(fc.constantFrom(...STATES), { nil: undefined }),
      postpone: seldom,
      repeat: seldom,
      insert: EVENTS.includes(name as never)
        ? fc.array(fc.constantFrom(...INSERTED), { maxLength: 2 })
        : fc.constant([]),
      zero: seldom,
      later: seldom,
    })
    .map(({ next, repeat, ...rest }) => (next === undefined ? { ...rest, repeat } : { ...rest, next, repeat: false }))

const of = <K extends string, V>(keys: readonly K[], make: (key: K) => fc.Arbitrary<V>): fc.Arbitrary<Record<K, V>> =>
  fc
    .tuple(...keys.map(make))
    .map((values) => Object.fromEntries(keys.map((key, i) => [key, values[i]])) as Record<K, V>)
const decisions: fc.Arbitrary<Decisions> = of(STATES, () => of(ALL, decision))

interface Arrived {
  readonly type: Name
  readonly number: number
  /** In the reference: a timeout not yet handled, which setting it anew takes away. */
  readonly isDue?: true
}

const arrived: fc.Arbitrary<Arrived[]> = fc
  .array(fc.constantFrom(...EVENTS), { minLength: 1, maxLength: 12 })
  .map((names) => names.map((type, number) => ({ type, number })))

/** What handlers and enter actions note. */
const noteEvent = (state: string, { type, number }: Arrived): string => `${state}: ${type} ${number}`
const noteEnter = (previous: string | undefined, state: string): string => `${previous} > ${state}`

/** The interpreter: three lists and no machine. */
const expected = (all: Decisions, mailbox: readonly Arrived[]): string[] => {
  const log = [noteEnter(undefined, 'a')]
  let state: State = 'a'
  let line: Arrived[] = []
  let postponed: Arrived[] = []
  let outside = [...mailbox]
  let handled = 0
  while (line.length + outside.length > 0) {
    if (line.length === 0) [line, outside] = [outside.slice(0, 1), outside.slice(1)]
    const { type, number } = line[0] as Arrived
    line = line.slice(1)
    log.push(noteEvent(state, { type, number }))
    const decided: Decision = handled++ < MAX_DECISIONS ? all[state][type] : KEEP
    const { postpone, repeat, insert, zero } = decided
    const next: State = decided.next ?? state
    if (postpone) postponed = [...postponed, { type, number }]
    if (next !== state) [line, postponed] = [[...postponed, ...line], []]
    line = [...insert.map((name) => ({ type: name, number })), ...line]
    if (next !== state || repeat) log.push(noteEnter(state, next))
    state = next
    // A timeout that is set anew loses its place.
    if (zero) line = [...line.filter(({ isDue }) => isDue !== true), { type: 'zero', number: -1, isDue: true }]
  }
  return log
}

const machineOf = (all: Decisions, log: string[]) => {
  let handled = 0
  const handler = (type: Name) => ({
    to: STATES,
    may: 'postpone' as const,
    do({ state }: { readonly state: State }, event: Arrived | undefined): MachineResult | Promise<MachineResult> {
      const here = event ?? { type, number: -1 }
      log.push(noteEvent(state, here))
      const { next, postpone, repeat, insert, zero, later } = handled++ < MAX_DECISIONS ? all[state][type] : KEEP
      const result: MachineResult = {
        ...(next && { next }),
        ...(postpone && { postpone }),
        ...(repeat && { repeat }),
        insert: insert.map((name) => ({ type: name, number: here.number })),
        ...(zero && { timeoutsMs: { zero: 0 } }),
      }
      return later ? Promise.resolve(result) : result
    },
  })
  const steps = Object.fromEntries([...EVENTS, ...INSERTED].map((name) => [name, handler(name)]))
  return stateMachine({
    data: () => 0,
    initial: 'a',
    common: {
      enter: ({ state }, previous) => void log.push(noteEnter(previous, state)),
      on: steps as unknown as Record<string, () => undefined>,
      timeouts: { zero: handler('zero') as unknown as () => undefined },
    },
    states: { a: {}, b: {}, c: {} },
  })
}

test('events come in the order of the reference, whatever is postponed, inserted, repeated or due at once', async (t) => {
  const node = timedNode(t)
  await fc.assert(
    fc.asyncProperty(decisions, arrived, async (all, mailbox) => {
      const log: string[] = []
      const pid = node.processes.spawn(machineOf(all, log))
      for (const event of mailbox) node.processes.cast(pid as never, event as never)
      await node.rest()
      node.processes.exit(pid as never, 'kill')
      assert.equal(node.crashes(), [])
      assert.equal(log, expected(all, mailbox))
    }),
    { numRuns: RUNS, seed },
  )
})

test.run()
