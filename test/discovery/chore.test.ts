import * as assert from 'uvu/assert'
import { Chore } from '../../discovery/chore.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('chore')

const world = (workMs = 0) => {
  const clock = new VirtualClock()
  const begun: number[] = []
  const work = (): Promise<void> => {
    begun.push(clock.now())
    return new Promise((resolve) => {
      clock.after(workMs, resolve)
    })
  }
  return { clock, begun, chore: new Chore({ clock, work, pauseMs: () => 100 }) }
}

test('it runs when it is due, then again after the pause', async () => {
  const { clock, begun, chore } = world(10)
  chore.soon(50)
  chore.soon(500)
  await clock.run({ untilMs: 300 })
  assert.equal(begun, [50, 160, 270])
})

test('asked for while it waits it runs at once; while it runs, once more afterwards', async () => {
  const { clock, begun, chore } = world(10)
  void chore.run()
  await clock.run({ untilMs: 5 })
  chore.soon()
  chore.soon()
  await clock.run({ untilMs: 40 })
  assert.equal(begun, [0, 10])
  chore.soon()
  await clock.run({ untilMs: 60 })
  assert.equal(begun, [0, 10, 40])
})

test('who asks to run it while it runs waits for that run', async () => {
  const { clock, begun, chore } = world(10)
  const ended: number[] = []
  for (let i = 0; i < 2; i++) void chore.run().then(() => ended.push(clock.now()))
  await clock.run({ untilMs: 50 })
  assert.equal([begun, ended], [[0], [10, 10]])
})

test('stopped, it runs no more', async () => {
  const { clock, begun, chore } = world()
  chore.soon(10)
  chore.stop()
  chore.soon()
  await chore.run()
  await clock.run({ untilMs: 1000 })
  assert.equal(begun, [])
})

test.run()
