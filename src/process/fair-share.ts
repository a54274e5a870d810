/**
 * Lets the event loop breathe: decides which process goes on, and when input gets its turn before any goes on.
 *
 * Waking a process costs only a microtask, and Node runs microtasks until there are none. Two processes that answer each
 * other, or one with a full mailbox, would keep sockets and timers waiting for ever. So all processes of a node draw on
 * one share: of messages, and of time, since a message can take long. When it is used up they wait until input was
 * handled once, and go on in the order in which they came. Messages to nobody, and what is refused to a function whose
 * process has ended, draw on it too.
 *
 * Whatever becomes able to go on waits in one queue, which a microtask works off, so that a burst of wake-ups costs one.
 * The work of a woken function happens in microtasks of its own: the queue makes room for them before it looks at the
 * clock again. Nothing interrupts a function that computes.
 */
import type { Clock } from '../../transport/clock.ts'
import { Ring } from './ring.ts'

/** About a millisecond of work for light behaviours; the pause itself costs some microseconds. */
export const MESSAGES_PER_TURN = 1024

/** Long beside the pause, short beside what people and heartbeats notice. */
export const TURN_BUDGET_MS = 10

/** Messages between two looks at the clock, which costs about as much as handling one. */
const MESSAGES_PER_LOOK = 8
/** Messages that take so long on average are looked at one by one. */
const SLOW_LOOK_MS = 1

/** Something that can go on. `run` must not throw; one message of the share is taken for it. */
export interface Runnable {
  run(): void
}

export class FairShare {
  readonly #clock: Clock
  readonly #ready = new Ring<Runnable>()
  #left = MESSAGES_PER_TURN
  #untilLook = MESSAGES_PER_LOOK
  #lookedMs = 0
  /** When the present turn began, as far as that is known: somebody waits for input to be handled after it. */
  #turnMs: number | undefined
  /** The microtask that works the queue off is on its way. */
  #draining = false
  readonly #settled = Promise.resolve()
  readonly #drain = (): void => this.#workOff()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True: take one message, go on. False: the share is used up, wait in the queue. */
  take(): boolean {
    if (this.#left <= 0) return false
    if (this.#untilLook <= 0 && !this.#look()) return false
    this.#left--
    this.#untilLook--
    return true
  }

  /** Runs it in a microtask when those before it have run and the share has something left. */
  soon(runnable: Runnable): void {
    this.#ready.push(runnable)
    if (this.#draining) return
    if (this.#left > 0) this.#drainSoon()
    else this.#beginTurn()
  }

  /** Resolves at once, or, if the share is used up, once input was handled. */
  turn(): Promise<void> {
    return this.take() ? Promise.resolve() : new Promise((resolve) => this.soon({ run: resolve }))
  }

  #drainSoon(): void {
    this.#draining = true
    this.#settled.then(this.#drain)
  }

  #workOff(): void {
    const ready = this.#ready
    this.#draining = false
    // Whoever comes back to the queue comes after the microtasks of those before it.
    for (let count = ready.size; count > 0; count--) {
      if (!this.take()) {
        this.#beginTurn()
        return
      }
      ready.shift().run()
      if (this.#untilLook <= 0) break
    }
    if (ready.size > 0 && !this.#draining) this.#drainSoon()
  }

  /** Whether there is time left. */
  #look(): boolean {
    const nowMs = this.#clock.now()
    this.#untilLook = nowMs - this.#lookedMs < SLOW_LOOK_MS ? MESSAGES_PER_LOOK : 1
    this.#lookedMs = nowMs
    // Time before may have been spent waiting for input. From here on it is known.
    if (this.#turnMs === undefined) this.#beginTurn()
    if (nowMs - (this.#turnMs ?? nowMs) < TURN_BUDGET_MS) return true
    this.#left = 0
    return false
  }

  #beginTurn(): void {
    if (this.#turnMs !== undefined) return
    this.#turnMs = this.#clock.now()
    this.#clock.afterInput(() => this.#renew())
  }

  #renew(): void {
    this.#turnMs = undefined
    this.#left = MESSAGES_PER_TURN
    if (this.#ready.size === 0 || this.#draining) return
    this.#beginTurn()
    this.#workOff()
  }
}
