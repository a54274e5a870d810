/**
 * A state machine at work: takes one event at a time, asks the step of the current state what follows, and does that.
 *
 * The order of things is that of OTP (gen_statem, "Transition actions"): replies; if the state changes or is repeated, the
 * enter action; postponed events come again before newer ones; inserted events come before those; timeouts last, and one
 * of 0 ms is due before whatever has yet to arrive. Work is written as generators that yield promises: where every handler
 * returns at once, nothing is awaited. Whatever ends the machine is thrown, after `terminate`, and becomes the exit reason.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { CallEntry, CastEntry } from '../../process/behaviour.ts'
import type { From } from '../../process/calls.ts'
import { INSIDE, type Self } from '../../process/self.ts'
import { announceStarted, serve } from '../../process/serve.ts'
import type { Reason } from '../../signals.ts'
import { answer, isPromise, orderToEnd, refuseUnhandled, reportUnhandled, terminated } from '../housekeeping.ts'
import type { Table, TableState, TableStep, TimeoutKey } from './definition.ts'
import type { Machine, MachineResult } from './machine.ts'
import { checkResult, insertedBy, nameOf, timeoutsIn } from './result.ts'
import { DueTimeout, Timeouts } from './timeouts.ts'

/** Events that one machine keeps until its state changes. One that waits for more has been forgotten. */
export const MAX_POSTPONED_EVENTS = 10_000

/** Inserted and once postponed events that are to be handled before the mailbox. */
const MAX_EVENTS_AHEAD = 100_000

/** A machine may insert events for ever; after so many others have their turn. */
const EVENTS_PER_TURN = 64

type MachineEvent =
  | { readonly kind: 'call'; readonly message: unknown; readonly from: From }
  | { readonly kind: 'message' | 'inserted'; readonly message: unknown }
  | { readonly kind: 'timeout'; readonly key: TimeoutKey }

/** Work that may have to wait: yields a promise and is given what it resolves with. */
type Work<T = void> = Generator<unknown, T, unknown>

export class Run {
  readonly #table: Table
  readonly #self: Self
  readonly #machine: Machine
  readonly #timeouts: Timeouts
  /** What comes before the mailbox; the next one is the last. */
  readonly #ahead: (MachineEvent | DueTimeout)[] = []
  /** Oldest first. */
  #postponed: MachineEvent[] = []
  #state: string
  #data: unknown
  #isEnding = false

