/**
 * How much bulk may be under way while light senders are active: about what the path itself holds, rate times round trip.
 * The congestion controller allows more, and that stands in queues (the receiver's socket buffer, a router's), in front of
 * whatever comes next: measured on loopback, a light round trip beside bulk took five times as long without this.
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
 * This many times what the path holds, and never less than keeps it going: within a machine a few of its large packets,
 * since with one of them the two ends would take turns (measured: 64 KiB messages at 0.6 of the rate).
 */
const PATH_FILL = 1.5
const LEAST_PACKETS = 1
const LEAST_BYTES = { loopback: 64 * 1024, lan: 16 * 1024, wan: 16 * 1024 } as const
/** The engine rounds round trips down to whole milliseconds. */
const ROUNDED_OFF_MS = { loopback: 0.3, lan: 1, wan: 1 } as const

export class BulkRoom {
  readonly #roundedOffMs: number
  readonly #leastBytes: number
  #figures: PathFigures = { windowBytes: 0, bytesPerSecond: 0, rttMs: 0 }
  #lookedMs = Number.NEGATIVE_INFINITY
  /** The shortest round trip is the path's own; longer ones hold queues of our making. */
  #leastRttMs = Number.POSITIVE_INFINITY

  constructor(kind: DestinationKind) {
    this.#roundedOffMs = ROUNDED_OFF_MS[kind]
    this.#leastBytes = LEAST_BYTES[kind]
  }

  /**
   * Bytes of room, when the connection would take `freeBytes` more, as far as a gauge tells that ends at `gaugeBytes`: of a
   * larger window the rest counts as free. `figures` is called if the known ones are old.
   */
  bytes(nowMs: number, freeBytes: number, gaugeBytes: number, packetBytes: number, figures: () => PathFigures): number {
    if (nowMs >= this.#lookedMs + LOOK_INTERVAL_MS) this.#look(nowMs, figures())
    const room = this.#room(freeBytes, gaugeBytes, packetBytes)
    if (room > 0 || this.#lookedMs === nowMs) return room
    // Before bulk is held back, a fresh look: if the window shrank since, what seems to be under way is not, and then no
    // acknowledgement would come that lets bulk go on.
    this.#look(nowMs, figures())
    return this.#room(freeBytes, gaugeBytes, packetBytes)
  }

  #look(nowMs: number, figures: PathFigures): void {
    this.#lookedMs = nowMs
    this.#figures = figures
    this.#leastRttMs = Math.min(this.#leastRttMs + RTT_FADE_MS, figures.rttMs)
  }

  #room(freeBytes: number, gaugeBytes: number, packetBytes: number): number {
    const rttMs = this.#leastRttMs + this.#roundedOffMs
    const holdsBytes = (this.#figures.bytesPerSecond * rttMs * PATH_FILL) / 1000
    const underWayBytes = Math.max(0, Math.min(this.#figures.windowBytes, gaugeBytes) - freeBytes)
    return Math.max(LEAST_PACKETS * packetBytes, this.#leastBytes, holdsBytes) - underWayBytes
  }
}
