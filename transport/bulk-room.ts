/**
 * How much bulk may be under way while light senders are active: about what the path itself holds, rate times round trip.
 * The congestion controller allows more, and that stands in queues (the receiver's socket buffer, a router's), in front of
 * whatever comes next: measured on loopback, a light round trip beside bulk took five times as long without this. On a path
 * of several milliseconds bulk is also spread over the round trip: the window opens in jumps (after a loss, by clumped
 * acknowledgements), and what leaves in one jump is a queue too.
 *
 * Sans-io: it is told the path's figures now and then, and says how many bytes there is room for.
 */

import type { DestinationKind } from './path-size.ts'

/** The path's figures as the QUIC engine tells them. */
export interface PathFigures {
  /** Congestion window, bytes. */
  readonly windowBytes: number
  readonly bytesPerSecond: number
  /** Smoothed, whole milliseconds. */
  readonly rttMs: number
}

/** How often the figures are asked for, ms: the engine makes a list of objects of them. */
const LOOK_INTERVAL_MS = 10
/** The least round trip grows by this per look, so an old one is forgotten within seconds: paths change. */
const RTT_FADE_MS = 0.02
/**
 * The rate is the best of one to two such spans, of so many round trips or this time. A single figure falls to nothing after
 * bulk was held back, and then would hold it back. BBR looks at ten round trips (draft-cardwell-iccrg-bbr-congestion-control
 * 4.1.1).
 */
const RATE_ROUND_TRIPS = 10
const LEAST_RATE_SPAN_MS = 250
/** This many times what the path holds, and never less than keeps it going. */
const PATH_FILL = 1.5
const LEAST_PACKETS = 1
const LEAST_BYTES = 16 * 1024
/** The engine rounds round trips down to whole milliseconds. Within a machine that is right, on a wire it would starve bulk. */
const ROUNDED_OFF_MS = { loopback: 0, lan: 1, wan: 1 } as const

/** Bulk is spread over round trips of this length and more; what shorter paths hold is no more than a burst. */
const LEAST_SPREAD_RTT_MS = 5
/** Of what goes in a round trip: a busy machine lets us go on late, and what went unused for longer is gone. */
const LARGEST_BURST_PART = 0.5
/** Where bulk is spread it goes by so many packets at once: the last of them may be nearly empty. */
const LEAST_BURST_PACKETS = 8

export class BulkRoom {
  readonly #roundedOffMs: number
  #figures: PathFigures = { windowBytes: 0, bytesPerSecond: 0, rttMs: 0 }
  #lookedMs = Number.NEGATIVE_INFINITY
  /** The shortest round trip is the path's own; longer ones hold queues of our making. */
  #leastRttMs = Number.POSITIVE_INFINITY
  /** The best rates of the span that runs, and of the one before. */
  #spanBytesPerSecond = 0
  #lastBytesPerSecond = 0
  #spanEndMs = Number.NEGATIVE_INFINITY
  /** What may go now, where bulk is spread. */
  #spreadBytes = 0
  #spreadMs = Number.NEGATIVE_INFINITY

  constructor(kind: DestinationKind) {
    this.#roundedOffMs = ROUNDED_OFF_MS[kind]
  }

  /**
   * Bytes of room, when the connection would take `freeBytes` more, as far as a gauge tells that ends at `gaugeBytes`: of a
   * larger window the rest counts as free. `figures` is called if the known ones are old. `writtenBytes` of bulk went since
   * the last call.
   */
  bytes(
    nowMs: number,
    writtenBytes: number,
    freeBytes: number,
    gaugeBytes: number,
    packetBytes: number,
    figures: () => PathFigures,
  ): number {
    if (nowMs >= this.#lookedMs + LOOK_INTERVAL_MS) this.#look(nowMs, figures())
    const spreadBytes = this.#spread(nowMs, writtenBytes, packetBytes)
    if (spreadBytes <= 0) return 0
    const room = this.#room(freeBytes, gaugeBytes, packetBytes)
    if (room > 0 || this.#lookedMs === nowMs) return Math.min(room, spreadBytes)
    // Before bulk is held back, a fresh look: if the window shrank since, what seems to be under way is not, and then no
    // acknowledgement would come that lets bulk go on.
    this.#look(nowMs, figures())
    return Math.min(this.#room(freeBytes, gaugeBytes, packetBytes), spreadBytes)
  }

  #look(nowMs: number, figures: PathFigures): void {
    this.#lookedMs = nowMs
    this.#figures = figures
    this.#leastRttMs = Math.min(this.#leastRttMs + RTT_FADE_MS, figures.rttMs)
    if (nowMs >= this.#spanEndMs) {
      this.#lastBytesPerSecond = this.#spanBytesPerSecond
      this.#spanBytesPerSecond = 0
      this.#spanEndMs = nowMs + Math.max(LEAST_RATE_SPAN_MS, RATE_ROUND_TRIPS * figures.rttMs)
    }
    this.#spanBytesPerSecond = Math.max(this.#spanBytesPerSecond, figures.bytesPerSecond)
  }

  /** The path's own round trip. */
  get #rttMs(): number {
    return this.#leastRttMs + this.#roundedOffMs
  }

  /** What may be under way. */
  #holdsBytes(packetBytes: number): number {
    const bytesPerSecond = Math.max(this.#spanBytesPerSecond, this.#lastBytesPerSecond)
    const pathBytes = (bytesPerSecond * this.#rttMs * PATH_FILL) / 1000
    return Math.max(LEAST_PACKETS * packetBytes, LEAST_BYTES, pathBytes)
  }

  #room(freeBytes: number, gaugeBytes: number, packetBytes: number): number {
    const underWayBytes = Math.max(0, Math.min(this.#figures.windowBytes, gaugeBytes) - freeBytes)
    return this.#holdsBytes(packetBytes) - underWayBytes
  }

  /** What may go now if what may be under way goes in a round trip; 0 until it is worth a burst. */
  #spread(nowMs: number, writtenBytes: number, packetBytes: number): number {
    if (this.#rttMs < LEAST_SPREAD_RTT_MS) return Number.POSITIVE_INFINITY
    const holdsBytes = this.#holdsBytes(packetBytes)
    const leastBytes = Math.min(LEAST_BURST_PACKETS * packetBytes, LEAST_BYTES)
    // What went while nobody limited it is under way, and told there. Taken off here it would stop bulk for seconds.
    const left = Math.max(0, this.#spreadBytes - writtenBytes)
    const grown = left + ((nowMs - this.#spreadMs) * holdsBytes) / this.#rttMs
    this.#spreadBytes = Math.min(grown, Math.max(leastBytes, holdsBytes * LARGEST_BURST_PART))
    this.#spreadMs = nowMs
    return this.#spreadBytes >= leastBytes ? this.#spreadBytes : 0
  }
}
