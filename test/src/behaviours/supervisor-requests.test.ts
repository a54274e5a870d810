/** What a supervisor can be asked, from its node and from another one. */
import * as assert from 'uvu/assert'
import { supervisor } from '../../../src/behaviours/supervisor/supervisor.ts'
import { supervisorOf } from '../../../src/behaviours/supervisor/supervisor-of.ts'
import type { Behaviour } from '../../../src/process/behaviour.ts'
import type { Self } from '../../../src/process/self.ts'
import { suite } from '../../support/suite.ts'
import { codeOf, errorOf, loneNode, pair, turns } from '../process/process-support.ts'
import { World } from './supervisor-support.ts'

const test = suite('supervisor requests')

test('startChild adds a child at the end, and refuses an id that is there', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({ strategy: 'restForOne', children: [{ id: 'a', start: world.child('a') }] }),
  )
  const pid = await sup.ask((client) => client.startChild({ id: 'b', start: world.child('b') }))
  assert.ok(pid.equals(world.living.get('b')?.pid))
  assert.is(
    await sup.refused((client) => client.startChild({ id: 'b', start: world.child('b') })),
    'ERR_SKEIN_CHILD_EXISTS',
  )
  world.taken()
  await world.crash('a')
  assert.is(world.taken(), '-a -b +a +b')
})

test('startChild: one that cannot be started is not added', async (t) => {
  const world = new World(t)
  const sup = await world.start(supervisor({ children: [] }))
  world.failing.set('a', 1)
  const spec = { id: 'a', start: world.child('a') }
  const error = await errorOf(sup.ask((client) => client.startChild(spec)))
  assert.is(error.code, 'ERR_SKEIN_START_FAILED')
  assert.is(error.cause, 'no start')
  assert.equal(await sup.ask((client) => client.whichChildren()), [])
  await sup.ask((client) => client.startChild(spec))
})

test('terminateChild, restartChild, deleteChild: the life of a child by hand', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({
      children: [
        { id: 'a', start: world.child('a') },
        { id: 'brief', start: world.child('brief'), restart: 'temporary' },
      ],
    }),
  )
  const status = async (): Promise<string> =>
    (await sup.ask((client) => client.whichChildren())).map((child) => `${child.id} ${child.status}`).join(', ')
  assert.is(await sup.refused((client) => client.restartChild('a')), 'ERR_SKEIN_CHILD_RUNNING')
  assert.is(await sup.refused((client) => client.deleteChild('a')), 'ERR_SKEIN_CHILD_RUNNING')
  await sup.ask((client) => client.terminateChild('a'))
  assert.is(await status(), 'a stopped, brief running')
  await sup.ask((client) => client.terminateChild('a'))
  assert.is(
    await sup.refused((client) => client.startChild({ id: 'a', start: world.child('a') })),
    'ERR_SKEIN_CHILD_EXISTS',
  )
  world.failing.set('a', 1)
  assert.is(await sup.refused((client) => client.restartChild('a')), 'ERR_SKEIN_START_FAILED')
  assert.is(await status(), 'a stopped, brief running')
  const pid = await sup.ask((client) => client.restartChild('a'))
  assert.ok(pid.equals(world.living.get('a')?.pid))
  await sup.ask((client) => client.terminateChild(pid))
  await sup.ask((client) => client.deleteChild('a'))
  await sup.ask((client) => client.terminateChild('brief'))
  assert.is(await status(), '')
  for (const ask of ['terminateChild', 'restartChild', 'deleteChild'] as const) {
    assert.is(await sup.refused((client) => client[ask]('a')), 'ERR_SKEIN_NO_CHILD')
  }
  // None of this was a restart.
  assert.equal(world.reported('childRestarted'), [])
})

test('a child that is being tried again can be ended, and then is not', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({ maxRestarts: Number.POSITIVE_INFINITY, children: [{ id: 'a', start: world.child('a') }] }),
  )
  world.failing.set('a', Number.POSITIVE_INFINITY)
  const child = world.living.get('a')
  if (child === undefined) throw new Error('a does not live')
  world.processes.exit(child.pid, 'crash')
  await sup.ask((client) => client.terminateChild('a'))
  await world.rest()
  world.taken()
  await world.pass(1000)
  assert.is(world.taken(), '')
  assert.is(sup.ended, undefined)
})

