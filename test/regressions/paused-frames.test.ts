/** Found by the fuzzer: each pause behind a short frame copied all that had been read behind it. */
import * as assert from 'uvu/assert'
import { InLane, SCRATCH_BYTES } from '../../transport/lane-in.ts'
import type { Connection, ReadResult } from '../../transport/transport.ts'
import { suite } from '../support/suite.ts'

const test = suite('paused frames')

const FRAME_BYTES = 5
/** What was read is copied once; every pause cost another half of it. */
const MOST_BYTES = 4 * SCRATCH_BYTES

test('frames taken one by one, with a pause behind each, are not copied again and again', () => {
  const frames = Math.floor(SCRATCH_BYTES / FRAME_BYTES)
  const bytes = Buffer.alloc(frames * FRAME_BYTES)
  for (let i = 0; i < frames; i++) bytes.writeUInt32LE(1, i * FRAME_BYTES)
  let at = 0
  const read = (_stream: number, into: Uint8Array): ReadResult => {
    const size = Math.min(into.length, bytes.length - at)
    into.set(bytes.subarray(at, at + size))
    at += size
    return { bytes: size, finished: false, reset: false }
  }
  const connection = { read } as unknown as Connection
  const lane = new InLane(2)
  const scratch = Buffer.alloc(SCRATCH_BYTES)
  const buffers = new Map<ArrayBufferLike, number>()
  let taken = 0
  for (let result = ''; result !== 'waiting'; lane.paused = false) {
    result = lane.pump(connection, scratch, 1024, (_lane, buffer) => {
      buffers.set(buffer.buffer, buffer.buffer.byteLength)
      taken++
      return 'pause'
    })
  }
  assert.is(taken, frames)
  const copied = [...buffers.values()].reduce((sum, size) => sum + size, 0)
  assert.ok(copied <= MOST_BYTES, `${copied} bytes were taken for ${bytes.length}`)
})

test.run()
