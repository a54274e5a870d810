/**
 * Work that comes round: done, then done again after a pause, and at once if somebody asks for it.
 *
 * It never runs twice at a time: who asks while it runs has it run once more afterwards. It does not keep the process
 * alive. The work must not throw.
 */
import type { Clock, Timer } from '../transport/clock.ts'

export interface ChoreOptions {
  readonly clock: Clock
  readonly work: () => Promise<void>
  /** The pause after the work that was just done. */
  readonly pauseMs: () => number
}

export class Chore {
  readonly #options: ChoreOptions
  #timer: Timer | undefined
  #dueMs = Number.POSITIVE_INFINITY
  #running: Promise<void> | undefined
  /** Asked for while it ran. */
  #again = false
  #stopped = false

  constructor(options: ChoreOptions) {
    this.#options = options
  }

  /** Lets it run after this delay, unless it is due before that anyway. */
  soon(delayMs = 0): void {
    if (this.#stopped) return
    if (this.#running !== undefined) {
      this.#again = true
      return
    }
    const { clock } = this.#options
    const dueMs = clock.now() + delayMs
    if (dueMs >= this.#dueMs) return
    this.#timer?.cancel()
    this.#dueMs = dueMs
    this.#timer = clock.after(delayMs, () => void this.run(), true)
  }

  /** Runs it now, or joins what runs: resolves when that is done. */
  run(): Promise<void> {
    if (this.#stopped) return Promise.resolve()
    this.#running ??= this.#run()
    return this.#running
  }

  async #run(): Promise<void> {
    this.#again = false
    this.#timer?.cancel()
    this.#dueMs = Number.POSITIVE_INFINITY
    await this.#options.work()
    this.#running = undefined
    this.soon(this.#again ? 0 : this.#options.pauseMs())
  }

  stop(): void {
    this.#stopped = true
    this.#timer?.cancel()
  }
}

/** A pause up to a part of itself longer or shorter, so that nodes started together do not act together. */
export const jittered = (pauseMs: number, part: number, float: number): number => pauseMs * (1 + (float * 2 - 1) * part)
