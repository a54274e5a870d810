/**
 * How busy the event loop is: the share of time in which it worked, and how late timers are.
 *
 * The lag is measured from the first look on, by a timer that runs late by just that; nothing runs in a node that nobody
 * looks at. Utilisation is Node's own figure (performance.eventLoopUtilization), for the whole Node.js process.
 */
import type { EventLoopUtilization } from 'node:perf_hooks'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Runtime } from './runtime.ts'

const BEAT_MS = 500
/** Beats over which the greatest lag is told: ten seconds. */
const BEATS = 20

/** How busy the event loop of a node is, and how late it runs. */
export interface EventLoopFigures {
  /** 0 to 1, since the last ten seconds or so. */
  readonly utilisation: number
  /** The last timer was so late. */
  readonly lagMs: number
  /** The greatest of ten seconds. */
  readonly maxLagMs: number
}

export class EventLoopMeter {
  readonly #clock: Clock
  readonly #runtime: Runtime
  readonly #lags: number[] = []
  readonly #baselines: EventLoopUtilization[] = []
  #timer: Timer | undefined
  #stopped = false

  constructor(clock: Clock, runtime: Runtime) {
    this.#clock = clock
    this.#runtime = runtime
  }

  read(): EventLoopFigures {
    this.#begin()
    const { utilization } = this.#runtime.eventLoopUtilization(this.#baselines[0])
    const lagMs = this.#lags[this.#lags.length - 1] ?? 0
    return { utilisation: utilization, lagMs, maxLagMs: Math.max(0, ...this.#lags) }
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }

  #begin(): void {
    if (this.#timer !== undefined || this.#stopped) return
    this.#baselines.push(this.#runtime.eventLoopUtilization())
    this.#arm()
  }

  #arm(): void {
    const dueMs = this.#clock.now() + BEAT_MS
    this.#timer = this.#clock.after(BEAT_MS, () => this.#beat(this.#clock.now() - dueMs), true)
  }

  #beat(lateMs: number): void {
    this.#lags.push(Math.max(0, lateMs))
    this.#baselines.push(this.#runtime.eventLoopUtilization())
    if (this.#lags.length > BEATS) this.#lags.shift()
    if (this.#baselines.length > BEATS) this.#baselines.shift()
    this.#arm()
  }
}
