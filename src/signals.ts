/**
 * Signals: everything one process can do to another, as values. The same union travels inside a node and, encoded by
 * wire.ts, between nodes; whoever receives one cannot tell the difference.
 *
 * Order: signals from one process to another arrive in the order sent (OTP, "Erlang Reference Manual, Processes:
 * Signals"). So all of a process's signals ride its one lane.
 *
 * `from` is the number of the sending process on its node, 0 for the node itself. `to` is a process number on the
 * receiving node, or a name registered there. Exit reasons are any serialisable value; the words are Erlang's.
 *
 * A call costs two signals when all goes well, `call` and `reply`. No monitor goes with it: the called node remembers the
 * call until it is answered and sends `callFailed` when the process ends first (or never was); the calling node sends
 * `callEnded` when it stops waiting for another cause, so that nothing is remembered in vain.
 *
 * `trace` of a send, cast or call is the traceparent of what it belongs to; protocol version 1 knows none.
 *
 * A process is spawned on another node by the name of its behaviour. The node answers with `spawned` on the lane of the new
 * process, so that the answer comes before everything else of it, or with `spawnFailed`. Whoever asked may have given up
 * by then; it is its node that tells the new process.
 */
import type { SkeinError } from '../certs/errors.ts'
import type { Pid } from './pid.ts'

/** Why a process ended: 'normal', 'shutdown', 'killed', 'noproc', 'noconnection', or any value, such as an error. */
export type Reason = unknown

/** Reasons that are no failure (OTP, "Supervision Principles": they leave no crash report). */
export const isOrderly = (reason: Reason): boolean => reason === 'normal' || reason === 'shutdown'

/** A process on the receiving node, by number or by registered name. */
export type To = number | string

export type Signal =
  | {
      readonly type: 'send'
      readonly from: number
      readonly to: To
      readonly message: unknown
      readonly trace?: string
    }
  /** The same to several processes, in rising order of their numbers. Protocol version 1 does not know it. */
  | {
      readonly type: 'sendMany'
      readonly from: number
      readonly to: readonly number[]
      readonly message: unknown
      readonly trace?: string
    }
  /** A message that behaviours tell from what was merely sent; others do not. */
  | {
      readonly type: 'cast'
      readonly from: number
      readonly to: To
      readonly message: unknown
      readonly trace?: string
    }
  /** A message whose reply goes to call `call` of the sender's node (an alias: a late reply finds nothing). */
  | {
      readonly type: 'call'
      readonly from: number
      readonly to: To
      readonly call: number
      readonly request: unknown
      readonly trace?: string
    }
  /** The reply to call `call` of the receiving node. */
  | { readonly type: 'reply'; readonly from: number; readonly call: number; readonly value: unknown }
  /** Call `call` of the receiving node will not be answered: the called process ended with `reason`, or 'noproc'. */
  | { readonly type: 'callFailed'; readonly from: number; readonly call: number; readonly reason: Reason }
  /** Nobody waits any more for the reply to call `call` of the sender's node: timed out, abandoned, or answered by another node. */
  | { readonly type: 'callEnded'; readonly from: number; readonly call: number }
  | { readonly type: 'link'; readonly from: number; readonly to: number }
  /** Ends a link; until the acknowledgement comes back the sender ignores exits of that link. */
  | { readonly type: 'unlink'; readonly from: number; readonly to: number; readonly id: number }
  | { readonly type: 'unlinkAck'; readonly from: number; readonly to: number; readonly id: number }
  | { readonly type: 'monitor'; readonly from: number; readonly to: To; readonly ref: number }
  | { readonly type: 'demonitor'; readonly from: number; readonly to: To; readonly ref: number }
  /** A linked process ended. */
  | { readonly type: 'linkExit'; readonly from: number; readonly to: number; readonly reason: Reason }
  /** exit/2: somebody wants this process to end. */
  | { readonly type: 'exit'; readonly from: number; readonly to: To; readonly reason: Reason }
  /** The monitored process ended, or never was; `ref` names the monitor on the receiving node. */
  | { readonly type: 'down'; readonly from: number; readonly ref: number; readonly reason: Reason }
  /**
   * Wants a process with this behaviour. `link`: linked to `from`; `ref`: monitored by `from` under this number, 0 for
   * none; `name`: registered under it, '' for none; `start`: the answer is also to say when it has started; `version`: of
   * the behaviour, exactly, '' for any. Protocol version 1 knows no `version`.
   */
  | {
      readonly type: 'spawn'
      readonly from: number
      readonly request: number
      readonly behaviour: string
      readonly version: string
      readonly link: boolean
      readonly start: boolean
      readonly ref: number
      readonly name: string
      readonly args: unknown
    }
  /** Process `from` was spawned on request `request` of the receiving node. */
  | { readonly type: 'spawned'; readonly from: number; readonly request: number }
  /** The same process has started; only if asked for. */
  | { readonly type: 'started'; readonly from: number; readonly request: number }
  /** Nothing was spawned (`from` is 0), or process `from` ended before it had started. */
  | { readonly type: 'spawnFailed'; readonly from: number; readonly request: number; readonly reason: Reason }
  /**
   * Process `from` opens stream `stream` to process `to`, with a way back if `duplex`; the node answers call `call`. Only
   * from protocol version 2 on.
   */
  | {
      readonly type: 'stream'
      readonly from: number
      readonly to: number
      readonly call: number
      readonly stream: number
      readonly duplex: boolean
      readonly meta: unknown
    }
  /** Call `call` asks the node, not the process, what is to be known of process `to`. */
  | { readonly type: 'inspect'; readonly from: number; readonly to: number; readonly call: number }

/** For a node that knows no traces. */
export const withoutTrace = (signal: Signal): Signal => {
  if (!('trace' in signal)) return signal
  const { trace: _, ...rest } = signal
  return rest
}

/** Stands in a signal for content of a registered type that this node does not know. It never reaches a mailbox. */
export class Unreadable {
  readonly error: SkeinError

  constructor(error: SkeinError) {
    this.error = error
  }
}

/** What a process finds in its mailbox besides plain messages. */
export type SystemMessage =
  /** `pid` is the monitored process, or what was monitored by name. */
  | {
      readonly type: 'DOWN'
      readonly ref: import('./pid.ts').Ref
      readonly pid: Pid | import('./pid.ts').RemoteName
      readonly reason: Reason
    }
  | { readonly type: 'EXIT'; readonly pid: Pid; readonly reason: Reason }
  | { readonly type: 'nodeup'; readonly node: string }
  | { readonly type: 'nodedown'; readonly node: string; readonly reason: Reason }
