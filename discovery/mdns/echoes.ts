/**
 * What this node itself said lately, on whichever interface.
 *
 * Multicast comes back to its sender, two interfaces may lie on one wire, and repeaters send packets on: without this
 * memory a node whose addresses just changed would take its own older words for those of a rival. It knows what was said,
 * not who says it; a stranger who repeats our records does no harm.
 */
import { type ResourceRecord, recordKey } from './packet.ts'

/** Repeaters and busy machines take their time. */
const ECHO_MS = 5000
/** More than a node has records on all interfaces; the oldest are forgotten first. */
const MAX_ECHOES = 1024

export class Echoes {
  /** When each record was last said, the oldest first. */
  readonly #saidMs = new Map<string, number>()

  say(nowMs: number, records: readonly ResourceRecord[]): void {
    for (const record of records) {
      const key = recordKey(record)
      this.#saidMs.delete(key)
      this.#saidMs.set(key, nowMs)
    }
    for (const key of this.#saidMs.keys()) {
      if (this.#saidMs.size <= MAX_ECHOES) break
      this.#saidMs.delete(key)
    }
  }

  has(nowMs: number, record: ResourceRecord): boolean {
    const saidMs = this.#saidMs.get(recordKey(record))
    return saidMs !== undefined && nowMs - saidMs <= ECHO_MS
  }
}
