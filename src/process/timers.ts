/**
 * Delayed messages. A timer outlives the process that set it, as in Erlang; it ends with the node.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'
import type { Ref } from '../pid.ts'

export class Timers {
  readonly #clock: Clock
  readonly #nextRef: () => Ref
  readonly #limit: number
  readonly #timers = new Map<string, Timer>()

  constructor(clock: Clock, nextRef: () => Ref, limit: number) {
    this.#clock = clock
    this.#nextRef = nextRef
    this.#limit = limit
  }

  /** Throws ERR_SKEIN_BAD_ARGUMENT or ERR_SKEIN_LIMIT. `fire` must not throw. */
  after(ms: number, fire: () => void): Ref {
    if (typeof ms !== 'number' || !(ms >= 0) || ms === Number.POSITIVE_INFINITY) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A delay is a number of milliseconds, 0 or more.')
    }
    if (this.#timers.size >= this.#limit) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node runs ${this.#limit} timers, the limit "timers".`)
    }
    const ref = this.#nextRef()
    const { key } = ref
    const timer = this.#clock.after(ms, () => {
      this.#timers.delete(key)
      fire()
    })
    this.#timers.set(key, timer)
    return ref
  }

  /** False: it fired already, was cancelled, or never was. */
  cancel(ref: Ref): boolean {
    const timer = this.#timers.get(ref.key)
    timer?.cancel()
    return this.#timers.delete(ref.key)
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel()
    this.#timers.clear()
  }
}
