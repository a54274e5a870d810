/**
 * Sees when this machine's addresses change: a network that comes up late, a cable, a new lease.
 *
 * The system tells nobody, so it is asked now and then. The order of addresses means nothing. What it does not do: decide
 * what the change is good for.
 */
import { Chore } from '../discovery/chore.ts'
import { type Address, formatAddress } from '../transport/address.ts'
import type { Clock } from '../transport/clock.ts'

/** As often as multicast DNS looks for new interfaces. */
const LOOK_MS = 10_000

export interface AddressWatchOptions {
  readonly clock: Clock
  /** What they are now. May throw, as the system does that has no file descriptor left: then it is asked later. */
  readonly current: () => readonly Address[]
  readonly onChange: () => void
}

export class AddressWatch {
  readonly #options: AddressWatchOptions
  readonly #looks: Chore
  #known: string | undefined

  constructor(options: AddressWatchOptions) {
    this.#options = options
    this.#looks = new Chore({ clock: options.clock, work: async () => this.#look(), pauseMs: () => LOOK_MS })
  }

  /** What the addresses are at this moment is known to whoever starts it. */
  start(): void {
    this.#known = this.#now()
    this.#looks.soon(LOOK_MS)
  }

  stop(): void {
    this.#looks.stop()
  }

  #look(): void {
    const now = this.#now()
    if (now === undefined || now === this.#known) return
    this.#known = now
    this.#options.onChange()
  }

  #now(): string | undefined {
    try {
      return this.#options.current().map(formatAddress).sort().join(' ')
    } catch {
      return undefined
    }
  }
}
