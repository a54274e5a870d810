/**
 * Calls: a request, and one reply that goes to the call and not to a mailbox.
 *
 * The call's key stands for the caller, as an alias does in Erlang: once nobody waits, a reply finds nothing and vanishes.
 * A call to another node costs two signals, `call` and `reply`. It needs no monitor, because the called node remembers
 * each call until it is answered (`ServedCall`) and sends `callFailed` when the called process ends first, or never was.
 * The caller takes `callFailed` only from the node it called, but a reply from anywhere, because a server may hand `from`
 * on. Where the called node cannot know that a call is over (timed out, abandoned, answered by a third node) it is
 * told by `callEnded`, so that nothing is remembered for longer than somebody waits.
 */
import { type ErrorCode, SkeinError } from '../../certs/errors.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Hold } from '../../transport/lane.ts'
import type { Random } from '../../transport/random.ts'
import { CALL_CHANNEL, type CallNews } from '../diagnostics.ts'
import { Pid, Ref } from '../pid.ts'
import { type Reason, type Signal, type To, Unreadable } from '../signals.ts'
import { Bridge } from './bridge.ts'
import { CallKeys } from './call-keys.ts'
import { Deadlines } from './deadlines.ts'
import { type AnyPid, type AnyTarget, addressOf, type Directory, nameOf } from './directory.ts'
import { NumberTable } from './number-table.ts'
import { checkTimeout, DEFAULT_PATIENCE_MS, Patience, type PatienceOptions, quiet } from './patience.ts'
import {
  addToCaller,
  addUnanswered,
  callsOf,
  newCall,
  type PendingCall,
  rejectCall,
  removeFromCaller,
  removeUnanswered,
  type ServedCall,
  unansweredOf,
} from './pending-call.ts'
import type { Post } from './post.ts'
import { Process } from './process.ts'
import { badRequest, FORBIDDEN, type Refusal, refusalError, unreadable } from './refusal.ts'
import { checkMessage } from './schema.ts'
import type { Tally } from './tally.ts'
import type { TracedWork, Tracing } from './tracing.ts'

declare const answers: unique symbol

/**
 * Whom to reply to: a plain value, good on every node it is sent to. `Reply` is what the caller expects; with `never`, which
 * any From can be used as, that is not known.
 */
export interface From<Reply = never> {
  readonly [answers]?: (reply: Reply) => void
  /** The calling process; undefined if a program called from outside of any process. */
  readonly pid: Pid | undefined
  readonly call: Ref
}

/** What a called process finds in its mailbox. */
export interface CallMessage<Request = unknown, Reply = unknown> {
  readonly type: 'call'
  readonly from: From<Reply>
  readonly request: Request
}

/** `signal` abandons the call. */
export type CallOptions = PatienceOptions

const NO_OPTIONS: CallOptions = Object.freeze({})

type SignalOf<T extends Signal['type']> = Extract<Signal, { type: T }>

export class Calls {
  readonly #directory: Directory
  readonly #clock: Clock
  readonly #post: Post
  readonly #limit: number
  readonly #tracing: Tracing
  readonly #tally: Tally
  readonly #pending = new NumberTable<PendingCall>()
  readonly #keys: CallKeys
  readonly #deadlines: Deadlines<PendingCall>
  /** Calls with greater numbers began in this turn and are not kept yet. Many are over already. */
  #keptUpTo = 0
  /** At the end of this turn. */
  #keepsSoon = false

  /** `limit`: calls that this node waits for, and calls that one other node waits for. */
  constructor(options: {
    directory: Directory
    clock: Clock
    post: Post
    limit: number
    tracing: Tracing
    tally: Tally
    random: Random
  }) {
    this.#keys = new CallKeys(options.random)
    this.#tracing = options.tracing
    this.#tally = options.tally
    this.#directory = options.directory
    this.#clock = options.clock
    this.#deadlines = new Deadlines(options.clock, (call, timeoutMs) => this.#expired(call, timeoutMs))
    this.#post = options.post
    this.#limit = options.limit
  }

  /** Rejects with a SkeinError, never throws. A rejection that nobody awaits goes unnoticed. */
  call(caller: Process | undefined, target: AnyTarget, request: unknown, options = NO_OPTIONS): Promise<unknown> {
    if (this.#tracing.isOn) return this.#callTraced(caller, target, request, options)
    return this.#call(caller, target, request, options, undefined)
  }

  #callTraced(
    caller: Process | undefined,
    target: AnyTarget,
    request: unknown,
    options: CallOptions,
  ): Promise<unknown> {
    const what = (): TracedWork => this.#post.workOn('call', target)
    return this.#tracing.outgoing(caller, what, (trace) => this.#call(caller, target, request, options, trace))
  }

