/** The turnstile: few at a time, in order, and a failure makes room too. */
import * as assert from 'uvu/assert'
import { Turnstile } from '../../../../src/behaviours/store/turnstile.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('turnstile')

test('no more than eight run, the others in the order they came', async () => {
  const turnstile = new Turnstile()
  const started: number[] = []
  let running = 0
  let most = 0
  const results = await Promise.allSettled(
    Array.from({ length: 100 }, (_, number) =>
      turnstile.pass(async () => {
        started.push(number)
        most = Math.max(most, ++running)
        await Promise.resolve()
        running--
        if (number % 3 === 0) throw new Error(`${number}`)
        return number
      }),
    ),
  )
  assert.is(most, 8)
  assert.equal(
    started,
    Array.from({ length: 100 }, (_, number) => number),
  )
  assert.is(results.filter(({ status }) => status === 'rejected').length, 34)
})

test('a free turnstile lets through at once', async () => {
  const turnstile = new Turnstile()
  await turnstile.pass(async () => {})
  let ran = false
  const passed = turnstile.pass(async () => {
    ran = true
  })
  assert.ok(ran)
  await passed
})

test.run()
