/** Order, draining and bounds of virtual time. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('virtual clock')

test('runs timers by time, those of one time in the order made', () => {
  const clock = new VirtualClock()
  const order: string[] = []
  for (const [name, ms] of [
    ['c', 3],
    ['a', 1],
    ['b1', 2],
    ['b2', 2],
    ['now', 0],
    ['past', -5],
  ] as const) {
    clock.after(ms, () => order.push(`${name}@${clock.now()}`))
  }
  clock.advance(2)
  assert.equal(order, ['now@0', 'past@0', 'a@1', 'b1@2', 'b2@2'])
  assert.is(clock.now(), 2)
  assert.is(clock.pending, 1)
  clock.runUntil(10)
  assert.equal(order.slice(5), ['c@3'])
  assert.is(clock.now(), 10)
  assert.is(clock.pending, 0)
})

test('keeps a heap in order through random insertions and cancellations', () => {
  const seed = 7
  const clock = new VirtualClock()
  const random = seededRandom(seed)
  const fired: number[] = []
  const expected: { at: number; id: number }[] = []
  for (let id = 0; id < 20_000; id++) {
    const at = Math.floor(random.float() * 500)
    const timer = clock.after(at, () => fired.push(id))
    if (random.float() < 0.7) {
      timer.cancel()
      timer.cancel()
    } else expected.push({ at, id })
  }
  assert.is(clock.pending, expected.length, `seed ${seed}`)
  expected.sort((a, b) => a.at - b.at || a.id - b.id)
  clock.advance(500)
  assert.equal(
    fired,
    expected.map((one) => one.id),
  )
})

test('a cancelled timer never fires, even within the turn that is due before it', () => {
  const clock = new VirtualClock()
  let fired = false
  const late = clock.after(1, () => {
    fired = true
  })
  clock.after(0.5, () => late.cancel())
  clock.advance(5)
  assert.not(fired)
})

test('ends a turn before input, and works through input before time passes', async () => {
  const clock = new VirtualClock()
  const order: string[] = []
  clock.after(1, () => {
    order.push('first')
    clock.afterInput(() => order.push('after input'))
    clock.after(0, () => order.push('due after that'))
    clock.endOfTurn(() => {
      order.push('end of turn')
      clock.endOfTurn(() => order.push('end of turn again'))
    })
    queueMicrotask(() => order.push('microtask'))
  })
  clock.after(1, () => order.push('second'))
  clock.after(1.001, () => order.push('later'))
  assert.is(await clock.run(), 'idle')
  assert.equal(order, [
    'first',
    'microtask',
    'end of turn',
    'end of turn again',
    'second',
    'after input',
    'due after that',
    'later',
  ])
})

test('drains promises and next ticks of any length between turns', async () => {
  const clock = new VirtualClock()
  const order: string[] = []
  const work = async (name: string): Promise<void> => {
    for (let i = 0; i < 500; i++) await undefined
    await new Promise<void>((resolve) => process.nextTick(() => queueMicrotask(() => process.nextTick(resolve))))
    order.push(`${name}@${clock.now()}`)
  }
  for (let i = 0; i < 200; i++) clock.after(i, () => void work(`turn ${i}`))
  await clock.run()
  assert.equal(
    order,
    Array.from({ length: 200 }, (_, i) => `turn ${i}@${i}`),
  )
})

test('lets promises sleep in virtual time', async () => {
  const clock = new VirtualClock()
  const sleep = (ms: number): Promise<void> => new Promise((resolve) => clock.after(ms, resolve))
  let wokenAt = 0
  void (async () => {
    for (let i = 0; i < 100; i++) await sleep(3_600_000)
    wokenAt = clock.now()
  })()
  await clock.run()
  assert.is(wokenAt, 360_000_000)
  assert.is(clock.wallNow() - new VirtualClock().wallNow(), 360_000_000)
})

test('says why a run stopped', async () => {
  const clock = new VirtualClock()
  let ticks = 0
  const tick = (): void => {
    ticks++
    clock.after(10, tick)
  }
  tick()
  assert.is(await clock.run({ untilMs: 95 }), 'time')
  assert.is(clock.now(), 95)
  assert.is(ticks, 10)
  assert.is(await clock.run({ until: () => ticks === 15 }), 'condition')
  assert.is(clock.now(), 140)
  assert.is(await clock.run({ until: () => ticks === 16, untilMs: 145 }), 'time')
  assert.is(await new VirtualClock().run({ until: () => false }), 'idle')
})

test('does not wait for background timers, unless asked to', async () => {
  const clock = new VirtualClock()
  let beats = 0
  const beat = (): void => {
    beats++
    clock.after(1000, beat, true)
  }
  beat()
  clock.after(2500, () => {})
  assert.is(await clock.run(), 'idle')
  assert.is(clock.now(), 2500)
  assert.is(beats, 3)
  await clock.run({ untilMs: 10_000 })
  assert.is(beats, 11)
})

test('takes a run without end for an error', async () => {
  const clock = new VirtualClock()
  const spin = (): void => void clock.after(0, spin)
  spin()
  const error: unknown = await clock.run({ maxEvents: 1000 }).catch((thrown: unknown) => thrown)
  assert.ok(isSkeinError(error, 'ERR_SKEIN_LIMIT'))
  assert.is(clock.eventCount, 1000)
})

test('hands on what a callback throws, and goes on afterwards', async () => {
  const clock = new VirtualClock()
  const thrown = new Error('a bug')
  clock.after(1, () => {
    throw thrown
  })
  let ran = false
  clock.after(2, () => {
    ran = true
  })
  assert.is(await clock.run().catch((error: unknown) => error), thrown)
  await clock.run()
  assert.ok(ran)
})

test('refuses to run within a run', async () => {
  const clock = new VirtualClock()
  let refused: unknown
  clock.after(1, () => {
    try {
      clock.advance(1)
    } catch (error) {
      refused = error
    }
  })
  await clock.run()
  assert.ok(isSkeinError(refused, 'ERR_SKEIN_BAD_ARGUMENT'))
})

test.run()
