/**
 * Lanes as the layer above sees them: ordered frames per sender on top of a connection's byte streams (lanes.ts).
 *
 * Every sending process owns one `LaneSender` per connected node. Frames of one sender arrive in the order sent; nothing
 * is promised between senders. The control lane is for the connection itself: handshake, tick, goodbye.
 */
import type { ByteStreams } from './byte-stream.ts'
import type { CloseReason, Connection } from './transport.ts'

/** Frame types below this belong to the layer above; from here on to the lanes themselves. */
export const FIRST_LANE_FRAME_TYPE = 0xf0

/** A full mailbox: the lane stays put until `onceRelieved` calls back. */
export interface Hold {
  onceRelieved(resume: () => void): void
}

/** One sender of a connection. What it sends arrives in order, whichever lane it takes. */
export interface LaneSender {
  /**
   * Queues one frame: `head[0..headLength)` followed by `body`; both are copied before this returns. False means the lane
   * is above its high-water mark: the frame is taken, but wait for `drained` before sending much more. Throws
   * ERR_SKEIN_QUEUE_FULL when the frame was refused (the hard limit). After the connection closed frames vanish.
   */
  send(type: number, head: Uint8Array, headLength: number, body: Uint8Array | undefined): boolean
  /** Resolves when the lane is below its low-water mark again, or the connection is gone. */
  drained(): Promise<void>
  /**
   * The sender is gone: its lane ends behind the last frame. `ended` is called when all of it was delivered; what is sent
   * before (an answer on behalf of a process that is gone) still comes after everything sent so far.
   */
  close(ended?: () => void): void
}

/** What the lanes of a connection tell their owner. `onClosed` comes once, and nothing after it. */
export interface LanesHandler {
  /** The connection is open; only the control lane runs until `acceptLanes`. */
  onOpen(): void
  /** It was open early, and TLS is done now (ConnectionHandler). */
  onConfirmed?(): void
  /** A frame of a sender: type, and its bytes at buffer[start..end), valid only during this call. */
  onFrame(type: number, buffer: Uint8Array, start: number, end: number): Hold | undefined
  /** A frame of the control lane. */
  onControl(type: number, buffer: Uint8Array, start: number, end: number): void
  /** What the peer gave to its `Connection.sendDatagram`. The bytes are the receiver's to keep. */
  onDatagram?(bytes: Uint8Array): void
  /** The connection now takes another way than before. */
  onMoved?(): void
  onClosed(reason: CloseReason): void
}

/** For people. */
export interface LaneFigures {
  /** Of heavy senders, in this direction. */
  readonly dedicatedLanes: number
  /** Incoming ones that wait for a full mailbox. */
  readonly heldLanes: number
  /** That wait to be written, in all lanes. */
  readonly queuedBytes: number
}

/** What lanes.ts offers; also what a test double of a peer has to offer. */
export interface LaneConnection {
  readonly connection: Connection
  /** Starts reading the peer's lanes: membership is proven. */
  acceptLanes(): void
  /** For what was costly: no more is read of the peer's lanes, save the control lane, until timers and others had their turn. */
  readonly rest: { begin(kind?: 'short' | 'long', becameBytes?: number): void }
  control(type: number, body: Uint8Array): void
  /** A sender. Of senders with the same key, one after the other, later frames never overtake earlier ones. */
  sender(key?: number): LaneSender
  /** Streams of bytes beside the lanes. Only for peers whose protocol has them (version 2). */
  readonly streams: ByteStreams
  /** Monotonic time (ms) of the last byte heard from the peer. */
  readonly lastHeardMs: number
  figures(): LaneFigures
  /** Resolves when all that is queued now was handed to the carrier, or the connection is gone. */
  flushed(): Promise<void>
  close(wireCode: number, code: CloseReason['code'], message: string): void
}
