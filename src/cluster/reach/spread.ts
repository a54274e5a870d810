/**
 * A spread: many sockets of ours, each with one question to the same address, because our NAT gives every socket another
 * port and nobody knows which. The other end asks at random ports of ours meanwhile (sweep.ts).
 *
 * A NAT that accepts UDP to itself spoils a pair of ports when a packet from outside comes before the one from inside. And
 * Linux gives each new flow of a port what its latest one has: from the first spoiled pair on, all that the other end asks
 * leaves from another port than we send to. So most sockets are opened at once, with openers alone, which open our NAT and
 * do not come as far as the other: what the other end asks from then on comes in, whichever of the NATs is of that kind.
 *
 * Where no router lies between the two NATs an opener does come as far. So others are opened towards the end and ask as
 * usual: they find what the other end asked before it was spoiled. Whatever was not found by then they may spoil.
 */
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Side } from './side-ways.ts'
import { SWEEP_MS } from './sweep.ts'

/** Sockets of one spread that are open at once. */
export const SPREAD_SOCKETS = 256
/** More than that in all: early ones give way when the other end has asked at most ports. */
const EARLY_SOCKETS = 224
const LATE_SOCKETS = 224
/** When the late ones begin to be opened, evenly until the end of the sweep. */
const LATE_MS = 0.8 * SWEEP_MS
const TICK_MS = 10
/** After the event loop was late the pace is caught up with, but not at once. */
const MAX_OPENED_PER_TICK = 8
/** Each question is asked again: the first may be lost, and NATs forget (some after 20 s, Linux after 30 s). */
const REPEAT_MS = 2000

export interface SpreadOptions {
  readonly clock: Clock
  /** Another socket towards the target; undefined if there is none to be had. */
  open(): Promise<Side | undefined>
  /** Asks the target from this socket, as an opener perhaps. */
  ask(side: Side, isOpener: boolean): void
}

interface Asked {
  readonly side: Side
  readonly isOpener: boolean
  askedMs: number
}

export class Spread {
  readonly #options: SpreadOptions
  readonly #startedMs: number
  /** By when they were asked last, the oldest first. */
  readonly #asked = new Set<Asked>()
  /** Opened so far, or about to be. */
  #wanted = 0
  /** About to be. */
  #opening = 0
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
    const latePart = Math.min(1, Math.max(0, (elapsedMs - LATE_MS) / (SWEEP_MS - LATE_MS)))
    const due = EARLY_SOCKETS + Math.floor(latePart * LATE_SOCKETS)
    for (let i = 0; i < MAX_OPENED_PER_TICK && this.#wanted < due && this.#state === 'opening'; i++) void this.#open()
    this.#repeat()
  }

  async #open(): Promise<void> {
    const isOpener = this.#wanted++ < EARLY_SOCKETS
    if (this.#asked.size + this.#opening >= SPREAD_SOCKETS) this.#closeOne()
    this.#opening++
    const side = await this.#options.open()
    this.#opening--
    // No descriptors are left, say: what is open has to do.
    if (side === undefined && this.#state === 'opening') this.#state = 'repeating'
    if (side === undefined) return
    if (this.#state === 'over') return side.close()
    this.#ask(side, isOpener)
  }

  /** An early one gives way. */
  #closeOne(): void {
    for (const asked of this.#asked) {
      if (!asked.isOpener || asked.side.isHeard) continue
      this.#asked.delete(asked)
      return asked.side.close()
    }
  }

  #repeat(): void {
    const dueMs = this.#options.clock.now() - REPEAT_MS
    for (const asked of this.#asked) {
      if (asked.askedMs > dueMs) return
      this.#asked.delete(asked)
      this.#ask(asked.side, asked.isOpener)
    }
  }

  #ask(side: Side, isOpener: boolean): void {
    this.#asked.add({ side, isOpener, askedMs: this.#options.clock.now() })
    this.#options.ask(side, isOpener)
  }
}