  #call(
    caller: Process | undefined,
    target: AnyTarget,
    request: unknown,
    options: CallOptions,
    trace: string | undefined,
  ): Promise<unknown> {
    let pending: PendingCall
    try {
      pending = this.#begin(caller, target, options, false)
    } catch (error) {
      return quiet(Promise.reject(error))
    }
    try {
      if (pending.at instanceof Process) this.#askHere(pending, pending.at, request, trace)
      else this.#askThere(pending, pending.at, request, trace)
    } catch (error) {
      this.#settle(pending)
      rejectCall(pending, error)
    }
    return pending.promise
  }

  /** Asks the node of a process, not the process; not for processes of this node. Rejects as a call does. */
  ask(
    caller: Process | undefined,
    pid: AnyPid,
    options: CallOptions,
    question: (from: number, call: number) => Signal,
  ): Promise<unknown> {
    let pending: PendingCall
    try {
      pending = this.#begin(caller, pid, options, true)
    } catch (error) {
      return quiet(Promise.reject(error))
    }
    try {
      if (pending.at instanceof Process) throw this.#failure(pid, 'noproc')
      pending.at.calls.add(pending)
      pending.at.send(caller, question(caller?.pid.number ?? 0, pending.key))
    } catch (error) {
      this.#settle(pending)
      rejectCall(pending, error)
    }
    return pending.promise
  }

  /** False: above the high-water mark. Throws what cannot be sent; the call then still waits. */
  reply(replier: Process | undefined, from: From, value: unknown): boolean {
    const ref = from?.call
    if (!(ref instanceof Ref)) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'The first argument of reply is the "from" of a call message.')
    }
    if (this.#directory.isOwn(ref.origin)) {
      const pending = this.#find(ref.number)
      if (pending === undefined) return true
      this.#endThere(pending)
      this.#settle(pending)
      pending.resolve(value)
      return true
    }
    const bridge = this.#directory.toOrigin(ref.origin)
    if (typeof bridge === 'string') return true
    const number = replier?.pid.number ?? 0
    const flowing = bridge.send(replier, { type: 'reply', from: number, call: ref.number, value })
    this.#forget(bridge.served.get(ref.number))
    return flowing
  }

  /** Instead of a reply: the call fails, and `server` lives on. */
  refuse(server: Process, from: From, refusal: Refusal): void {
    const { origin, number: call } = from.call
    if (this.#directory.isOwn(origin)) {
      const pending = this.#find(call)
      if (pending?.at === server) this.#fail(pending, refusal)
      return
    }
    const bridge = this.#directory.toOrigin(origin)
    if (typeof bridge === 'string') return
    const served = bridge.served.get(call)
    // Over already, or not this server's to refuse.
    if (served?.server !== server) return
    this.#forget(served)
    bridge.sendSurely(server, { type: 'callFailed', from: server.pid.number, call, reason: refusal })
  }

  ended(process: Process, reason: Reason): void {
    this.#keepBegun()
    for (const pending of callsOf(process)) this.#abandon(pending, process.endedError())
    for (const call of unansweredOf(process)) {
      if (call.kind === 'pending') this.#fail(call, reason)
      else {
        this.#forget(call)
        call.bridge.sendSurely(process, { type: 'callFailed', from: process.pid.number, call: call.number, reason })
      }
    }
  }

  bridgeDown(bridge: Bridge): void {
    for (const served of [...bridge.served.values()]) this.#forget(served)
    for (const pending of [...bridge.calls]) this.#fail(pending, 'noconnection')
  }

  /** That wait for an answer. */
  get count(): number {
    return this.#pending.size
  }

  /** The node stops. */
  stop(): void {
    this.#deadlines.stop()
    for (const pending of this.#pending.values()) {
      this.#abandon(pending, new SkeinError('ERR_SKEIN_STOPPED', 'The node was stopped before the call was answered.'))
    }
  }

  onCall(bridge: Bridge, signal: SignalOf<'call'>, sizeBytes: number): Hold | undefined {
    const { from, to, call, request } = signal
    const origin = bridge.route.origin
    if (origin === undefined || bridge.served.has(call)) return undefined
    const server = this.#directory.reach(bridge, to, 'call')
    if (server === 'forbidden') {
      bridge.sendSurely(undefined, { type: 'callFailed', from: 0, call, reason: FORBIDDEN })
      return undefined
    }
    if (server === 'noproc') {
      this.#refuse(bridge, undefined, to, call, 'noproc')
      return undefined
    }
    const grants = server.traits.mayCall && this.#directory.rights.of(origin)
    if (grants !== undefined && server.traits.mayCall?.(grants, request) === false) {
      this.#directory.rights.forbidden.note(origin, 'call')
      this.#refuse(bridge, server, to, call, FORBIDDEN)
      return undefined
    }
    if (bridge.served.size >= this.#limit) {
      this.#refuse(bridge, server, to, call, 'system_limit')
      return undefined
    }
    if (request instanceof Unreadable) {
      this.#refuse(bridge, server, to, call, unreadable(request.error))
      return undefined
    }
    const schema = server.traits.schema?.call
    const checked = schema === undefined ? undefined : checkMessage(schema, request)
    if (checked?.type === 'bad') {
      this.#refuse(bridge, server, to, call, badRequest(checked.issues))
      return undefined
    }
    const served: ServedCall = {
      kind: 'served',
      number: call,
      bridge,
      server,
      olderUnanswered: undefined,
      newerUnanswered: undefined,
    }
    bridge.served.set(call, served)
    addUnanswered(server, served)
    const pid = from === 0 ? undefined : new Pid(origin, from)
    const accepted = checked === undefined ? request : checked.value
    return this.#post.putCall(server, { pid, call: new Ref(origin, call) }, accepted, sizeBytes, signal.trace)
  }

  onReply(bridge: Bridge, { call, value }: SignalOf<'reply'>): void {
    const pending = this.#find(call)
    if (pending === undefined) return this.#keys.stray(bridge, this.#clock.now())
    if (pending.at !== bridge) {
      if (pending.inspects || !this.#keys.mayStandIn(bridge, this.#clock.now())) return
      this.#endThere(pending)
    }
    if (this.#tally.onAnswered !== undefined && pending.isKept) this.#time(pending)
    this.#settle(pending)
    if (value instanceof Unreadable) rejectCall(pending, value.error)
    else pending.resolve(value)
  }

  /** From the end of the turn in which it began, when its deadline was set. */
  #time({ timeoutMs, line, dueMs }: PendingCall): void {
    if (line !== undefined) this.#tally.onAnswered?.(this.#clock.now() - (dueMs - timeoutMs))
  }

  onCallFailed(bridge: Bridge, { call, reason }: SignalOf<'callFailed'>): void {
    const pending = this.#find(call)
    if (pending?.at === bridge) this.#fail(pending, reason)
  }

  onCallEnded(bridge: Bridge, { call }: SignalOf<'callEnded'>): void {
    this.#forget(bridge.served.get(call))
  }

  /** Throws (so the promise rejects) where there is nobody to ask. */
  #begin(caller: Process | undefined, target: AnyTarget, options: CallOptions, inspects: boolean): PendingCall {
    const { timeoutMs = DEFAULT_PATIENCE_MS, signal } = options
    checkTimeout(timeoutMs)
    if (signal?.aborted === true) throw this.#aborted(target, signal)
    const at = this.#directory.locate(target)
    if (typeof at === 'string') throw this.#failure(target, at)
    if (this.#pending.size >= this.#limit) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node waits for ${this.#limit} calls, the limit "calls".`)
    }
    const number = this.#pending.next()
    const pending = newCall(
      number,
      this.#keys.keyOf(number),
      caller,
      target,
      at,
      inspects,
      signal === undefined ? timeoutMs : Number.POSITIVE_INFINITY,
    )
    this.#pending.set(pending.number, pending)
    this.#tally.calls++
    if (CALL_CHANNEL.hasSubscribers) this.#publish(pending)
    if (!this.#keepsSoon) this.#keepSoon()
    if (signal !== undefined) {
      pending.patience = new Patience(this.#clock, options, (why) => {
        if (why.type === 'timeout') this.#expired(pending, why.timeoutMs)
        else this.#abandon(pending, this.#aborted(target, signal))
      })
    }
    return pending
  }

  #publish({ caller, target, promise }: PendingCall): void {
    const { origin } = this.#directory
    const beganMs = this.#clock.now()
    const over = (error?: unknown): void => {
      const durationMs = this.#clock.now() - beganMs
      const to = nameOf(target, origin)
      CALL_CHANNEL.publish({ node: origin.name, from: caller?.pid, to, durationMs, error } satisfies CallNews)
    }
    promise.then(() => over(), over)
  }

  #keepSoon(): void {
    this.#keepsSoon = true
    this.#clock.endOfTurn(() => {
      this.#keepsSoon = false
      this.#keepBegun()
    })
  }

  /** Calls that go on are put where their ends, and the ends of others, find them. */
  #keepBegun(): void {
    const from = this.#keptUpTo + 1
    this.#keptUpTo = this.#pending.last
    if (this.#pending.size === 0) return
    const nowMs = this.#clock.now()
    for (let number = from; number <= this.#keptUpTo; number++) {
      const pending = this.#pending.get(number)
      if (pending === undefined) continue
      const { caller, at, timeoutMs } = pending
      pending.isKept = true
      if (timeoutMs < Number.POSITIVE_INFINITY) this.#deadlines.begin(pending, timeoutMs, nowMs)
      if (caller !== undefined) addToCaller(caller, pending)
      if (at instanceof Process) addUnanswered(at, pending)
    }
  }

  #expired(pending: PendingCall, timeoutMs: number): void {
    this.#tally.callTimeouts++
    const text = `${this.#name(pending.target)} did not answer within ${timeoutMs} ms.`
    this.#abandon(pending, new SkeinError('ERR_SKEIN_CALL_TIMEOUT', text))
  }

  #askHere(pending: PendingCall, server: Process, request: unknown, trace: string | undefined): void {
    if (server.mailbox.refuses) {
      throw new SkeinError('ERR_SKEIN_QUEUE_FULL', `The mailbox of ${this.#name(pending.target)} is full.`)
    }
    const call = new Ref(this.#directory.origin, pending.key)
    this.#post.putCall(server, { pid: pending.caller?.pid, call }, request, 0, trace)
  }

  #askThere(pending: PendingCall, bridge: Bridge, request: unknown, trace: string | undefined): void {
    bridge.calls.add(pending)
    const from = pending.caller?.pid.number ?? 0
    const to = addressOf(pending.target)
    const call = pending.key
    bridge.send(
      pending.caller,
      trace === undefined
        ? { type: 'call', from, to, call, request }
        : { type: 'call', from, to, call, request, trace },
    )
  }

  #refuse(bridge: Bridge, server: Process | undefined, to: To, call: number, reason: Reason): void {
    const from = server?.pid.number ?? (typeof to === 'number' ? to : 0)
    bridge.sendSurely(server, { type: 'callFailed', from, call, reason })
    if (server === undefined) bridge.retire(from)
  }

  /** Nobody waits any more: the called node may forget the call. */
  #abandon(pending: PendingCall, error: SkeinError): void {
    this.#endThere(pending)
    this.#settle(pending)
    rejectCall(pending, error)
  }

  #fail(pending: PendingCall, reason: Reason): void {
    this.#settle(pending)
    rejectCall(pending, this.#failure(pending.target, reason))
  }

  #endThere(pending: PendingCall): void {
    if (!(pending.at instanceof Bridge)) return
    const from = pending.caller?.pid.number ?? 0
    pending.at.sendSurely(pending.caller, { type: 'callEnded', from, call: pending.key })
  }

  /** The call with this key, whoever says it. */
  #find(key: number): PendingCall | undefined {
    const pending = this.#pending.nearest(key)
    return pending?.key === key ? pending : undefined
  }

  /** Removes the call from everywhere. */
  #settle(pending: PendingCall): void {
    const { caller, at } = pending
    this.#pending.delete(pending.number)
    pending.patience?.end()
    if (at instanceof Bridge) at.calls.delete(pending)
    if (!pending.isKept) return
    this.#deadlines.end(pending)
    if (caller !== undefined) removeFromCaller(caller, pending)
    if (at instanceof Process) removeUnanswered(at, pending)
  }

  #forget(served: ServedCall | undefined): void {
    if (served === undefined) return
    const { bridge, server, number } = served
    bridge.served.delete(number)
    removeUnanswered(server, served)
  }

  #failure(target: AnyTarget, reason: Reason): SkeinError {
    const name = this.#name(target)
    const fail = (code: ErrorCode, message: string): SkeinError => new SkeinError(code, message, { cause: reason })
    if (reason === 'noproc') return fail('ERR_SKEIN_NOPROC', `There is no process ${name}.`)
    if (reason === 'noconnection') return fail('ERR_SKEIN_NOCONNECTION', `The node of ${name} cannot be reached.`)
    if (reason === 'system_limit') return fail('ERR_SKEIN_LIMIT', `The node of ${name} has too many calls to answer.`)
    return refusalError(name, reason) ?? fail('ERR_SKEIN_CALL_EXIT', `${name} ended before it replied.`)
  }

  #aborted(target: AnyTarget, signal: AbortSignal | undefined): SkeinError {
    const text = `The call to ${this.#name(target)} was abandoned.`
    return new SkeinError('ERR_SKEIN_CALL_ABORTED', text, { cause: signal?.reason })
  }

  #name(target: AnyTarget): string {
    const named = nameOf(target, this.#directory.origin)
    return named instanceof Pid ? named.toString() : `"${named.name}" on ${named.node}`
  }
}