test('stop ends the children in order, then the supervisor', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({
      children: [
        { id: 'a', start: world.child('a', 20) },
        { id: 'b', start: world.child('b') },
      ],
    }),
  )
  world.taken()
  await sup.ask((client) => client.stop())
  await world.rest()
  assert.is(world.taken(), '-b -a')
  assert.equal(sup.ended, { reason: 'normal' })
  assert.is(await sup.refused((client) => client.whichChildren()), 'ERR_SKEIN_NOPROC')
})

test('garbage is refused and harms nobody', async (t) => {
  const { processes } = loneNode(t)
  const pid = await processes.start(supervisor({ children: [] }))
  const client = supervisorOf(processes, pid)
  const ask = (request: unknown): Promise<unknown> => processes.call(pid as never, request)
  for (const request of [
    undefined,
    null,
    5,
    'whichChildren',
    { type: 'rule' },
    { type: 'startChild' },
    { type: 'startChild', spec: { id: 'x', start: 5 } },
    { type: 'startChildWith', args: [] },
  ]) {
    assert.is(((await ask(request)) as { code: string }).code, 'ERR_SKEIN_BAD_ARGUMENT', JSON.stringify(request))
  }
  for (const request of [
    { type: 'terminateChild' },
    { type: 'restartChild', id: {} },
    { type: 'deleteChild', id: 1 },
  ]) {
    assert.is(((await ask(request)) as { code: string }).code, 'ERR_SKEIN_NO_CHILD', JSON.stringify(request))
  }
  assert.equal(await client.countChildren(), { specs: 0, active: 0, supervisors: 0, workers: 0 })
})

test('who is no supervisor starts no child', async (t) => {
  const { processes } = loneNode(t)
  const impostor = processes.spawn(async (self: Self<unknown>) => {
    const { from } = (await self.receive()) as { from: never }
    self.reply(from, 'yes')
  })
  const client = supervisorOf(processes, impostor)
  assert.is(await codeOf(client.startChildWith()), 'ERR_SKEIN_BAD_RETURN')
})

test('simpleOneForOne refuses what needs a list, and others what needs a pattern', async (t) => {
  const world = new World(t)
  const pattern = { id: 'p', start: world.child('p') }
  const simple = await world.start(supervisor({ strategy: 'simpleOneForOne', children: [pattern] }))
  assert.is(await simple.refused((client) => client.startChild(pattern)), 'ERR_SKEIN_BAD_ARGUMENT')
  assert.is(await simple.refused((client) => client.restartChild('p')), 'ERR_SKEIN_BAD_ARGUMENT')
  assert.is(await simple.refused((client) => client.deleteChild('p')), 'ERR_SKEIN_BAD_ARGUMENT')
  assert.is(await simple.refused((client) => client.terminateChild('p')), 'ERR_SKEIN_BAD_ARGUMENT')
  const plain = await world.start(supervisor({ children: [] }))
  assert.is(await plain.refused((client) => client.startChildWith()), 'ERR_SKEIN_BAD_ARGUMENT')
})

test('from another node: pids and refusals come back as they are', async (t) => {
  const net = pair(t)
  const pattern = {
    id: 'adder',
    start: async (self: Self<unknown>, a: number, b: number) => {
      if (a + b > 100) throw new Error('too much')
      const { from } = (await self.receive()) as { from: never }
      self.reply(from, a + b)
    },
    args: [1],
  }
  const failing: Behaviour<unknown, [unknown]> = Object.assign(
    (self: Self<unknown>) => {
      // Nothing that crosses a wire.
      self.exit(() => 'a function')
    },
    { traits: { serves: true, announces: true } },
  )
  const adders = await net.b.processes.start(supervisor({ strategy: 'simpleOneForOne', children: [pattern] }))
  const failures = await net.b.processes.start(
    supervisor({ strategy: 'simpleOneForOne', children: [{ id: 'failing', start: failing }] }),
  )
  const asked = async <T>(promise: Promise<T>): Promise<T> => {
    promise.catch(() => {})
    await net.flow()
    return promise
  }
  const client = supervisorOf(net.a.processes, adders)
  const child = await asked(client.startChildWith(41))
  assert.is(child.node, 'b@test')
  assert.is(await asked(net.a.processes.call(child as never, 'sum')), 42)
  await turns()
  assert.is(await codeOf(asked(client.terminateChild(child))), 'ERR_SKEIN_NO_CHILD')
  const error = await errorOf(asked(supervisorOf(net.a.processes, failures).startChildWith(1)))
  assert.is(error.code, 'ERR_SKEIN_START_FAILED')
  assert.is(net.b.processes.isAlive(failures), true)
})

test.run()
