/**
 * A sweep: one question to each of many random ports of a host, whose NAT gives every destination another port.
 *
 * That host meanwhile opens many sockets towards us (spread.ts), so that its NAT has many ports open for us; by the
 * birthday paradox the two soon meet: with 224 open ports of 64 512, 2048 questions meet seven on average, and none in one
 * of 1200 cases.
 */
import type { Clock, Timer } from '../../../transport/clock.ts'
import type { Random } from '../../../transport/random.ts'

const MAX_PROBES = 2048
/** 5 questions each 10 ms are 500 a second. */
const TICK_MS = 10
const PROBES_PER_TICK = 5
/** A source port of 1024 or more becomes another one of 1024 or more (RFC 4787, REQ-3). */
const FIRST_PORT = 1024
const PORTS = 65_536 - FIRST_PORT

/** How long a sweep takes, about. */
export const SWEEP_MS = (MAX_PROBES / PROBES_PER_TICK) * TICK_MS

export interface SweepOptions {
  readonly clock: Clock
  readonly random: Random
  probe(port: number): void
  /** All questions were asked. */
  done(): void
}

export class Sweep {
  readonly #options: SweepOptions
  readonly #ports = new Set<number>()
  #timer: Timer | undefined

  constructor(options: SweepOptions) {
    this.#options = options
    this.#timer = options.clock.after(0, () => this.#tick(), true)
  }

  end(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }

  #tick(): void {
    const { clock, probe, done } = this.#options
    // Armed first: a probe may bring about our end.
    this.#timer = clock.after(TICK_MS, () => this.#tick(), true)
    for (let i = 0; i < PROBES_PER_TICK && this.#timer !== undefined; i++) {
      if (this.#ports.size >= MAX_PROBES) {
        this.end()
        return done()
      }
      probe(this.#freshPort())
    }
  }

  #freshPort(): number {
    for (;;) {
      const port = FIRST_PORT + Math.floor(this.#options.random.float() * PORTS)
      if (this.#ports.has(port)) continue
      this.#ports.add(port)
      return port
    }
  }
}
