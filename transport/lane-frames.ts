/** The frames that lanes themselves send, and what is in them; those about streams of bytes are in stream-carrier.ts. */
import { LANE_KINDS, type LaneKind } from './lane-out.ts'

/** The first frame of a lane. Body: kind u8, mark u32 (0 for none; of a stream of bytes its number). */
export const FRAME_OPEN = 0xf0
/** On a shared lane: behind it a dedicated one goes on. Body: mark u32. */
export const FRAME_MARK = 0xf1
/** On the control lane: everything on a dedicated one was delivered. Body: its QUIC stream, 6 bytes. */
export const FRAME_DONE = 0xf2
/** The last frame of a dedicated lane. No body. */
export const FRAME_END = 0xf6

export const OPEN_BYTES = 5
export const MARK_BYTES = 4
export const DONE_BYTES = 6

export const openBody = (kind: LaneKind, mark: number): Uint8Array => {
  const body = Buffer.allocUnsafe(OPEN_BYTES)
  body[0] = LANE_KINDS.indexOf(kind)
  body.writeUInt32LE(mark, 1)
  return body
}

export const markBody = (mark: number): Uint8Array => {
  const body = Buffer.allocUnsafe(MARK_BYTES)
  body.writeUInt32LE(mark)
  return body
}

export const doneBody = (stream: number): Uint8Array => {
  const body = Buffer.allocUnsafe(DONE_BYTES)
  body.writeUIntLE(stream, 0, DONE_BYTES)
  return body
}
