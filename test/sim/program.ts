/**
 * The random programs: what one may hold, and how often. A program is data, so that a failing one can be shrunk, printed
 * and run again. Whom a number means is decided when it runs: the n-th living actor, the n-th monitor, and so on, so a
 * program stays meaningful when parts of it are taken away.
 *
 * The weights are chosen to make what is rare in life common here: signals that cross each other, loads that are promoted
 * to a lane of their own, connections lost in the middle of something.
 */
import fc from 'fast-check'
import type { LinkConditions } from '../../transport/memory-link.ts'
import type { Policy, SpawnHow, Style } from './facts.ts'

const MAX_STEPS = 150

type Do =
  | { readonly do: 'send'; readonly by: number; readonly to: number; readonly byName: boolean; readonly load: Load }
  | { readonly do: 'exit'; readonly by: number; readonly to: number; readonly reason: ExitWord }
  | { readonly do: 'end'; readonly by: number; readonly how: EndHow }
  | { readonly do: 'trap'; readonly by: number; readonly on: boolean }
  | { readonly do: 'link'; readonly by: number; readonly to: number }
  | { readonly do: 'unlink'; readonly by: number; readonly to: number }
  | { readonly do: 'cross'; readonly by: number; readonly to: number; readonly moves: readonly Move[] }
  | { readonly do: 'monitor'; readonly by: number; readonly to: number; readonly byName: boolean }
  | { readonly do: 'demonitor'; readonly which: number; readonly flush: boolean }
  | {
      readonly do: 'call'
      readonly by: number
      readonly to: number
      readonly byName: boolean
      readonly policy: Policy
      readonly handOnTo: number
      readonly timeoutMs: number
    }
  | { readonly do: 'answer'; readonly which: number }
  | { readonly do: 'register'; readonly by: number; readonly name: string }
  | { readonly do: 'unregister'; readonly host: number; readonly name: string }
  | { readonly do: 'timer'; readonly by: number; readonly to: number; readonly byName: boolean; readonly ms: number }
  | { readonly do: 'cancel'; readonly which: number }
  | {
      readonly do: 'spawn'
      readonly by: number
      readonly how: SpawnHow
      readonly trapExit: boolean
      readonly style: Style
    }
  | {
      readonly do: 'spawnOn'
      readonly by: number
      readonly host: number
      readonly how: SpawnHow
      readonly trapExit: boolean
      readonly style: Style
      readonly isUnknown: boolean
      readonly start: boolean
      readonly timeoutMs: number
    }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'partition'; readonly host: number }
  | { readonly do: 'cut'; readonly from: number; readonly to: number }
  | { readonly do: 'heal' }
  | { readonly do: 'conditions'; readonly conditions: Partial<LinkConditions> }
  | { readonly do: 'pause'; readonly host: number }
  | { readonly do: 'resume'; readonly host: number }
  | { readonly do: 'crash'; readonly host: number }
  | { readonly do: 'restart'; readonly host: number; readonly identity: 'same' | 'new' }
  | { readonly do: 'skew'; readonly host: number; readonly rate: number; readonly wallOffsetMs: number }
  | { readonly do: 'disconnect'; readonly host: number; readonly from: number }

/** What is done, and how long nothing else is done then. */
export type Step = Do & { readonly thenMs: number }

export type Load = 'light' | 'heavy' | 'many' | 'promoted'
export type ExitWord = 'why' | 'kill' | 'normal' | 'shutdown'
export type EndHow = 'return' | 'throw' | 'exit' | 'exitKill' | 'exitNormal'
export interface Move {
  readonly side: 0 | 1
  readonly move: 'link' | 'unlink'
  readonly thenMs: number
}

/** What is fixed before a program begins. */
export interface Setting {
  readonly hosts: number
  readonly actorsPerHost: number
  /** Of the network's chances. */
  readonly seed: number
  readonly delayMs: number
  readonly jitterMs: number
  /** How the run ends: with every connection cut, or with one actor after the other while all are connected. */
  readonly ending: 'partition' | 'oneByOne'
}

export const NAMES = ['x', 'y'] as const
/** Numbers from here on may mean an actor that has ended. */
export const ANY_ACTOR = 1000

/** Mostly the first few: much between few finds more than little between many. */
const living = fc.constantFrom(0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5, 6, 7)
const anybody = fc.oneof(
  { weight: 8, arbitrary: living },
  { weight: 1, arbitrary: fc.nat(20).map((n) => ANY_ACTOR + n) },
)
const host = fc.nat(3)
const which = fc.nat(7)
const byName = fc.constantFrom(false, false, false, true)
const soonMs: fc.Arbitrary<number> = fc.constantFrom(0, 0, 0, 0.3, 1, 1, 3, 10, 40)
const name = fc.constantFrom(...NAMES)

const step = <T extends Do>(
  weight: number,
  shape: { readonly [K in keyof T]: fc.Arbitrary<T[K]> },
  after = soonMs,
) => ({
  weight,
  arbitrary: fc.record({ ...shape, thenMs: after }) as unknown as fc.Arbitrary<Step>,
})
const is = <T extends string>(value: T): fc.Arbitrary<T> => fc.constant(value)

const move: fc.Arbitrary<Move> = fc.record({
  side: fc.constantFrom(0, 1),
  move: fc.constantFrom('link', 'unlink'),
  thenMs: fc.constantFrom(0, 0, 0.5, 1, 4),
})

