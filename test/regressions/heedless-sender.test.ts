/**
 * A sender that heeds no backpressure is refused in the end. It once took all of the room towards a node with it, so that
 * calls, replies and messages of every other process of its node were refused as well, and processes that did nothing
 * wrong crashed.
 */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { suite } from '../support/suite.ts'
import { Audience, openPair, Speaker } from '../transport/lanes-harness.ts'
import { memoryPair } from '../transport/lanes-memory.ts'

const MIB = 1 << 20

const test = suite('heedless senders')

test(
  'leave room to those who send little',
  async () => {
    const h = memoryPair(1)
    const { a, b } = await openPair(h, { accept: false })
    a.lanes.acceptLanes()
    const audience = new Audience().attend(b.listener)
    const heedless = [1, 2].map((id) => new Speaker(id, a.lanes))
    const isRefused = (speaker: Speaker, bytes: number): boolean => {
      try {
        speaker.say(bytes)
        return false
      } catch (error) {
        assert.ok(isSkeinError(error, 'ERR_SKEIN_QUEUE_FULL'), String(error))
        return true
      }
    }
    for (const speaker of heedless) {
      for (const bytes of [MIB, 10_000, 100]) for (let i = 0; i < 200 && !isRefused(speaker, bytes); i++);
      assert.ok(isRefused(speaker, 100))
    }
    const others = Array.from({ length: 100 }, (_, i) => new Speaker(10 + i, a.lanes))
    for (const other of others) for (let i = 0; i < 10; i++) other.say(1000)
    b.lanes.acceptLanes()
    await h.until(() => audience.heardAll([...heedless, ...others]))
    audience.assertFaultless()
  },
  { deadlineMs: 20_000 },
)

test.run()
