/**
 * Virtual time: the clock of the simulator. Time stands still while something runs and jumps to the next event after it.
 *
 * One event is one turn, as on Node's event loop. The order is total, so a run is reproducible:
 *  1. `endOfTurn` functions run right after the turn that asked for them and its microtasks, oldest first;
 *  2. `afterInput` functions stand in the queue as events of the current time: behind all that is already due now, before
 *     everything that becomes due later, be it by insertion or by time;
 *  3. timers run by time, those of equal time in the order they were made.
 *
 * `advance` and `runUntil` are synchronous: for cores without promises. `run` drains promises and `process.nextTick`
 * between turns, so actors keep step with virtual time. What waits for the machine itself (a thread pool, a file, a
 * socket) is not virtual: await such things before `run`, or the outcome depends on the machine.
 */
import { SkeinError } from '../certs/errors.ts'
import type { Clock, Timer } from './clock.ts'

/** The calendar at virtual time 0: 2030-01-01T00:00:00Z. Any fixed moment would do. */
const EPOCH_MS = 1_893_456_000_000
/** Beyond this number of events a run counts as one that never ends. */
const DEFAULT_MAX_EVENTS = 50_000_000
/** About 285 years. */
const MAX_DELAY_MS = 9e12
/** Immediates made at once by `run`: few enough to stop soon, many enough to make one pass of Node's event loop cheap. */
const TURNS_PER_PASS = 64
/** Below this many cancelled events the queue is not worth rebuilding. */
const MIN_CANCELLED_TO_REBUILD = 1024

class Event implements Timer {
  readonly atMs: number
  readonly order: number
  readonly background: boolean
  /** Undefined once it ran or was cancelled. */
  fn: (() => void) | undefined
  readonly #clock: VirtualClock

  constructor(clock: VirtualClock, atMs: number, order: number, background: boolean, fn: () => void) {
    this.#clock = clock
    this.atMs = atMs
    this.order = order
    this.background = background
    this.fn = fn
  }

  cancel(): void {
    if (this.fn === undefined) return
    this.fn = undefined
    this.#clock.forget(this)
  }
}

const isBefore = (a: Event, b: Event): boolean => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)

/** When `VirtualClock.run` stops. */
export interface RunOptions {
  /** Stop when the next event lies behind this virtual time; the clock then stands at it. */
  readonly untilMs?: number
  /** Stop as soon as this is true; asked after every turn. */
  readonly until?: () => boolean
  /** More events than this are taken for a run without end: ERR_SKEIN_LIMIT. */
  readonly maxEvents?: number
}

/** Why `run` stopped: the condition came true, the time was reached, or nothing was left to happen. */
export type RunOutcome = 'condition' | 'time' | 'idle'

export class VirtualClock implements Clock {
  #nowMs = 0
  #order = 0
  /** Binary heap: children of i at 2i+1 and 2i+2. Cancelled events stay until they surface or the heap is rebuilt. */
  #heap: Event[] = []
  #cancelled = 0
  /** Events that keep a run going. */
  #foreground = 0
  #endOfTurn: (() => void)[] = []
  #running = false
  #eventCount = 0

  now(): number {
    return this.#nowMs
  }

  wallNow(): number {
    return EPOCH_MS + this.#nowMs
  }

  /** How many things are still to happen, background timers included. */
  get pending(): number {
    return this.#heap.length - this.#cancelled + this.#endOfTurn.length
  }

  /** How many events have happened since the start. */
  get eventCount(): number {
    return this.#eventCount
  }

  after(ms: number, fn: () => void, background = false): Timer {
    // A delay that is not a number would break the order of the heap, an endless one the arithmetic.
    const delayMs = ms > 0 ? Math.min(ms, MAX_DELAY_MS) : 0
    return this.#insert(this.#nowMs + delayMs, background, fn)
  }

  endOfTurn(fn: () => void): void {
    this.#endOfTurn.push(fn)
  }

  afterInput(fn: () => void): void {
    this.#insert(this.#nowMs, false, fn)
  }