const conditions = fc.record({
  delayMs: fc.constantFrom(0.5, 1, 5, 20, 60),
  jitterMs: fc.constantFrom(0, 0, 3, 20),
  loss: fc.constantFrom(0, 0, 0.02, 0.15, 0.3),
  reorder: fc.constantFrom(0, 0, 0.2),
  duplicate: fc.constantFrom(0, 0, 0.2),
})

const STEPS: fc.WeightedArbitrary<Step>[] = [
  step(10, {
    do: is('send'),
    by: living,
    to: anybody,
    byName,
    load: fc.constantFrom<Load[]>('light', 'heavy', 'many', 'promoted', 'promoted'),
  }),
  step(4, {
    do: is('exit'),
    by: living,
    to: anybody,
    reason: fc.constantFrom<ExitWord[]>('why', 'why', 'why', 'why', 'why', 'kill', 'kill', 'normal', 'shutdown'),
  }),
  step(3, {
    do: is('end'),
    by: living,
    how: fc.constantFrom<EndHow[]>('return', 'throw', 'exit', 'exitKill', 'exitNormal'),
  }),
  step(1, { do: is('trap'), by: living, on: fc.boolean() }),
  step(4, { do: is('link'), by: living, to: anybody }),
  step(3, { do: is('unlink'), by: living, to: living }),
  step(6, { do: is('cross'), by: living, to: living, moves: fc.array(move, { minLength: 2, maxLength: 6 }) }),
  step(5, { do: is('monitor'), by: living, to: anybody, byName }),
  step(3, { do: is('demonitor'), which, flush: fc.boolean() }),
  step(5, {
    do: is('call'),
    by: living,
    to: anybody,
    byName,
    policy: fc.constantFrom<Policy[]>('reply', 'twice', 'hold', 'handOn', 'end'),
    handOnTo: living,
    timeoutMs: fc.constantFrom(5, 50, 1000, Number.POSITIVE_INFINITY),
  }),
  step(2, { do: is('answer'), which }),
  step(3, { do: is('register'), by: living, name }),
  step(1, { do: is('unregister'), host, name }),
  step(3, { do: is('timer'), by: living, to: anybody, byName, ms: fc.constantFrom(0, 1, 20, 300, 2000) }),
  step(1, { do: is('cancel'), which }),
  step(5, {
    do: is('spawn'),
    by: living,
    how: fc.constantFrom<SpawnHow[]>('spawn', 'link', 'monitor'),
    trapExit: fc.constantFrom(true, true, false),
    style: fc.constantFrom<Style[]>('iterate', 'receive', 'timeout', 'match'),
  }),
  step(4, {
    do: is('spawnOn'),
    by: living,
    host,
    how: fc.constantFrom<SpawnHow[]>('spawn', 'link', 'link', 'monitor', 'monitor'),
    trapExit: fc.constantFrom(true, true, false),
    style: fc.constantFrom<Style[]>('iterate', 'receive', 'timeout', 'match'),
    isUnknown: fc.constantFrom(false, false, false, false, false, true),
    start: fc.boolean(),
    timeoutMs: fc.constantFrom(5, 50, 2000, 2000),
  }),
  step(4, { do: is('wait'), ms: fc.constantFrom(5, 50, 300, 1500, 3000) }),
  step(2, { do: is('partition'), host }),
  step(1, { do: is('cut'), from: host, to: host }),
  step(3, { do: is('heal') }),
  step(3, { do: is('conditions'), conditions }),
  step(1, { do: is('pause'), host }),
  step(2, { do: is('resume'), host }),
  step(1, { do: is('crash'), host }),
  step(2, { do: is('restart'), host, identity: fc.constantFrom('same', 'same', 'new') }, fc.constantFrom(1, 50, 1000)),
  step(1, {
    do: is('skew'),
    host,
    rate: fc.constantFrom(0.5, 0.9, 1, 1.1, 2),
    wallOffsetMs: fc.constantFrom(-3_600_000, 0, 60_000),
  }),
  step(2, { do: is('disconnect'), host, from: host }),
]

export const setting: fc.Arbitrary<Setting> = fc.record({
  hosts: fc.constantFrom(2, 2, 3, 3, 4),
  actorsPerHost: fc.constantFrom(1, 2, 2, 3),
  seed: fc.nat(0x7fffffff),
  delayMs: fc.constantFrom(1, 5, 20),
  jitterMs: fc.constantFrom(0, 2, 20),
  ending: fc.constantFrom('partition', 'oneByOne'),
})

/** What a run does with a step; it gives a promise, but only virtual time passes. */
export interface Stage {
  applies(step: Step): boolean
  take(step: Step): Promise<void>
}

class StepCommand implements fc.AsyncCommand<Stage, Stage> {
  readonly #step: Step

  constructor(step: Step) {
    this.#step = step
  }

  check(stage: Readonly<Stage>): boolean {
    return stage.applies(this.#step)
  }

  run(_model: Stage, stage: Stage): Promise<void> {
    return stage.take(this.#step)
  }

  toString(): string {
    const { do: what, ...rest } = this.#step
    const text = JSON.stringify(rest, (_key, value: unknown) => (value === Number.POSITIVE_INFINITY ? 'ever' : value))
    return `${what} ${text.replaceAll('"', '')}`
  }
}

/** A random program, ready for `fc.asyncModelRun`. */
export const program = fc.commands([fc.oneof(...STEPS).map((data) => new StepCommand(data))], {
  maxCommands: MAX_STEPS,
  size: 'max',
})
