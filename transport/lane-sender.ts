/**
 * A sender: decides which lane each of its frames goes on, so that they arrive in the order sent.
 *
 * It begins on a shared lane, moves to one of its own when it has much to say, and after that one was ended and
 * acknowledged is a light sender again. What is promised and why is told in lanes.ts, which also keeps the lanes.
 */
import type { LaneSender } from './lane.ts'
import { type DedicatedLane, FRAME_HEADER_BYTES, type OutLane } from './lane-out.ts'
import type { Lanes } from './lanes.ts'

/** Queued by one sender between two flushes: about three packets, so a lane of its own costs nothing extra. */
const PROMOTE_BYTES = 4 * 1024
export class Sender implements LaneSender {
  readonly #lanes: Lanes
  readonly #shared: OutLane
  #own: DedicatedLane | undefined
  #epoch = 0
  #epochBytes = 0

  constructor(lanes: Lanes, shared: OutLane) {
    this.#lanes = lanes
    this.#shared = shared
  }

  send(type: number, head: Uint8Array, headLength: number, body: Uint8Array | undefined): boolean {
    const lanes = this.#lanes
    if (lanes.closed) return true
    let lane: OutLane
    if (this.#own !== undefined) {
      lane = this.#ownLane(this.#own)
    } else {
      if (this.#epoch !== lanes.epoch) {
        this.#epoch = lanes.epoch
        this.#epochBytes = 0
      }
      this.#epochBytes += FRAME_HEADER_BYTES + headLength + (body === undefined ? 0 : body.length)
      if (this.#epochBytes > PROMOTE_BYTES) this.#own = lanes.promote(this.#shared)
      lane = this.#own ?? this.#shared
    }
    lanes.append(lane, type, head, headLength, body)
    return lane.queuedBytes < lanes.highWaterBytes
  }

  drained(): Promise<void> {
    const lane = this.#own ?? this.#shared
    if (this.#lanes.closed || lane.queuedBytes <= this.#lanes.lowWaterBytes(lane)) return Promise.resolve()
    return new Promise((resolve) => lane.waiters.push(resolve))
  }

  close(ended?: () => void): void {
    if (this.#own === undefined) return ended?.()
    this.#own.onAcknowledged = ended
    this.#lanes.finish(this.#own)
  }

  /** Its dedicated lane, the one behind it if that is ending, or the shared one if all of it was delivered. */
  #ownLane(own: DedicatedLane): OutLane {
    if (!own.finishing) return own
    if (own.acknowledged) {
      this.#own = undefined
      return this.#shared
    }
    const successor = this.#lanes.succeed()
    successor.onAcknowledged = own.onAcknowledged
    own.onAcknowledged = undefined
    own.successor = successor
    this.#own = successor
    return successor
  }
}
