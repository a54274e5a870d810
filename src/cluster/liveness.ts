/**
 * When is a silent peer a dead one? Pure bookkeeping: the node layer brings the time and acts on the verdict.
 *
 * In a full mesh each side sends a tick, or an acknowledgement of one, every `tickIntervalMs`, so a live peer is never silent for longer than that plus
 * the way. Beyond it there are no ticks: silence begins with a ping that is not answered. A peer that is silent for some
 * time is asked for (membership/detector.ts), and down after `downAfterMs`, later where the round trip is long, where this
 * process is slow itself, or where others hear the peer. The time during which this process itself did not run does not
 * count: a paused or overloaded event loop has not read what arrived meanwhile, and accusing others of its own sleep is
 * the classic false alarm. Lifeguard (Dadgar, Phillips and Currey 2018) has the measurements. What it does not do: ask others.
 */

/** How often a node gives a sign of life, and how long silence lasts that means down; milliseconds. */
export interface LivenessPreset {
  readonly tickIntervalMs: number
  readonly downAfterMs: number
}

/**
 * Four lost ticks in a row mean down. Together with a check every half tick the verdict falls at most 4 s after the last
 * byte, so well within 5 s of a kill -9, even on a busy machine.
 */
export const LAN_LIVENESS: LivenessPreset = { tickIntervalMs: 800, downAfterMs: 3600 }

/** By the distance between the nodes: one machine, one site, several sites, links that come and go. */
export const LIVENESS_PRESETS = {
  local: { tickIntervalMs: 500, downAfterMs: 2250 },
  lan: LAN_LIVENESS,
  wan: { tickIntervalMs: 2000, downAfterMs: 9000 },
  edge: { tickIntervalMs: 4000, downAfterMs: 24_000 },
} as const satisfies Readonly<Record<string, LivenessPreset>>

/** How far nodes are from each other: values of the option `liveness`. */
export type LivenessPresetName = keyof typeof LIVENESS_PRESETS

/** Checks per tick interval: a verdict is late by at most one check. */
const CHECKS_PER_TICK = 2

/** A check this much later than planned means that the event loop was held up; less is the noise of timers. */
const LAG_TOLERANCE_MS = 100

/** After this part of the silence that means down, others are asked. */
const ASK_PART = 5 / 9
/** However many hear it or however slow the path, a peer that we do not hear is down after so many times `downAfterMs`. */
const HARD_LIMIT_FACTOR = 3
/** Round trips that a silence may last beyond two ticks: a lost packet and its repetitions. */
const ROUND_TRIPS_IN_SILENCE = 8
/** Beyond a full mesh, where a suspicion costs little: a lost packet and its repetition. */
const ROUND_TRIPS_IN_ANSWER = 4

/** How much of each beat's lateness enters the average: about the last ten beats. */
const LATENESS_WEIGHT = 0.1
/** Less is everyday, and one pause alone is no habit. */
const TOLERATED_LATENESS = 0.15
/** A node that hardly runs gives others some two thirds more time, beside that in which it did not run. */
const PATIENCE_PER_LATENESS = 0.75
/** A node that does not run for this part of the time starts no accusations. */
const SLOW_LATENESS = 0.3

/** What one check found out, for all peers of this node. */
export interface Beat {
  /** A tick is due to every peer. */
  readonly tick: boolean
  /** So long, before this check, the own event loop did not run. */
  readonly lagMs: number
  /** 1 on a node that is on time; one that is slow itself gives others more time. */
  readonly patience: number
}

/** The node's own pulse: when to check next, and how late it is itself. One per node. */
export class Pulse {
  readonly checkIntervalMs: number
  #dueAtMs: number
  #count = 0
  /** The part of the time, over the last beats, in which this process did not run. */
  #lateness = 0

  constructor(preset: LivenessPreset, nowMs: number) {
    this.checkIntervalMs = preset.tickIntervalMs / CHECKS_PER_TICK
    this.#dueAtMs = nowMs + this.checkIntervalMs
  }

