/**
 * The mailbox of a process: messages in order of arrival, and the one receive that may wait for them.
 *
 * Taking from either end costs the same however many wait (a ring); a selective receive costs as many steps as messages
 * it passes over, and those keep their order. A receive that waits is handed its message directly, one microtask away.
 *
 * Backpressure: above the high-water mark, of messages or of the bytes that came over a wire, the mailbox is pressed: lanes
 * are held (it is their Hold) and local senders hear false, until it is down to half. A receive that waits for a message which is not there yet lifts the pressure for as
 * long as it waits, because what it waits for may stand behind what is held.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Hold } from '../../transport/lane.ts'
import type { Consumer } from './behaviour.ts'
import type { FairShare } from './fair-share.ts'

/** Messages. Enough for a turn of the fastest sender; small messages at this mark take a few megabytes. */
export const MAILBOX_HIGH_WATER = 65_536

/** Messages at which a mailbox takes no more: sixteen times the mark that well-behaved senders heed. */
export const MAILBOX_LIMIT = 1_048_576

/** Bytes that came over a wire; a message of this node is handed over, and takes no room of its own. */
export const MAILBOX_HIGH_WATER_BYTES = 16 << 20

/** Bytes at which a mailbox takes no more: 64 senders with the longest message each, beyond what is held. */
export const MAILBOX_LIMIT_BYTES = 1 << 30

/** Messages up to here do not count by their bytes: the mark for messages bounds them well enough. */
const LIGHT_BYTES = 256

/** A new mailbox is this large, and shrinks to it when a flood has been worked off. A power of two. */
const INITIAL_CAPACITY = 8
/** An empty mailbox larger than this gives its memory back. */
const KEPT_CAPACITY = 4096

/** Messages one process takes before others of this turn do. */
const SLICE = 128

interface MailboxLimits {
  readonly highWater: number
  readonly limit: number
}

type Match<M> = (message: M) => boolean

interface Waiter<M> {
  readonly match: Match<M> | undefined
  readonly resolve: (message: M) => void
  readonly reject: (error: unknown) => void
  promise: Promise<unknown> | undefined
  timer: Timer | undefined
}

const ignore = (): void => {}

/** A rejection that may go unnoticed: a function that has ended leaves its promises behind. */
export const rejected = (error: unknown): Promise<never> => {
  const promise = Promise.reject(error)
  promise.catch(ignore)
  return promise
}

export class Mailbox<M = unknown> implements Hold {
  readonly #share: FairShare
  readonly #clock: Clock
  readonly #limits: MailboxLimits
  #ring: (M | undefined)[] = new Array(INITIAL_CAPACITY)
  /** Bytes of the heavy messages, at their places in the ring; undefined as long as there was none. */
  #weights: (number | undefined)[] | undefined
  #head = 0
  #size = 0
  #bytes = 0
  #waiter: Waiter<M> | undefined
  #consumer: Consumer | undefined
  /** The consumer is at work, or about to be. */
  #consuming = false
  #failed: ((error: unknown) => void) | undefined
  #pressed = false
  #relieved: (() => void)[] = []
  #drained: Promise<void> | undefined
  /** Set once closed: makes what every receive fails with. */
  #closed: (() => Error) | undefined

  constructor(share: FairShare, clock: Clock, limits: MailboxLimits) {
    this.#share = share
    this.#clock = clock
    this.#limits = limits
  }

  get size(): number {
    return this.#size
  }

  /** Above the high-water mark and not yet down to half of it. */
  get pressed(): boolean {
    return this.#pressed
  }

  /** Takes no more: whoever pushes has to ask first. */
  get full(): boolean {
    return this.#size >= this.#limits.limit || this.#bytes >= MAILBOX_LIMIT_BYTES
  }

  get isServed(): boolean {
    return this.#consumer !== undefined
  }

