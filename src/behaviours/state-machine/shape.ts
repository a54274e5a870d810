/**
 * The shape of a definition, as types: what a user writes, what the compiler checks in it, and what it tells callers.
 *
 * Only types live here. Names of states and timeouts, data, events, requests and replies are inferred from the definition.
 * `Checked` compares what each handler returns with what its step declares; definition.ts and run.ts check the same when
 * the program runs.
 */
import type { MailboxOptions } from '../../process/behaviour.ts'
import type { CallMessage, From } from '../../process/calls.ts'
import type { CastMessage, InfoMessage } from '../../process/protocol.ts'
import type { Schemas } from '../../process/schema.ts'
import type { Reason, SystemMessage } from '../../signals.ts'
import type { ReplyIn } from '../gen-server.ts'
import type { Nothing } from '../gen-server-spec.ts'
import type { EnterResult, Eventually, Machine, MachineResult } from './machine.ts'

/** What a step may do besides going to a state. */
export type Act = 'postpone' | 'stop'

type OneOrMore<T> = T | readonly T[]

type Handler<D, N extends string> = (
  machine: Machine<D, N>,
  // Whatever type the handler gives it: see EventOf.
  event: never,
  from: From,
) => Eventually<MachineResult<D, N>>

/**
 * What happens on one event. A function alone keeps the state. An object declares the states it may lead to, and whether
 * it may postpone the event or stop the machine; with one state and without `do` it simply goes there.
 */
export type Step<D, N extends string> =
  | Handler<D, N>
  | 'postpone'
  | { readonly to: N }
  | {
      readonly to?: OneOrMore<N>
      readonly may?: OneOrMore<Act>
      readonly do: Handler<D, N>
    }

type EnterHandler<D, N extends string> = (
  machine: Machine<D, N>,
  /** The state it comes from: undefined at the start, the same after `repeat`. */
  previous: N | undefined,
) => Eventually<EnterResult<D>>

export interface State<D, N extends string> {
  /** Runs whenever the machine comes into this state, and when it starts in it. */
  readonly enter?: EnterHandler<D, N> | { readonly may: 'stop'; readonly do: EnterHandler<D, N> }
  /** Casts, messages that were sent, system messages and inserted events, by name: the text itself, or its `type`. */
  readonly on?: { readonly [event: string]: Step<D, N> }
  /** Calls, by name. */
  readonly calls?: { readonly [request: string]: Step<D, N> }
  /** Set by `stateTimeoutMs`, or by coming into the state if it says how long. */
  readonly stateTimeout?: Step<D, N> | { readonly afterMs: number; readonly to: N } | TimedStep<D, N>
  /** Set by `eventTimeoutMs`. */
  readonly eventTimeout?: Step<D, N>
  /** By name; set by `timeoutsMs`. */
  readonly timeouts?: { readonly [name: string]: Step<D, N> }
}

/** What a state does when so many milliseconds have passed in it. */
interface TimedStep<D, N extends string> {
  readonly afterMs: number
  readonly to?: OneOrMore<N>
  readonly may?: OneOrMore<Act>
  readonly do: Handler<D, N>
}

/** What `stateMachine` takes. */
export interface Shape<D, A extends unknown[], N extends string> {
  /** The data to begin with, from the arguments of the process. Messages wait until a promise of them is kept. */
  readonly data: (...args: A) => D | Promise<D>
  readonly initial: NoInfer<N>
  readonly states: { readonly [name in N]: State<D, NoInfer<N>> }
  /** What every state does that does not say otherwise. */
  readonly common?: State<D, NoInfer<N>>
  /** The last thing to run: after `stop`, an error, or, if the process traps exits, the end of its parent. */
  readonly terminate?: (machine: Machine<D, NoInfer<N>>, reason: Reason) => Promise<void> | void
  /** For people: shown in process info. */
  readonly label?: string
  /** How many messages may wait, and what happens to more. */
  readonly mailbox?: MailboxOptions
  /** Checked where a message arrives from another node. */
  readonly schema?: Schemas
}

// What the compiler checks beyond the shape.

type Each<T> = T extends readonly (infer One)[] ? One : T
type Field<H, K extends string> = H extends { readonly [name in K]: infer V } ? Each<V> : never
/** Of a number too: it has none that are known. */
type KeysOf<R> = R extends Nothing ? never : keyof R
type Only<R, Known> = { readonly [K in Exclude<KeysOf<R>, Known>]?: never }

/** A result `R` that holds nothing but known words and timeouts `T`. A promise is none; what it resolves with is. */
type Spelt<R, Known, T extends string> = Only<R, Known> & {
  readonly then?: never
  readonly timeoutsMs?: { readonly [name in T]?: number } & Only<Field<R, 'timeoutsMs'>, T>
}

