/**
 * Behaviours: what a process does, as a function, and what is to be known of it before it runs.
 *
 * Any function of a Self is a behaviour. `genServer`, `stateMachine` and `supervisor` make such functions and give them
 * traits. A behaviour that serves takes its messages one at a time through `serve` instead of asking for them, which
 * spares an idle process its suspended function.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { From } from './calls.ts'
import type { Self } from './self.ts'

/** The function of a process. `M` is what it understands. When it returns the process ends with reason normal. */
export interface Behaviour<M, A extends unknown[] = []> {
  (self: Self<M>, ...args: A): Promise<void> | void
  readonly traits?: Traits
}

/** What is known of a behaviour before it runs. */
export interface Traits {
  /** For people: shown in process info. */
  readonly label?: string
  /** Its process is started when it says so, not as soon as it is spawned. */
  readonly announces?: boolean
  /** It takes messages through `serve`: each comes with its kind, and returning does not end the process. */
  readonly serves?: boolean
}

/** A cast, as a process that serves finds it. A message that was merely sent comes as it is. */
export class CastEntry {
  readonly message: unknown

  constructor(message: unknown) {
    this.message = message
  }
}

/** A call, as a process that serves finds it. */
export class CallEntry {
  readonly from: From
  readonly request: unknown

  constructor(from: From, request: unknown) {
    this.from = from
    this.request = request
  }
}

/** Takes one entry of the mailbox; the next one waits until the promise is settled. What it throws ends the process. */
export type Consumer = (entry: unknown) => Promise<void> | void

export const NO_TRAITS: Traits = Object.freeze({})

/** Checks what only JavaScript callers can get wrong. */
export const checkBehaviour = (behaviour: unknown): void => {
  if (typeof behaviour === 'function') return
  throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A process is started with a function.')
}
