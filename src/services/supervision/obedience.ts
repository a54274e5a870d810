/**
 * Orders are obeyed from the node that leads, as this node sees it. A new leader may be ahead of the news of it, since these
 * come another way, so its orders wait a while for that; in order, because the news settle all of them at once.
 */
import type { Clock } from '../../../transport/clock.ts'
import type { ChannelPeer } from '../channel.ts'
import type { Order } from './messages.ts'

/** How long an order waits for news of its leader. More than they take, less than a leader waits for a start. */
const PATIENCE_MS = 3000
/** Orders of one node that wait; of one that leads there are none. */
const MAX_WAITING = 4096

export interface ObedienceParts {
  readonly clock: Clock
  leads(peer: ChannelPeer, supervisor: string): boolean
  obey(peer: ChannelPeer, order: Order): void
  /** It does not lead, or nobody can tell. */
  refuse(peer: ChannelPeer, order: Order): void
}

interface Waiting {
  readonly order: Order
  readonly untilMs: number
}

export class Obedience {
  readonly #parts: ObedienceParts
  readonly #waiting = new Map<ChannelPeer, Waiting[]>()
  /** For whom a timer runs: one each, however often its orders are settled and others come. */
  readonly #timed = new Set<ChannelPeer>()

  constructor(parts: ObedienceParts) {
    this.#parts = parts
  }

  take(peer: ChannelPeer, order: Order): void {
    const { clock, leads, obey, refuse } = this.#parts
    if (leads(peer, order.supervisor)) {
      obey(peer, order)
      return
    }
    const waiting = this.#waiting.get(peer) ?? []
    if (waiting.length >= MAX_WAITING) {
      refuse(peer, order)
      return
    }
    waiting.push({ order, untilMs: clock.now() + PATIENCE_MS })
    if (waiting.length > 1) return
    this.#waiting.set(peer, waiting)
    this.#expireLater(peer)
  }

  /** Who leads that supervisor has changed. */
  look(supervisor: string): void {
    for (const [peer, waiting] of [...this.#waiting]) {
      if (!this.#parts.leads(peer, supervisor)) continue
      this.#keep(
        peer,
        waiting.filter(({ order }) => order.supervisor !== supervisor),
      )
      for (const { order } of waiting) if (order.supervisor === supervisor) this.#parts.obey(peer, order)
    }
  }

  peerDown(peer: ChannelPeer): void {
    this.#waiting.delete(peer)
  }

  #expireLater(peer: ChannelPeer): void {
    const { clock, refuse } = this.#parts
    const [oldest] = this.#waiting.get(peer) ?? []
    if (oldest === undefined || this.#timed.has(peer)) return
    this.#timed.add(peer)
    const expire = (): void => {
      this.#timed.delete(peer)
      const waiting = this.#waiting.get(peer) ?? []
      const nowMs = clock.now()
      const over = waiting.filter(({ untilMs }) => untilMs <= nowMs)
      this.#keep(peer, waiting.slice(over.length))
      for (const { order } of over) refuse(peer, order)
      this.#expireLater(peer)
    }
    clock.after(Math.max(0, oldest.untilMs - clock.now()), expire, true)
  }

  #keep(peer: ChannelPeer, waiting: Waiting[]): void {
    if (waiting.length === 0) this.#waiting.delete(peer)
    else this.#waiting.set(peer, waiting)
  }
}
