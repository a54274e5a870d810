/**
 * Datagrams that arrived before the frame that says what channel they belong to: a few, for a moment. Frames and datagrams
 * are sent together, but nothing keeps them in order on the way, and the first packet of a connection is worth keeping:
 * without it QUIC waits a second.
 */

const MAX_KEPT = 4
const KEPT_MS = 1000

export class EarlyDatagrams {
  #kept: { readonly channel: number; readonly bytes: Uint8Array; readonly atMs: number }[] = []

  /** The bytes are kept as they are. */
  keep(channel: number, bytes: Uint8Array, nowMs: number): void {
    if (this.#kept.length >= MAX_KEPT) this.#kept.shift()
    this.#kept.push({ channel, bytes, atMs: nowMs })
  }

  /** Those of this channel, in the order they came; each is given once. */
  take(channel: number, nowMs: number): Uint8Array[] {
    if (this.#kept.length === 0) return []
    const fresh = this.#kept.filter(({ atMs }) => nowMs - atMs < KEPT_MS)
    this.#kept = fresh.filter((one) => one.channel !== channel)
    return fresh.filter((one) => one.channel === channel).map(({ bytes }) => bytes)
  }
}
