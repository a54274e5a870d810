/**
 * What a supervisor is told: its own options and the specification of each child, with the defaults of OTP (supervisor,
 * "Supervision Principles" and "Child Specification"), and the checks of both.
 *
 * What comes from another node through startChild was checked by no compiler, so everything is checked here.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Traits } from '../../process/behaviour.ts'

/** OTP's default intensity: 1 restart in 5 seconds. */
const DEFAULT_MAX_RESTARTS = 1
const DEFAULT_WITHIN_MS = 5000
/** What a worker gets to end in order, as in OTP. A supervisor gets as long as it takes. */
const DEFAULT_SHUTDOWN_MS = 5000
/** Restarts are remembered up to this number; beyond it only Infinity makes sense. */
const MOST_RESTARTS = 10_000
/** Children of one supervisor: as many as a node has processes. */
export const MAX_CHILDREN = 1_000_000

/** Which children are started again when one has failed. See SupervisorOptions. */
export type Strategy = 'oneForOne' | 'oneForAll' | 'restForOne' | 'simpleOneForOne'
/** permanent: always started again. transient: unless it ended with normal or shutdown. temporary: never. */
export type Restart = 'permanent' | 'transient' | 'temporary'
/** Milliseconds to end in after exit signal shutdown, no bound to it, or kill at once. */
export type Shutdown = number | 'brutalKill' | 'infinity'
/** What a child is: for counting, and for the default of `shutdown`. */
export type ChildType = 'worker' | 'supervisor'
/** When significant children end their supervisor (OTP, supervisor: auto_shutdown). */
export type AutoShutdown = 'never' | 'anySignificant' | 'allSignificant'

/** A behaviour with these arguments, whatever its process understands. */
export interface Starter<A extends unknown[]> {
  (self: never, ...args: A): Promise<void> | void
  readonly traits?: Traits
}

/** What every child specification has. */
interface ChildOptions {
  /** Unique among the children of one supervisor. */
  readonly id: string
  /** Registers each process of this child under a name of the node. */
  readonly name?: string
  /** Started again: always, unless it ended with normal or shutdown, or never. Default: permanent. */
  readonly restart?: Restart
  /**
   * How it is ended: by exit signal shutdown, and by kill if it has not ended after so many milliseconds; or by kill at
   * once. Default: 5000 ms, infinity for supervisors.
   */
  readonly shutdown?: Shutdown
  /** Default: what the behaviour is. */
  readonly type?: ChildType
  /** Its end can end the supervisor, see autoShutdown. Default: false. */
  readonly significant?: boolean
  /** Its start has failed if it takes longer. Default: Infinity; the supervisor does nothing else meanwhile. */
  readonly startTimeoutMs?: number
}

/** What a child runs: a behaviour, or the name under which this node has it. */
export type Start = Starter<never[]> | string

/** A child with the arguments that its behaviour takes. */
export type ChildSpec<S extends Start = Start> = ChildOptions & { readonly start: S } & (S extends Starter<infer A>
    ? [] extends A
      ? { readonly args?: NoInfer<A> }
      : { readonly args: NoInfer<A> }
    : { readonly args?: readonly unknown[] })

/** A child whose arguments are not checked: those of simpleOneForOne come from two places. */
export type ChildPattern = ChildOptions & { readonly start: Start; readonly args?: readonly unknown[] }

/** What supervisors of every strategy take. */
interface CommonOptions {
  /** As many restarts within `withinMs` are good; with one more the supervisor ends. Default: 1. Infinity is no limit. */
  readonly maxRestarts?: number
  /** Default: 5000. */
  readonly withinMs?: number
  /** The supervisor ends when a significant child has ended by itself, or all of them have. Default: never. */
  readonly autoShutdown?: AutoShutdown
  /** For people: shown in process info. */
  readonly label?: string
}

/** Any options, their children unchecked. */
export type SupervisorOptions = CommonOptions & {
  /**
   * Who is started again with a child: it alone (one_for_one), all (one_for_all), or those started after it
   * (rest_for_one). simpleOneForOne: one pattern for any number of children, all started on demand. Default: oneForOne.
   */
  readonly strategy?: Strategy
  readonly children: readonly ChildPattern[]
}

/** Options with children whose arguments are checked. */
export type CheckedOptions<S extends Start[]> = CommonOptions & {
  readonly strategy?: Exclude<Strategy, 'simpleOneForOne'>
  readonly children: readonly [...{ [K in keyof S]: ChildSpec<S[K]> }]
}

export type DynamicOptions = CommonOptions & {
  readonly strategy: 'simpleOneForOne'
  readonly children: readonly [ChildPattern]
}

