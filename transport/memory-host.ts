/**
 * One machine of the memory network, from boot to crash. All that runs on it goes through `enter`: while the machine is
 * paused it waits, after a crash it never happens.
 */
import type { Clock, Timer } from './clock.ts'
import type { VirtualClock } from './virtual-clock.ts'

/** Packets that wait for a paused machine: about what 8 MB of socket buffer hold. Those beyond are lost. */
const MAX_WAITING_PACKETS = 4096

type HostState = 'running' | 'paused' | 'crashed'

export class MemoryHost {
  readonly name: string
  /** Time as this machine sees it: its timers stop with it. Give it to everything that runs here. */
  readonly clock: Clock
  readonly #virtual: VirtualClock
  #state: HostState = 'running'
  /** What came due while paused, in order. */
  #waiting: (() => void)[] = []
  #waitingPackets = 0

  constructor(name: string, clock: VirtualClock) {
    this.name = name
    this.#virtual = clock
    this.clock = {
      now: () => clock.now(),
      wallNow: () => clock.wallNow(),
      after: (ms, fn, background) => new HostTimer(this, clock, ms, fn, background),
      endOfTurn: (fn) => clock.endOfTurn(() => this.enter(fn)),
      afterInput: (fn) => clock.afterInput(() => this.enter(fn)),
    }
  }

  get state(): HostState {
    return this.#state
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

  /** As `enter`, for a packet: while waiting it takes room. */
  enterPacket(fn: () => void): void {
    if (this.#state === 'paused') this.#waitingPackets++
    this.enter(fn)
  }
}

/** A timer that a pause holds up, and that can still be cancelled then. */
class HostTimer implements Timer {
  readonly #timer: Timer
  #fn: (() => void) | undefined

  constructor(host: MemoryHost, clock: VirtualClock, ms: number, fn: () => void, background?: boolean) {
    this.#fn = fn
    this.#timer = clock.after(ms, () => host.enter(() => this.#fire()), background)
  }

  cancel(): void {
    this.#fn = undefined
    this.#timer.cancel()
  }

  #fire(): void {
    const fn = this.#fn
    this.#fn = undefined
    fn?.()
  }
}
