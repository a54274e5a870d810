/**
 * Stamps: moments that sort the same way on every node, and after every moment that their maker knew of.
 *
 * A hybrid logical clock (Kulkarni et al., "Logical Physical Clocks", 2014): calendar milliseconds, and a counter for what
 * falls into the same one. It follows the calendar, never goes back, and is moved ahead by every stamp it is shown. How far
 * ahead of this node's calendar others can move it is bounded, so that nobody can use it up. A stamp is text of fixed
 * length, so that it sorts as it is.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Clock } from '../../../transport/clock.ts'

/** How far the calendar of another node may be ahead of ours; what comes with a later stamp is refused. */
export const MAX_CLOCK_AHEAD_MS = 24 * 3_600_000

const TIME_DIGITS = 12
const COUNTER_DIGITS = 4
const COUNTERS = 16 ** COUNTER_DIGITS
const PATTERN = /^[0-9a-f]{16}$/

/** 16 hexadecimal digits: 12 of milliseconds since 1970, 4 that count. */
export type Stamp = string

export const isStamp = (value: unknown): value is Stamp => typeof value === 'string' && PATTERN.test(value)

/** Milliseconds since 1970. */
export const timeOf = (stamp: Stamp): number => Number.parseInt(stamp.slice(0, TIME_DIGITS), 16)

const stampOf = (timeMs: number, counter: number): Stamp =>
  timeMs.toString(16).padStart(TIME_DIGITS, '0') + counter.toString(16).padStart(COUNTER_DIGITS, '0')

/** The first stamp of that millisecond. */
export const firstStampOf = (timeMs: number): Stamp => stampOf(Math.max(0, Math.floor(timeMs)), 0)

export class HybridClock {
  readonly #clock: Clock
  #timeMs: number
  #counter = 0

  /** Never shows less than `startMs`. */
  constructor(clock: Clock, startMs: number) {
    this.#clock = clock
    this.#timeMs = startMs
  }

  /** A new stamp, greater than all before and all that were seen. */
  tick(): Stamp {
    const wallMs = Math.floor(this.#clock.wallNow())
    if (wallMs > this.#timeMs) {
      this.#timeMs = wallMs
      this.#counter = 0
    } else if (++this.#counter === COUNTERS) {
      this.#timeMs++
      this.#counter = 0
    }
    return stampOf(this.#timeMs, this.#counter)
  }

  /** Of another node. Throws ERR_SKEIN_CLOCK for one too far ahead. */
  see(stamp: Stamp): void {
    const timeMs = timeOf(stamp)
    const counter = Number.parseInt(stamp.slice(TIME_DIGITS), 16)
    if (timeMs < this.#timeMs || (timeMs === this.#timeMs && counter <= this.#counter)) return
    if (timeMs > this.#clock.wallNow() + MAX_CLOCK_AHEAD_MS) {
      throw new SkeinError('ERR_SKEIN_CLOCK', `It is later than ${MAX_CLOCK_AHEAD_MS} ms from now.`)
    }
    this.#timeMs = timeMs
    this.#counter = counter
  }
}
