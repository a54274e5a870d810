/** Who goes on when: shares of messages and of time, on a clock that moves only while somebody works. */
import * as assert from 'uvu/assert'
import { FairShare, MESSAGES_PER_TURN, TURN_BUDGET_MS } from '../../../src/process/fair-share.ts'
import type { Clock } from '../../../transport/clock.ts'
import { suite } from '../../support/suite.ts'
import { turns } from './process-support.ts'

const test = suite('fair share')

/** Time passes by hand, and input is handled when the test says so. */
class WorkClock implements Clock {
  nowMs = 0
  #inputs: (() => void)[] = []

  now(): number {
    return this.nowMs
  }

  wallNow(): number {
    return this.nowMs
  }

  after(): never {
    throw new Error('no timers here')
  }

  endOfTurn(): never {
    throw new Error('not used')
  }

  afterInput(fn: () => void): void {
    this.#inputs.push(fn)
  }

  /** How many wait for it. */
  get waiting(): number {
    return this.#inputs.length
  }

  async handleInput(): Promise<void> {
    for (const fn of this.#inputs.splice(0)) fn()
    await turns()
  }
}

test('all go on in the order in which they came, many in one microtask', async () => {
  const share = new FairShare(new WorkClock())
  const seen: number[] = []
  for (let n = 0; n < 100; n++) share.soon({ run: () => seen.push(n) })
  assert.equal(seen, [])
  await turns()
  assert.equal(
    seen,
    Array.from({ length: 100 }, (_, n) => n),
  )
})

test('after so many messages input is handled first', async () => {
  const clock = new WorkClock()
  const share = new FairShare(clock)
  let done = 0
  for (let n = 0; n < 3 * MESSAGES_PER_TURN; n++) share.soon({ run: () => done++ })
  const perTurn: number[] = []
  for (let turn = 0; turn < 3; turn++) {
    const before = done
    await (turn === 0 ? turns() : clock.handleInput())
    perTurn.push(done - before)
  }
  assert.equal(perTurn, [MESSAGES_PER_TURN, MESSAGES_PER_TURN, MESSAGES_PER_TURN])
})

test('slow work uses up the time of a turn long before its messages', async () => {
  const clock = new WorkClock()
  const share = new FairShare(clock)
  const workMs = TURN_BUDGET_MS / 2
  let done = 0
  for (let n = 0; n < 40; n++) {
    share.soon({
      run: () => {
        clock.nowMs += workMs
        done++
      },
    })
  }
  await turns()
  // Until the first look nobody knows how slow it is.
  assert.ok(done <= 12, `${done} in the first turn`)
  while (done < 40) {
    const before = done
    await clock.handleInput()
    assert.ok(done > before && done - before <= 3, `${done - before} in a turn`)
  }
  await clock.handleInput()
  assert.is(clock.waiting, 0, 'nobody waits any more')
})

test('work that goes on in promises counts too', async () => {
  const clock = new WorkClock()
  const share = new FairShare(clock)
  let done = 0
  for (let n = 0; n < 40; n++) {
    share.soon({
      run: () => {
        void Promise.resolve().then(() => {
          clock.nowMs += TURN_BUDGET_MS / 2
          done++
        })
      },
    })
  }
  await turns()
  assert.ok(done <= 12, `${done} in the first turn`)
  const before = done
  await clock.handleInput()
  assert.ok(done - before <= 4, `${done - before} in the second turn`)
})

test('waiting for input is not work', async () => {
  const clock = new WorkClock()
  const share = new FairShare(clock)
  for (let n = 0; n < 100; n++) {
    clock.nowMs += 10 * TURN_BUDGET_MS
    let ran = false
    share.soon({
      run: () => {
        ran = true
      },
    })
    await turns()
    assert.ok(ran)
    await clock.handleInput()
  }
})

test('whoever asks without end is put off as well', async () => {
  const share = new FairShare(new WorkClock())
  let asked = 0
  while (share.take()) asked++
  assert.is(asked, MESSAGES_PER_TURN)
})

test.run()
