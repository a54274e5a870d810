/** simpleOneForOne: any number of children of one pattern; and a supervisor with much to do beside others. */
import * as assert from 'uvu/assert'
import { supervisor } from '../../../src/behaviours/supervisor/supervisor.ts'
import { supervisorOf } from '../../../src/behaviours/supervisor/supervisor-of.ts'
import type { Pid } from '../../../src/pid.ts'
import type { Self } from '../../../src/process/self.ts'
import { suite } from '../../support/suite.ts'
import { errorOf, loneNode } from '../process/process-support.ts'
import { World } from './supervisor-support.ts'

const test = suite('supervisor on demand')

const COUNT = 1000

test('a thousand children: started, crashed, counted and ended together', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({
      strategy: 'simpleOneForOne',
      maxRestarts: COUNT,
      children: [{ id: 'child', start: world.child('child', 40), restart: 'transient' }],
    }),
  )
  assert.equal(await sup.ask((client) => client.countChildren()), { specs: 1, active: 0, supervisors: 0, workers: 0 })
  const pids = await sup.ask((client) => Promise.all(Array.from({ length: COUNT }, () => client.startChildWith())))
  assert.is(new Set(pids.map(({ key }) => key)).size, COUNT)
  assert.equal(await sup.ask((client) => client.countChildren()), {
    specs: 1,
    active: COUNT,
    supervisors: 0,
    workers: COUNT,
  })
  // They trap exits, so an exit of another than the parent changes nothing: kill it is.
  for (const pid of pids.slice(0, COUNT / 2)) world.processes.exit(pid, 'kill')
  await world.rest()
  const after = await sup.ask((client) => client.whichChildren())
  assert.is(after.length, COUNT)
  assert.is(after.filter(({ pid }) => pids.some((old) => old.equals(pid))).length, COUNT / 2)
  world.taken()
  const startedMs = world.clock.now()
  await sup.ask((client) => client.stop())
  // All at once: it takes as long as one.
  assert.is(world.clock.now() - startedMs, 40)
  assert.is(world.taken().split(' ').length, COUNT)
})

test('arguments follow those of the pattern, and are used again at a restart', async (t) => {
  const world = new World(t)
  const seen: unknown[][] = []
  const sup = await world.start(
    supervisor({
      strategy: 'simpleOneForOne',
      children: [
        {
          id: 'noter',
          start: async (self: Self<unknown>, ...args: unknown[]) => {
            seen.push(args)
            await self.receive()
          },
          args: ['always'],
        },
      ],
    }),
  )
  const pid = await sup.ask((client) => client.startChildWith('this', 'time'))
  await world.rest()
  world.processes.exit(pid, 'crash')
  await world.rest()
  const expected = ['always', 'this', 'time']
  assert.equal(seen, [expected, expected])
})

test('a child that has ended for good, or was ended, is forgotten', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({
      strategy: 'simpleOneForOne',
      children: [{ id: 'child', start: world.child('child'), restart: 'transient' }],
    }),
  )
  await sup.ask((client) => client.startChildWith())
  await world.crash('child', 'normal')
  const pid = await sup.ask((client) => client.startChildWith())
  await sup.ask((client) => client.terminateChild(pid))
  assert.equal(await sup.ask((client) => client.whichChildren()), [])
  assert.is(await sup.refused((client) => client.terminateChild(pid)), 'ERR_SKEIN_NO_CHILD')
})

test('a restart that fails is tried again on demand too', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({ strategy: 'simpleOneForOne', maxRestarts: 2, children: [{ id: 'c', start: world.child('c') }] }),
  )
  await sup.ask((client) => client.startChildWith())
  world.taken()
  world.failing.set('c', 1)
  await world.crash('c')
  assert.is(world.taken(), '-c !c +c')
  world.failing.set('c', 1)
  await world.crash('c')
  assert.is(world.taken(), '-c')
  assert.equal(sup.ended, { reason: 'shutdown' })
})

test('significant children on demand: the last one ends the supervisor', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({
      strategy: 'simpleOneForOne',
      autoShutdown: 'allSignificant',
      children: [{ id: 'c', start: world.child('c'), restart: 'temporary', significant: true }],
    }),
  )
  const pids: Pid[] = []
  for (let i = 0; i < 3; i++) pids.push(await sup.ask((client) => client.startChildWith()))
  for (const pid of pids) {
    assert.is(sup.ended, undefined)
    world.processes.exit(pid, 'done')
    await world.rest()
  }
  assert.equal(sup.ended, { reason: 'shutdown' })
})

test('a child that its supervisor cannot be linked to does not live', async (t) => {
  const { processes } = loneNode(t, { limits: { links: 2 } })
  const forever = async (self: Self<unknown>): Promise<void> => {
    await self.receive()
  }
  const pid = await processes.start(
    supervisor({ strategy: 'simpleOneForOne', children: [{ id: 'c', start: forever }] }),
  )
  const client = supervisorOf(processes, pid)
  await client.startChildWith()
  await client.startChildWith()
  const before = processes.list().length
  const error = await errorOf(client.startChildWith())
  assert.is((error.cause as { code: string }).code, 'ERR_SKEIN_LIMIT')
  assert.is(processes.list().length, before)
})

test('a storm of restarts leaves the event loop and other processes their turn', async (t) => {
  const { processes } = loneNode(t)
  let crashes = 0
  const crashing = async (): Promise<void> => {
    crashes++
    throw new Error('again')
  }
  const pid = await processes.start(
    supervisor({ maxRestarts: Number.POSITIVE_INFINITY, children: [{ id: 'c', start: crashing }] }),
  )
  const echo = processes.spawn(async (self: Self<unknown>) => {
    for await (const message of self) self.reply((message as { from: never }).from, 'here')
  })
  for (let i = 0; i < 20; i++) {
    // A timer of the machine fires, and another process answers.
    await new Promise((resolve) => setTimeout(resolve, 1))
    assert.is(await processes.call(echo as never, 'there?'), 'here')
  }
  assert.ok(crashes > 100, `${crashes}`)
  // The supervisor itself hears, too.
  await supervisorOf(processes, pid).stop()
  const after = crashes
  await new Promise((resolve) => setImmediate(resolve))
  assert.is(crashes, after)
})

test.run()
