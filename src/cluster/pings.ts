/**
 * The pings of one session that wait for their pongs. Numbers below PROBE_NUMBERS are theirs; the membership, which keeps
 * its own books, has the upper half.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock, Timer } from '../../transport/clock.ts'

/** Pings that may be unanswered at once. */
const MAX_PENDING_PINGS = 64

export const PROBE_NUMBERS = 2 ** 31

interface PendingPing {
  readonly sentMs: number
  readonly timer: Timer
  readonly resolve: (rttMs: number) => void
  readonly reject: (error: SkeinError) => void
}

export class Pings {
  readonly #clock: Clock
  readonly #send: (number: number) => void
  readonly #pending = new Map<number, PendingPing>()
  #next = 1

  constructor(clock: Clock, send: (number: number) => void) {
    this.#clock = clock
    this.#send = send
  }

  /** Milliseconds there and back. Rejects with ERR_SKEIN_CONNECT_TIMEOUT, ERR_SKEIN_LIMIT or ERR_SKEIN_NOCONNECTION. */
  ping(timeoutMs: number): Promise<number> {
    if (this.#pending.size >= MAX_PENDING_PINGS) {
      return Promise.reject(new SkeinError('ERR_SKEIN_LIMIT', `${MAX_PENDING_PINGS} pings are already under way.`))
    }
    const number = this.#next
    this.#next = (this.#next + 1) % PROBE_NUMBERS
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(timeoutMs, () => {
        this.#pending.delete(number)
        reject(new SkeinError('ERR_SKEIN_CONNECT_TIMEOUT', `No answer to a ping within ${timeoutMs} ms.`))
      })
      this.#pending.set(number, { sentMs: this.#clock.now(), timer, resolve, reject })
      this.#send(number)
    })
  }

  ponged(number: number): void {
    const ping = this.#pending.get(number)
    if (ping === undefined) return
    this.#pending.delete(number)
    ping.timer.cancel()
    ping.resolve(this.#clock.now() - ping.sentMs)
  }

  /** The session is over. */
  end(): void {
    for (const ping of this.#pending.values()) {
      ping.timer.cancel()
      ping.reject(noConnection())
    }
    this.#pending.clear()
  }
}

export const noConnection = (): SkeinError =>
  new SkeinError('ERR_SKEIN_NOCONNECTION', 'The connection to the node is gone.')
