/** The clock of a machine of the memory network: at its own rate, and never a moment early by its own account. */
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { MemoryHost } from '../../transport/memory-host.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('memory host')

const make = (): { clock: VirtualClock; host: MemoryHost } => {
  const clock = new VirtualClock()
  return { clock, host: new MemoryHost('a', clock) }
}

test('the clock is right until it is skewed', () => {
  const { clock, host } = make()
  clock.advance(1234.5)
  assert.is(host.clock.now(), clock.now())
  assert.is(host.clock.wallNow(), clock.wallNow())
})

test('rate and calendar', () => {
  const { clock, host } = make()
  clock.advance(1000)
  host.skewClock({ rate: 0.5, wallOffsetMs: 60_000 })
  assert.is(host.clock.now(), 1000, 'it goes on from where it was')
  clock.advance(1000)
  assert.is(host.clock.now(), 1500)
  assert.is(host.clock.wallNow(), clock.wallNow() - 500 + 60_000)
  host.skewClock({ rate: 3 })
  clock.advance(1000)
  assert.is(host.clock.now(), 4500)
  assert.is(host.clock.wallNow(), clock.wallNow() + 1500 + 60_000, 'the calendar is as wrong as before')
})

test('a timer that is under way when the clock becomes slower waits longer', () => {
  const { clock, host } = make()
  let firedMs = -1
  host.clock.after(100, () => {
    firedMs = clock.now()
  })
  clock.advance(50)
  host.skewClock({ rate: 0.5 })
  clock.advance(99)
  assert.is(firedMs, -1)
  clock.advance(2)
  assert.is(firedMs, 150)
})

test('a timer that waits longer can still be cancelled', () => {
  const { clock, host } = make()
  const timer = host.clock.after(100, () => assert.unreachable('it was cancelled'))
  host.skewClock({ rate: 0.5 })
  clock.advance(150)
  timer.cancel()
  clock.advance(1000)
})

test('no timer fires early by its own clock, whatever the rates, and each fires', () => {
  const rate = fc.double({ min: 0.01, max: 100, noNaN: true })
  const ms = fc.double({ min: 0, max: 10_000, noNaN: true })
  fc.assert(
    fc.property(fc.array(fc.record({ rate, afterMs: ms, delayMs: ms }), { maxLength: 20 }), (steps) => {
      const { clock, host } = make()
      let waiting = 0
      for (const step of steps) {
        host.skewClock({ rate: step.rate })
        const dueMs = host.clock.now() + step.delayMs
        waiting++
        host.clock.after(step.delayMs, () => {
          waiting--
          assert.ok(host.clock.now() >= dueMs, `${host.clock.now()} is before ${dueMs}`)
        })
        clock.advance(step.afterMs)
      }
      clock.advance(10_000_000)
      assert.is(waiting, 0)
    }),
    { seed: 7 },
  )
})

test.run()
