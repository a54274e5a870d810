/** The buffer of a stream within a node: bounded in bytes and in pieces. */
import * as assert from 'uvu/assert'
import { localBytes } from '../../../src/streams/local-bytes.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const test = suite('local bytes')

const setUp = () => {
  const clock = new VirtualClock()
  let rooms = 0
  const writing = { onRoom: () => rooms++, onDelivered() {}, onStopped() {} }
  const { writer, reader } = localBytes(clock, writing, { onReadable() {}, onAborted() {} })
  /** Writes pieces until nothing is taken for some turns; returns how many bytes were. */
  const fill = async (sizeBytes: number): Promise<number> => {
    let taken = 0
    for (let turn = 0; turn < 100; turn++) {
      for (let count = sizeBytes; count === sizeBytes; taken += count) count = writer.write(new Uint8Array(sizeBytes))
      await clock.run({ untilMs: clock.now() + 1 })
    }
    return taken
  }
  return { writer, reader, fill, rooms: () => rooms }
}

test('as many bytes, or as many pieces, and reading makes room for more', async () => {
  for (const [sizeBytes, bound] of [
    [16 * 1024, 256 * 1024],
    [1, 1024],
  ] as const) {
    const { reader, fill, rooms } = setUp()
    assert.is(await fill(sizeBytes), bound)
    const before = rooms()
    const room = new Uint8Array(64 * 1024)
    let bytes = 0
    for (let read = -1; read !== 0; bytes += read) read = reader.read(room).bytes
    assert.is(bytes, bound)
    assert.is(rooms(), before + 1, 'told once')
    assert.is(await fill(sizeBytes), bound)
  }
})

test.run()
