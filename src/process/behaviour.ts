/**
 * Behaviours: what a process does, as a function, and what is to be known of it before it runs.
 *
 * Any function of a Self is a behaviour. `genServer`, `stateMachine` and `supervisor` make such functions and give them
 * traits. A behaviour that serves takes its messages one at a time through `serve` instead of asking for them, which
 * spares an idle process its suspended function.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Pid } from '../pid.ts'
import type { CallMessage, From } from './calls.ts'
import type { Grants, Guard } from './rights.ts'
import type { Schemas } from './schema.ts'
import type { Self } from './self.ts'

/** The function of a process. `M` is what it understands. When it returns the process ends with reason normal. */
export interface Behaviour<M, A extends unknown[] = []> {
  (self: Self<M>, ...args: A): Promise<void> | void
  readonly traits?: Traits
}

/**
 * What becomes of a message that finds its mailbox full. `block` holds the senders back: beyond the limit they hear false,
 * those on other nodes by flow control; a local one that does not heed it gets ERR_SKEIN_QUEUE_FULL at sixteen times the
 * limit. `exit` ends the process with ERR_SKEIN_MAILBOX_FULL.
 */
export type WhenFull = 'dropNewest' | 'dropOldest' | 'exit' | 'block'

/** How many messages may wait for a process. System messages (DOWN, EXIT, nodeup, nodedown) are never dropped. */
export interface MailboxOptions {
  /** Messages, from 1 to 1 048 576. */
  readonly limit: number
  readonly onFull: WhenFull
}

/** What is known of a behaviour before it runs. */
export interface Traits {
  /** For people: shown in process info. */
  readonly label?: string
  /** Its process is started when it says so, not as soon as it is spawned. */
  readonly announces?: boolean
  /** It takes messages through `serve`: each comes with its kind, and returning does not end the process. */
  readonly serves?: boolean
  /** Its mailbox, where that is not as usual. */
  readonly mailbox?: MailboxOptions
  /** Checked where a message arrives from another node. */
  readonly schema?: Schemas
  /** It is a supervisor: another one lets it take its time to shut down. */
  readonly supervises?: boolean
  /**
   * Nobody else can end it: exit signals (kill too) and ends over links count only if they are its own, its parent's on
   * this node, or the node's when it stops. Other exit signals are dead letters. A link that others make tells them of its
   * end, and it of theirs only if it traps exits. A full mailbox costs messages and not the process.
   */
  readonly guarded?: boolean
  /** What other nodes need to reach it, in place of its names. */
  readonly guard?: Guard
  /** What a node that has these rights may call it with; anybody, anything where it is left out. */
  readonly mayCall?: (grants: Grants, request: unknown) => boolean
  /** With `serves`: a cast comes with the pid of the process that sent it. */
  readonly senders?: boolean
}

/** What a process that serves finds in its mailbox. A message that was merely sent comes as it is. */
export abstract class Entry {
  /** What a receive gives instead. */
  abstract open(): unknown

  /** As `open`, for the one that takes it out of the mailbox. */
  take(): unknown {
    return this.open()
  }
}

/** What a process that serves has for its own consumer, such as a timeout: no receive is given it. */
export abstract class Notice {}

export class CastEntry extends Entry {
  readonly message: unknown
  /** Of the connection that proved to be its node; undefined without the trait `senders`, and for what no process sent. */
  readonly from: Pid | undefined

  constructor(message: unknown, from?: Pid) {
    super()
    this.message = message
    this.from = from
  }

  open(): unknown {
    return this.message
  }
}

export class CallEntry extends Entry {
  readonly from: From
  readonly request: unknown

  constructor(from: From, request: unknown) {
    super()
    this.from = from
    this.request = request
  }

  open(): unknown {
    return callMessage(this.from, this.request)
  }
}

/** A call, as a receive gives it. */
export const callMessage = (from: From, request: unknown): CallMessage<unknown, never> => ({
  type: 'call',
  from,
  request,
})

/** Takes one entry of the mailbox; the next one waits until the promise is settled. What it throws ends the process. */
export type Consumer = (entry: unknown) => Promise<void> | void

export const NO_TRAITS: Traits = Object.freeze({})

/** Checks what only JavaScript callers can get wrong. */
export const checkBehaviour = (behaviour: unknown): void => {
  if (typeof behaviour === 'function') return
  throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A process is started with a function.')
}
