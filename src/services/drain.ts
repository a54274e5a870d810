/**
 * Leaving in order: a node that drains starts nothing more, lets others take over what it leads and runs, asks its program,
 * and then stops; all of it within a given time, after which it stops with what is left.
 *
 * Children of distributed supervisors move when their leader sees that this node drains; here it is only awaited. Processes
 * that nobody supervises are the program's affair: `onDrain` is the place to hand them over.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Clock } from '../../transport/clock.ts'
import type { Supervision } from './supervision/supervision.ts'

const DEFAULT_TIMEOUT_MS = 30_000
/** Functions given to `onDrain`. */
const MAX_HOOKS = 256
/** Between two looks at what is still here. */
const LOOK_MS = 50
/** Of the time, what is left for the stop itself. */
const STOP_SHARE = 0.1
const MAX_STOP_MS = 1000

/** Called once when the node drains. What it returns is awaited. */
export type DrainHook = (context: DrainContext) => Promise<void> | void

/** What functions given to `node.onDrain` are called with. */
export interface DrainContext {
  /** Aborted when time is up. */
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

/** What `node.drain` takes. */
export interface DrainOptions {
  /** For everything together. Default: 30 000. */
  readonly timeoutMs?: number
}

/** What a drain came to. */
export interface DrainReport {
  /** Children that are here no more, by their global names: they went on elsewhere, or were ended by request meanwhile. */
  readonly moved: readonly string[]
  /** Children that were still here at the end, and ended with the node. */
  readonly notMoved: readonly string[]
  /** What functions given to `onDrain` threw, or that they did not end in time. */
  readonly hookErrors: readonly unknown[]
  readonly elapsedMs: number
}

export interface DrainParts {
  readonly clock: Clock
  readonly supervision: Supervision
  /** From now on nothing is started here for others, and everybody knows. */
  begin(): void
  stop(timeoutMs: number): Promise<void>
}

export class Drain {
  readonly #parts: DrainParts
  readonly #hooks = new Set<DrainHook>()
  #draining: Promise<DrainReport> | undefined

  constructor(parts: DrainParts) {
    this.#parts = parts
  }

  /** Returns how to take it back. Throws ERR_SKEIN_BAD_ARGUMENT or ERR_SKEIN_LIMIT. */
  onDrain(hook: DrainHook): () => void {
    if (typeof hook !== 'function') throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'onDrain takes a function.')
    if (this.#hooks.size >= MAX_HOOKS) throw new SkeinError('ERR_SKEIN_LIMIT', `onDrain takes ${MAX_HOOKS} functions.`)
    this.#hooks.add(hook)
    return () => void this.#hooks.delete(hook)
  }

  /** The first call decides how long it takes; the others get the same report. */
  drain({ timeoutMs = DEFAULT_TIMEOUT_MS }: DrainOptions = {}): Promise<DrainReport> {
    if (!(timeoutMs >= 0 && Number.isFinite(timeoutMs))) {
      return Promise.reject(new SkeinError('ERR_SKEIN_BAD_ARGUMENT', '"timeoutMs" is a number of milliseconds.'))
    }
    this.#draining ??= this.#drain(timeoutMs)
    return this.#draining
  }

  async #drain(timeoutMs: number): Promise<DrainReport> {
    const { clock, supervision, begin, stop } = this.#parts
    const startMs = clock.now()
    const moveMs = timeoutMs - Math.min(MAX_STOP_MS, timeoutMs * STOP_SHARE)
    const late = new AbortController()
    const timer = clock.after(moveMs, () => late.abort(new SkeinError('ERR_SKEIN_CALL_TIMEOUT', 'Time is up.')))
    const before = supervision.agent.remaining().map(({ name }) => name)
    begin()
    supervision.yield()
    const hooks = [...this.#hooks].map((hook) => this.#run(hook, { signal: late.signal, timeoutMs: moveMs }))
    const hookErrors = (await Promise.all(hooks)).flat()
    while (!late.signal.aborted && this.#isWorthWaiting()) await this.#pause(late.signal)
    timer.cancel()
    const notMoved = supervision.agent.remaining().map(({ name }) => name)
    const moved = before.filter((name) => !notMoved.includes(name))
    await stop(Math.max(0, timeoutMs - (clock.now() - startMs)))
    return { moved, notMoved, hookErrors, elapsedMs: clock.now() - startMs }
  }

  #isWorthWaiting(): boolean {
    const { supervision } = this.#parts
    return supervision.hasPeers && supervision.agent.remaining().some(({ unmovable }) => !unmovable)
  }

  /** What went wrong: nothing or one thing. */
  async #run(hook: DrainHook, context: DrainContext): Promise<unknown[]> {
    const { signal } = context
    const late = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    try {
      await Promise.race([(async () => hook(context))(), late])
      return []
    } catch (error) {
      return [error]
    }
  }

  #pause(signal: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const over = (): void => {
        timer.cancel()
        signal.removeEventListener('abort', over)
        resolve()
      }
      const timer = this.#parts.clock.after(LOOK_MS, over)
      signal.addEventListener('abort', over)
    })
  }
}
