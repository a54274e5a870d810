/** The mailbox alone: order, selective receive, waiting, pressure. */
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { FairShare, MESSAGES_PER_TURN } from '../../../src/process/fair-share.ts'
import { Mailbox } from '../../../src/process/mailbox.ts'
import { systemClock } from '../../../transport/clock.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { codeOf, turns } from './process-support.ts'

const test = suite('mailbox')

const mailbox = (highWater = 8, limit = 64, clock = systemClock): Mailbox<number> =>
  new Mailbox<number>(new FairShare(clock), clock, { onFull: 'block', highWater, limit, hardLimit: limit })

const ended = new Error('ended')

/** What `promise` rejects with. */
const failure = (promise: Promise<unknown>): Promise<Error> =>
  promise.then(
    () => new Error('expected a rejection'),
    (error: Error) => error,
  )

test('gives messages in the order of arrival, through growth and wrap-around', async () => {
  const box = mailbox(1000, 10_000)
  let pushed = 0
  let taken = 0
  for (let round = 1; round < 40; round++) {
    for (let i = 0; i < round; i++) box.push(pushed++)
    for (let i = 0; i < round - 1; i++) assert.is((await box.next()).value, taken++)
  }
  while (box.size > 0) assert.is((await box.next()).value, taken++)
  assert.is(taken, pushed)
})

test('hands a message to the waiting receive before anything else runs', async () => {
  const box = mailbox()
  const got: number[] = []
  const waiting = box.next().then(({ value }) => got.push(value))
  box.push(1)
  assert.is(box.size, 0)
  await waiting
  assert.equal(got, [1])
})

test('a selective receive leaves what it passes over, in order', async () => {
  const box = mailbox()
  for (const n of [1, 2, 3, 4, 5]) box.push(n)
  assert.is(await box.receive((n) => n === 3, 0), 3)
  assert.is(await box.receive((n) => n > 3, 0), 4)
  assert.is(await box.receive(undefined, 0), 1)
  assert.is(await box.receive(undefined, 0), 2)
  assert.is((await box.next()).value, 5)
})

test('a waiting selective receive takes its message past others', async () => {
  const box = mailbox()
  box.push(1)
  const wanted = box.receive((n) => n === 9, Number.POSITIVE_INFINITY)
  for (const n of [2, 3, 9, 9]) box.push(n)
  assert.is(await wanted, 9)
  const rest: number[] = []
  while (box.size > 0) rest.push((await box.next()).value)
  assert.equal(rest, [1, 2, 3, 9])
})

test('a receive times out, and a message after that stays', async () => {
  const clock = new VirtualClock()
  const box = mailbox(8, 64, clock)
  const late = codeOf(box.receive(undefined, 500))
  await clock.run({ untilMs: 499 })
  const early = await Promise.race([late, turns().then(() => 'waits')])
  assert.is(early, 'waits')
  await clock.run({ untilMs: 500 })
  assert.is(await late, 'ERR_SKEIN_RECEIVE_TIMEOUT')
  box.push(1)
  assert.is(box.size, 1)
})

test('timeout 0 looks once', async () => {
  const box = mailbox()
  assert.is(await codeOf(box.receive(undefined, 0)), 'ERR_SKEIN_RECEIVE_TIMEOUT')
  box.push(1)
  assert.is(await codeOf(box.receive((n) => n === 2, 0)), 'ERR_SKEIN_RECEIVE_TIMEOUT')
  assert.is(await box.receive((n) => n === 1, 0), 1)
})

test('a message in time cancels the timer', async () => {
  const clock = new VirtualClock()
  const box = mailbox(8, 64, clock)
  const first = box.receive(undefined, 500)
  box.push(1)
  assert.is(await first, 1)
  assert.is(clock.pending, 0)
})

test('only one receive waits', async () => {
  const box = mailbox()
  const first = box.receive(undefined, Number.POSITIVE_INFINITY)
  assert.is(await codeOf(box.next()), 'ERR_SKEIN_BAD_ARGUMENT')
  assert.is(await codeOf(box.receive(undefined, 1)), 'ERR_SKEIN_BAD_ARGUMENT')
  box.push(1)
  assert.is(await first, 1)
})

test('what the matching function throws fails that receive alone, now or later, and loses no message', async () => {
  const box = mailbox()
  const bad = (n: number): boolean => {
    if (n > 0) throw new Error('bad match')
    return false
  }
  box.push(1)
  assert.is((await failure(box.receive(bad, 0))).message, 'bad match')
  assert.is(await box.receive(undefined, 0), 1)
  const waiting = box.receive(bad, Number.POSITIVE_INFINITY)
  box.push(2)
  assert.is((await failure(waiting)).message, 'bad match')
  assert.is(await box.receive(undefined, 0), 2)
})

