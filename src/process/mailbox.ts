/**
 * The mailbox of a process: messages in order of arrival, and who takes them: the one receive that may wait, or, in a
 * process that serves, its consumer.
 *
 * A selective receive costs as many steps as messages it passes over, and those keep their order. A message goes to the
 * receive that waits for it at once, and cannot be taken by anybody else; the function goes on when its turn comes.
 *
 * Backpressure: above the high-water mark, of messages or of the bytes that came over a wire, the mailbox is pressed: lanes
 * are held (it is their Hold) and local senders hear false, until it is down to half. A receive that waits for a message
 * which is not there yet lifts the pressure for as long as it waits, because what it waits for may stand behind what is
 * held. A mailbox whose policy is to drop or to exit is never pressed. What is done when a mailbox is full is decided in
 * post.ts and overflow.ts, not here.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Hold } from '../../transport/lane.ts'
import { type Consumer, Entry, type MailboxOptions, Notice, type WhenFull } from './behaviour.ts'
import type { FairShare, Runnable } from './fair-share.ts'
import { Ring } from './ring.ts'
import { Traced } from './tracing.ts'

/** Messages. Enough for a turn of the fastest sender; small messages at this mark take a few megabytes. */
export const MAILBOX_HIGH_WATER = 65_536

/** A mailbox that blocks its senders takes so many times its high-water mark from those who do not heed it. */
const BLOCK_FACTOR = 16

/** Messages at which a mailbox takes no more from anybody, whatever its policy. */
export const MAILBOX_LIMIT = MAILBOX_HIGH_WATER * BLOCK_FACTOR

/** Bytes that came over a wire; a message of this node is handed over, and takes no room of its own. */
export const MAILBOX_HIGH_WATER_BYTES = 16 << 20

/** Bytes at which a mailbox takes no more: 64 senders with the longest message each, beyond what is held. */
export const MAILBOX_LIMIT_BYTES = 1 << 30

/** Messages up to here do not count by their bytes: the mark for messages bounds them well enough. */
const LIGHT_BYTES = 256

/** Messages a serving process takes before others have their turn. */
const SLICE = 128

/** Entries looked at to find one that may be dropped. If all of these must stay, the newest is dropped. */
const MAX_DROP_SCAN = 1024

/** What an entry is to those who may have to drop it: system messages must stay, callers must be told. */
export type Kind = 'message' | 'call' | 'system'

/** The ring's note of an entry: its bytes if it is heavy, times so many, plus the place of its kind. */
const KINDS: readonly Kind[] = ['message', 'call', 'system']

export interface MailboxLimits {
  readonly onFull: WhenFull
  /** Messages above which senders are held back if it blocks; otherwise as `limit`. */
  readonly highWater: number
  /** Messages at which there is no room for one more. */
  readonly limit: number
  /** Messages at which there is no room even for what cannot be refused. */
  readonly hardLimit: number
}

/** What a mailbox with these options holds; `usual` where there are none. Throws ERR_SKEIN_BAD_ARGUMENT. */
export const mailboxLimits = (options: MailboxOptions | undefined, usual: MailboxLimits): MailboxLimits => {
  if (options === undefined) return usual
  const { limit, onFull } = options
  if (!Number.isInteger(limit) || limit < 1 || limit > MAILBOX_LIMIT) {
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `The limit of a mailbox is a number from 1 to ${MAILBOX_LIMIT}.`)
  }
  if (!POLICIES.includes(onFull)) {
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', `onFull of a mailbox is one of ${POLICIES.join(', ')}.`)
  }
  const roomy = onFull === 'block' ? Math.min(limit * BLOCK_FACTOR, MAILBOX_LIMIT) : limit
  return { onFull, highWater: limit, limit: roomy, hardLimit: MAILBOX_LIMIT }
}

const POLICIES: readonly WhenFull[] = ['dropNewest', 'dropOldest', 'exit', 'block']

type Match<M> = (message: M) => boolean

const ignore = (): void => {}

/** A rejection that may go unnoticed: a function that has ended leaves its promises behind. */
export const rejected = (error: unknown): Promise<never> => {
  const promise = Promise.reject(error)
  promise.catch(ignore)
  return promise
}

