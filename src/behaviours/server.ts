/**
 * A GenServer at work: takes entries one at a time, calls the functions of its spec, and does what their results say.
 *
 * Whatever ends the server is thrown, reasons of an orderly stop too, and the process layer makes it the exit reason; but
 * first `terminate` runs, once. Functions that return at once cost no promise. The process may be ended from outside
 * while a function waits; from then on results are dropped.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import { CallEntry, CastEntry } from '../process/behaviour.ts'
import type { From } from '../process/calls.ts'
import type { Process } from '../process/process.ts'
import { INSIDE, type Self, type Services } from '../process/self.ts'
import { announceStarted, serve } from '../process/serve.ts'
import type { Reason } from '../signals.ts'
import { type AnyResult, type AnySpec, checkInitial, checkResult, type HandlerName } from './gen-server-spec.ts'
import { answer, isPromise, orderToEnd, refuseUnhandled, reportUnhandled, terminated } from './housekeeping.ts'
import { KeptState, StoreFailure } from './kept-state.ts'

/** `handleContinue` may ask to be called again for ever; after so many times others have their turn. */
const CONTINUES_PER_TURN = 64

type Working = Promise<void> | void

export class Server {
  readonly #spec: AnySpec
  readonly #self: Self
  readonly #process: Process
  readonly #services: Services
  #status: 'serving' | 'ending' = 'serving'
  #state: unknown
  #kept: KeptState | undefined
  #continuation: { readonly value: unknown } | undefined
  #timeout: Timer | undefined
  /** A timeout must not outlive the process. */
  #watchesEnd = false

  constructor(spec: AnySpec, self: Self) {
    const { process, services } = self[INSIDE]
    this.#spec = spec
    this.#self = self
    this.#process = process
    this.#services = services
  }

  /** Runs `init`; the process function. */
  start(args: unknown[]): Working {
    const { persist, initTimeoutMs } = this.#spec
    if (persist !== undefined || initTimeoutMs !== undefined) return this.#startLater(args)
    const initial = this.#spec.init(this.#self, ...args)
    return isPromise(initial) ? Promise.resolve(initial).then((value) => this.#begin(value)) : this.#begin(initial)
  }

  async #startLater(args: unknown[]): Promise<void> {
    const { persist, initTimeoutMs = Number.POSITIVE_INFINITY } = this.#spec
    const late = after(this.#services.clock, initTimeoutMs, () => {
      if (this.#process.ended !== undefined) return
      const text = `init did not return within ${initTimeoutMs} ms.`
      this.#services.failed(this.#process, new SkeinError('ERR_SKEIN_HANDLER_TIMEOUT', text))
    })
    try {
      if (persist !== undefined) this.#kept = new KeptState(persist, args, this.#self)
      const saved = await this.#kept?.load()
      const initial = await this.#spec.init(this.#self, ...args)
      late?.cancel()
      await this.#begin(initial, saved)
    } finally {
      late?.cancel()
    }
  }