  /** To be called when the timer of `checkIntervalMs` fired. */
  beat(nowMs: number): Beat {
    const lateMs = nowMs - this.#dueAtMs
    this.#dueAtMs = nowMs + this.checkIntervalMs
    this.#count = (this.#count + 1) % CHECKS_PER_TICK
    const lagMs = lateMs > LAG_TOLERANCE_MS ? lateMs : 0
    this.#lateness += LATENESS_WEIGHT * (lagMs / (lagMs + this.checkIntervalMs) - this.#lateness)
    return { tick: this.#count === 0, lagMs, patience: this.#patience() }
  }

  /** This process is so slow itself that it had better not judge others first. */
  get isSlow(): boolean {
    return this.#lateness >= SLOW_LATENESS
  }

  #patience(): number {
    return 1 + PATIENCE_PER_LATENESS * Math.max(0, this.#lateness - TOLERATED_LATENESS)
  }
}

/** 'silent': it should have been heard by now; ask for it. */
export type Verdict = 'alive' | 'silent' | 'down'

/** What a check may know of the peer beside its silence. */
export interface LivenessHints {
  /** No ticks are expected: silence begins with a ping that is not answered. */
  readonly onlyIfAsked?: boolean
  /** Asked for only where it matters. */
  readonly rttMs?: () => number
}

/** The silence of one peer. */
export class Liveness {
  readonly #preset: LivenessPreset
  #lastHeardMs: number
  /** Own lag since the peer was last heard. */
  #excusedMs = 0
  /** It was pinged then, and has not been heard since. */
  #askedMs: number | undefined
  #excusedBeforeAskedMs = 0
  /** Since then it is expected to tick. */
  #ticksSinceMs: number
  #ticks = true
  /** Another member has heard it then. */
  #confirmedMs = Number.NEGATIVE_INFINITY
  /** After a lag of our own: what waits is read first. */
  #notBeforeMs = Number.NEGATIVE_INFINITY
  #silenceMs = 0

  constructor(preset: LivenessPreset, nowMs: number) {
    this.#preset = preset
    this.#lastHeardMs = nowMs
    this.#ticksSinceMs = nowMs
  }

  /** At the last check, own lag not counted. */
  get silenceMs(): number {
    return this.#silenceMs
  }

  get lastHeardMs(): number {
    return this.#lastHeardMs
  }

  /** It was pinged, and has not been heard since. */
  get isAsked(): boolean {
    return this.#askedMs !== undefined
  }

  /** A ping was sent. */
  asked(nowMs: number): void {
    if (this.#askedMs !== undefined) return
    this.#askedMs = nowMs
    this.#excusedBeforeAskedMs = this.#excusedMs
  }

  /** Another member hears it. */
  confirmed(nowMs: number): void {
    this.#confirmedMs = nowMs
  }

  /** The verdict of one check. `lastHeardMs` is when the carrier last got a byte of this peer. */
  check(nowMs: number, lastHeardMs: number, beat: Beat, hints: LivenessHints = {}): Verdict {
    if (lastHeardMs > this.#lastHeardMs) {
      this.#lastHeardMs = lastHeardMs
      this.#excusedMs = 0
      this.#askedMs = undefined
    }
    const { tickIntervalMs, downAfterMs } = this.#preset
    const { onlyIfAsked = false, rttMs = () => 0 } = hints
    // What arrived during the lag is still unread: timers run before input. Two more checks are enough to read it.
    this.#excusedMs += beat.lagMs
    if (beat.lagMs >= tickIntervalMs) this.#notBeforeMs = nowMs + tickIntervalMs
    // Who changes over to ticks has the time of a first one.
    if (!onlyIfAsked && !this.#ticks) this.#ticksSinceMs = nowMs
    this.#ticks = !onlyIfAsked
    this.#silenceMs = Math.max(0, onlyIfAsked ? this.#unansweredMs(nowMs) : this.#unheardMs(nowMs))
    // Even a process that does nothing but pause has had the time to read by then.
    if (this.#silenceMs >= HARD_LIMIT_FACTOR * downAfterMs) return 'down'
    const answerMs = onlyIfAsked ? tickIntervalMs / CHECKS_PER_TICK : downAfterMs * ASK_PART
    if (this.#silenceMs < answerMs || nowMs < this.#notBeforeMs) return 'alive'
    const roundTripMs = rttMs()
    if (onlyIfAsked && this.#silenceMs < ROUND_TRIPS_IN_ANSWER * roundTripMs) return 'alive'
    const adaptedMs = Math.max(downAfterMs, 2 * tickIntervalMs + ROUND_TRIPS_IN_SILENCE * roundTripMs) * beat.patience
    if (this.#silenceMs < adaptedMs || nowMs - this.#confirmedMs < adaptedMs) return 'silent'
    return 'down'
  }

  #unheardMs(nowMs: number): number {
    return nowMs - Math.max(this.#lastHeardMs, this.#ticksSinceMs) - this.#excusedMs
  }

  #unansweredMs(nowMs: number): number {
    return this.#askedMs === undefined ? 0 : nowMs - this.#askedMs - (this.#excusedMs - this.#excusedBeforeAskedMs)
  }
}
