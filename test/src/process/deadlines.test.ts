/** Many waits on few timers: each expires at its time, or not at all; and the table of numbers. */
import * as assert from 'uvu/assert'
import { Deadlines, type Expiring } from '../../../src/process/deadlines.ts'
import { NumberTable } from '../../../src/process/number-table.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const test = suite('deadlines')

interface Noted extends Expiring<Noted> {
  expiredMs: number | undefined
  whenExpired: (() => void) | undefined
}

const newNoted = (): Noted => ({
  expiredMs: undefined,
  whenExpired: undefined,
  line: undefined,
  dueMs: 0,
  before: undefined,
  after: undefined,
})

const newDeadlines = (clock: VirtualClock): Deadlines<Noted> =>
  new Deadlines(clock, (noted) => {
    assert.is(noted.expiredMs, undefined, 'once')
    noted.expiredMs = clock.now()
    noted.whenExpired?.()
  })

test('each expires exactly when it is due, whatever others do; one that has ended never does', () => {
  const seed = Date.now() & 0x7fffffff
  console.log(`deadlines seed: ${seed}`)
  let state = seed
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return Math.floor((state / 0x80000000) * limit)
  }
  const clock = new VirtualClock()
  const deadlines = newDeadlines(clock)
  const waits: { noted: Noted; dueMs: number; endedMs: number | undefined }[] = []
  for (let step = 0; step < 5000; step++) {
    const kind = below(3)
    if (kind === 0) {
      const durationMs = [0, 5, 100, 5000, below(300)][below(5)]!
      const noted = newNoted()
      deadlines.begin(noted, durationMs, clock.now())
      waits.push({ noted, dueMs: clock.now() + durationMs, endedMs: undefined })
    } else if (kind === 1 && waits.length > 0) {
      const one = waits[below(waits.length)]!
      one.endedMs ??= clock.now()
      deadlines.end(one.noted)
      deadlines.end(one.noted)
    } else clock.advance(below(20))
  }
  clock.advance(10_000)
  for (const { noted, dueMs, endedMs } of waits) {
    if (noted.expiredMs === undefined) assert.ok(endedMs !== undefined && endedMs <= dueMs)
    else {
      assert.is(noted.expiredMs, dueMs)
      assert.ok(endedMs === undefined || endedMs >= dueMs)
    }
  }
  assert.is(clock.pending, 0, 'no timer is left')
})

test('thousands of waits make one timer, and durations that are used once leave none', () => {
  const clock = new VirtualClock()
  const deadlines = newDeadlines(clock)
  for (let n = 0; n < 1000; n++) deadlines.begin(newNoted(), 5000, clock.now())
  clock.advance(0)
  assert.is(clock.pending, 1)
  for (let n = 0; n < 1000; n++) {
    const noted = newNoted()
    deadlines.begin(noted, 10_000 + n, clock.now())
    deadlines.end(noted)
  }
  clock.advance(0)
  assert.ok(clock.pending <= 20, `${clock.pending} timers`)
  deadlines.stop()
  assert.is(clock.pending, 0)
})

test('what expires may begin and end others', () => {
  const clock = new VirtualClock()
  const deadlines = newDeadlines(clock)
  const [one, two, three] = [newNoted(), newNoted(), newNoted()]
  one.whenExpired = () => {
    deadlines.end(two)
    deadlines.begin(three, 10, clock.now())
  }
  deadlines.begin(one, 10, clock.now())
  deadlines.begin(two, 10, clock.now())
  clock.advance(100)
  assert.equal([one.expiredMs, two.expiredMs, three.expiredMs], [10, undefined, 20])
})

test('the table finds each by its number, and no other, however they come and go', () => {
  const table = new NumberTable<string>()
  const kept: number[] = []
  const gone: number[] = []
  for (let step = 0; step < 20_000; step++) {
    const number = table.next()
    assert.ok(number > (gone.at(-1) ?? 0) && number > (kept.at(-1) ?? 0), 'greater than all before')
    table.set(number, `value ${number}`)
    // Every hundredth stays: later numbers have to make their way around it.
    if (step % 100 === 0) kept.push(number)
    else {
      table.delete(number)
      table.delete(number)
      gone.push(number)
    }
  }
  assert.is(table.size, kept.length)
  for (const number of kept) assert.is(table.get(number), `value ${number}`)
  for (const number of [...gone, 0, -1, 1.5, Number.NaN, 2 ** 60, Number.POSITIVE_INFINITY]) {
    assert.is(table.get(number), undefined)
    assert.not(table.has(number))
  }
  assert.equal(
    table.values(),
    kept.map((number) => `value ${number}`),
  )
  for (const number of kept) table.delete(number)
  assert.is(table.size, 0)
  assert.ok(table.next() > kept.at(-1)!, 'numbers are never used again')
})

test.run()