/** A receive that waits, and then, with its message, for its turn. */
class Waiter<M> implements Runnable {
  readonly #mailbox: Mailbox<M>
  readonly match: Match<M> | undefined
  readonly #isStep: boolean
  readonly promise: Promise<unknown>
  #resolve!: (result: unknown) => void
  #reject!: (error: unknown) => void
  #message: M | undefined
  timer: Timer | undefined

  constructor(mailbox: Mailbox<M>, match: Match<M> | undefined, isStep: boolean) {
    this.#mailbox = mailbox
    this.match = match
    this.#isStep = isStep
    this.promise = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  hand(message: M): void {
    this.#message = message
  }

  /** Its turn has come; meanwhile the process may have ended. */
  run(): void {
    const error = this.#mailbox.closedError()
    const message = this.#message as M
    if (error !== undefined) this.fail(error)
    else this.#resolve(this.#isStep ? { value: message, done: false } : message)
  }

  fail(error: unknown): void {
    this.promise.catch(ignore)
    this.#reject(error)
  }
}

export class Mailbox<M = unknown> implements Hold, Runnable {
  readonly #share: FairShare
  readonly #clock: Clock
  readonly #limits: MailboxLimits
  readonly #ring = new Ring<M>()
  #bytes = 0
  #waiter: Waiter<M> | undefined
  #consumer: Consumer | undefined
  #failed: ((error: unknown) => void) | undefined
  /** What was pushed is not all for a receive. */
  #hasNotices = false
  /** The consumer is at work, or waits for its turn. */
  #consuming = false
  #pressed = false
  #relieved: (() => void)[] | undefined
  #drained: Promise<void> | undefined
  /** Set once closed: makes what every receive fails with. */
  #closed: (() => Error) | undefined

  constructor(share: FairShare, clock: Clock, limits: MailboxLimits) {
    this.#share = share
    this.#clock = clock
    this.#limits = limits
  }

  get size(): number {
    return this.#ring.size
  }

  /** Of those that came over a wire and are not short. */
  get sizeBytes(): number {
    return this.#bytes
  }

  get limits(): MailboxLimits {
    return this.#limits
  }

  /** Above the high-water mark and not yet down to half of it. */
  get pressed(): boolean {
    return this.#pressed
  }

  /** There is no room for one more: whoever pushes has to ask first. */
  get full(): boolean {
    return this.#ring.size >= this.#limits.limit || this.#bytes >= MAILBOX_LIMIT_BYTES
  }

  /** There is no room even for what cannot be refused. */
  get bursting(): boolean {
    return this.#ring.size >= this.#limits.hardLimit || this.#bytes >= MAILBOX_LIMIT_BYTES
  }

  /** Local senders are told that it is full, by an error. */
  get refuses(): boolean {
    return this.full && this.#limits.onFull === 'block'
  }

  get isServed(): boolean {
    return this.#consumer !== undefined
  }

  /** Nothing happens here until a message comes. */
  get isWaiting(): boolean {
    return this.#waiter !== undefined || (this.#consumer !== undefined && !this.#consuming)
  }