/** A result that does nothing but what is declared. */
type Declared<To, May> = {
  readonly next?: To | undefined
  readonly postpone?: ('postpone' extends May ? true : never) | undefined
  readonly stop?: 'stop' extends May ? unknown : undefined
}

type Returning<R> = (machine: never, event: never, from: never) => Eventually<R>

type CheckedStep<H, T extends string> = H extends { readonly do: (...args: never) => infer R }
  ? { readonly do: Returning<Declared<Field<H, 'to'>, Field<H, 'may'>> & Spelt<Awaited<R>, keyof MachineResult, T>> }
  : H extends (...args: never) => infer R
    ? Returning<Declared<never, never> & Spelt<Awaited<R>, keyof MachineResult, T>>
    : unknown

type CheckedEnter<H, T extends string> = H extends { readonly do: (...args: never) => infer R }
  ? { readonly do: Returning<Spelt<Awaited<R>, keyof EnterResult, T>> }
  : H extends (...args: never) => infer R
    ? Returning<{ readonly stop?: undefined } & Spelt<Awaited<R>, keyof EnterResult, T>>
    : unknown

type CheckedState<S, T extends string> = {
  readonly [P in keyof S]: P extends 'on' | 'calls' | 'timeouts'
    ? { readonly [E in keyof S[P]]: CheckedStep<S[P][E], T> }
    : P extends 'stateTimeout' | 'eventTimeout'
      ? CheckedStep<S[P], T>
      : P extends 'enter'
        ? CheckedEnter<S[P], T>
        : never
}

type CheckedDefinition<Def, T extends string> = {
  readonly [P in keyof Def]: P extends 'states'
    ? { readonly [S in keyof Def[P]]: CheckedState<Def[P][S], T> }
    : P extends 'common'
      ? CheckedState<Def[P], T>
      : P extends keyof Shape<unknown, [], string>
        ? unknown
        : never
}

/** Handlers do what their steps declare, timeouts have a handler, and nothing is misspelt. */
export type Checked<Def> = CheckedDefinition<Def, NamesIn<SectionOf<AllStatesOf<Def>, 'timeouts'>>>

// What callers are told.

type StatesOf<Def> = Def extends { readonly states: infer States } ? States[keyof States] : never
type AllStatesOf<Def> = StatesOf<Def> | (Def extends { readonly common: infer Common } ? Common : never)

/** All steps in one section of a union of states, as a union of objects. */
type SectionOf<S, P extends 'on' | 'calls' | 'timeouts'> = S extends { readonly [name in P]: infer Steps }
  ? Steps
  : never
type NamesIn<Section> = Section extends unknown ? keyof Section & string : never
type StepFor<Section, K> = Section extends { readonly [name in K & string]: infer H } ? H : never

/** The function of each step that wants to know something of the event. */
type EventOf<H> = H extends { readonly do: (machine: never, event: infer E, ...rest: never) => unknown }
  ? (event: Wanted<E>) => void
  : H extends (machine: never, event: infer E, ...rest: never) => unknown
    ? (event: Wanted<E>) => void
    : never
type Wanted<E> = [E] extends [never] ? unknown : E

/** What an event has to be, so that each of its handlers can take it. */
type PayloadOf<H> = EventOf<H> extends never ? unknown : EventOf<H> extends (event: infer E) => void ? E : unknown

/** The message of an event: its name alone will do where no handler wants more. */
type MessageOf<K extends string, P> = unknown extends P
  ? K | { readonly type: K }
  : P extends string
    ? P
    : { readonly type: K } & P

type EventsOf<Section> = { [K in NamesIn<Section>]: MessageOf<K, PayloadOf<StepFor<Section, K>>> }[NamesIn<Section>]

type ReplyOf<H> = H extends { readonly do: (...args: never) => infer R }
  ? ReplyIn<Exclude<Awaited<R>, { readonly postpone: true }>>
  : H extends (...args: never) => infer R
    ? ReplyIn<Exclude<Awaited<R>, { readonly postpone: true }>>
    : H extends 'postpone'
      ? never
      : unknown

type CallsOf<Section> = {
  [K in NamesIn<Section>]: CallMessage<MessageOf<K, PayloadOf<StepFor<Section, K>>>, ReplyOf<StepFor<Section, K>>>
}[NamesIn<Section>]

type Sendable<E> = Exclude<E, SystemMessage | { readonly type: SystemMessage['type'] } | SystemMessage['type']>

/** What a process of the machine understands. */
export type ProtocolOf<Def> =
  | CastMessage<Sendable<EventsOf<SectionOf<AllStatesOf<Def>, 'on'>>>>
  | InfoMessage<Sendable<EventsOf<SectionOf<AllStatesOf<Def>, 'on'>>>>
  | CallsOf<SectionOf<AllStatesOf<Def>, 'calls'>>
