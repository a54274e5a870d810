import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import {
  firstStampOf,
  HybridClock,
  isStamp,
  MAX_CLOCK_AHEAD_MS,
  timeOf,
} from '../../../../src/services/global/stamp.ts'
import { VirtualClock } from '../../../../src/testing/index.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('stamps')

test('grow, follow the calendar, and have one length', async () => {
  const clock = new VirtualClock()
  const stamps = new HybridClock(clock, 0)
  let before = stamps.tick()
  assert.is(timeOf(before), Math.floor(clock.wallNow()))
  for (let i = 0; i < 100_000; i++) {
    const stamp = stamps.tick()
    if (stamp <= before || !isStamp(stamp)) assert.unreachable(`${stamp} after ${before}`)
    before = stamp
  }
  // More than the counter holds were taken in one millisecond.
  assert.is(timeOf(before), Math.floor(clock.wallNow()) + 1)
  await clock.run({ untilMs: 5000 })
  assert.is(timeOf(stamps.tick()), Math.floor(clock.wallNow()))
})

test('are greater than those that were seen, and never less than the start', () => {
  const clock = new VirtualClock()
  const ahead = clock.wallNow() + 1000
  const stamps = new HybridClock(clock, ahead)
  assert.ok(stamps.tick() > firstStampOf(ahead))
  const seen = `${firstStampOf(ahead + 5000).slice(0, 12)}ffff`
  stamps.see(seen)
  const next = stamps.tick()
  assert.ok(next > seen)
  stamps.see(firstStampOf(ahead))
  assert.ok(stamps.tick() > next)
})

test('a stamp too far ahead moves nothing', () => {
  const clock = new VirtualClock()
  const stamps = new HybridClock(clock, 0)
  const before = stamps.tick()
  for (const lie of ['ffffffffffffffff', firstStampOf(clock.wallNow() + MAX_CLOCK_AHEAD_MS + 1)]) {
    try {
      stamps.see(lie)
      assert.unreachable()
    } catch (error) {
      assert.ok(isSkeinError(error, 'ERR_SKEIN_CLOCK'))
    }
  }
  assert.is(timeOf(stamps.tick()), timeOf(before))
  stamps.see(firstStampOf(clock.wallNow() + MAX_CLOCK_AHEAD_MS - 1))
})

test('what is no stamp', () => {
  for (const value of ['', '0', 'x'.repeat(16), '0'.repeat(17), 'F'.repeat(16), 5, undefined])
    assert.not(isStamp(value))
  assert.ok(isStamp(firstStampOf(0)))
})

test.run()