/** A child specification with nothing left open. */
export interface CheckedSpec {
  readonly id: string
  readonly start: Starter<never[]> | string
  readonly args: readonly unknown[]
  readonly name: string | undefined
  readonly restart: Restart
  /** Infinity: as long as it takes. */
  readonly shutdown: number | 'brutalKill'
  readonly type: ChildType
  readonly significant: boolean
  readonly startTimeoutMs: number
}

export interface CheckedPlan {
  readonly strategy: Strategy
  readonly maxRestarts: number
  readonly withinMs: number
  readonly autoShutdown: AutoShutdown
  readonly children: readonly CheckedSpec[]
  readonly label: string | undefined
}

/** Throws ERR_SKEIN_BAD_ARGUMENT. */
export const checkPlan = (options: SupervisorOptions): CheckedPlan => {
  must(isObject(options), 'A supervisor takes its options as an object.')
  const {
    strategy = 'oneForOne',
    maxRestarts = DEFAULT_MAX_RESTARTS,
    withinMs = DEFAULT_WITHIN_MS,
    autoShutdown = 'never',
    children,
    label,
  } = options
  mustBeOneOf('strategy', strategy, ['oneForOne', 'oneForAll', 'restForOne', 'simpleOneForOne'])
  mustBeOneOf('autoShutdown', autoShutdown, ['never', 'anySignificant', 'allSignificant'])
  must(
    maxRestarts === Number.POSITIVE_INFINITY ||
      (Number.isInteger(maxRestarts) && maxRestarts >= 0 && maxRestarts <= MOST_RESTARTS),
    `"maxRestarts" is a whole number from 0 to ${MOST_RESTARTS}, or Infinity.`,
  )
  must(Number.isFinite(withinMs) && withinMs > 0, '"withinMs" is a number of milliseconds above 0.')
  must(label === undefined || typeof label === 'string', '"label" is a text.')
  must(Array.isArray(children), '"children" is a list of child specifications.')
  must(children.length <= MAX_CHILDREN, `A supervisor has at most ${MAX_CHILDREN} children.`)
  if (strategy === 'simpleOneForOne') {
    must(children.length === 1, 'With "simpleOneForOne" there is one child specification, the pattern.')
  }
  const checked = children.map((child) => checkSpec(child, autoShutdown))
  const ids = new Set<string>()
  for (const { id } of checked) {
    must(!ids.has(id), `There are two children with the id "${id}".`)
    ids.add(id)
  }
  return { strategy, maxRestarts, withinMs, autoShutdown, children: checked, label }
}

/** Throws ERR_SKEIN_BAD_ARGUMENT. */
export const checkSpec = (spec: unknown, autoShutdown: AutoShutdown): CheckedSpec => {
  must(isObject(spec), 'A child specification is an object.')
  const { id, start, args = [], name, restart = 'permanent', significant = false } = spec
  must(typeof id === 'string' && id !== '', 'The "id" of a child is a text.')
  must(
    typeof start === 'function' || typeof start === 'string',
    `"start" of "${id}" is a behaviour or the name of one.`,
  )
  const supervises = typeof start === 'function' && (start as Starter<never[]>).traits?.supervises === true
  const { type = supervises ? 'supervisor' : 'worker', startTimeoutMs = Number.POSITIVE_INFINITY } = spec
  const { shutdown = type === 'supervisor' ? 'infinity' : DEFAULT_SHUTDOWN_MS } = spec
  must(Array.isArray(args), `"args" of "${id}" is a list.`)
  must(name === undefined || typeof name === 'string', `"name" of "${id}" is a text.`)
  mustBeOneOf('restart', restart, ['permanent', 'transient', 'temporary'])
  mustBeOneOf('type', type, ['worker', 'supervisor'])
  must(typeof significant === 'boolean', `"significant" of "${id}" is true or false.`)
  must(!significant || restart !== 'permanent', `"${id}" is permanent, so it cannot be significant.`)
  must(!significant || autoShutdown !== 'never', `"${id}" is significant, which needs an "autoShutdown".`)
  must(isDuration(startTimeoutMs) && startTimeoutMs > 0, `"startTimeoutMs" of "${id}" is a number of milliseconds.`)
  must(
    shutdown === 'brutalKill' || shutdown === 'infinity' || isDuration(shutdown),
    `"shutdown" of "${id}" is a number of milliseconds, "brutalKill" or "infinity".`,
  )
  return {
    id,
    start: start as Starter<never[]> | string,
    args,
    name,
    restart: restart as Restart,
    shutdown: shutdown === 'infinity' ? Number.POSITIVE_INFINITY : shutdown,
    type: type as ChildType,
    significant,
    startTimeoutMs,
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null

const isDuration = (value: unknown): value is number => typeof value === 'number' && value >= 0

function must(condition: boolean, message: string): asserts condition {
  if (!condition) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', message)
}

const mustBeOneOf = (name: string, value: unknown, words: readonly string[]): void =>
  must(words.includes(value as string), `"${name}" is one of ${words.join(', ')}.`)
