/**
 * Hosts that were seen to receive what is sent to them, and so do not lend their address to somebody else's queries.
 *
 * A host proves it with a token of ours or with the answer to a query of ours. The proof is worth as long as the older of
 * two tokens. An IPv6 address stands for itself, not for its network: the next address may be the victim. Bounded, the
 * oldest proof goes first; whoever loses it has only shorter replies. No timers.
 */
import { unmapHost } from '../../transport/address.ts'
import { SECRET_LIFETIME_MS } from './tokens.ts'

const PROOF_LIFETIME_MS = 2 * SECRET_LIFETIME_MS
export const MAX_PROVEN_HOSTS = 4096

export class ProvenHosts {
  /** When each was proven last, the oldest first. */
  readonly #provenAtMs = new Map<string, number>()

  add(host: string, nowMs: number): void {
    const plain = unmapHost(host)
    this.#provenAtMs.delete(plain)
    this.#provenAtMs.set(plain, nowMs)
    for (const [old, atMs] of this.#provenAtMs) {
      if (this.#provenAtMs.size <= MAX_PROVEN_HOSTS && nowMs - atMs < PROOF_LIFETIME_MS) break
      this.#provenAtMs.delete(old)
    }
  }

  has(host: string, nowMs: number): boolean {
    const atMs = this.#provenAtMs.get(unmapHost(host))
    return atMs !== undefined && nowMs - atMs < PROOF_LIFETIME_MS
  }

  /** How many are remembered. */
  get size(): number {
    return this.#provenAtMs.size
  }
}
