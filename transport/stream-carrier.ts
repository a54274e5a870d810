/** What streams of bytes need of the lanes, and how they tell the other side of their ends. */
import { STREAM_CUTS, type StreamCut } from './byte-stream.ts'
import type { ChunkPool, OutLane } from './lane-out.ts'
import type { Connection } from './transport.ts'

/** Frames of the control lane. Body: number u32, and for the first two why, u8. */
export const FRAME_ABORTED = 0xf3
export const FRAME_STOPPED = 0xf4
export const FRAME_DELIVERED = 0xf5
export const NUMBER_BYTES = 4
export const CUT_BYTES = NUMBER_BYTES + 1

/** What the streams need of the lanes. */
export interface StreamCarrier {
  readonly connection: Connection
  readonly closed: boolean
  readonly pool: ChunkPool
  /** Room that is only used within a call. */
  readonly scratch: Buffer
  control(type: number, body: Uint8Array): void
  /** Queues the opening of a stream's lane. */
  begin(lane: OutLane, number: number): void
  /** It has something to write. */
  list(lane: OutLane): void
  unlist(lane: OutLane): void
  /** Runs it when what was read so far has been handled: until then the scratch is in use. */
  soon(fn: () => void): void
}

/** A stream was cut off at this side. */
export const tellCut = (carrier: StreamCarrier, type: number, number: number, why: StreamCut): void => {
  const body = Buffer.allocUnsafe(CUT_BYTES)
  body.writeUInt32LE(number)
  body[NUMBER_BYTES] = STREAM_CUTS.indexOf(why)
  carrier.control(type, body)
}
