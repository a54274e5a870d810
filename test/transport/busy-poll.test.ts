import * as assert from 'uvu/assert'
import { BusyPoll } from '../../transport/busy-poll.ts'
import { systemClock } from '../../transport/clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('busy-poll')

/** A loop of one thread: each round of it takes so long, and runs what was put behind the input of the round before. */
const ROUND_MS = 0.004

const loop = (roundMs = ROUND_MS) => {
  let nowMs = 0
  const waiting: (() => void)[] = []
  let rounds = 0
  const poll = new BusyPoll({ ...systemClock, now: () => nowMs, afterInput: (fn) => void waiting.push(fn) })
  return {
    /** Input every `apartMs`, so many times; returns how many rounds were spent looking for it. */
    input: (times: number, apartMs: number, isTalk = true): number => {
      const before = rounds
      for (let i = 0; i < times; i++) {
        const dueMs = nowMs + apartMs
        while (waiting.length > 0 && nowMs < dueMs) {
          nowMs += roundMs
          rounds++
          for (const fn of waiting.splice(0)) fn()
        }
        // Asleep until then.
        nowMs = Math.max(nowMs, dueMs)
        poll.inputHandled(isTalk)
      }
      return rounds - before
    },
    wait: (ms: number): number => {
      const before = rounds
      const untilMs = nowMs + ms
      while (waiting.length > 0 && nowMs < untilMs) {
        nowMs += roundMs
        rounds++
        for (const fn of waiting.splice(0)) fn()
      }
      nowMs = Math.max(nowMs, untilMs)
      return rounds - before
    },
  }
}

test('an idle node and one with rare input never look', () => {
  const { input, wait } = loop()
  assert.is(wait(10_000), 0)
  assert.is(input(1000, 1), 0)
  assert.is(wait(10_000), 0)
})

test('near input is looked for as long as it comes, and a moment longer', () => {
  const { input, wait } = loop()
  assert.is(input(8, 0.1), 0)
  // 0.1 ms is 25 rounds.
  const looked = input(1000, 0.1)
  assert.ok(looked > 24_000 && looked < 26_000, `${looked}`)
  const after = wait(10_000)
  assert.ok(after > 0 && after < 100, `${after}`)
  assert.is(wait(10_000), 0)
})

test('input that comes just too late is waited for in vain only now and then', () => {
  const { input } = loop()
  const apartMs = 0.45
  const first = input(1000, apartMs)
  assert.ok(first > 0, 'it never tried')
  // By now it rests for seconds at a time.
  input(20_000, apartMs)
  const later = input(20_000, apartMs)
  assert.ok(later * ROUND_MS < 0.01 * 20_000 * apartMs, `${later} rounds in ${20_000 * apartMs} ms`)
})

test('after a bad time it is back soon when looking pays again', () => {
  const { input } = loop()
  input(20_000, 0.45)
  // The longest rest may have just begun.
  input(40_000, 0.1)
  const looked = input(1000, 0.1)
  assert.ok(looked > 24_000, `${looked}`)
})

test('bulk is not looked for, and ends a look', () => {
  const { input } = loop()
  assert.is(input(1000, 0.1, false), 0)
  assert.ok(input(100, 0.1) > 2000)
  const looked = input(1000, 0.1, false)
  assert.ok(looked < 100, `${looked}`)
})

test('a loop with other work is left to it', () => {
  const { input } = loop(0.16)
  // The first round after input may be long: then it looks once more, and lets it be.
  const looked = input(1000, 0.4)
  assert.ok(looked > 500 && looked <= 2000, `${looked}`)
})

test('a few misses among many looks that pay change nothing', () => {
  const { input } = loop()
  input(100, 0.1)
  for (let i = 0; i < 50; i++) {
    input(9, 0.1)
    input(1, 0.4)
  }
  const looked = input(1000, 0.1)
  assert.ok(looked > 24_000, `${looked}`)
})

test.run()
