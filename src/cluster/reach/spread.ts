/**
 * A spread: many sockets of ours, each with one question to the same address, because our NAT gives every socket another
 * port and nobody knows which. The other end asks at random ports of ours meanwhile (sweep.ts).
 *
 * The sockets are opened evenly over the time that a sweep takes. A NAT that accepts UDP to itself spoils a pair of
 * ports when a packet from outside comes before the one from inside. Were all sockets opened first, such a NAT at the
 * other end would spoil every pair; were they opened last, ours would. This way half of the pairs, four on average, are
 * good whichever of the two NATs is of that kind. If both are, there is no order that helps.
 */
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Side } from './side-ways.ts'
import { SWEEP_MS } from './sweep.ts'

/** Sockets of one spread. */
export const SPREAD_SOCKETS = 256
const TICK_MS = 10
/** After the event loop was late the pace is caught up with, but not at once. */
const MAX_OPENED_PER_TICK = 8
/** Each question is asked again: the first may be lost, and NATs forget (some after 20 s, Linux after 30 s). */
const REPEAT_MS = 2000

export interface SpreadOptions {
  readonly clock: Clock
  /** Another socket towards the target; undefined if there is none to be had. */
  open(): Promise<Side | undefined>
  /** Asks the target from this socket. */
  ask(side: Side): void
}

interface Asked {
  readonly side: Side
  askedMs: number
}

export class Spread {
  readonly #options: SpreadOptions
  readonly #startedMs: number
  /** By when they were asked last, the oldest first. */
  readonly #asked = new Set<Asked>()
  /** Opened or about to be. */
  #wanted = 0
  #timer: Timer
  #state: 'opening' | 'repeating' | 'over' = 'opening'

  constructor(options: SpreadOptions) {
    this.#options = options
    this.#startedMs = options.clock.now()
    this.#timer = options.clock.after(0, () => this.#tick(), true)
  }

  /** Closes the sockets on which nothing was heard. */
  end(): void {
    this.#state = 'over'
    this.#timer.cancel()
    for (const { side } of this.#asked) if (!side.isHeard) side.close()
    this.#asked.clear()
  }

  #tick(): void {
    const { clock } = this.#options
    this.#timer = clock.after(TICK_MS, () => this.#tick(), true)
    const elapsedMs = clock.now() - this.#startedMs
    const due = Math.min(SPREAD_SOCKETS, 1 + Math.floor((elapsedMs / SWEEP_MS) * SPREAD_SOCKETS))
    for (let i = 0; i < MAX_OPENED_PER_TICK && this.#wanted < due && this.#state === 'opening'; i++) void this.#open()
    this.#repeat()
  }

  async #open(): Promise<void> {
    this.#wanted++
    const side = await this.#options.open()
    // No descriptors are left, say: what is open has to do.
    if (side === undefined && this.#state === 'opening') this.#state = 'repeating'
    if (side === undefined) return
    if (this.#state === 'over') return side.close()
    this.#ask(side)
  }

  #repeat(): void {
    const dueMs = this.#options.clock.now() - REPEAT_MS
    for (const asked of this.#asked) {
      if (asked.askedMs > dueMs) return
      this.#asked.delete(asked)
      this.#ask(asked.side)
    }
  }

  #ask(side: Side): void {
    this.#asked.add({ side, askedMs: this.#options.clock.now() })
    this.#options.ask(side)
  }
}
