/**
 * Calls under way, as those who have to do with them keep them: the caller its own, the called process those it has not
 * answered. Most calls within a node are over in the turn in which they began, and never get there: calls.ts keeps a call
 * when the turn ends, or when somebody asks for the lists. They are lists through the calls themselves, because a call is usually over very soon, and a Set from which
 * as much is deleted as is added holds back what it held (number-table.ts says why).
 */
import type { Bridge } from './bridge.ts'
import type { Expiring } from './deadlines.ts'
import type { AnyTarget } from './directory.ts'
import { type Patience, quiet } from './patience.ts'
import type { Process } from './process.ts'

/** In the list of the process that was called. */
interface Unanswered {
  olderUnanswered: PendingCall | ServedCall | undefined
  newerUnanswered: PendingCall | ServedCall | undefined
}

/** A call that a process or program of this node waits for. */
export interface PendingCall extends Unanswered, Expiring<PendingCall> {
  readonly kind: 'pending'
  readonly number: number
  /** What others know it by: see call-keys.ts. */
  readonly key: number
  readonly caller: Process | undefined
  readonly target: AnyTarget
  readonly at: Process | Bridge
  /** The node of the target answers, and nobody else. */
  readonly inspects: boolean
  readonly promise: Promise<unknown>
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  /** Milliseconds; Infinity if it has no deadline of its own. */
  readonly timeoutMs: number
  /** It stands in the lists of caller and called process, and its deadline runs. */
  isKept: boolean
  /** In place of a deadline, for a call that can also be abandoned. */
  patience: Patience | undefined
  /** In the list of its caller. */
  olderOfCaller: PendingCall | undefined
  newerOfCaller: PendingCall | undefined
}

export const newCall = (
  number: number,
  key: number,
  caller: Process | undefined,
  target: AnyTarget,
  at: Process | Bridge,
  inspects: boolean,
  timeoutMs: number,
): PendingCall => {
  let resolve!: PendingCall['resolve']
  let reject!: PendingCall['reject']
  const promise = new Promise((onReply, onFailure) => {
    resolve = onReply
    reject = onFailure
  })
  return {
    kind: 'pending',
    number,
    key,
    caller,
    target,
    at,
    inspects,
    promise,
    resolve,
    reject,
    timeoutMs,
    isKept: false,
    patience: undefined,
    olderUnanswered: undefined,
    newerUnanswered: undefined,
    olderOfCaller: undefined,
    newerOfCaller: undefined,
    line: undefined,
    dueMs: 0,
    before: undefined,
    after: undefined,
  }
}

/** A rejection that nobody awaits goes unnoticed. */
export const rejectCall = ({ promise, reject }: PendingCall, error: unknown): void => {
  void quiet(promise)
  reject(error)
}

/** A call from another node that a process of this node has not answered. */
export interface ServedCall extends Unanswered {
  readonly kind: 'served'
  readonly number: number
  readonly bridge: Bridge
  readonly server: Process
}

export const addToCaller = (caller: Process, call: PendingCall): void => {
  const { newestCall } = caller
  call.olderOfCaller = newestCall
  if (newestCall !== undefined) newestCall.newerOfCaller = call
  caller.newestCall = call
}

/** Idempotent. */
export const removeFromCaller = (caller: Process, call: PendingCall): void => {
  const { olderOfCaller: older, newerOfCaller: newer } = call
  if (newer !== undefined) newer.olderOfCaller = older
  else if (caller.newestCall === call) caller.newestCall = older
  if (older !== undefined) older.newerOfCaller = newer
  call.olderOfCaller = undefined
  call.newerOfCaller = undefined
}

export const addUnanswered = (server: Process, call: PendingCall | ServedCall): void => {
  const { newestUnanswered } = server
  call.olderUnanswered = newestUnanswered
  if (newestUnanswered !== undefined) newestUnanswered.newerUnanswered = call
  server.newestUnanswered = call
}

/** Idempotent. */
export const removeUnanswered = (server: Process, call: PendingCall | ServedCall): void => {
  const { olderUnanswered: older, newerUnanswered: newer } = call
  if (newer !== undefined) newer.olderUnanswered = older
  else if (server.newestUnanswered === call) server.newestUnanswered = older
  if (older !== undefined) older.newerUnanswered = newer
  call.olderUnanswered = undefined
  call.newerUnanswered = undefined
}

/** Oldest first. */
export const callsOf = (caller: Process): PendingCall[] => {
  const calls: PendingCall[] = []
  for (let call = caller.newestCall; call !== undefined; call = call.olderOfCaller) calls.push(call)
  return calls.reverse()
}

/** Oldest first. */
export const unansweredOf = (server: Process): (PendingCall | ServedCall)[] => {
  const calls: (PendingCall | ServedCall)[] = []
  for (let call = server.newestUnanswered; call !== undefined; call = call.olderUnanswered) calls.push(call)
  return calls.reverse()
}
