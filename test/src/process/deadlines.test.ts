/** Many waits on few timers: each expires at its time, or not at all; and the table of calls. */
import * as assert from 'uvu/assert'
import { Deadline, Deadlines } from '../../../src/process/deadlines.ts'
import { CallTable, PendingCall } from '../../../src/process/pending-call.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { loneNode } from './process-support.ts'

const test = suite('deadlines')

class Noted extends Deadline {
  readonly #clock: VirtualClock
  expiredMs: number | undefined
  whenExpired: (() => void) | undefined

  constructor(clock: VirtualClock) {
    super()
    this.#clock = clock
  }

  expire(): void {
    assert.is(this.expiredMs, undefined, 'once')
    this.expiredMs = this.#clock.now()
    this.whenExpired?.()
  }
}

test('each expires exactly when it is due, whatever others do; one that has ended never does', () => {
  const seed = Date.now() & 0x7fffffff
  console.log(`deadlines seed: ${seed}`)
  let state = seed
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return Math.floor((state / 0x80000000) * limit)
  }
  const clock = new VirtualClock()
  const deadlines = new Deadlines(clock)
  const all: { noted: Noted; dueMs: number; endedMs: number | undefined }[] = []
  for (let step = 0; step < 5000; step++) {
    const kind = below(3)
    if (kind === 0) {
      const durationMs = [0, 5, 100, 5000, below(300)][below(5)]!
      const noted = new Noted(clock)
      deadlines.begin(noted, durationMs)
      all.push({ noted, dueMs: clock.now() + durationMs, endedMs: undefined })
    } else if (kind === 1 && all.length > 0) {
      const one = all[below(all.length)]!
      one.endedMs ??= clock.now()
      deadlines.end(one.noted)
      deadlines.end(one.noted)
    } else clock.advance(below(20))
  }
  clock.advance(10_000)
  for (const { noted, dueMs, endedMs } of all) {
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
  const deadlines = new Deadlines(clock)
  for (let n = 0; n < 1000; n++) deadlines.begin(new Noted(clock), 5000)
  assert.is(clock.pending, 1)
  for (let n = 0; n < 1000; n++) {
    const noted = new Noted(clock)
    deadlines.begin(noted, 10_000 + n)
    deadlines.end(noted)
  }
  assert.ok(clock.pending <= 20, `${clock.pending} timers`)
  deadlines.stop()
  assert.is(clock.pending, 0)
})

test('what expires may begin and end others', () => {
  const clock = new VirtualClock()
  const deadlines = new Deadlines(clock)
  const [one, two, three] = [new Noted(clock), new Noted(clock), new Noted(clock)]
  one.whenExpired = () => {
    deadlines.end(two)
    deadlines.begin(three, 10)
  }
  deadlines.begin(one, 10)
  deadlines.begin(two, 10)
  clock.advance(100)
  assert.equal([one.expiredMs, two.expiredMs, three.expiredMs], [10, undefined, 20])
})

test('the table finds each call by its number, and no other, however they come and go', (t) => {
  const node = loneNode(t)
  const target = node.processes.spawn(async () => {})
  const table = new CallTable()
  const calls: PendingCall[] = []
  const newCall = (): PendingCall => {
    const call = new PendingCall(table.next(), undefined, target, undefined as never, false, () => {})
    table.add(call)
    return call
  }
  let last = 0
  const gone: number[] = []
  for (let step = 0; step < 20_000; step++) {
    // Every hundredth stays: later numbers have to make their way around it.
    const call = newCall()
    assert.ok(call.number > last)
    last = call.number
    if (step % 100 === 0) calls.push(call)
    else {
      table.delete(call)
      table.delete(call)
      gone.push(call.number)
    }
  }
  assert.is(table.size, calls.length)
  for (const call of calls) assert.is(table.get(call.number), call)
  for (const number of gone) assert.is(table.get(number), undefined)
  for (const number of [0, -1, 1.5, Number.NaN, 2 ** 60]) assert.is(table.get(number), undefined)
  assert.is(table.all().length, calls.length)
})

test.run()
