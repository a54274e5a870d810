/** The receiving end of a lane: bytes of a stream, in pieces of any size, cut into frames. */
import { InLane, SCRATCH_BYTES } from '../../../transport/lane-in.ts'
import type { Connection, ReadResult } from '../../../transport/transport.ts'
import { holds, type Target } from '../target.ts'

const scratch = Buffer.alloc(SCRATCH_BYTES)
const MAX_FRAME_BYTES = 1 << 20

export const target: Target = {
  name: 'lane',
  about: 'members and whoever opened a connection: streams cut into frames',
  maxBytes: 40_000,
  // Where the bytes come one by one, the beginning of a frame is copied for each of them.
  maxAllocation: 64 << 20,
  sample: (chance) => {
    const parts: Buffer[] = [Buffer.from(chance.bytes(3))]
    for (let i = chance.below(6); i >= 0; i--) {
      const frame = Buffer.alloc(4 + (chance.oneIn(20) ? 17_000 : 1 + chance.below(60)), i)
      frame.writeUInt32LE(frame.length - 4)
      parts.push(frame)
    }
    return Buffer.concat(parts)
  },
  run: (bytes) => {
    if (bytes.length < 3) return
    const [step, pauses, ending] = bytes
    let at = 3
    const read = (_stream: number, into: Uint8Array): ReadResult => {
      const size = Math.min(into.length, bytes.length - at, 1 + (step! < 128 ? step! : step! << 6))
      into.set(bytes.subarray(at, at + size))
      at += size
      const isEnd = at === bytes.length
      return { bytes: size, finished: isEnd && (ending! & 1) === 1, reset: isEnd && (ending! & 6) === 6 }
    }
    const connection = { read } as unknown as Connection
    const lane = new InLane(2)
    if ((ending! & 8) !== 0) lane.kind = 'shared'
    let taken = 0
    let frames = 0
    for (let turns = 0; turns < 10_000; turns++) {
      const result = lane.pump(connection, scratch, MAX_FRAME_BYTES, (_lane, buffer, start, end) => {
        holds(start < end && end <= buffer.length, 'a frame lies in its buffer')
        taken += end - start + 4
        frames++
        return pauses! > 0 && frames % pauses! === 0 ? 'pause' : 'next'
      })
      if (result === 'paused') lane.paused = false
      else if (result === 'finished' || result === 'cutOff' || result === 'closed') break
      else if (at === bytes.length) break
    }
    holds(taken <= bytes.length - 3, 'no frame has bytes that did not come')
  },
}
