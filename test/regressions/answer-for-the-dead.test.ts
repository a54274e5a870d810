/**
 * A process floods a peer and ends; then its node answers on its behalf (a DOWN noproc for a late monitor). The answer
 * must not overtake what the process said itself: it once took a fresh sender, on another lane.
 */
import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import { DATA, NO_HEAD, openPair } from '../transport/lanes-harness.ts'
import { memoryPair } from '../transport/lanes-memory.ts'

const FIRST_SEED = 77
const SEEDS = 50
const BAD_LINK = { delayMs: 5, jitterMs: 5, loss: 0.1, reorder: 0.2 }

const test = suite('answers on behalf of an ended process')

for (const [how, frames, bytes] of [
  ['light', 3, 100],
  ['heavy', 40, 5000],
] as const) {
  test(`come behind all that a ${how} one said, seeds from ${FIRST_SEED}`, async (t) => {
    for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
      const h = memoryPair(seed, BAD_LINK)
      t.defer(() => Promise.all([h.a.close(), h.b.close()]))
      const { a, b } = await openPair(h)
      const process = a.lanes.sender(5)
      const others = [a.lanes.sender(4), a.lanes.sender(6)]
      for (let i = 0; i < frames; i++) process.send(DATA, NO_HEAD, 0, Buffer.alloc(bytes, i))
      for (const other of others) other.send(DATA, NO_HEAD, 0, Buffer.alloc(2000, 200))
      let ended = false
      process.close(() => {
        ended = true
      })
      const answerer = ended ? a.lanes.sender(5) : process
      answerer.send(DATA, NO_HEAD, 0, Buffer.alloc(10, 100))
      await h.until(() => b.listener.frames.length === frames + 3)
      const own = b.listener.frames.map(({ bytes: body }) => body[0] as number).filter((mark) => mark !== 200)
      assert.equal(own, [...Array(frames).keys(), 100], `seed ${seed}`)
      if (how === 'heavy') await h.until(() => ended)
    }
  })
}

test.run()
