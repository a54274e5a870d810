/**
 * The incoming lanes of one connection: which of them are read now, and whom their frames are for.
 *
 * Only the control lane is read before the peer has proven its membership. A lane waits while its mark was not met, while its
 * receiver has no room (never a shared one), and during a rest (lane-rest.ts); QUIC's flow control then holds back its sender.
 * How the bytes of one lane become frames is in lane-in.ts, why there are marks in lanes.ts.
 */
import { isSkeinError, SkeinError } from '../certs/errors.ts'
import type { ByteStreamTable } from './byte-streams.ts'
import type { Clock } from './clock.ts'
import { FIRST_LANE_FRAME_TYPE, type LanesHandler } from './lane.ts'
import {
  DONE_BYTES,
  doneBody,
  FRAME_DONE,
  FRAME_END,
  FRAME_MARK,
  FRAME_OPEN,
  MARK_BYTES,
  OPEN_BYTES,
} from './lane-frames.ts'
import { type FrameOutcome, InLane } from './lane-in.ts'
import { LANE_KINDS } from './lane-out.ts'
import { LaneRest } from './lane-rest.ts'
import type { StreamCarrier } from './stream-carrier.ts'

/** Marks met whose lane has not shown up yet, and lanes that wait for a mark: a peer with more breaks the rules. */
const MAX_OPEN_MARKS = 1024
/** The longest control frame, bytes: a handshake message or a list of peers. */
const MAX_CONTROL_FRAME_BYTES = 64 * 1024

/** The peer's first stream (2 or 3) is its control lane. */
const isControl = (stream: number): boolean => stream < 4

export const protocolError = (message: string): SkeinError => new SkeinError('ERR_SKEIN_PROTOCOL', message)

/** Who hears of what came. */
interface Hearers {
  readonly frames: Pick<LanesHandler, 'onFrame' | 'onControl'>
  readonly streams: ByteStreamTable
  /** Everything on a finished lane of ours, with this stream, was delivered. Throws ERR_SKEIN_PROTOCOL. */
  laneDone(stream: number): void
  /** The peer broke a rule. */
  refuse(error: SkeinError): void
}

export class LanesIn {
  readonly #clock: Clock
  readonly #carrier: StreamCarrier
  readonly #maxFrameBytes: number
  readonly #hearers: Hearers
  readonly #frames: Hearers['frames']
  readonly rest: LaneRest
  /** By their stream. */
  readonly #lanes = new Map<number, InLane>()
  /** Marks met on shared lanes whose dedicated lane has not opened yet. */
  readonly #marks = new Set<number>()
  /** Dedicated lanes that wait for their mark. */
  readonly #waiting = new Map<number, InLane>()
  #readsAll = false
  #isOver = false
  readonly #take = (lane: InLane, buffer: Uint8Array, start: number, end: number): FrameOutcome =>
    this.#frame(lane, buffer, start, end)

  constructor(clock: Clock, carrier: StreamCarrier, maxFrameBytes: number, hearers: Hearers) {
    this.#clock = clock
    this.#carrier = carrier
    this.#maxFrameBytes = maxFrameBytes
    this.#hearers = hearers
    this.#frames = hearers.frames
    this.rest = new LaneRest(clock, (lane) => this.#resume(lane))
  }

  /** Incoming ones that are not read for now. */
  get held(): number {
    let held = 0
    for (const lane of this.#lanes.values()) if (lane.paused) held++
    return held
  }

  /** From now on all lanes are read. */
  readAll(): void {
    this.#readsAll = true
    // Not now: this is called for a control frame, which still lies in the scratch buffer with what follows it.
    this.#clock.endOfTurn(() => {
      for (const lane of this.#lanes.values()) if (lane.kind !== 'control') this.#goOn(lane)
    })
  }

  onReadable(stream: number): void {
    let lane = this.#lanes.get(stream)
    if (lane === undefined) {
      if (this.#hearers.streams.onReadable(stream)) return
      lane = new InLane(stream)
      this.#lanes.set(stream, lane)
    }
    if (this.#isOver || lane.continues) return
    if (this.#readsAll || isControl(stream)) this.#pump(lane)
  }

  /** Nothing is read any more. */
  end(): void {
    this.#isOver = true
    this.#lanes.clear()
    this.#marks.clear()
    this.#waiting.clear()
  }

  #pump(lane: InLane): void {
    if (!this.rest.admits(lane)) return
    try {
      const { connection, scratch } = this.#carrier
      const maxFrameBytes = isControl(lane.stream) ? MAX_CONTROL_FRAME_BYTES : this.#maxFrameBytes
      const result = lane.pump(connection, scratch, maxFrameBytes, this.#take)
      if (result === 'more') {
        lane.continues = true
        this.#clock.afterInput(() => {
          lane.continues = false
          this.#goOn(lane)
        })
      }
      if (result === 'finished') this.#finished(lane)
      if (result === 'cutOff') this.#lanes.delete(lane.stream)
      if (lane.kind === 'stream') this.#streamBegan(lane)
    } catch (error) {
      this.#hearers.refuse(isSkeinError(error) ? error : protocolError((error as Error).message))
    }
  }

  #resume(lane: InLane): void {
    lane.paused = false
    this.#goOn(lane)
  }

  #goOn(lane: InLane): void {
    if (!this.#isOver && this.#lanes.get(lane.stream) === lane) this.#pump(lane)
  }

  #streamBegan(lane: InLane): void {
    this.#lanes.delete(lane.stream)
    this.#hearers.streams.begun(lane.streamNumber, lane.stream, lane.takeRest())
  }

