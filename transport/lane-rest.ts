/**
 * A pause of all incoming lanes of one connection after something that was costly to take in: they go on when pending
 * input and timers had their turn. What a peer sends few bytes for thus holds up a node no longer at a time than many
 * bytes would. Where little makes much work again and again (`long`), the pause is longer than the work was, and the more so
 * the longer the work kept everybody else waiting; now and then it is free, since honest members have something large to say
 * that packs well. The control lane does not rest; whoever was left over comes first the next time.
 */
import type { Clock } from './clock.ts'
import type { InLane } from './lane-in.ts'

/** A long rest is so many times the work before it, and for work of more milliseconds than this as many times as that. */
const LEAST_REST_FACTOR = 4
/** Work that is followed by a short rest all the same, and so much of the time that passes is added to what is left of it. */
const FREE_WORK_MS = 200
const FREE_SHARE = 0.01
/** What is built takes no longer than this, bytes a millisecond: the rest of the time others had the processor. */
const LEAST_BYTES_PER_MS = 64 * 1024
/** Work of one connection at a time, however short its frames are: some cost a tenth of a millisecond to refuse. */
const TURN_MS = 8
/** Frames from one look at the clock to the next: a power of two. */
const FRAMES_PER_LOOK = 16
/** A connection is not to be held up without end. */
const MAX_REST_MS = 10_000

export class LaneRest {
  readonly #clock: Clock
  readonly #resume: (lane: InLane) => void
  /** Those that wait for the end of the rest; undefined: there is none. */
  #lanes: InLane[] | undefined
  /** The work now under way began then. */
  #beganMs = 0
  #frames = 0
  #freeMs = FREE_WORK_MS
  #freeSinceMs: number

  constructor(clock: Clock, resume: (lane: InLane) => void) {
    this.#clock = clock
    this.#freeSinceMs = clock.now()
    this.#resume = resume
  }

  /** What was taken in became so many bytes in memory: that bounds how long it can have taken. */
  begin(kind: 'short' | 'long' = 'short', becameBytes = Number.POSITIVE_INFINITY): void {
    if (this.#lanes !== undefined) return
    const lanes: InLane[] = []
    this.#lanes = lanes
    const over = (): void => {
      this.#lanes = undefined
      this.#end(lanes)
    }
    const restMs = kind === 'long' ? this.#longRestMs(becameBytes) : 0
    if (restMs < 1) this.#clock.afterInput(over)
    else this.#clock.after(restMs, over, true)
  }

  /** The lane has something to read. False: not now. */
  admits(lane: InLane): boolean {
    if (this.#lanes !== undefined && !lane.paused && this.takes(lane)) return false
    this.#beganMs = this.#clock.now()
    return true
  }

  /** True: there is a rest, and the lane waits for its end. */
  takes(lane: InLane): boolean {
    if (lane.kind === 'control') return false
    if (this.#lanes === undefined) {
      const isDue = (++this.#frames & (FRAMES_PER_LOOK - 1)) === 0 && this.#clock.now() - this.#beganMs > TURN_MS
      if (!isDue) return false
      this.begin()
    }
    lane.paused = true
    this.#lanes?.push(lane)
    return true
  }

  #longRestMs(becameBytes: number): number {
    const nowMs = this.#clock.now()
    const workMs = Math.min(nowMs - this.#beganMs, becameBytes / LEAST_BYTES_PER_MS)
    const freeMs = Math.min(FREE_WORK_MS, this.#freeMs + (nowMs - this.#freeSinceMs) * FREE_SHARE)
    this.#freeSinceMs = nowMs
    this.#freeMs = Math.max(0, freeMs - workMs)
    return Math.min(MAX_REST_MS, Math.max(0, workMs - freeMs) * Math.max(LEAST_REST_FACTOR, workMs))
  }

  #end(lanes: readonly InLane[]): void {
    for (const [index, lane] of lanes.entries()) {
      if (this.#lanes !== undefined) {
        this.#lanes.unshift(...lanes.slice(index))
        return
      }
      this.#resume(lane)
    }
  }
}
