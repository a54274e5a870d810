/**
 * Lanes: every sender its own order, light ones packed together, heavy ones out of everybody's way.
 *
 * The promise is one sender's order and nothing between senders. One QUIC packet carries bytes of one stream only, so a
 * stream per light sender would cost a packet per message. Therefore:
 * - a sender starts on one of a few shared lanes, always the same one;
 * - when it queues more than PROMOTE_BYTES between two flushes it fills packets by itself and gets a dedicated lane. On
 *   the shared lane it leaves a mark, the dedicated lane opens with the same mark, and the receiver reads nothing of the
 *   new lane before it met the mark on the old one;
 * - a dedicated lane that was idle is finished. The receiver acknowledges the end once everything was delivered; what the
 *   sender queues meanwhile waits, and goes on a lane of its own again. After the acknowledgement the sender is light.
 *
 * At each flush urgent lanes write first (control, shared, and dedicated ones with little to say), then the heavy share by
 * deficit round robin. The control lane carries the connection's own frames. Everything is bounded: see the constants.
 *
 * Which lane a sender's frame goes on is decided in lane-sender.ts; how bytes wait and leave in lane-out.ts. What comes in is
 * the part of lanes-in.ts. All of it runs on any Connection (QUIC, TCP or memory) and knows neither what frames mean nor
 * whether the peer is a member.
 */
import { SkeinError } from '../certs/errors.ts'
import { BulkTurns } from './bulk-turns.ts'
import { ByteStreamTable } from './byte-streams.ts'
import type { Clock, Timer } from './clock.ts'
import { wireCodeOf } from './close-codes.ts'
import type { LaneConnection, LaneFigures, LaneSender, LanesHandler } from './lane.ts'
import { FRAME_END, FRAME_MARK, FRAME_OPEN, MARK_BYTES, markBody, OPEN_BYTES, openBody } from './lane-frames.ts'
import { SCRATCH_BYTES } from './lane-in.ts'
import { ChunkPool, DedicatedLane, FRAME_HEADER_BYTES, OutLane } from './lane-out.ts'
import type { LaneRest } from './lane-rest.ts'
import { Sender } from './lane-sender.ts'
import { LanesIn, protocolError } from './lanes-in.ts'
import type { StreamCarrier } from './stream-carrier.ts'
import type { CloseReason, Connection, ConnectionHandler } from './transport.ts'

/** Lanes that light senders share; more of them cost more half-filled packets, fewer a wider stall per lost packet. */
const SHARED_LANES = 2
/** Dedicated lanes open at once per connection; further heavy senders stay on shared ones. */
const MAX_DEDICATED_LANES = 256
/** A dedicated lane without traffic for one to two of these is finished. */
const LANE_IDLE_MS = 2000
/** `send` says false above this, per lane, bytes. */
const HIGH_WATER_BYTES = 256 * 1024
/**
 * When more than this waits in all lanes (Erlang's +zdbbl is as large), each lane may keep only a little: what many
 * senders queue early only grows old, and while they do so no acknowledgement is heard.
 */
const BUSY_BYTES = 1 << 20
const BUSY_HIGH_WATER_BYTES = 16 * 1024
const BUSY_LOW_WATER_BYTES = 8 * 1024
/** Waiting in all lanes of a connection. One lane may fill as much as it leaves free, so no sender alone uses up all. */
const MAX_QUEUED_BYTES = 64 << 20
/** Waiting in the control lane: a peer that leaves so much unread is cut off. Its lists of nodes are far smaller. */
const MAX_QUEUED_CONTROL_BYTES = 4 << 20
/** The layer above bounds messages at 16 MiB by default; heads and frame types come on top. */
const DEFAULT_MAX_FRAME_BYTES = (16 << 20) + 4096

/** What `Lanes` takes beside the connection. */
export interface LanesOptions {
  readonly clock: Clock
  /** Longest frame accepted, bytes. */
  readonly maxFrameBytes?: number
  /** Room for one read (SCRATCH_BYTES), best shared by all connections of a node: it is only used within a call. */
  readonly scratch?: Buffer
}

const NO_HEAD = new Uint8Array(0)

export class Lanes implements ConnectionHandler, LaneConnection {
  connection!: Connection
  readonly #handler: LanesHandler
  readonly #clock: Clock
  readonly #pool = new ChunkPool()
  /** Room for one read; made when first needed. */
  #scratch: Buffer | undefined
  /** `closing`: we ended it, and `onClosed` is on its way. */
  #state: 'connecting' | 'control' | 'open' | 'closing' | 'closed' = 'connecting'

  // sending
  readonly #control: OutLane
  readonly #shared: OutLane[] = []
  /** Those whose end is not acknowledged yet. */
  readonly #dedicated = new Set<DedicatedLane>()
  /** Dedicated lanes and streams with something to write. */
  readonly #bulk: BulkTurns
  readonly #streams: ByteStreamTable
  #nextKey = 0
  #lastMark = 0
  #idleTimer: Timer | undefined
  #flushWaiters: (() => void)[] = []
  /** Grows with each flush: what a sender queued since is what it sends in one turn. */
  epoch = 0
  queuedBytes = 0

