/**
 * Stays awake for a moment when the next datagram is near.
 *
 * A thread that sleeps costs both ends: waking it took 40 us of the sender's time and as much of its own, where handling
 * a datagram takes ten (measured on a virtual machine; a raw ping-pong took 97 us asleep, 18 us awake). So while datagrams
 * follow each other closely, the event loop looks for the next one without sleeping, as Erlang's schedulers (+sbwt) and the
 * kernel's own busy polling do. It only looks: timers, other sockets and processes go on as ever.
 *
 * Looking must pay. A look in vain costs credit, and one that paid gives some; without credit it stays away for a while,
 * twice as long each time up to LONGEST_REST_MS, and an idle node never looks. So looking in vain costs a core a hundredth
 * of its time at most once it is clear that it does not pay: the peer is slow, or shares the processor with us. While it
 * pays it can fill a core, for as long as datagrams keep coming closer than LOOK_MS.
 *
 * Bulk is better off asleep: what comes meanwhile is handled at once, with one acknowledgement.
 *
 * Where the loop has other work, or another process took the core, it would not have slept, or should: the look ends.
 */
import type { Clock } from './clock.ts'

/** How long to look for the next datagram after the last: a round trip on a LAN with a quick answer. */
const LOOK_MS = 0.3
/** Two turns with input no further apart than this are near. Without looking, waking at both ends is part of it. */
const NEAR_MS = 0.5
/** So many near ones in a row begin it. */
const NEAR_TURNS = 8
/** A round of an event loop with nothing to do takes a few microseconds, and an interruption by the system some dozens. */
const IDLE_ROUND_MS = 0.15
/** A look in vain takes as much credit as so many looks that paid give. */
const MISS_COST = 4
const FIRST_CREDIT = 16
const MOST_CREDIT = 128
/** Long beside the looks that the first credit buys, short beside a conversation. */
const SHORTEST_REST_MS = 50
const LONGEST_REST_MS = 200

export class BusyPoll {
  readonly #clock: Clock
  #lastMs = Number.NEGATIVE_INFINITY
  #nearTurns = 0
  #isLooking = false
  #isTalk = false
  /** When it looked last since there was input. */
  #lookedMs = Number.POSITIVE_INFINITY
  #credit = FIRST_CREDIT
  #restMs = SHORTEST_REST_MS
  #restUntilMs = Number.NEGATIVE_INFINITY
  readonly #look = (): void => this.#lookOn()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** A turn brought input, and it was handled. `isTalk`: it looks like a conversation, not like bulk. */
  inputHandled(isTalk: boolean): void {
    const nowMs = this.#clock.now()
    this.#nearTurns = isTalk && nowMs - this.#lastMs <= NEAR_MS ? this.#nearTurns + 1 : 0
    this.#lastMs = nowMs
    this.#lookedMs = Number.POSITIVE_INFINITY
    this.#isTalk = isTalk
    if (this.#isLooking) {
      this.#credit = Math.min(MOST_CREDIT, this.#credit + 1)
      if (this.#credit === MOST_CREDIT) this.#restMs = SHORTEST_REST_MS
    } else if (this.#nearTurns >= NEAR_TURNS && nowMs >= this.#restUntilMs) {
      this.#isLooking = true
      this.#clock.afterInput(this.#look)
    }
  }

  #lookOn(): void {
    const nowMs = this.#clock.now()
    const isIdle = this.#isTalk && nowMs - this.#lookedMs < IDLE_ROUND_MS
    this.#lookedMs = nowMs
    if (isIdle && nowMs - this.#lastMs < LOOK_MS) return this.#clock.afterInput(this.#look)
    this.#isLooking = false
    if (!isIdle) return
    this.#credit -= MISS_COST
    if (this.#credit > 0) return
    this.#credit = FIRST_CREDIT
    this.#restUntilMs = nowMs + this.#restMs
    this.#restMs = Math.min(LONGEST_REST_MS, this.#restMs * 2)
  }
}
