/**
 * Lets the event loop breathe: how many messages the processes of one node may take before input gets its turn.
 *
 * Waking a process costs only a microtask, and Node runs microtasks until there are none. Two processes that answer each
 * other, or one with a full mailbox, would keep sockets and timers waiting for ever. So all processes of a node draw on
 * one share; when it is used up they wait until input was handled once, and go on in the order in which they came.
 * Messages to nobody, and what is refused to a function whose process has ended, draw on it too.
 */
import type { Clock } from '../../transport/clock.ts'

/** About a millisecond of work for light behaviours; the pause itself costs some microseconds. */
export const MESSAGES_PER_TURN = 1024

export class FairShare {
  readonly #clock: Clock
  #left = MESSAGES_PER_TURN
  /** One entry for each await of a process: usually it has one. */
  #waiting: (() => void)[] = []

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** True: go on. False: the share is used up, ask `later`. */
  take(): boolean {
    if (this.#left <= 0) return false
    this.#left--
    return true
  }

  /** Runs `fn` once input was handled. */
  later(fn: () => void): void {
    this.#waiting.push(fn)
    if (this.#waiting.length === 1) this.#clock.afterInput(() => this.#renew())
  }

  /** Resolves at once, or, if the share is used up, once input was handled. */
  turn(): Promise<void> {
    return this.take() ? Promise.resolve() : new Promise((resolve) => this.later(resolve))
  }

  #renew(): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.#left = MESSAGES_PER_TURN - waiting.length
    for (const fn of waiting) fn()
  }
}