  /** `init` is through. Whoever waits for the start goes on before `handleContinue` runs, as in OTP. */
  #begin(initial: unknown, saved?: { readonly state: unknown }): Working {
    if (this.#process.ended !== undefined) throw this.#process.endedError()
    const outcome = checkInitial(this.#spec, initial)
    if (outcome.stop !== undefined) throw outcome.stop
    const { restore } = this.#spec.persist ?? {}
    if (saved === undefined) this.#state = outcome.state
    else this.#state = restore === undefined ? saved.state : restore(saved.state, outcome.state)
    this.#proceed(outcome, undefined)
    announceStarted(this.#self)
    if (this.#continuation === undefined) this.#serve()
    else return this.#settle(undefined).then(() => this.#serve())
  }

  #serve(): void {
    if (this.#process.ended !== undefined) throw this.#process.endedError()
    serve(this.#self, (entry) => this.#take(entry))
  }

  #take(entry: unknown): Working {
    if (this.#timeout !== undefined) this.#forgetTimeout()
    try {
      const working = this.#handle(entry)
      if (working !== undefined || this.#continuation !== undefined) return this.#settle(working)
    } catch (error) {
      return this.#fail(error)
    }
  }

  #handle(entry: unknown): Working {
    const spec = this.#spec
    if (entry instanceof CastEntry) {
      if (spec.handleCast === undefined) return reportUnhandled(this.#self, entry.message)
      return this.#follow('handleCast', spec.handleCast(entry.message, this.#state, this.#self))
    }
    if (entry instanceof CallEntry) {
      const { from, request } = entry
      if (spec.handleCall === undefined) return refuseUnhandled(this.#self, from, 'Its behaviour has no handleCall.')
      return this.#follow('handleCall', spec.handleCall(request, from, this.#state, this.#self), from)
    }
    if (entry instanceof StoreFailure) throw entry.error
    const order = orderToEnd(this.#self, entry)
    if (order !== undefined) return this.#finish(order.reason)
    if (spec.handleInfo === undefined) return reportUnhandled(this.#self, entry)
    return this.#follow('handleInfo', spec.handleInfo(entry, this.#state, this.#self))
  }

  /** Waits for what a function left unfinished, then for everything it wants done before the next message. */
  async #settle(working: Working): Promise<void> {
    try {
      await working
      for (let count = 1; this.#continuation !== undefined; count++) {
        const { value } = this.#continuation
        this.#continuation = undefined
        await this.#follow('handleContinue', this.#spec.handleContinue?.(value, this.#state, this.#self))
        if (count % CONTINUES_PER_TURN === 0) {
          await new Promise<void>((resolve) => this.#services.clock.afterInput(resolve))
        }
      }
    } catch (error) {
      await this.#fail(error)
    }
  }

  #follow(handler: HandlerName, result: unknown, from?: From): Working {
    if (result === undefined) return
    if (isPromise(result)) return Promise.resolve(result).then((value) => this.#apply(handler, value, from))
    return this.#apply(handler, result, from)
  }

  #apply(handler: HandlerName, value: unknown, from: From | undefined): Working {
    if (value === undefined || this.#process.ended !== undefined) return
    const result = checkResult(this.#spec, handler, value)
    if ('state' in result) {
      this.#state = result.state
      const saving = this.#kept?.changed(result.state)
      if (saving !== undefined) return saving.then(() => this.#proceed(result, from))
    }
    return this.#proceed(result, from)
  }

  #proceed(result: AnyResult, from: From | undefined): Working {
    if (this.#process.ended !== undefined) return
    const replies = from !== undefined && 'reply' in result
    if (result.stop !== undefined) {
      return this.#finish(result.stop, replies ? () => answer(this.#self, from, result.reply) : undefined)
    }
    if (replies) answer(this.#self, from, result.reply)
    if (result.timeoutMs !== undefined) this.#expectMessage(result.timeoutMs)
    if (result.continue !== undefined) this.#continuation = { value: result.continue }
  }

  /** Tells `handleInfo` if none comes. */
  #expectMessage(timeoutMs: number): void {
    if (this.#timeout !== undefined) this.#forgetTimeout()
    if (!this.#watchesEnd) {
      this.#watchesEnd = true
      this.#process.signal.addEventListener('abort', () => this.#forgetTimeout())
    }
    this.#timeout = after(this.#services.clock, timeoutMs, () => {
      this.#timeout = undefined
      const { mailbox } = this.#process
      // Whatever waits there came first.
      if (mailbox.size === 0) this.#services.post.put(this.#process, { type: 'timeout' })
    })
  }

  #forgetTimeout(): void {
    this.#timeout?.cancel()
    this.#timeout = undefined
  }

  /** A function of the spec, or the store, failed. */
  #fail(error: unknown): Working {
    if (this.#status === 'ending' || this.#process.ended !== undefined) throw error
    this.#kept?.discard()
    return this.#finish(error)
  }

  /** Ends the server: always throws, at once or later. What `terminate` throws replaces the reason. */
  #finish(reason: Reason, reply?: () => void): Working {
    this.#status = 'ending'
    const { terminate } = this.#spec
    if (terminate === undefined && this.#kept === undefined) {
      reply?.()
      throw reason
    }
    return this.#finishLater(reason, reply)
  }

  async #finishLater(reason: Reason, reply: (() => void) | undefined): Promise<void> {
    try {
      await terminated(this.#self, this.#spec.terminate?.(reason, this.#state, this.#self))
      await this.#kept?.flush()
    } finally {
      reply?.()
    }
    throw this.#process.ended === undefined ? reason : this.#process.endedError()
  }
}

const after = (clock: Clock, ms: number, fn: () => void): Timer | undefined =>
  ms === Number.POSITIVE_INFINITY ? undefined : clock.after(ms, fn)