  readonly #incoming: LanesIn

  constructor(handler: LanesHandler, { clock, maxFrameBytes = DEFAULT_MAX_FRAME_BYTES, scratch }: LanesOptions) {
    this.#handler = handler
    this.#clock = clock
    this.#control = new OutLane('control', this.#pool)
    for (let i = 0; i < SHARED_LANES; i++) this.#shared.push(new OutLane('shared', this.#pool))
    this.#scratch = scratch
    this.#bulk = new BulkTurns(clock, (lane, limitBytes) => this.#write(lane, limitBytes))
    const carrier = this.#streamCarrier()
    this.#streams = new ByteStreamTable(carrier)
    this.#incoming = new LanesIn(clock, carrier, maxFrameBytes, {
      frames: handler,
      streams: this.#streams,
      laneDone: (stream) => this.#laneDone(stream),
      refuse: ({ code, message }) => this.close(wireCodeOf(code), code, message),
    })
    this.#open(this.#control, 0)
  }

  attach(connection: Connection): this {
    this.connection = connection
    return this
  }

  get lastHeardMs(): number {
    return this.connection.lastHeardMs
  }

  acceptLanes(): void {
    if (this.#state !== 'control') return
    this.#state = 'open'
    this.#incoming.readAll()
    this.connection.requestFlush()
  }

  control(type: number, body: Uint8Array): void {
    if (this.#control.queuedBytes > MAX_QUEUED_CONTROL_BYTES) {
      this.close(wireCodeOf('ERR_SKEIN_LIMIT'), 'ERR_SKEIN_LIMIT', 'the peer does not read its control lane')
    }
    // As the body, however short: a head has to fit into a chunk.
    this.#queue(this.#control, type, NO_HEAD, 0, body)
  }

  sender(key = this.#nextKey++): LaneSender {
    const shared = this.#shared[key % SHARED_LANES] as OutLane
    if (shared.stream < 0 && shared.queuedBytes === 0) this.#open(shared, 0)
    return new Sender(this, shared)
  }

  get rest(): LaneRest {
    return this.#incoming.rest
  }

  get streams(): ByteStreamTable {
    return this.#streams
  }

  figures(): LaneFigures {
    return { dedicatedLanes: this.#dedicated.size, heldLanes: this.#incoming.held, queuedBytes: this.queuedBytes }
  }

  flushed(): Promise<void> {
    if (this.queuedBytes === 0 || this.closed) return Promise.resolve()
    return new Promise((resolve) => this.#flushWaiters.push(resolve))
  }

  close(wireCode: number, code: CloseReason['code'], message: string): void {
    if (this.closed) return
    this.#state = 'closing'
    this.#incoming.end()
    this.connection.close(wireCode, code, message)
  }

  // ---- for senders

  /** A lane with this much is full. */
  get highWaterBytes(): number {
    return this.queuedBytes < BUSY_BYTES ? HIGH_WATER_BYTES : BUSY_HIGH_WATER_BYTES
  }

  /** Who waits for room on this lane goes on when no more than this is queued there. A stream's buffer is its own. */
  lowWaterBytes(lane: OutLane): number {
    return this.queuedBytes < BUSY_BYTES || lane.kind === 'stream' ? lane.lowWaterBytes : BUSY_LOW_WATER_BYTES
  }

  get closed(): boolean {
    return this.#state === 'closing' || this.#state === 'closed'
  }

  append(lane: OutLane, type: number, head: Uint8Array, headLength: number, body: Uint8Array | undefined): void {
    const size = FRAME_HEADER_BYTES + headLength + (body === undefined ? 0 : body.length)
    if (lane.queuedBytes + size > MAX_QUEUED_BYTES - this.queuedBytes) {
      throw new SkeinError(
        'ERR_SKEIN_QUEUE_FULL',
        `${lane.queuedBytes} bytes wait on this lane, ${MAX_QUEUED_BYTES - this.queuedBytes} more may wait for this node`,
      )
    }
    this.#queue(lane, type, head, headLength, body)
  }

  /** A dedicated lane behind a mark on the shared one, or undefined while there are too many. */
  promote(shared: OutLane): DedicatedLane | undefined {
    if (this.#dedicated.size >= MAX_DEDICATED_LANES || this.closed) return undefined
    this.#lastMark = (this.#lastMark + 1) >>> 0 || 1
    this.#queue(shared, FRAME_MARK, markBody(this.#lastMark), MARK_BYTES, undefined)
    return this.dedicate(this.#lastMark)
  }

  /** A new dedicated lane; without a mark it may only start where its sender has nothing under way. */
  dedicate(mark: number, blocked = false): DedicatedLane {
    const lane = new DedicatedLane('dedicated', this.#pool)
    lane.blocked = blocked
    this.#dedicated.add(lane)
    this.#open(lane, mark)
    this.#idleTimer ??= this.#clock.after(LANE_IDLE_MS, () => this.#finishIdle(), true)
    return lane
  }

  /** The lane behind one that is ending: nothing of it leaves before the end is acknowledged. */
  succeed(): DedicatedLane {
    return this.dedicate(0, true)
  }

  finish(lane: DedicatedLane): void {
    if (lane.finishing) return
    this.#queue(lane, FRAME_END, NO_HEAD, 0, undefined)
    lane.finishing = true
  }

  // ---- ConnectionHandler

  onOpen(): void {
    this.#state = 'control'
    this.connection.requestFlush()
    this.#handler.onOpen()
  }

  onConfirmed(): void {
    if (!this.closed) this.#handler.onConfirmed?.()
  }

  onReadable(stream: number): void {
    this.#incoming.onReadable(stream)
  }

  onFlush(): void {
    if (this.#state === 'connecting' || this.closed) return
    this.epoch++
    this.#writeAll(this.#control)
    // Membership first: the peer reads no lane before.
    if (this.#state === 'open') {
      if (this.#shared.some((lane) => lane.queuedBytes > 0)) this.#bulk.lightWrites()
      for (const lane of this.#shared) this.#writeAll(lane)
      this.#bulk.flush(this.connection)
    }
    if (this.queuedBytes === 0 && this.#flushWaiters.length > 0)
      for (const resolve of this.#flushWaiters.splice(0)) resolve()
  }

  onDatagram(bytes: Uint8Array): void {
    if (!this.closed) this.#handler.onDatagram?.(bytes)
  }

  onMoved(): void {
    if (!this.closed) this.#handler.onMoved?.()
  }

  onClosed(reason: CloseReason): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#idleTimer?.cancel()
    this.#bulk.close()
    for (const resolve of this.#flushWaiters.splice(0)) resolve()
    for (const lane of [...this.#shared, ...this.#dedicated]) lane.release()
    this.#incoming.end()
    this.#streams.clear()
    this.#handler.onClosed(reason)
  }

  // ---- sending

  #queue(lane: OutLane, type: number, head: Uint8Array, headLength: number, body: Uint8Array | undefined): void {
    if (this.closed) return
    const before = lane.queuedBytes
    lane.append(type, head, headLength, body)
    // What streams have waiting is bounded by itself, and takes no room from messages.
    if (lane.kind !== 'stream') this.queuedBytes += lane.queuedBytes - before
    if (lane.kind === 'dedicated' || lane.kind === 'stream') this.#bulk.list(lane)
    if (this.#state !== 'connecting') this.connection.requestFlush()
  }

  #open(lane: OutLane, mark: number): void {
    this.#queue(lane, FRAME_OPEN, openBody(lane.kind, mark), OPEN_BYTES, undefined)
  }

  /** Writes what the connection takes of a lane; returns how many bytes that were. */
  #write(lane: OutLane, limitBytes: number): number {
    if (lane.stream < 0) {
      lane.stream = this.connection.openStream(lane.kind === 'control' || lane.kind === 'shared')
      if (lane.stream < 0) return 0
    }
    const written = lane.writeTo(this.connection, limitBytes)
    if (lane.kind !== 'stream') this.queuedBytes -= written
    if (lane.queuedBytes <= this.lowWaterBytes(lane)) lane.release()
    return written
  }

  #writeAll(lane: OutLane): void {
    if (lane.queuedBytes > 0) this.#write(lane, lane.queuedBytes)
  }

  #finishIdle(): void {
    this.#idleTimer = undefined
    for (const lane of this.#dedicated) {
      if (!lane.active && lane.queuedBytes === 0 && !lane.blocked) this.finish(lane)
      lane.active = false
    }
    if (this.queuedBytes === 0) this.#pool.clear()
    if (this.#dedicated.size > 0) this.#idleTimer = this.#clock.after(LANE_IDLE_MS, () => this.#finishIdle(), true)
  }

  #streamCarrier(): StreamCarrier {
    const lanes = this
    return {
      get connection() {
        return lanes.connection
      },
      get closed() {
        return lanes.closed
      },
      get scratch() {
        lanes.#scratch ??= Buffer.allocUnsafeSlow(SCRATCH_BYTES)
        return lanes.#scratch
      },
      pool: this.#pool,
      control: (type, body) => this.control(type, body),
      begin: (lane, number) => this.#open(lane, number),
      list: (lane) => {
        this.#bulk.list(lane)
        this.connection.requestFlush()
      },
      unlist: (lane) => this.#bulk.unlist(lane),
      soon: (fn) => this.#clock.endOfTurn(fn),
    }
  }

  /** Everything on a finished lane of ours was delivered: its sender may go on. */
  #laneDone(stream: number): void {
    for (const lane of this.#dedicated) {
      if (lane.stream !== stream) continue
      if (!lane.finished) throw protocolError('the peer acknowledges the end of a lane that has not ended')
      this.#dedicated.delete(lane)
      const successor = lane.successor
      if (successor !== undefined) {
        successor.blocked = false
        this.#bulk.list(successor)
        this.connection.requestFlush()
      }
      lane.acknowledged = true
      lane.onAcknowledged?.()
      return
    }
    throw protocolError('the peer acknowledges the end of a lane that does not exist')
  }
}
