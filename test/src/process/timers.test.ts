/** Timers: not before their time, once or at multiples of it, to any target, and never after a cancel that says so (G26). */
import * as assert from 'uvu/assert'
import type { Clock } from '../../../transport/clock.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { actor, actors, loneNode, pair, thrown } from './process-support.ts'

const test = suite('timers')

test('a timer to a pid or a name on another node sends at its time from here', async (t) => {
  const clock = new VirtualClock()
  const net = pair(t, { clock })
  const one = await actor(net.a)
  const two = await actor(net.b)
  two.self.register('two')
  one.self.sendAfter(100, two.self.pid, 'by pid')
  net.a.processes.timers.sendAfter(undefined, 150, { name: 'two', node: net.b.origin.name }, 'by name')
  const cancelled = one.self.sendAfter(100, two.self.pid, 'never')
  assert.ok(one.self.cancelTimer(cancelled))
  clock.advance(99)
  assert.is(net.toB.waiting.length, 0)
  clock.advance(1)
  // The process that asked has ended when the second one fires.
  net.a.processes.exit(one.self.pid, 'kill')
  clock.advance(50)
  assert.equal(
    net.toB.waiting.map((signal) => signal.type === 'send' && [signal.from, signal.message]),
    [
      [one.self.pid.number, 'by pid'],
      [0, 'by name'],
    ],
  )
  await net.flow()
  assert.equal(two.log, ['by pid', 'by name'])
  net.cut()
  net.a.processes.timers.sendAfter(undefined, 1, two.self.pid, 'nowhere')
  clock.advance(1)
  const [letter] = net.a.reports
  assert.is(letter?.type === 'deadLetter' && letter.reason, 'noconnection')
})

test('an interval keeps to multiples of its time, until it is cancelled or its process has ended', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const [one, two] = await actors(node, 2)
  const ref = two!.self.sendInterval(100, two!.self.pid, 'tick')
  one!.self.sendInterval(100, two!.self.pid, 'of one')
  const ofProgram = node.processes.timers.sendInterval(undefined, 100, two!.self.pid, 'of a program')
  await clock.run({ untilMs: 99 })
  assert.equal(two!.log, [])
  await clock.run({ untilMs: 250 })
  assert.equal(two!.log, ['tick', 'of one', 'of a program', 'tick', 'of one', 'of a program'])
  node.processes.exit(one!.self.pid, 'kill')
  assert.ok(node.processes.timers.cancel(ofProgram))
  await clock.run({ untilMs: 300 })
  assert.equal(two!.log.slice(6), ['tick'])
  assert.ok(two!.self.cancelTimer(ref))
  assert.not(two!.self.cancelTimer(ref))
  await clock.run({ untilMs: 10_000 })
  assert.is(two!.log.length, 7)
  assert.is(clock.pending, 0)
  for (const ms of [0, 0.5, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.is(
      thrown(() => two!.self.sendInterval(ms, two!.self.pid, 'x')),
      'ERR_SKEIN_BAD_ARGUMENT',
    )
  }
})

/** Its timers fire so much off their time; the clock itself is right. */
const crooked = (clock: VirtualClock, offMs: number): Clock => ({
  now: () => clock.now(),
  wallNow: () => clock.wallNow(),
  after: (ms, fn, background) => clock.after(Math.max(0.25, ms + offMs), fn, background),
  endOfTurn: (fn) => clock.endOfTurn(fn),
  afterInput: (fn) => clock.afterInput(fn),
})

test('times missed while the machine was held up are left out, and the rhythm stays', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock: crooked(clock, 330) })
  const at: number[] = []
  node.processes.spawn(async (self) => {
    self.sendInterval(100, self.pid, 'tick')
    for (;;) {
      await self.receive()
      at.push(clock.now())
    }
  })
  await clock.run({ untilMs: 1700 })
  // Due at 100, 500, 900, 1300: each so much late, and the multiples in between are gone.
  assert.equal(at, [430, 830, 1230, 1630])
})

test('a machine whose timers are early does not make a message early', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock: crooked(clock, -1) })
  const two = await actor(node)
  two.self.sendAfter(10, two.self.pid, 'in time')
  await clock.run({ until: () => two.log.length > 0, untilMs: 100 })
  assert.equal(two.log, ['in time'])
  assert.ok(clock.now() >= 10, `${clock.now()}`)
})

test('numbers that are no sums of binary fractions come to an end', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const two = await actor(node)
  clock.advance(1e9 / 3)
  two.self.sendInterval(1 + 1 / 3, two.self.pid, 'x')
  await clock.run({ untilMs: clock.now() + 100, maxEvents: 10_000 })
  assert.is(two.log.length, 75)
})

test('nothing fires after the stop, and nothing can be set', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock, limits: { timers: 1 } })
  const two = await actor(node)
  two.self.sendInterval(10, two.self.pid, 'x')
  assert.is(
    thrown(() => two.self.sendAfter(1, two.self.pid, 'one too many')),
    'ERR_SKEIN_LIMIT',
  )
  await node.processes.stop(0)
  assert.is(clock.pending, 0)
  assert.is(
    thrown(() => node.processes.timers.sendAfter(undefined, 1, two.self.pid, 'x')),
    'ERR_SKEIN_STOPPED',
  )
})

test.run()
