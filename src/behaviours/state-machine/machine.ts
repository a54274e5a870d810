/**
 * What the handlers of a state machine are given, and what they return.
 *
 * A result is a plain value that says what follows; run.ts carries it out when the handler has returned. So a handler can
 * be tested by calling it.
 */
import type { Self } from '../../process/self.ts'
import type { Reason } from '../../signals.ts'
import type { Nothing } from '../gen-server-spec.ts'

/** Where a machine stands. `D` are its data, `N` the names of its states. */
export interface Machine<D = unknown, N extends string = string> {
  readonly state: N
  readonly data: D
  /** The process of the machine. */
  readonly self: Self
}

/** An event by name; what else it holds is its handler's concern. */
export type EventMessage = string | { readonly type: string }

/** What may follow from the enter action. What is left out stays as it is; so it is with all results. */
export interface EnterResult<D = unknown> {
  readonly data?: D
  /** The timeout of the state, which leaving the state cancels. Infinity cancels it too, here and below. */
  readonly stateTimeoutMs?: number
  /** A timeout that any event cancels. */
  readonly eventTimeoutMs?: number
  /** Timeouts by name, in milliseconds. They run on until they are set anew. */
  readonly timeoutsMs?: { readonly [name: string]: number }
  /** The process ends with this reason, after `terminate`. */
  readonly stop?: Reason
}

/** What may follow from an event. */
export interface MachineResult<D = unknown, N extends string = string> extends EnterResult<D> {
  /** Goes on to this state. Going to the state it is in is no change of state. */
  readonly next?: N
  /** Keeps the state, and its enter action runs again. */
  readonly repeat?: true
  /** Answers the call that is handled. Without it the caller waits: `self.reply(from, value)` answers later. */
  readonly reply?: unknown
  /** The event comes again after the next change of state, before newer ones. */
  readonly postpone?: true
  /** Events that `on` handles before all others, in this order. */
  readonly insert?: EventMessage | readonly EventMessage[]
}

/** At once or later; other events wait meanwhile. */
export type Eventually<T> = T | Nothing | Promise<T | Nothing>
