import * as assert from 'uvu/assert'
import { Timetable } from '../../../discovery/dht/timetable.ts'
import { seededRandom } from '../../../transport/random.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const test = suite('timetable')

test('everything runs in time, in order, on one timer', () => {
  const clock = new VirtualClock()
  const timetable = new Timetable(clock)
  const random = seededRandom(7)
  const ran: number[] = []
  const expected: number[] = []
  const cancelled: { cancel(): void }[] = []
  for (let i = 0; i < 500; i++) {
    const ms = random.float() * 10_000
    const timer = timetable.after(ms, () => {
      assert.ok(Math.abs(clock.now() - ms) < 1e-6)
      ran.push(ms)
    })
    if (i % 3 === 0) cancelled.push(timer)
    else expected.push(ms)
  }
  for (const timer of cancelled) timer.cancel()
  assert.ok(clock.pending <= 1, 'one timer')
  clock.advance(10_000)
  assert.equal(
    ran,
    expected.sort((a, b) => a - b),
  )
  assert.is(clock.pending, 0)
})

test('what runs may plan more, and cancel what is due at the same time', () => {
  const clock = new VirtualClock()
  const timetable = new Timetable(clock)
  const ran: string[] = []
  timetable.after(5, () => {
    ran.push('first')
    second.cancel()
    timetable.after(0, () => ran.push('at once'))
    timetable.after(3, () => ran.push('later'))
  })
  const second = timetable.after(5, () => ran.push('second'))
  clock.advance(20)
  assert.equal(ran, ['first', 'at once', 'later'])
})

test('nothing runs after stop', () => {
  const clock = new VirtualClock()
  const timetable = new Timetable(clock)
  let count = 0
  timetable.after(5, () => count++)
  timetable.stop()
  timetable.after(5, () => count++)
  clock.advance(100)
  assert.is(count, 0)
  assert.is(clock.pending, 0)
})

test.run()
