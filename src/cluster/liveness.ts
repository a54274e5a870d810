/**
 * When is a silent peer a dead one? Pure bookkeeping: the node layer brings the time and acts on the verdict.
 *
 * Each side sends a tick every `tickIntervalMs`, so a live peer is never silent for longer than that plus the way. A peer
 * unheard for `downAfterMs` is down. The time during which this process itself did not run does not count: a paused or
 * overloaded event loop has not read what arrived meanwhile, and accusing others of its own sleep is the classic false
 * alarm. What it does not do: ask other members for their opinion.
 */

export interface LivenessPreset {
  readonly tickIntervalMs: number
  readonly downAfterMs: number
}

/**
 * Four lost ticks in a row mean down. Together with a check every half tick the verdict falls at most 4 s after the last
 * byte, so well within 5 s of a kill -9, even on a busy machine.
 */
export const LAN_LIVENESS: LivenessPreset = { tickIntervalMs: 800, downAfterMs: 3600 }

/** Checks per tick interval: a verdict is late by at most one check. */
const CHECKS_PER_TICK = 2

/** A check this much later than planned means that the event loop was held up; less is the noise of timers. */
const LAG_TOLERANCE_MS = 100

/** What one check found out, for all peers of this node. */
export interface Beat {
  /** A tick is due to every peer. */
  readonly tick: boolean
  /** So long, before this check, the own event loop did not run. */
  readonly lagMs: number
}

/** The node's own pulse: when to check next, and how late it is itself. One per node. */
export class Pulse {
  readonly checkIntervalMs: number
  #dueAtMs: number
  #count = 0

  constructor(preset: LivenessPreset, nowMs: number) {
    this.checkIntervalMs = preset.tickIntervalMs / CHECKS_PER_TICK
    this.#dueAtMs = nowMs + this.checkIntervalMs
  }

  /** To be called when the timer of `checkIntervalMs` fired. */
  beat(nowMs: number): Beat {
    const lateMs = nowMs - this.#dueAtMs
    this.#dueAtMs = nowMs + this.checkIntervalMs
    this.#count = (this.#count + 1) % CHECKS_PER_TICK
    return { tick: this.#count === 0, lagMs: lateMs > LAG_TOLERANCE_MS ? lateMs : 0 }
  }
}

/** The silence of one peer. */
export class Liveness {
  readonly #downAfterMs: number
  #lastHeardMs: number
  /** Own lag since the peer was last heard. */
  #excusedMs = 0

  constructor(preset: LivenessPreset, nowMs: number) {
    this.#downAfterMs = preset.downAfterMs
    this.#lastHeardMs = nowMs
  }

  /** The verdict of one check. `lastHeardMs` is when the carrier last got a byte of this peer. */
  check(nowMs: number, lastHeardMs: number, beat: Beat): 'alive' | 'down' {
    if (lastHeardMs > this.#lastHeardMs) {
      this.#lastHeardMs = lastHeardMs
      this.#excusedMs = 0
    }
    // What arrived during the lag is still unread: timers run before input.
    this.#excusedMs += beat.lagMs
    return nowMs - this.#lastHeardMs - this.#excusedMs >= this.#downAfterMs ? 'down' : 'alive'
  }
}
