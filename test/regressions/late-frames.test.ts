/**
 * Found by the soak run: of a connection's streams the last 1024 were remembered as over. A frame of an older one that was sent
 * again counted for good as one that waits to be read, and after weeks of work the connection would have been ended for it.
 */
import * as assert from 'uvu/assert'
import { FrameWatch } from '../../transport/frame-watch.ts'
import * as frames from '../support/crafted-frames.ts'
import { suite } from '../support/suite.ts'

const HEADER = Buffer.from([0x41, ...Buffer.alloc(16, 7), 0, 1])
const TAG = Buffer.alloc(16)
const STREAMS = 4000
const LATE_FRAMES = 100_000

const test = suite('frames of streams that are over')

const numberOf = (index: number): number => 3 + 4 * index

test('count for nothing, however long ago they ended', () => {
  const watch = new FrameWatch()
  let nowMs = 0
  const send = (stream: number, offset: number, bytes: number): string | undefined => {
    const packet = Buffer.concat([HEADER, frames.stream(stream, offset, Buffer.alloc(bytes)), TAG])
    // Where that is asked for, the engine has counted it.
    return watch.packet(packet, 0, ++nowMs, watch.isAlert(nowMs) ? true : undefined)
  }
  // The last one of each eight comes first.
  for (let index = 0; index < STREAMS; index++) {
    const stream = numberOf(index ^ 7)
    assert.is(send(stream, 0, 20), undefined)
    watch.read(stream, 20, true)
  }
  for (let i = 0; i < LATE_FRAMES; i++) assert.is(send(numberOf(i % STREAMS), 10, 10), undefined, `frame ${i}`)
  const open = numberOf(STREAMS)
  let offence: string | undefined
  for (let i = 0; offence === undefined && i < LATE_FRAMES; i++) offence = send(open, i * 3 + 1, 1)
  assert.is(offence, 'too many pieces of streams that cannot be read')
})

test.run()
