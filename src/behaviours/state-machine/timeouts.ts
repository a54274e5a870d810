/**
 * The timeouts of one machine: at most one for each key, and none after its process has ended.
 *
 * A timeout that has run out is an entry of the mailbox like any other, so it waits for its turn; if it is cancelled or set
 * anew meanwhile, the entry is void. So a cancelled timeout never comes (OTP, gen_statem: "timeout cancel").
 */
import type { Timer } from '../../../transport/clock.ts'
import { Notice } from '../../process/behaviour.ts'
import { INSIDE, type Self } from '../../process/self.ts'
import type { TimeoutKey } from './definition.ts'

/** A timeout that has run out. */
export class DueTimeout extends Notice {
  readonly key: TimeoutKey

  constructor(key: TimeoutKey) {
    super()
    this.key = key
  }
}

interface Running {
  readonly due: DueTimeout
  /** Undefined: it is due already. */
  readonly timer: Timer | undefined
}

export class Timeouts {
  readonly #self: Self
  readonly #running = new Map<TimeoutKey, Running>()
  #watchesEnd = false

  constructor(self: Self) {
    this.#self = self
  }

  /** Instead of the one that runs. Infinity sets none. With 0 it is due at once, and the caller sees to it. */
  set(key: TimeoutKey, ms: number): DueTimeout | undefined {
    this.cancel(key)
    if (ms === Number.POSITIVE_INFINITY) return undefined
    const due = new DueTimeout(key)
    if (ms === 0) {
      this.#running.set(key, { due, timer: undefined })
      return due
    }
    const { process, services } = this.#self[INSIDE]
    this.#watchEnd()
    this.#running.set(key, { due, timer: services.clock.after(ms, () => process.mailbox.push(due, 0, 'system')) })
    return undefined
  }

  cancel(key: TimeoutKey): void {
    this.#running.get(key)?.timer?.cancel()
    this.#running.delete(key)
  }

  /** False: it is void. True: it is over. */
  take(due: DueTimeout): boolean {
    return this.#running.get(due.key)?.due === due && this.#running.delete(due.key)
  }

  stop(): void {
    for (const { timer } of this.#running.values()) timer?.cancel()
    this.#running.clear()
  }

  #watchEnd(): void {
    if (this.#watchesEnd) return
    this.#watchesEnd = true
    this.#self.signal.addEventListener('abort', () => this.stop(), { once: true })
  }
}
