/**
 * A bound on stateless resets, against loops of them (RFC 9000 10.3.3) and against being kept busy with what only looks
 * like one. Sans-io.
 */

/** Datagrams per second that are looked at for stateless resets, or answered with one. */
const MAX_RESETS_PER_SECOND = 32

export class ResetLimit {
  #windowMs = 0
  #inWindow = 0

  /** True if one more is within the bound; it counts then. */
  allows(nowMs: number): boolean {
    if (nowMs - this.#windowMs >= 1000) {
      this.#windowMs = nowMs
      this.#inWindow = 0
    }
    return ++this.#inWindow <= MAX_RESETS_PER_SECOND
  }
}
