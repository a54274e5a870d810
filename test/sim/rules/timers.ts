/** Timers: G26 not before their time by the clock of their node, once, and never after a cancel that says true. */
import { Actor, type Fact, type Flight, type Rule, type SetTimer, Violation } from '../facts.ts'

const ROUNDING_MS = 1e-3

interface Standing {
  readonly timer: SetTimer
  isCancelled: boolean
  hasFired: boolean
}

export class TimerRule implements Rule {
  readonly #timers = new Map<Flight, Standing>()

  see(fact: Fact): void {
    if (fact.type === 'timerSet') {
      this.#timers.set(fact.timer.flight, { timer: fact.timer, isCancelled: false, hasFired: false })
    } else if (fact.type === 'timerCancelled') this.#cancelled(fact.timer, fact.was)
    else if (fact.type === 'arrived' && fact.flight.kind === 'timer') this.#fired(fact.flight)
  }

  settled(): void {
    for (const { timer, isCancelled, hasFired } of this.#timers.values()) {
      const { by, flight } = timer
      const isHere = flight.to instanceof Actor && flight.to.isAlive && flight.to.isWith(by)
      if (isHere && !isCancelled && !hasFired) throw violation(timer, 'never fired')
    }
  }

  #fired(flight: Flight): void {
    const standing = this.#timers.get(flight)
    if (standing === undefined) return
    const { timer, isCancelled, hasFired } = standing
    if (isCancelled) throw violation(timer, 'fired after it was cancelled')
    if (hasFired) throw violation(timer, 'fired twice')
    standing.hasFired = true
    if (timer.by.place.isGone) return
    const earlyMs = timer.dueLocalMs - timer.by.place.host.clock.now()
    if (earlyMs > ROUNDING_MS) throw violation(timer, `fired ${earlyMs} ms before its time`)
  }

  #cancelled(timer: SetTimer, was: boolean): void {
    const standing = this.#timers.get(timer.flight)
    if (standing === undefined) return
    if (was && (standing.hasFired || standing.isCancelled)) throw violation(timer, 'was cancelled when it was over')
    const isDue = timer.dueLocalMs - timer.by.place.host.clock.now() <= ROUNDING_MS
    if (!was && !isDue && !standing.isCancelled) throw violation(timer, 'was not there to be cancelled')
    if (was) standing.isCancelled = true
  }
}

const violation = (timer: SetTimer, text: string): Violation =>
  new Violation('G26', `timer ${timer.ref.number} of ${timer.by.id} ${text}`)
