/**
 * Calls: a request, and one reply that goes to the call and not to a mailbox.
 *
 * The call's number stands for the caller, as an alias does in Erlang: once nobody waits, a reply finds nothing and vanishes.
 * A call to another node costs two signals, `call` and `reply`. It needs no monitor, because the called node remembers
 * each call until it is answered (`ServedCall`) and sends `callFailed` when the called process ends first, or never was.
 * The caller takes `callFailed` only from the node it called, but a reply from anywhere, because a server may hand `from`
 * on. Where the called node cannot know that a call is over (timed out, abandoned, answered by a third node) it is
 * told by `callEnded`, so that nothing is remembered for longer than somebody waits.
 */
import { type ErrorCode, SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Hold } from '../../transport/lane.ts'
import { Pid, Ref } from '../pid.ts'
import type { Reason, Signal, To } from '../signals.ts'
import { Bridge } from './bridge.ts'
import { type AnyTarget, addressOf, type Directory, nameOf } from './directory.ts'
import type { Post } from './post.ts'
import { Process } from './process.ts'

/** OTP's default for gen_server calls. */
const DEFAULT_CALL_TIMEOUT_MS = 5000

/** Whom to reply to: a plain value, good on every node it is sent to. */
export interface From {
  /** The calling process; undefined if a program called from outside of any process. */
  readonly pid: Pid | undefined
  readonly call: Ref
}

/** What a called process finds in its mailbox. */
export interface CallMessage<Request = unknown> {
  readonly type: 'call'
  readonly from: From
  readonly request: Request
}

export interface CallOptions {
  /** Milliseconds, Infinity for no limit. Default: DEFAULT_CALL_TIMEOUT_MS. */
  readonly timeoutMs?: number
  /** Abandons the call. */
  readonly signal?: AbortSignal
}

/** A call that a process or program of this node waits for. */
export interface PendingCall {
  readonly kind: 'pending'
  readonly number: number
  readonly caller: Process | undefined
  readonly target: AnyTarget
  readonly at: Process | Bridge
  readonly resolve: (value: unknown) => void
  readonly reject: (error: SkeinError) => void
  timer: Timer | undefined
  /** Takes the listener off the caller's AbortSignal. */
  release: (() => void) | undefined
}

/** A call from another node that a process of this node has not answered. */
export interface ServedCall {
  readonly kind: 'served'
  readonly number: number
  readonly bridge: Bridge
  readonly server: Process
}

type SignalOf<T extends Signal['type']> = Extract<Signal, { type: T }>

export class Calls {
  readonly #directory: Directory
  readonly #clock: Clock
  readonly #post: Post
  readonly #limit: number
  readonly #pending = new Map<number, PendingCall>()
  #lastNumber = 0

  /** `limit`: calls that this node waits for, and calls that one other node waits for. */
  constructor(options: {
    directory: Directory
    clock: Clock
    post: Post
    limit: number
  }) {
    this.#directory = options.directory
    this.#clock = options.clock
    this.#post = options.post
    this.#limit = options.limit
  }

  /** Rejects with a SkeinError, never throws. A rejection that nobody awaits goes unnoticed. */
  call(caller: Process | undefined, target: AnyTarget, request: unknown, options: CallOptions = {}): Promise<unknown> {
    const promise = new Promise<unknown>((resolve, reject) => {
      const pending = this.#begin(caller, target, options, resolve, reject)
      try {
        if (pending.at instanceof Process) this.#askHere(pending, pending.at, request)
        else this.#askThere(pending, pending.at, request)
      } catch (error) {
        this.#settle(pending)
        reject(error)
      }
    })
    promise.catch(ignore)
    return promise
  }