  /** From now on every message goes to `consumer`, one at a time; what it throws goes to `failed`, and then nothing more. */
  serve(consumer: Consumer, failed: (error: unknown) => void): void {
    if (this.#closed !== undefined) return
    this.#consumer = consumer
    this.#failed = failed
    this.#wake()
  }

  /**
   * Hands the message to the waiting receive or queues it; `sizeBytes` is what it was on the wire. A closed mailbox drops
   * it. Never throws.
   */
  push(message: M, sizeBytes = 0, kind: Kind = 'message'): void {
    const waiter = this.#waiter
    const isNotice = kind === 'system' && message instanceof Notice
    if (waiter !== undefined && !isNotice && this.#suits(waiter, message)) {
      waiter.hand(taken(message))
      this.#forget(waiter)
      this.#share.soon(waiter)
      return
    }
    if (this.#closed !== undefined) return
    if (isNotice) this.#hasNotices = true
    const { highWater, onFull } = this.#limits
    const weight = sizeBytes > LIGHT_BYTES ? sizeBytes : 0
    this.#bytes += weight
    this.#ring.push(message, weight * KINDS.length + (onFull === 'dropOldest' ? KINDS.indexOf(kind) : 0))
    if (!this.#consuming) this.#wake()
    const isHigh = this.#ring.size > highWater || this.#bytes > MAILBOX_HIGH_WATER_BYTES
    if (isHigh && this.#waiter === undefined && onFull === 'block') this.#pressed = true
  }

  /** Takes out the oldest entry that is no system message. Undefined: all of those looked at have to stay. */
  dropOldest(): { readonly entry: M; readonly kind: Kind } | undefined {
    const scanned = Math.min(this.#ring.size, MAX_DROP_SCAN)
    for (let index = 0; index < scanned; index++) {
      const kind = KINDS[this.#ring.noteAt(index) % KINDS.length] as Kind
      if (kind !== 'system') return { entry: untraced(this.#takeAt(index)), kind }
    }
    return undefined
  }

  /** The oldest message as an iteration step; never done, it rejects when the process is ended. */
  next(): Promise<IteratorResult<M, never>> {
    if (this.#closed !== undefined) return this.refused()
    if (this.#waiter !== undefined) return rejected(waitsAlready())
    const index = this.#oldest
    if (index < 0) return this.#wait(undefined, Number.POSITIVE_INFINITY, true) as Promise<IteratorResult<M, never>>
    const step: IteratorResult<M, never> = { value: taken(this.#takeAt(index)), done: false }
    return this.#share.take() ? Promise.resolve(step) : this.#later(step)
  }

  /** The oldest message that matches; rejects with ERR_SKEIN_RECEIVE_TIMEOUT, or with what `match` threw. */
  receive(match: Match<M> | undefined, timeoutMs: number): Promise<M> {
    if (this.#closed !== undefined) return this.refused()
    if (this.#waiter !== undefined) return rejected(waitsAlready())
    let index: number
    try {
      index = match === undefined ? this.#oldest : this.#find(match)
    } catch (error) {
      return rejected(error)
    }
    if (this.#closed !== undefined) return this.refused()
    if (index >= 0) {
      const message = taken(this.#takeAt(index))
      return this.#share.take() ? Promise.resolve(message) : this.#later(message)
    }
    if (timeoutMs <= 0) return rejected(timedOut(timeoutMs))
    return this.#wait(match, timeoutMs, false) as Promise<M>
  }

  /** Removes the oldest message that matches, if there is one. */
  remove(match: Match<M>): boolean {
    const index = this.#find(match)
    if (index >= 0) this.#takeAt(index)
    return index >= 0
  }

  /** Drops everything; receives fail with what `error` makes from now on (errors are dear, and most are never needed). */
  close(error: () => Error): void {
    if (this.#closed !== undefined) return
    this.#closed = error
    this.#consumer = undefined
    this.#ring.clear()
    this.#bytes = 0
    const waiter = this.#waiter
    if (waiter !== undefined) {
      this.#forget(waiter)
      waiter.fail(error())
    }
    this.#relieve()
  }

  /** What receives fail with, once closed. */
  closedError(): Error | undefined {
    return this.#closed?.()
  }

  /**
   * What a function gets that asks for something after the mailbox was closed. It draws on the share as messages do: a
   * function that goes on regardless, for ever, must not keep input waiting.
   */
  refused(): Promise<never> {
    const error = this.#closed?.() ?? new SkeinError('ERR_SKEIN_PROCESS_ENDED', 'The process has ended.')
    if (this.#share.take()) return rejected(error)
    const promise = new Promise<never>((_, reject) => this.#share.soon({ run: () => reject(error) }))
    promise.catch(ignore)
    return promise
  }

  onceRelieved(resume: () => void): void {
    if (!this.#pressed) resume()
    else if (this.#relieved === undefined) this.#relieved = [resume]
    else this.#relieved.push(resume)
  }

  /** Resolves when the mailbox is not pressed. */
  drained(): Promise<void> {
    if (!this.#pressed) return Promise.resolve()
    this.#drained ??= new Promise<void>((resolve) => this.onceRelieved(resolve)).then(() => {
      this.#drained = undefined
    })
    return this.#drained
  }

  /** The consumer's turn: a slice of what waits. */
  run(): void {
    for (let count = 0; count < SLICE; count++) {
      if (this.#consumer === undefined) return
      if (!this.#mayConsume) {
        this.#consuming = false
        return
      }
      // The first one is on the share of the turn.
      if (count > 0 && !this.#share.take()) break
      let working: Promise<void> | void
      try {
        const entry = this.#takeAt(0)
        working = entry instanceof Traced ? entry.handle(this.#consumer) : this.#consumer(entry)
      } catch (error) {
        this.#failed?.(error)
        return
      }
      if (working !== undefined) {
        working.then(
          () => this.#goOn(),
          (error: unknown) => this.#failed?.(error),
        )
        return
      }
    }
    this.#share.soon(this)
  }

  /** The consumer is through with what took it some time. */
  #goOn(): void {
    if (this.#mayConsume && !this.#share.take()) this.#share.soon(this)
    else this.run()
  }

  /** A receive of the consumer's own, left waiting, goes first. */
  get #mayConsume(): boolean {
    return this.#ring.size > 0 && this.#waiter === undefined
  }

  #wake(): void {
    if (this.#consuming || this.#consumer === undefined || !this.#mayConsume) return
    this.#consuming = true
    this.#share.soon(this)
  }

  #wait(match: Match<M> | undefined, timeoutMs: number, isStep: boolean): Promise<unknown> {
    const waiter = new Waiter<M>(this, match, isStep)
    this.#waiter = waiter
    if (Number.isFinite(timeoutMs)) {
      waiter.timer = this.#clock.after(timeoutMs, () => {
        this.#forget(waiter)
        waiter.fail(timedOut(timeoutMs))
      })
    }
    this.#relieve()
    return waiter.promise
  }

  /** Asks the matching function of the waiting receive; if that throws, the receive fails and the message stays. */
  #suits(waiter: Waiter<M>, message: M): boolean {
    if (waiter.match === undefined) return true
    try {
      return waiter.match(opened(message)) && this.#waiter === waiter
    } catch (error) {
      if (this.#waiter === waiter) {
        this.#forget(waiter)
        waiter.fail(error)
      }
      return false
    }
  }

  #forget(waiter: Waiter<M>): void {
    this.#waiter = undefined
    waiter.timer?.cancel()
    this.#wake()
  }

  #later<T>(value: T): Promise<T> {
    const promise = new Promise<T>((resolve, reject) => {
      const run = (): void => (this.#closed === undefined ? resolve(value) : reject(this.#closed()))
      this.#share.soon({ run })
    })
    promise.catch(ignore)
    return promise
  }

  #relieve(): void {
    this.#pressed = false
    const relieved = this.#relieved
    if (relieved === undefined) return
    this.#relieved = undefined
    for (const resume of relieved) resume()
  }

  get #oldest(): number {
    if (this.#hasNotices) return this.#find(() => true)
    return this.#ring.size > 0 ? 0 : -1
  }

  #find(match: Match<M>): number {
    for (let i = 0; i < this.#ring.size; i++) {
      const entry = this.#ring.at(i)
      if (!(entry instanceof Notice) && match(opened(entry))) return i
    }
    return -1
  }

  /** The one at this place, as it was pushed. */
  #takeAt(index: number): M {
    if (this.#bytes > 0) this.#bytes -= Math.floor(this.#ring.noteAt(index) / KINDS.length)
    const entry = index === 0 ? this.#ring.shift() : this.#ring.take(index)
    if (this.#pressed && this.#isLow) this.#relieve()
    return entry
  }

  get #isLow(): boolean {
    return this.#ring.size < this.#limits.highWater / 2 && this.#bytes <= MAILBOX_HIGH_WATER_BYTES / 2
  }
}

/** An entry for a consumer, as a receive gives it. */
const opened = <M>(entry: M): M => (entry instanceof Entry ? (entry.open() as M) : entry)

/** As `opened`, for the receive that gets it. */
const taken = <M>(entry: M): M => (entry instanceof Entry ? (entry.take() as M) : entry)

const untraced = <M>(entry: M): M => (entry instanceof Traced ? (entry.entry as M) : entry)

const waitsAlready = (): SkeinError =>
  new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'This process already waits in a receive; it can wait in one only.')

const timedOut = (timeoutMs: number): SkeinError =>
  new SkeinError('ERR_SKEIN_RECEIVE_TIMEOUT', `No matching message arrived within ${timeoutMs} ms.`)