  /** From now on every message goes to `consumer`, one at a time; what it throws goes to `failed`, and then nothing more. */
  serve(consumer: Consumer, failed: (error: unknown) => void): void {
    this.#consumer = consumer
    this.#failed = failed
    if (this.#size > 0) this.#wake()
  }

  /**
   * Hands the message to the waiting receive or queues it; `sizeBytes` is what it was on the wire. A closed mailbox drops
   * it. Never throws.
   */
  push(message: M, sizeBytes = 0): void {
    const waiter = this.#waiter
    if (waiter !== undefined && this.#suits(waiter, message)) {
      this.#forget(waiter)
      if (this.#share.take()) waiter.resolve(message)
      else this.#share.later(() => this.#settle(waiter, message))
      return
    }
    if (this.#closed !== undefined) return
    if (this.#size === this.#ring.length) this.#resize(this.#size * 2)
    const place = (this.#head + this.#size) & (this.#ring.length - 1)
    this.#ring[place] = message
    this.#size++
    if (sizeBytes > LIGHT_BYTES) {
      this.#weights ??= new Array(this.#ring.length)
      this.#weights[place] = sizeBytes
      this.#bytes += sizeBytes
    }
    if (this.#consumer !== undefined && !this.#consuming) this.#wake()
    const isHigh = this.#size > this.#limits.highWater || this.#bytes > MAILBOX_HIGH_WATER_BYTES
    if (isHigh && this.#waiter === undefined) this.#pressed = true
  }

  /** The oldest message as an iteration step; never done, it rejects when the process is ended. */
  next(): Promise<IteratorResult<M, never>> {
    if (this.#closed !== undefined) return this.refused()
    if (this.#waiter !== undefined) return rejected(waitsAlready())
    if (this.#size === 0) {
      return this.#wait<IteratorResult<M, never>>(undefined, Number.POSITIVE_INFINITY, (value, resolve) =>
        resolve({ value, done: false }),
      )
    }
    const step: IteratorResult<M, never> = { value: this.#shift(), done: false }
    return this.#share.take() ? Promise.resolve(step) : this.#later(step)
  }

  /** The oldest message that matches; rejects with ERR_SKEIN_RECEIVE_TIMEOUT, or with what `match` threw. */
  receive(match: Match<M> | undefined, timeoutMs: number): Promise<M> {
    if (this.#closed !== undefined) return this.refused()
    if (this.#waiter !== undefined) return rejected(waitsAlready())
    let index: number
    try {
      index = match === undefined ? (this.#size > 0 ? 0 : -1) : this.#find(match)
    } catch (error) {
      return rejected(error)
    }
    if (this.#closed !== undefined) return this.refused()
    if (index >= 0) {
      const message = this.#removeAt(index)
      return this.#share.take() ? Promise.resolve(message) : this.#later(message)
    }
    if (timeoutMs <= 0) return rejected(timedOut(timeoutMs))
    return this.#wait<M>(match, timeoutMs, (message, resolve) => resolve(message))
  }

  /** Removes the oldest message that matches, if there is one. */
  remove(match: Match<M>): boolean {
    const index = this.#find(match)
    if (index >= 0) this.#removeAt(index)
    return index >= 0
  }

  /** Drops everything; receives fail with what `error` makes from now on (errors are dear, and most are never needed). */
  close(error: () => Error): void {
    if (this.#closed !== undefined) return
    this.#closed = error
    this.#consumer = undefined
    this.#ring = []
    this.#weights = undefined
    this.#size = 0
    this.#bytes = 0
    this.#head = 0
    if (this.#waiter !== undefined) this.#fail(this.#waiter, error())
    this.#relieve()
  }

  /**
   * What a function gets that asks for something after the mailbox was closed. It draws on the share as messages do: a
   * function that goes on regardless, for ever, must not keep input waiting.
   */
  refused(): Promise<never> {
    const error = this.#closed?.() ?? new SkeinError('ERR_SKEIN_PROCESS_ENDED', 'The process has ended.')
    if (this.#share.take()) return rejected(error)
    const promise = new Promise<never>((_, reject) => this.#share.later(() => reject(error)))
    promise.catch(ignore)
    return promise
  }

  onceRelieved(resume: () => void): void {
    if (this.#pressed) this.#relieved.push(resume)
    else resume()
  }

  /** Resolves when the mailbox is not pressed. */
  drained(): Promise<void> {
    if (!this.#pressed) return Promise.resolve()
    this.#drained ??= new Promise<void>((resolve) => this.#relieved.push(resolve)).then(() => {
      this.#drained = undefined
    })
    return this.#drained
  }

  #wake(): void {
    this.#consuming = true
    queueMicrotask(() => this.#consume())
  }

  #consume(): void {
    for (let slice = SLICE; slice > 0; slice--) {
      if (this.#consumer === undefined) return
      // A receive of the consumer's own, left waiting, goes first.
      if (this.#size === 0 || this.#waiter !== undefined) {
        this.#consuming = false
        return
      }
      if (!this.#share.take()) {
        this.#share.later(() => this.#consume())
        return
      }
      let working: Promise<void> | void
      try {
        working = this.#consumer(this.#shift())
      } catch (error) {
        this.#failed?.(error)
        return
      }
      if (working !== undefined) {
        working.then(
          () => this.#consume(),
          (error: unknown) => this.#failed?.(error),
        )
        return
      }
    }
    // Others have their turn in between.
    this.#wake()
  }

  #wait<T>(
    match: Match<M> | undefined,
    timeoutMs: number,
    hand: (message: M, resolve: (result: T) => void) => void,
  ): Promise<T> {
    const promise = new Promise<T>((resolve, reject) => {
      this.#waiter = {
        match,
        resolve: (message) => hand(message, resolve),
        reject,
        promise: undefined,
        timer: undefined,
      }
    })
    const waiter = this.#waiter as Waiter<M>
    waiter.promise = promise
    if (Number.isFinite(timeoutMs)) {
      waiter.timer = this.#clock.after(timeoutMs, () => this.#fail(waiter, timedOut(timeoutMs)))
    }
    this.#relieve()
    return promise
  }

  /** Asks the matching function of the waiting receive; if that throws, the receive fails and the message stays. */
  #suits(waiter: Waiter<M>, message: M): boolean {
    if (waiter.match === undefined) return true
    try {
      return waiter.match(message) && this.#waiter === waiter
    } catch (error) {
      if (this.#waiter === waiter) this.#fail(waiter, error)
      return false
    }
  }

  #fail(waiter: Waiter<M>, error: unknown): void {
    this.#forget(waiter)
    this.#reject(waiter, error)
  }

  #reject(waiter: Waiter<M>, error: unknown): void {
    waiter.promise?.catch(ignore)
    waiter.reject(error)
  }

  #forget(waiter: Waiter<M>): void {
    this.#waiter = undefined
    waiter.timer?.cancel()
  }

  #settle(waiter: Waiter<M>, message: M): void {
    if (this.#closed === undefined) waiter.resolve(message)
    else this.#reject(waiter, this.#closed())
  }

  #later<T>(value: T): Promise<T> {
    const promise = new Promise<T>((resolve, reject) => {
      this.#share.later(() => (this.#closed === undefined ? resolve(value) : reject(this.#closed())))
    })
    promise.catch(ignore)
    return promise
  }

  #relieve(): void {
    this.#pressed = false
    if (this.#relieved.length === 0) return
    const relieved = this.#relieved
    this.#relieved = []
    for (const resume of relieved) resume()
  }

  #find(match: Match<M>): number {
    for (let i = 0; i < this.#size; i++) {
      if (match(this.#ring[(this.#head + i) & (this.#ring.length - 1)] as M)) return i
    }
    return -1
  }

  #shift(): M {
    const message = this.#ring[this.#head] as M
    this.#ring[this.#head] = undefined
    if (this.#weights !== undefined) {
      this.#bytes -= this.#weights[this.#head] ?? 0
      this.#weights[this.#head] = undefined
    }
    this.#head = (this.#head + 1) & (this.#ring.length - 1)
    this.#size--
    if (this.#size === 0 && this.#ring.length > KEPT_CAPACITY) this.#resize(INITIAL_CAPACITY)
    if (this.#pressed && this.#isLow) this.#relieve()
    return message
  }

  get #isLow(): boolean {
    return this.#size < this.#limits.highWater / 2 && this.#bytes <= MAILBOX_HIGH_WATER_BYTES / 2
  }

  #removeAt(index: number): M {
    if (index === 0) return this.#shift()
    const message = this.#ring[(this.#head + index) & (this.#ring.length - 1)] as M
    this.#closeGap(this.#ring, index, message)
    if (this.#weights !== undefined) {
      this.#closeGap(this.#weights, index, this.#weights[(this.#head + index) & (this.#weights.length - 1)])
    }
    return this.#shift()
  }

  /** Those before `index` move one place back, and what was there comes to the front. */
  #closeGap<T>(ring: (T | undefined)[], index: number, removed: T | undefined): void {
    const mask = ring.length - 1
    for (let i = index; i > 0; i--) ring[(this.#head + i) & mask] = ring[(this.#head + i - 1) & mask]
    ring[this.#head] = removed
  }

  #resize(capacity: number): void {
    this.#weights = this.#bytes === 0 ? undefined : this.#unrolled(this.#weights ?? [], capacity)
    this.#ring = this.#unrolled(this.#ring, capacity)
    this.#head = 0
  }

  #unrolled<T>(ring: readonly (T | undefined)[], capacity: number): (T | undefined)[] {
    const unrolled: (T | undefined)[] = new Array(capacity)
    for (let i = 0; i < this.#size; i++) unrolled[i] = ring[(this.#head + i) & (ring.length - 1)]
    return unrolled
  }
}

const waitsAlready = (): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'This process already waits in a receive; it can wait in one only.')

const timedOut = (timeoutMs: number): SkeinError =>
  new SkeinError('ERR_SKEIN_RECEIVE_TIMEOUT', `No matching message arrived within ${timeoutMs} ms.`)
