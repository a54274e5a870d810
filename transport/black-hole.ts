/**
 * Notices a path that lets small packets through and swallows large ones (RFC 8899 section 4.3): a route changed, and what
 * passed when it was probed passes no more.
 *
 * Silence alone says nothing about sizes: a peer that pauses, or is gone, swallows everything. So the first packets after
 * each loss timeout are small (quic-connection.ts). In a black hole these are acknowledged while what went with them is
 * given up as lost, and most of what else is sent is lost, again and again. Congestion loses a part, never most of it.
 *
 * Sans-io: it sees nothing but quiche's counts, and those only when a timer of quiche fires.
 */

/** Timeouts between two looks: long enough for what was lost to be given up. */
const TIMEOUTS_PER_LOOK = 3
/** The part of the bytes sent since the last look, without those small ones, that has to be lost. */
const LOST_PART = 0.5

/** Counts since the connection began. */
export interface LossTally {
  /** Without the small packets that follow loss timeouts: those pass. */
  readonly sentBytes: number
  readonly lostPackets: number
  readonly lostBytes: number
}

export class BlackHole {
  #timeouts = 0
  #last: LossTally = { sentBytes: 0, lostPackets: 0, lostBytes: 0 }

  /** After a loss timeout of quiche: do packets longer than `baseBytes` vanish? `tally` is asked for only when it is time to look. */
  onTimeout(baseBytes: number, tally: () => LossTally): boolean {
    if (++this.#timeouts < TIMEOUTS_PER_LOOK) return false
    this.#timeouts = 0
    const last = this.#last
    const now = tally()
    this.#last = now
    const lostBytes = now.lostBytes - last.lostBytes
    return (
      lostBytes > LOST_PART * (now.sentBytes - last.sentBytes) &&
      lostBytes > baseBytes * (now.lostPackets - last.lostPackets)
    )
  }
}
