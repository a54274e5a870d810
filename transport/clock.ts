/**
 * Time as the protocol cores see it: injected, so that the simulator can bend it.
 *
 * `now` is monotonic and only good for differences; `wallNow` is the calendar (certificates, records). Nothing outside
 * this file and virtual-clock.ts reads the machine's clock or arms a timer of its own.
 */
import { performance } from 'node:perf_hooks'

/** What `Clock.after` gives. */
export interface Timer {
  /** Idempotent; a cancelled timer never fires. */
  cancel(): void
}

/** Time and timers, of the machine (`systemClock`) or virtual (`VirtualClock`). */
export interface Clock {
  /** Monotonic milliseconds (fractions allowed). */
  now(): number
  /** Milliseconds since 1970. */
  wallNow(): number
  /** Runs `fn` once, `ms` milliseconds from now; the machine may be early by one, and late. A pending timer keeps the process alive unless `background`. */
  after(ms: number, fn: () => void, background?: boolean): Timer
  /** Runs `fn` after the current turn's microtasks, before waiting for input: the moment to flush what a turn produced. */
  endOfTurn(fn: () => void): void
  /** Runs `fn` after pending input was handled: the moment to work through a batch. */
  afterInput(fn: () => void): void
}

/** setTimeout's longest delay; longer ones would fire at once, so they are made of several. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => performance.now(),
  wallNow: () => Date.now(),
  after(ms, fn, background = false) {
    let handle: NodeJS.Timeout
    const arm = (leftMs: number): void => {
      const isLast = !(leftMs > MAX_TIMEOUT_MS)
      handle = isLast
        ? setTimeout(fn, Math.max(0, leftMs))
        : setTimeout(() => arm(leftMs - MAX_TIMEOUT_MS), MAX_TIMEOUT_MS)
      if (background) handle.unref()
    }
    arm(ms)
    return { cancel: () => clearTimeout(handle) }
  },
  // A tick scheduled by a microtask runs when all microtasks are through; one scheduled by the turn itself would run before.
  endOfTurn: (fn) => queueMicrotask(() => process.nextTick(fn)),
  afterInput: (fn) => {
    setImmediate(fn)
  },
}