  /** False: above the high-water mark. Throws what cannot be sent; the call then still waits. */
  reply(replier: Process | undefined, from: From, value: unknown): boolean {
    const ref = from?.call
    if (!(ref instanceof Ref)) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'The first argument of reply is the "from" of a call message.')
    }
    if (this.#directory.isOwn(ref.origin)) {
      const pending = this.#pending.get(ref.number)
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

  ended(process: Process, reason: Reason): void {
    for (const pending of process.calls ?? []) this.#abandon(pending, process.endedError())
    for (const call of process.served ?? []) {
      if (call.kind === 'pending') this.#fail(call, reason)
      else {
        this.#forget(call)
        call.bridge.sendSurely(process, { type: 'callFailed', from: process.pid.number, call: call.number, reason })
      }
    }
  }

  bridgeDown(bridge: Bridge): void {
    for (const served of bridge.served.values()) served.server.served?.delete(served)
    bridge.served.clear()
    for (const pending of [...bridge.calls]) this.#fail(pending, 'noconnection')
  }

  /** The node stops. */
  stop(): void {
    for (const pending of [...this.#pending.values()]) {
      this.#abandon(pending, new SkeinError('ERR_SKEIN_STOPPED', 'The node was stopped before the call was answered.'))
    }
  }

  onCall(bridge: Bridge, { from, to, call, request }: SignalOf<'call'>, sizeBytes: number): Hold | undefined {
    const origin = bridge.route.origin
    if (origin === undefined || bridge.served.has(call)) return undefined
    const server = this.#directory.find(to)
    if (server === undefined) {
      this.#refuse(bridge, undefined, to, call, 'noproc')
      return undefined
    }
    if (bridge.served.size >= this.#limit) {
      this.#refuse(bridge, server, to, call, 'system_limit')
      return undefined
    }
    const served: ServedCall = { kind: 'served', number: call, bridge, server }
    bridge.served.set(call, served)
    server.served ??= new Set()
    server.served.add(served)
    const pid = from === 0 ? undefined : new Pid(origin, from)
    this.#post.putCall(server, { type: 'call', from: { pid, call: new Ref(origin, call) }, request }, sizeBytes)
    return server.mailbox.pressed ? server.mailbox : undefined
  }

  onReply(bridge: Bridge, { call, value }: SignalOf<'reply'>): void {
    const pending = this.#pending.get(call)
    if (pending === undefined) return
    if (pending.at !== bridge) this.#endThere(pending)
    this.#settle(pending)
    pending.resolve(value)
  }

  onCallFailed(bridge: Bridge, { call, reason }: SignalOf<'callFailed'>): void {
    const pending = this.#pending.get(call)
    if (pending?.at === bridge) this.#fail(pending, reason)
  }

  onCallEnded(bridge: Bridge, { call }: SignalOf<'callEnded'>): void {
    this.#forget(bridge.served.get(call))
  }

  /** Throws (so the promise rejects) where there is nobody to ask. */
  #begin(
    caller: Process | undefined,
    target: AnyTarget,
    { timeoutMs = DEFAULT_CALL_TIMEOUT_MS, signal }: CallOptions,
    resolve: (value: unknown) => void,
    reject: (error: SkeinError) => void,
  ): PendingCall {
    if (typeof timeoutMs !== 'number' || !(timeoutMs >= 0)) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'timeoutMs is a number of milliseconds, 0 or more.')
    }
    if (signal?.aborted === true) throw this.#aborted(target, signal)
    const at = this.#directory.locate(target)
    if (typeof at === 'string') throw this.#failure(target, at)
    if (this.#pending.size >= this.#limit) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node waits for ${this.#limit} calls, the limit "calls".`)
    }
    const number = ++this.#lastNumber
    const pending: PendingCall = {
      kind: 'pending',
      number,
      caller,
      target,
      at,
      resolve,
      reject,
      timer: undefined,
      release: undefined,
    }
    this.#pending.set(number, pending)
    if (caller !== undefined) {
      caller.calls ??= new Set()
      caller.calls.add(pending)
    }
    if (Number.isFinite(timeoutMs)) {
      pending.timer = this.#clock.after(timeoutMs, () => {
        const text = `${this.#name(target)} did not answer within ${timeoutMs} ms.`
        this.#abandon(pending, new SkeinError('ERR_SKEIN_CALL_TIMEOUT', text))
      })
    }
    if (signal !== undefined) {
      const abandon = (): void => this.#abandon(pending, this.#aborted(target, signal))
      signal.addEventListener('abort', abandon, { once: true })
      pending.release = () => signal.removeEventListener('abort', abandon)
    }
    return pending
  }

  #askHere(pending: PendingCall, server: Process, request: unknown): void {
    if (server.mailbox.full) {
      throw new SkeinError('ERR_SKEIN_QUEUE_FULL', `The mailbox of ${this.#name(pending.target)} is full.`)
    }
    server.served ??= new Set()
    server.served.add(pending)
    const call = new Ref(this.#directory.origin, pending.number)
    this.#post.putCall(server, { type: 'call', from: { pid: pending.caller?.pid, call }, request })
  }

  #askThere(pending: PendingCall, bridge: Bridge, request: unknown): void {
    bridge.calls.add(pending)
    const from = pending.caller?.pid.number ?? 0
    bridge.send(pending.caller, { type: 'call', from, to: addressOf(pending.target), call: pending.number, request })
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
    pending.reject(error)
  }

  #fail(pending: PendingCall, reason: Reason): void {
    this.#settle(pending)
    pending.reject(this.#failure(pending.target, reason))
  }

  #endThere(pending: PendingCall): void {
    if (!(pending.at instanceof Bridge)) return
    const from = pending.caller?.pid.number ?? 0
    pending.at.sendSurely(pending.caller, { type: 'callEnded', from, call: pending.number })
  }

  /** Removes the call from everywhere. */
  #settle(pending: PendingCall): void {
    this.#pending.delete(pending.number)
    pending.timer?.cancel()
    pending.release?.()
    pending.caller?.calls?.delete(pending)
    if (pending.at instanceof Bridge) pending.at.calls.delete(pending)
    else pending.at.served?.delete(pending)
  }

  #forget(served: ServedCall | undefined): void {
    if (served === undefined) return
    served.bridge.served.delete(served.number)
    served.server.served?.delete(served)
  }

  #failure(target: AnyTarget, reason: Reason): SkeinError {
    const name = this.#name(target)
    const fail = (code: ErrorCode, message: string): SkeinError => new SkeinError(code, message, { cause: reason })
    if (reason === 'noproc') return fail('ERR_SKEIN_NOPROC', `There is no process ${name}.`)
    if (reason === 'noconnection') return fail('ERR_SKEIN_NOCONNECTION', `The node of ${name} cannot be reached.`)
    if (reason === 'system_limit') return fail('ERR_SKEIN_LIMIT', `The node of ${name} has too many calls to answer.`)
    return fail('ERR_SKEIN_CALL_EXIT', `${name} ended before it replied.`)
  }

  #aborted(target: AnyTarget, signal: AbortSignal): SkeinError {
    const text = `The call to ${this.#name(target)} was abandoned.`
    return new SkeinError('ERR_SKEIN_CALL_ABORTED', text, { cause: signal.reason })
  }

  #name(target: AnyTarget): string {
    const named = nameOf(target, this.#directory.origin)
    return named instanceof Pid ? named.toString() : `"${named.name}" on ${named.node}`
  }
}

const ignore = (): void => {}