  constructor(table: Table, self: Self) {
    this.#table = table
    this.#self = self
    this.#timeouts = new Timeouts(self)
    this.#state = table.initial
    this.#machine = machineOf(
      self,
      () => this.#state,
      () => this.#data,
    )
  }

  /** The process function. Whoever waits for the start goes on before the first enter action, as in OTP. */
  start(args: unknown[]): Promise<void> | void {
    return doneOf(this.#start(args))
  }

  *#start(args: unknown[]): Work {
    this.#data = yield* this.#settled(this.#table.data(...args))
    announceStarted(this.#self)
    yield* this.#guarded(this.#begin())
    serve(this.#self, (entry) => doneOf(this.#guarded(this.#take(entry))))
  }

  *#begin(): Work {
    yield* this.#enter(undefined, [])
    yield* this.#work()
  }

  *#take(entry: unknown): Work {
    const order = orderToEnd(this.#self, entry)
    if (order !== undefined) return yield* this.#end(order.reason)
    this.#ahead.push(entry instanceof DueTimeout ? entry : eventOf(entry))
    yield* this.#work()
  }

  /** An error ends the machine, but not without `terminate`. */
  *#guarded(work: Work): Work {
    try {
      yield* work
    } catch (error) {
      if (this.#isEnding || this.#hasEnded) throw error
      yield* this.#end(error)
    }
  }

  *#work(): Work {
    for (let handled = 1; this.#ahead.length > 0; handled++) {
      const next = this.#ahead.pop() as MachineEvent | DueTimeout
      if (!(next instanceof DueTimeout)) yield* this.#handle(next)
      else if (this.#timeouts.take(next)) yield* this.#handle({ kind: 'timeout', key: next.key })
      if (handled % EVENTS_PER_TURN === 0) {
        const { clock } = this.#self[INSIDE].services
        yield* this.#settled(new Promise<void>((resolve) => clock.afterInput(resolve)))
      }
    }
  }

  *#handle(event: MachineEvent): Work {
    this.#timeouts.cancel('event')
    const step = stepFor(event, this.#current)
    if (step === undefined) return this.#unhandled(event)
    const message = event.kind === 'timeout' ? undefined : event.message
    const from = event.kind === 'call' ? event.from : undefined
    const value = yield* this.#settled(step.act(this.#machine, message, from))
    const kind = event.kind === 'call' ? 'call' : 'event'
    yield* this.#follow(checkResult(value, { table: this.#table, step, kind, state: this.#state }), event)
  }

  *#follow(result: MachineResult, event: MachineEvent): Work {
    if ('data' in result) this.#data = result.data
    if (event.kind === 'call' && 'reply' in result) answer(this.#self, event.from, result.reply)
    if (result.stop !== undefined) return yield* this.#end(result.stop)
    const previous = this.#state
    const next = result.next ?? previous
    if (result.postpone === true) this.#postpone(event)
    if (next !== previous) this.#change(next)
    const inserted = insertedBy(result)
    this.#checkRoom(inserted.length)
    for (const message of [...inserted].reverse()) this.#ahead.push({ kind: 'inserted', message })
    const timeouts = timeoutsIn(result)
    if (next !== previous || result.repeat === true) yield* this.#enter(previous, timeouts)
    else this.#scheduleAll(timeouts)
  }

  #change(next: string): void {
    this.#state = next
    this.#timeouts.cancel('state')
    this.#ahead.push(...this.#postponed.reverse())
    this.#postponed = []
  }

  #postpone(event: MachineEvent): void {
    if (this.#postponed.length >= MAX_POSTPONED_EVENTS) {
      const text = `State ${this.#state} has postponed ${MAX_POSTPONED_EVENTS} events, the limit MAX_POSTPONED_EVENTS.`
      throw new SkeinError('ERR_SKEIN_LIMIT', text)
    }
    this.#postponed.push(event)
  }

  /** Events that insert more than one each would fill the memory. */
  #checkRoom(count: number): void {
    if (this.#ahead.length + count <= MAX_EVENTS_AHEAD) return
    const text = `State ${this.#state} inserts events while ${this.#ahead.length} wait, near the limit MAX_EVENTS_AHEAD.`
    throw new SkeinError('ERR_SKEIN_LIMIT', text)
  }

  /** Comes into the current state, or repeats it. `timeouts` are those of the event that led here. */
  *#enter(previous: string | undefined, timeouts: readonly [TimeoutKey, number][]): Work {
    const { enter: step, afterMs } = this.#current
    const all = [...timeouts]
    if (afterMs !== undefined && previous !== this.#state) all.unshift(['state', afterMs])
    if (step !== undefined) {
      const value = yield* this.#settled(step.act(this.#machine, previous, undefined))
      const result = checkResult(value, { table: this.#table, step, kind: 'enter', state: this.#state })
      if ('data' in result) this.#data = result.data
      if (result.stop !== undefined) return yield* this.#end(result.stop)
      all.push(...timeoutsIn(result))
    }
    this.#scheduleAll(all)
  }

  /** Later ones win. That of the next event is the last, so that whatever waits comes first and cancels it. */
  #scheduleAll(timeouts: readonly [TimeoutKey, number][]): void {
    if (timeouts.length === 0) return
    const latest = new Map(timeouts)
    const eventTimeoutMs = latest.get('event')
    latest.delete('event')
    for (const [key, ms] of latest) this.#schedule(key, ms)
    if (eventTimeoutMs !== undefined) this.#schedule('event', eventTimeoutMs)
  }

  #schedule(key: TimeoutKey, ms: number): void {
    const due = this.#timeouts.set(key, ms)
    if (due !== undefined) this.#ahead.unshift(due)
  }

  /** What others sent must not end the machine; what it brought on itself does. */
  #unhandled(event: MachineEvent): void {
    const name = event.kind === 'timeout' ? event.key : (nameOf(event.message) ?? 'without a name')
    const text = `State ${this.#state} has no handler for ${event.kind} ${name.slice(0, MAX_SHOWN)}.`
    if (event.kind === 'call') refuseUnhandled(this.#self, event.from, text)
    else if (event.kind === 'message') reportUnhandled(this.#self, event.message)
    else throw new SkeinError('ERR_SKEIN_NO_HANDLER', text)
  }

  /** Always throws: the reason, what `terminate` threw, or that the process has ended meanwhile. */
  *#end(reason: Reason): Work {
    this.#isEnding = true
    this.#timeouts.stop()
    yield* this.#settled(terminated(this.#self, this.#table.terminate?.(this.#machine, reason)))
    throw reason
  }

  /** What a function of the user gives, at once or later. A process that ended meanwhile does nothing more. */
  *#settled(value: unknown): Work<unknown> {
    const settled = isPromise(value) ? yield value : value
    if (this.#hasEnded) throw this.#self[INSIDE].process.endedError()
    return settled
  }

  get #current(): TableState {
    return this.#table.states.get(this.#state) as TableState
  }

  get #hasEnded(): boolean {
    return this.#self[INSIDE].process.ended !== undefined
  }
}

const MAX_SHOWN = 64

const machineOf = (self: Self, state: () => string, data: () => unknown): Machine => ({
  self,
  get state() {
    return state()
  },
  get data() {
    return data()
  },
})

const eventOf = (entry: unknown): MachineEvent => {
  if (entry instanceof CallEntry) return { kind: 'call', message: entry.request, from: entry.from }
  return { kind: 'message', message: entry instanceof CastEntry ? entry.message : entry }
}

const stepFor = (event: MachineEvent, state: TableState): TableStep | undefined => {
  if (event.kind === 'timeout') return state.timeouts.get(event.key)
  const name = nameOf(event.message)
  if (name === undefined) return undefined
  return event.kind === 'call' ? state.calls.get(name) : state.on.get(name)
}

/** Does the work: now, if it never waits. */
const doneOf = (work: Work): Promise<void> | void => {
  const step = work.next()
  if (step.done !== true) return rest(work, step.value)
}

const rest = async (work: Work, waiting: unknown): Promise<void> => {
  let step: IteratorResult<unknown, void> = { done: false, value: waiting }
  while (step.done !== true) {
    let value: unknown
    try {
      value = await step.value
    } catch (error) {
      step = work.throw(error)
      continue
    }
    step = work.next(value)
  }
}
