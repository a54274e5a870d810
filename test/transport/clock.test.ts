/** The clock of the machine: delays of any length. */
import { mock } from 'node:test'
import * as assert from 'uvu/assert'
import { type Clock, systemClock, type Timer } from '../../transport/clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('clock')

const LONGEST_MS = 2 ** 31 - 1

/** While `run` runs, the machine's timers stand still but for `tick`. */
const withMachine = (run: (tick: (ms: number) => void, after: Clock['after']) => void): void => {
  mock.timers.enable({ apis: ['setTimeout'] })
  try {
    run((ms) => mock.timers.tick(ms), systemClock.after)
  } finally {
    mock.timers.reset()
  }
}

test('a delay longer than a timer of the machine can be fires when it is due, once', () => {
  let fired = 0
  withMachine((tick, after) => {
    after(2 * LONGEST_MS + 1000, () => fired++)
    const cancelled: Timer = after(LONGEST_MS + 500, () => {
      fired += 100
    })
    tick(LONGEST_MS)
    cancelled.cancel()
    tick(LONGEST_MS)
    tick(999)
    assert.is(fired, 0)
    tick(1)
    assert.is(fired, 1)
    tick(LONGEST_MS)
  })
  assert.is(fired, 1)
})

test('an endless delay never fires and can be cancelled', () => {
  let fired = 0
  withMachine((tick, after) => {
    const endless = after(Number.POSITIVE_INFINITY, () => fired++)
    for (let i = 0; i < 5; i++) tick(LONGEST_MS)
    endless.cancel()
    tick(LONGEST_MS)
  })
  assert.is(fired, 0)
})

test.run()
