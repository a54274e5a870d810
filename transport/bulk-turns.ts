/**
 * Who of those with much to write goes next: dedicated lanes and streams of bytes, by deficit round robin (Shreedhar and
 * Varghese 1995), going on where the last flush stopped. Lanes with little to say come before.
 *
 * It keeps the list of those that have something to write. How a lane is written and accounted for is lanes.ts's part.
 */
import type { Clock, Timer } from './clock.ts'
import type { OutLane } from './lane-out.ts'
import type { Connection } from './transport.ts'

/** A dedicated lane with no more than this queued is served with the light ones. */
const LIGHT_BYTES = 2 * 1024
/** When light senders wrote twice within this time, bulk is kept short of filling queues for as long again. */
const LIGHT_ACTIVE_MS = 100
/** How soon bulk that was held back looks for room again if nothing is acknowledged: as soon as a timer can. */
const ROOM_LOOK_MS = 1

export class BulkTurns {
  readonly #clock: Clock
  /** Writes at most so many bytes of a lane; returns how many were taken. */
  readonly #write: (lane: OutLane, limitBytes: number) => number
  readonly #ready: OutLane[] = []
  #turn = 0
  #lightMs = Number.NEGATIVE_INFINITY
  #lightUntilMs = Number.NEGATIVE_INFINITY
  /** Written since the connection was last asked for room. */
  #writtenBytes = 0
  #roomTimer: Timer | undefined

  constructor(clock: Clock, write: (lane: OutLane, limitBytes: number) => number) {
    this.#clock = clock
    this.#write = write
  }

  /** A lane has something to write. */
  list(lane: OutLane): void {
    if (lane.listed || lane.blocked) return
    lane.listed = true
    this.#ready.push(lane)
  }

  unlist(lane: OutLane): void {
    if (lane.listed) this.#unlist(this.#ready.indexOf(lane))
  }

  /** A light sender writes in this flush. One message alone tells of no other that queues would hold up. */
  lightWrites(): void {
    const nowMs = this.#clock.now()
    if (nowMs - this.#lightMs < LIGHT_ACTIVE_MS) this.#lightUntilMs = nowMs + LIGHT_ACTIVE_MS
    this.#lightMs = nowMs
  }

  flush(connection: Connection): void {
    const ready = this.#ready
    if (ready.length === 0 || connection.blocked()) return
    this.#writeLight()
    // Beside light senders bulk only fills the path, not the queues along it; what is acknowledged makes room for more.
    let roomBytes = Number.POSITIVE_INFINITY
    if (this.#clock.now() < this.#lightUntilMs) {
      roomBytes = connection.bulkRoomBytes(this.#writtenBytes)
      this.#writtenBytes = 0
    }
    let fruitless = 0
    while (ready.length > 0 && fruitless < ready.length && roomBytes > 0 && !connection.blocked()) {
      if (this.#turn >= ready.length) this.#turn = 0
      const lane = ready[this.#turn] as OutLane
      if (lane.deficitBytes <= 0) lane.deficitBytes += lane.quantumBytes
      const offered = Math.min(lane.deficitBytes, roomBytes, lane.queuedBytes)
      const written = this.#write(lane, offered)
      lane.deficitBytes -= written
      roomBytes -= written
      this.#writtenBytes += written
      if (lane.queuedBytes === 0) {
        lane.deficitBytes = 0
        this.#unlist(this.#turn)
        fruitless = 0
      } else if (written < offered && connection.blocked()) {
        // The connection is full, not this lane: it keeps its turn and the rest of its deficit.
        return
      } else {
        fruitless = written === 0 ? fruitless + 1 : 0
        this.#turn++
      }
    }
    if (roomBytes <= 0 && ready.length > 0) this.#lookAgainLater(connection)
  }

  close(): void {
    this.#roomTimer?.cancel()
  }

  /**
   * Streams are never light: what is left of a large piece would hold back all others. What is left of a burst on a dedicated
   * lane goes first, but is no sign of a light sender that bulk has to make room for.
   */
  #writeLight(): void {
    for (let i = this.#ready.length - 1; i >= 0; i--) {
      const lane = this.#ready[i] as OutLane
      if (lane.kind === 'stream' || lane.queuedBytes > LIGHT_BYTES) continue
      this.#write(lane, LIGHT_BYTES)
      if (lane.queuedBytes === 0) this.#unlist(i)
    }
  }

  /** Time and acknowledgements make room; should none come, bulk goes on when light senders have been silent for a while. */
  #lookAgainLater(connection: Connection): void {
    const look = (): void => {
      this.#roomTimer = undefined
      connection.requestFlush()
    }
    this.#roomTimer ??= this.#clock.after(ROOM_LOOK_MS, look, true)
  }

  #unlist(index: number): void {
    const [lane] = this.#ready.splice(index, 1)
    if (lane !== undefined) lane.listed = false
    if (index < this.#turn) this.#turn--
  }
}
