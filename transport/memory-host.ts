/**
 * One machine of the memory network, from boot to crash. All that runs on it goes through `enter`: while the machine is
 * paused it waits, after a crash it never happens. Its clock may run wrong, by rate and by calendar; it never runs backwards.
 */
import type { Clock, Timer } from './clock.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** Packets that wait for a paused machine: about what 8 MB of socket buffer hold. Those beyond are lost. */
const MAX_WAITING_PACKETS = 4096

/** A timer that rounding let fire too early waits this much longer: enough to move the clock. */
const ROUNDING_MS = 1e-6

/** What a machine of the memory network does. Paused: timers and packets wait. Crashed: it is gone, and told nobody. */
export type HostState = 'running' | 'paused' | 'crashed'

/** How a machine's clock differs from the true one. */
export interface ClockSkew {
  /** Milliseconds that the clock counts in a true one: 1 is right, 1.001 gains. Greater than 0. */
  readonly rate: number
  /** How far the calendar is ahead of that, milliseconds; negative: behind. */
  readonly wallOffsetMs: number
}

export class MemoryHost {
  readonly name: string
  /** Time as this machine sees it: its timers stop with it. Give it to everything that runs here. */
  readonly clock: Clock
  readonly #virtual: VirtualClock
  #state: HostState = 'running'
  #skew: ClockSkew = { rate: 1, wallOffsetMs: 0 }
  /** When the rate was last set, by the true clock and by this one. */
  #setAtMs = 0
  #setLocalMs = 0
  /** What came due while paused, in order. */
  #waiting: (() => void)[] = []
  #waitingPackets = 0

  constructor(name: string, clock: VirtualClock) {
    this.name = name
    this.#virtual = clock
    this.clock = {
      now: () => this.#now(),
      wallNow: () => clock.wallNow() - clock.now() + this.#now() + this.#skew.wallOffsetMs,
      after: (ms, fn, background) => new HostTimer(this, clock, ms, fn, background),
      endOfTurn: (fn) => clock.endOfTurn(() => this.enter(fn)),
      afterInput: (fn) => clock.afterInput(() => this.enter(fn)),
    }
  }

  get state(): HostState {
    return this.#state
  }

  get rate(): number {
    return this.#skew.rate
  }

  /** From now on the clock runs like this. A timer that is under way still does not fire before its time by this clock. */
  skewClock(skew: Partial<ClockSkew>): void {
    this.#setLocalMs = this.#now()
    this.#setAtMs = this.#virtual.now()
    this.#skew = { ...this.#skew, ...skew }
  }

  pause(): void {
    if (this.#state === 'running') this.#state = 'paused'
  }

  /** Goes on: first of all with what came due meanwhile, each in a turn of its own. */
  resume(): void {
    if (this.#state !== 'paused') return
    this.#state = 'running'
    const waiting = this.#waiting
    this.#waiting = []
    this.#waitingPackets = 0
    for (const fn of waiting) this.#virtual.after(0, () => this.enter(fn))
  }

  crash(): void {
    this.#state = 'crashed'
    this.#waiting = []
  }

  /** Runs `fn` now, when the machine goes on, or never. */
  enter(fn: () => void): void {
    if (this.#state === 'running') fn()
    else if (this.#state === 'paused') this.#waiting.push(fn)
  }

  /** Whether one more packet fits into the socket buffer. */
  get hasRoom(): boolean {
    return this.#waitingPackets < MAX_WAITING_PACKETS
  }

  #now(): number {
    return this.#setLocalMs + (this.#virtual.now() - this.#setAtMs) * this.#skew.rate
  }

  /** As `enter`, for a packet: while waiting it takes room. */
  enterPacket(fn: () => void): void {
    if (this.#state === 'paused') this.#waitingPackets++
    this.enter(fn)
  }
}

/** A timer that a pause holds up, and that can still be cancelled then. */
class HostTimer implements Timer {
  readonly #host: MemoryHost
  readonly #virtual: VirtualClock
  /** By the clock of the host. */
  readonly #dueMs: number
  readonly #background: boolean | undefined
  #timer: Timer
  #fn: (() => void) | undefined

  constructor(host: MemoryHost, clock: VirtualClock, ms: number, fn: () => void, background?: boolean) {
    this.#host = host
    this.#virtual = clock
    this.#dueMs = host.clock.now() + ms
    this.#background = background
    this.#fn = fn
    this.#timer = this.#arm(ms)
  }

  cancel(): void {
    this.#fn = undefined
    this.#timer.cancel()
  }

  #arm(ms: number): Timer {
    return this.#virtual.after(ms / this.#host.rate, () => this.#host.enter(() => this.#fire()), this.#background)
  }

  #fire(): void {
    const leftMs = this.#dueMs - this.#host.clock.now()
    if (this.#fn !== undefined && leftMs > 0) {
      // The clock has become slower meanwhile, or the delay was rounded when it was divided by the rate.
      this.#timer = this.#arm(Math.max(leftMs, ROUNDING_MS))
      return
    }
    const fn = this.#fn
    this.#fn = undefined
    fn?.()
  }
}
