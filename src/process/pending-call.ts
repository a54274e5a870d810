/**
 * Calls that this node waits for: one of them, and the table of all by number.
 */
import type { Bridge } from './bridge.ts'
import { Deadline } from './deadlines.ts'
import type { AnyTarget } from './directory.ts'
import { type Patience, quiet } from './patience.ts'
import type { Process } from './process.ts'

/** A call that a process or program of this node waits for. */
export class PendingCall extends Deadline {
  readonly kind = 'pending'
  readonly number: number
  readonly caller: Process | undefined
  readonly target: AnyTarget
  readonly at: Process | Bridge
  /** The node of the target answers, and nobody else. */
  readonly inspects: boolean
  readonly promise: Promise<unknown>
  resolve!: (value: unknown) => void
  /** In place of a deadline, for a call that can also be abandoned. */
  patience: Patience | undefined
  #reject!: (error: unknown) => void
  readonly #onExpired: (call: PendingCall, timeoutMs: number) => void

  constructor(
    number: number,
    caller: Process | undefined,
    target: AnyTarget,
    at: Process | Bridge,
    inspects: boolean,
    onExpired: (call: PendingCall, timeoutMs: number) => void,
  ) {
    super()
    this.number = number
    this.caller = caller
    this.target = target
    this.at = at
    this.inspects = inspects
    this.#onExpired = onExpired
    this.promise = new Promise((resolve, reject) => {
      this.resolve = resolve
      this.#reject = reject
    })
  }

  /** A rejection that nobody awaits goes unnoticed. */
  reject(error: unknown): void {
    void quiet(this.promise)
    this.#reject(error)
  }

  expire(timeoutMs: number): void {
    this.#onExpired(this, timeoutMs)
  }
}

/** A power of two. */
const INITIAL_SLOTS = 64
/** An empty table larger than this gives its memory back. */
const KEPT_SLOTS = 4096

/**
 * Finds calls by number, faster than a Map does while calls come and go: the slot of a call is the low bits of its number,
 * and numbers whose slot is taken are left out.
 */
export class CallTable {
  #slots: (PendingCall | undefined)[] = new Array(INITIAL_SLOTS)
  #size = 0
  #last = 0

  get size(): number {
    return this.#size
  }

  /** A number for one more call, greater than any before. */
  next(): number {
    if (this.#size * 2 >= this.#slots.length) this.#grow()
    do this.#last++
    while (this.#slots[this.#last % this.#slots.length] !== undefined)
    return this.#last
  }

  get(number: number): PendingCall | undefined {
    const call = this.#slots[number % this.#slots.length]
    return call?.number === number ? call : undefined
  }

  /** With a number that `next` has just given. */
  add(call: PendingCall): void {
    this.#slots[call.number % this.#slots.length] = call
    this.#size++
  }

  delete(call: PendingCall): void {
    const slot = call.number % this.#slots.length
    if (this.#slots[slot] !== call) return
    this.#slots[slot] = undefined
    this.#size--
    if (this.#size === 0 && this.#slots.length > KEPT_SLOTS) this.#slots = new Array(INITIAL_SLOTS)
  }

  all(): PendingCall[] {
    return this.#slots.filter((call) => call !== undefined)
  }

  /** Numbers that differ in their low bits differ in more of them too: nobody collides. */
  #grow(): void {
    const calls = this.all()
    this.#slots = new Array(this.#slots.length * 2)
    for (const call of calls) this.#slots[call.number % this.#slots.length] = call
  }
}