  /** Synchronous: runs all that is due up to this time; the clock then stands at it. */
  runUntil(untilMs: number): void {
    this.#exclusively(() => {
      while (this.#turn(untilMs)) this.#endTurn()
      this.#jumpTo(untilMs)
    })
  }

  /** Synchronous: as `runUntil`, from now on. */
  advance(ms: number): void {
    this.runUntil(this.#nowMs + ms)
  }

  /**
   * Runs events with all promises drained between turns. Without `untilMs` and `until` it ends when only background
   * timers are left. Rejects with what a callback threw, or ERR_SKEIN_LIMIT after `maxEvents`.
   */
  run(options: RunOptions = {}): Promise<RunOutcome> {
    this.#start()
    const { until, maxEvents = DEFAULT_MAX_EVENTS, untilMs } = options
    const lastEvent = this.#eventCount + maxEvents
    /** One turn; the outcome if there is none left to run. */
    const turn = (): RunOutcome | undefined => {
      if (until?.() === true) return 'condition'
      if (this.#eventCount >= lastEvent) {
        const message = `${maxEvents} events did not bring the run to its end (virtual time ${this.#nowMs} ms).`
        throw new SkeinError('ERR_SKEIN_LIMIT', message)
      }
      if (this.#endOfTurn.length > 0) {
        this.#endTurnOnce()
        return undefined
      }
      if (untilMs === undefined && until === undefined && this.#foreground === 0) return 'idle'
      if (this.#turn(untilMs ?? Number.POSITIVE_INFINITY)) return undefined
      if (untilMs === undefined) return 'idle'
      this.#jumpTo(untilMs)
      return 'time'
    }
    return new Promise((resolve, reject) => {
      let ended = false
      const step = (): void => {
        if (ended) return
        try {
          const outcome = turn()
          if (outcome === undefined) return
          resolve(outcome)
        } catch (error) {
          reject(error)
        }
        ended = true
        this.#running = false
      }
      // Node runs all microtasks and next ticks after every single immediate. So a batch of immediates, one turn each, is
      // a full drain between turns for a fraction of the cost of going around the event loop for each.
      const pass = (): void => {
        step()
        if (ended) return
        for (let i = 1; i < TURNS_PER_PASS; i++) setImmediate(step)
        setImmediate(pass)
      }
      setImmediate(pass)
    })
  }

  /** @internal Called by an event that was cancelled. */
  forget(event: Event): void {
    if (!event.background) this.#foreground--
    this.#cancelled++
    if (this.#cancelled < MIN_CANCELLED_TO_REBUILD || this.#cancelled * 2 < this.#heap.length) return
    this.#heap = this.#heap.filter((one) => one.fn !== undefined)
    this.#cancelled = 0
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#sink(i, this.#heap[i]!)
  }

  #start(): void {
    if (this.#running) throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'The virtual clock is already running.')
    this.#running = true
  }

  #exclusively(work: () => void): void {
    this.#start()
    try {
      this.#endTurn()
      work()
    } finally {
      this.#running = false
    }
  }

  #jumpTo(ms: number): void {
    if (ms > this.#nowMs) this.#nowMs = ms
  }

  /** Runs the next event unless it lies behind `untilMs`. */
  #turn(untilMs: number): boolean {
    const event = this.#next(untilMs)
    if (event === undefined) return false
    const fn = event.fn!
    event.fn = undefined
    if (!event.background) this.#foreground--
    this.#jumpTo(event.atMs)
    this.#eventCount++
    fn()
    return true
  }

  #endTurn(): void {
    while (this.#endOfTurn.length > 0) this.#endTurnOnce()
  }

  /** The functions asked for so far; what they ask for in turn comes next, still before any other event. */
  #endTurnOnce(): void {
    const functions = this.#endOfTurn
    this.#endOfTurn = []
    this.#eventCount += functions.length
    for (const fn of functions) fn()
  }

  #next(untilMs: number): Event | undefined {
    for (;;) {
      const top = this.#heap[0]
      if (top === undefined) return undefined
      if (top.fn === undefined) this.#cancelled--
      else if (top.atMs > untilMs) return undefined
      const last = this.#heap.pop()!
      if (last !== top) this.#sink(0, last)
      if (top.fn !== undefined) return top
    }
  }

  #insert(atMs: number, background: boolean, fn: () => void): Event {
    const event = new Event(this, atMs, this.#order++, background, fn)
    if (!background) this.#foreground++
    const heap = this.#heap
    let index = heap.length
    heap.push(event)
    while (index > 0) {
      const parentIndex = (index - 1) >> 1
      const parent = heap[parentIndex]!
      if (!isBefore(event, parent)) break
      heap[index] = parent
      index = parentIndex
    }
    heap[index] = event
    return event
  }

  /** Puts `event` at `index` or below, where it belongs. */
  #sink(start: number, event: Event): void {
    const heap = this.#heap
    const length = heap.length
    let index = start
    for (;;) {
      let childIndex = 2 * index + 1
      if (childIndex >= length) break
      if (childIndex + 1 < length && isBefore(heap[childIndex + 1]!, heap[childIndex]!)) childIndex++
      const child = heap[childIndex]!
      if (!isBefore(child, event)) break
      heap[index] = child
      index = childIndex
    }
    heap[index] = event
  }
}
