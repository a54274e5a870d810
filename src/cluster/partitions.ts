/**
 * Tells a partition from a crash, for the operator: several members lost in silence within seconds are a network that
 * split. It is over when all of them are back, or when those that will come have come.
 *
 * What it does not do: act. The connections go their own ways (mesh.ts, overlap.ts).
 */
import type { Clock, Timer } from '../../transport/clock.ts'

/** One lost member is a crash for all that can be known. */
const MIN_LOST = 2
/** Losses no further apart than this belong together: verdicts on silence that began at once differ by less. */
const TOGETHER_MS = 2000
/** They are told of at last after so long, though more are lost all the time. */
const MAX_TOGETHER_MS = 10_000
/** After the last return for so long the others are taken for lost for good. */
const SETTLED_MS = 30_000
/** So long somebody may still come back. */
const MEMORY_MS = 60 * 60_000

export interface PartitionsHost {
  /** Names of the lost members. */
  partitioned(lost: readonly string[]): void
  /** Names of those that are back, and of those that are not. */
  healed(back: readonly string[], missing: readonly string[]): void
}

export class Partitions {
  readonly #clock: Clock
  readonly #host: PartitionsHost
  /** Names by id: lost just now, lost by what was told, back since. */
  readonly #fresh = new Map<string, string>()
  readonly #lost = new Map<string, string>()
  readonly #back = new Map<string, string>()
  /** When the first of the fresh ones was lost. */
  #freshMs = 0
  #timer: Timer | undefined

  constructor(clock: Clock, host: PartitionsHost) {
    this.#clock = clock
    this.#host = host
  }

  /** In silence. */
  lost(id: string, name: string): void {
    const nowMs = this.#clock.now()
    if (this.#fresh.size === 0) this.#freshMs = nowMs
    this.#back.delete(id)
    this.#fresh.set(id, name)
    this.#wait(Math.max(0, Math.min(TOGETHER_MS, this.#freshMs + MAX_TOGETHER_MS - nowMs)))
  }

  /** Connected. */
  up(id: string): void {
    this.#fresh.delete(id)
    const name = this.#lost.get(id)
    if (name === undefined) return
    this.#lost.delete(id)
    this.#back.set(id, name)
    if (this.#lost.size === 0 && this.#fresh.size === 0) this.#end()
    else if (this.#fresh.size === 0) this.#wait(SETTLED_MS)
  }

  stop(): void {
    this.#timer?.cancel()
  }

  #wait(ms: number): void {
    this.#timer?.cancel()
    this.#timer = this.#clock.after(ms, () => this.#settled(), true)
  }

  /** Nothing has changed for a while. */
  #settled(): void {
    const isSplit = this.#fresh.size >= MIN_LOST
    const isNews = this.#fresh.size > 0
    if (isSplit || this.#lost.size > 0) for (const [id, name] of this.#fresh) this.#lost.set(id, name)
    this.#fresh.clear()
    if (isSplit) this.#host.partitioned([...this.#lost.values()])
    if (this.#lost.size === 0 && this.#back.size === 0) return
    if (isNews) this.#wait(this.#back.size > 0 ? SETTLED_MS : MEMORY_MS)
    else this.#end()
  }

  #end(): void {
    this.#timer?.cancel()
    const back = [...this.#back.values()]
    const missing = [...this.#lost.values()]
    this.#back.clear()
    this.#lost.clear()
    if (back.length > 0) this.#host.healed(back, missing)
  }
}