  #finished(lane: InLane): void {
    if (lane.kind !== 'dedicated') throw protocolError(`the peer ended its ${lane.kind} lane`)
    this.#lanes.delete(lane.stream)
    this.#carrier.control(FRAME_DONE, doneBody(lane.stream))
  }

  #frame(lane: InLane, buffer: Uint8Array, start: number, end: number): FrameOutcome {
    const type = buffer[start] as number
    if (lane.kind === 'unknown') return this.#opened(lane, type, buffer, start, end)
    if (type >= FIRST_LANE_FRAME_TYPE) {
      this.#laneFrame(lane, type, Buffer.from(buffer.buffer, buffer.byteOffset + start + 1, end - start - 1))
      return 'next'
    }
    if (lane.kind === 'control') {
      this.#frames.onControl(type, buffer, start + 1, end)
      return this.#isOver ? 'closed' : 'next'
    }
    const hold = this.#frames.onFrame(type, buffer, start + 1, end)
    if (this.#isOver) return 'closed'
    // Light senders share their lane with others, who must not wait for one slow receiver.
    if (hold === undefined || lane.kind === 'shared') return this.rest.takes(lane) ? 'pause' : 'next'
    hold.onceRelieved(() => this.#clock.endOfTurn(() => this.#resume(lane)))
    return 'pause'
  }

  #opened(lane: InLane, type: number, buffer: Uint8Array, start: number, end: number): FrameOutcome {
    const kind = LANE_KINDS[buffer[start + 1] as number]
    if (type !== FRAME_OPEN || end - start !== 1 + OPEN_BYTES || kind === undefined)
      throw protocolError('a lane does not begin as lanes do')
    if ((kind === 'control') !== isControl(lane.stream))
      throw protocolError('the control lane is the first one and no other')
    lane.kind = kind
    const mark = Buffer.from(buffer.buffer, buffer.byteOffset + start + 2, MARK_BYTES).readUInt32LE()
    if (kind === 'stream') {
      lane.streamNumber = mark
      return 'pause'
    }
    if (mark === 0 || this.#marks.delete(mark)) return 'next'
    if (kind !== 'dedicated' || this.#waiting.has(mark) || this.#waiting.size >= MAX_OPEN_MARKS)
      throw protocolError('a lane waits for an impossible mark')
    this.#waiting.set(mark, lane)
    return 'pause'
  }

  #laneFrame(lane: InLane, type: number, body: Buffer): void {
    if (type === FRAME_MARK && lane.kind === 'shared' && body.length === MARK_BYTES)
      return this.#markMet(body.readUInt32LE())
    if (type === FRAME_DONE && lane.kind === 'control' && body.length === DONE_BYTES)
      return this.#hearers.laneDone(body.readUIntLE(0, DONE_BYTES))
    if (type === FRAME_END && lane.kind === 'dedicated' && body.length === 0) return
    if (lane.kind === 'control' && this.#hearers.streams.onFrame(type, body)) return
    throw protocolError(`lane frame 0x${type.toString(16)} is out of place`)
  }

  #markMet(mark: number): void {
    const lane = this.#waiting.get(mark)
    if (lane === undefined) {
      if (this.#marks.size >= MAX_OPEN_MARKS) throw protocolError('too many marks without a lane')
      this.#marks.add(mark)
      return
    }
    this.#waiting.delete(mark)
    // Not within the shared lane's own parsing: both use the connection's scratch buffer.
    this.#clock.endOfTurn(() => this.#resume(lane))
  }
}