test('closing fails what waits and what comes, and drops messages', async () => {
  const box = mailbox()
  const waiting = box.next()
  box.close(() => ended)
  assert.is(await failure(waiting), ended)
  box.push(1)
  assert.is(box.size, 0)
  assert.is(await failure(box.next()), ended)
  assert.is(await failure(box.receive(undefined, 10)), ended)
})

test('a matching function that closes its own mailbox ends the receive', async () => {
  const box = mailbox()
  const closing = (): boolean => {
    box.close(() => ended)
    return true
  }
  box.push(1)
  assert.is(await failure(box.receive(closing, Number.POSITIVE_INFINITY)), ended)
  const other = mailbox()
  const waiting = other.receive(() => {
    other.close(() => ended)
    return true
  }, Number.POSITIVE_INFINITY)
  other.push(1)
  assert.is(await failure(waiting), ended)
})

test('a rejected receive that nobody awaits is no unhandled rejection', async () => {
  const box = mailbox()
  void box.receive(undefined, 0)
  void box.next()
  box.close(() => ended)
  void box.next()
  await turns()
})

test('is pressed above the mark until it is down to half', async () => {
  const box = mailbox(8)
  for (let i = 0; i < 8; i++) box.push(i)
  assert.not(box.pressed)
  box.push(8)
  assert.ok(box.pressed)
  let relieved = 0
  box.onceRelieved(() => relieved++)
  let drained = false
  void box.drained().then(() => {
    drained = true
  })
  while (box.size > 4) await box.next()
  assert.ok(box.pressed)
  assert.is(relieved, 0)
  await box.next()
  assert.not(box.pressed)
  assert.is(relieved, 1)
  await turns()
  assert.ok(drained)
  await box.drained()
  box.onceRelieved(() => relieved++)
  assert.is(relieved, 2)
})

test('a selective receive without its message lifts the pressure until it has it', async () => {
  const box = mailbox(8)
  for (let i = 0; i < 9; i++) box.push(i)
  let relieved = 0
  box.onceRelieved(() => relieved++)
  const wanted = box.receive((n) => n === 99, Number.POSITIVE_INFINITY)
  assert.is(relieved, 1)
  for (let i = 0; i < 20; i++) box.push(i)
  assert.not(box.pressed)
  box.push(99)
  assert.is(await wanted, 99)
  assert.not(box.pressed)
  box.push(1)
  assert.ok(box.pressed)
})

test('closing relieves', () => {
  const box = mailbox(2)
  for (let i = 0; i < 3; i++) box.push(i)
  let relieved = 0
  box.onceRelieved(() => relieved++)
  box.close(() => ended)
  assert.is(relieved, 1)
})

test('is full at its limit', () => {
  const box = mailbox(2, 4)
  for (let i = 0; i < 3; i++) box.push(i)
  assert.not(box.full)
  box.push(3)
  assert.ok(box.full)
})

test('lets input be handled between batches', async () => {
  const box = mailbox(100_000, 200_000)
  const count = MESSAGES_PER_TURN * 4
  for (let i = 0; i < count; i++) box.push(i)
  let turnsSeen = 0
  const immediate = (): void => {
    turnsSeen++
    if (box.size > 0) setImmediate(immediate)
  }
  setImmediate(immediate)
  for (let i = 0; i < count; i++) assert.is((await box.next()).value, i)
  assert.ok(turnsSeen >= 3, `${turnsSeen} turns`)
})

test('behaves as a list does, whatever the sequence', async () => {
  const seed = Date.now() & 0x7fffffff
  console.log(`mailbox property seed: ${seed}`)
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ type: fc.constant('push' as const), n: fc.nat(5) }) },
    fc.record({ type: fc.constant('next' as const) }),
    fc.record({ type: fc.constant('receive' as const), n: fc.nat(5) }),
    fc.record({ type: fc.constant('remove' as const), n: fc.nat(5) }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const box = mailbox()
      const model: number[] = []
      for (const one of steps) {
        if (one.type === 'push') {
          box.push(one.n)
          model.push(one.n)
        } else if (one.type === 'next') {
          if (model.length > 0) assert.is((await box.next()).value, model.shift())
        } else {
          const index = model.indexOf(one.n)
          const match = (n: number): boolean => n === one.n
          if (one.type === 'remove') assert.is(box.remove(match), index >= 0)
          else if (index < 0) assert.is(await codeOf(box.receive(match, 0)), 'ERR_SKEIN_RECEIVE_TIMEOUT')
          else assert.is(await box.receive(match, 0), one.n)
          if (index >= 0) model.splice(index, 1)
        }
        assert.is(box.size, model.length)
      }
    }),
    { seed, numRuns: 300 },
  )
})

test.run()
