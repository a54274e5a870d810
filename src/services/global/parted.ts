/**
 * Nodes whose connection was lost, by incarnation: one that comes back as the same was somewhere in the meantime.
 */
import type { ChannelPeer } from '../channel.ts'

/** The one lost first is forgotten first. */
const MAX_PARTED = 4096

export class Parted {
  readonly #keys = new Set<string>()

  add({ pid }: ChannelPeer): void {
    this.#keys.delete(pid.origin.key)
    this.#keys.add(pid.origin.key)
    for (const oldest of this.#keys) {
      if (this.#keys.size <= MAX_PARTED) break
      this.#keys.delete(oldest)
    }
  }

  /** True if it was among them. */
  delete({ pid }: ChannelPeer): boolean {
    return this.#keys.delete(pid.origin.key)
  }
}
