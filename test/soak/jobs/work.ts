/**
 * Work: one kind of load on a member, which also judges what comes of it.
 *
 * A member calls `tick` TICKS_PER_SECOND times a second while the load is on, or a multiple of that (its pace). What a work begins it brings to an end by
 * itself, also after the load is off.
 */

import type { SkeinNode } from '../../../src/index.ts'
import type { Random } from '../../../transport/random.ts'

export const TICKS_PER_SECOND = 20

export interface Work {
  readonly name: string
  tick(): void
  /** What has begun and is not over. */
  outstanding(): number
}

/** How things stood with a node when something began. */
export interface Mark {
  readonly node: string
  readonly connected: boolean
  readonly cuts: number
}

/** Events of a node may arrive a little after the signals that tell of the same thing. */
const BLAME_AFTER_MS = 3000

export class Workplace {
  readonly node: SkeinNode
  readonly random: Random
  /** Messages per second of this member. */
  readonly rate: number
  readonly counts: Record<string, number> = {}
  /** True while the load is on. */
  isOn = false
  /** How many times its usual load. */
  pace = 1
  /** The node stops: what is under way ends with it. */
  isStopping = false
  readonly #report: (text: string) => void
  /** How often the connection to a node went down. */
  readonly #cuts = new Map<string, number>()
  #suspicions = 0

  constructor(options: { node: SkeinNode; random: Random; rate: number; report: (text: string) => void }) {
    this.node = options.node
    this.random = options.random
    this.rate = options.rate
    this.#report = options.report
  }

  async watch(): Promise<void> {
    for await (const event of this.node.events) {
      if (event.type === 'nodedown') this.#cuts.set(event.node, (this.#cuts.get(event.node) ?? 0) + 1)
      if (event.type === 'nodedown') this.count(`nodedown ${String(event.reason)}`)
      else if (event.type === 'lagged') this.violation('events of the node were lost')
    }
  }

  /** Suspicions that are not cleared up yet. */
  get suspicions(): number {
    return this.#suspicions
  }

  below(count: number): number {
    return Math.floor(this.random.float() * count)
  }

  chance(probability: number): boolean {
    return this.random.float() < probability
  }

  pick<T>(from: readonly T[]): T | undefined {
    return from[this.below(from.length)]
  }

  /** A connected node. */
  peer(): string | undefined {
    return this.pick(this.node.nodes())
  }

  mark(node: string): Mark {
    return {
      node,
      connected: node === this.node.name || this.node.nodes().includes(node),
      cuts: this.#cuts.get(node) ?? 0,
    }
  }

  count(what: string, by = 1): void {
    this.counts[what] = (this.counts[what] ?? 0) + by
  }

  violation(text: string): void {
    if (this.isStopping) return
    this.count('violations')
    this.#report(text)
  }

  /** Something failed that only a connection that went down since `mark` excuses, or what `excuse` finds a little later. */
  blame({ node, connected, cuts }: Mark, text: string, excuse = (): boolean => false): void {
    if (!connected) return this.count('excused: was not connected')
    this.#suspicions++
    setTimeout(() => {
      this.#suspicions--
      if ((this.#cuts.get(node) ?? 0) > cuts) this.count('excused: connection cut')
      else if (excuse()) this.count('excused: the process is over')
      else this.violation(`${text}, and the connection to ${node} was up`)
    }, BLAME_AFTER_MS)
  }
}

export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : String(error)

export const isType = <T extends string>(message: unknown, type: T): message is { readonly type: T } =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === type
