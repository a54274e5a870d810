/** Is a process alive, and what is known of it: here and on another node, in order and in bounded time. */
import * as assert from 'uvu/assert'
import { Origin, Pid } from '../../../src/pid.ts'
import type { Self } from '../../../src/process/self.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { actor, actors, codeOf, loneNode, pair, thrown, turns } from './process-support.ts'

const test = suite('inspection')

test('alive, dead, never, an earlier incarnation, out of reach', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const [two, dead] = await actors(net.b, 2)
  net.b.processes.exit(dead!.self.pid, 'kill')
  const earlier = new Origin(net.b.origin.name, net.b.origin.id, '0000000000000001')
  const elsewhere = new Origin('c@test', 'id-c', '0000000000000001')
  const asked = {
    alive: one.self.isProcessAlive(two!.self.pid),
    byProgram: net.a.processes.inspection.isAlive(undefined, two!.self.pid),
    dead: one.self.isProcessAlive(dead!.self.pid),
    never: one.self.isProcessAlive(new Pid(net.b.origin, 4711)),
    earlier: one.self.isProcessAlive(new Pid(earlier, two!.self.pid.number)),
    own: one.self.isProcessAlive(one.self.pid),
    ownDead: one.self.isProcessAlive(new Pid(net.a.origin, 4711)),
  }
  const elsewhereCode = codeOf(one.self.isProcessAlive(new Pid(elsewhere, 1)))
  await net.flow()
  assert.equal(
    Object.fromEntries(await Promise.all(Object.entries(asked).map(async ([name, answer]) => [name, await answer]))),
    { alive: true, byProgram: true, dead: false, never: false, earlier: false, own: true, ownDead: false },
  )
  assert.is(await elsewhereCode, 'ERR_SKEIN_NOCONNECTION')
  assert.is(await codeOf(one.self.isProcessAlive('name' as unknown as Pid)), 'ERR_SKEIN_BAD_ARGUMENT')
  assert.equal(two!.log, [], 'the process was not asked')
})

test('the question comes behind what was sent before: after an exit signal it is dead', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const [two, three] = await actors(net.b, 2, false)
  const before = one.self.isProcessAlive(two!.self.pid)
  one.self.exit(two!.self.pid, 'over')
  const after = one.self.isProcessAlive(two!.self.pid)
  const other = one.self.isProcessAlive(three!.self.pid)
  await net.flow()
  assert.equal([await before, await after, await other], [true, false, true])
})

test('no answer: time, abort, the end of whoever asks, the connection', async (t) => {
  const clock = new VirtualClock()
  const net = pair(t, { clock })
  const [one, ending] = await actors(net.a, 2)
  const { pid } = (await actor(net.b)).self
  const controller = new AbortController()
  const late = codeOf(one!.self.isProcessAlive(pid, { timeoutMs: 50 }))
  const aborted = codeOf(one!.self.processInfo(pid, { signal: controller.signal }))
  const byEnding = codeOf(ending!.self.isProcessAlive(pid))
  const cut = codeOf(one!.self.isProcessAlive(pid))
  clock.advance(50)
  controller.abort()
  assert.throws(() => ending!.self.exit('gone'))
  net.cut()
  assert.equal(await Promise.all([late, aborted, byEnding, cut]), [
    'ERR_SKEIN_CALL_TIMEOUT',
    'ERR_SKEIN_CALL_ABORTED',
    'ERR_SKEIN_PROCESS_ENDED',
    'ERR_SKEIN_NOCONNECTION',
  ])
  assert.is(await codeOf(ending!.self.isProcessAlive(pid)), 'ERR_SKEIN_PROCESS_ENDED')
})

test('process info tells the same from here and from afar', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const [friend, watcher] = await actors(net.b, 2)
  let seen: Self<unknown> | undefined
  const pid = net.b.processes.spawn(
    Object.assign(
      async (self: Self<unknown>) => {
        self.label = 'shop 7'
        self.trapExit = true
        seen = self
        await self.receive((message) => message === 'go on')
        await new Promise<never>((_, reject) => self.signal.addEventListener('abort', () => reject(self.signal.reason)))
      },
      { traits: { label: 'shop' } },
    ),
    { name: 'shop-7' },
  )
  await turns()
  seen?.link(friend!.self.pid)
  seen?.link(one.self.pid)
  seen?.monitor(friend!.self.pid)
  watcher!.self.monitor(pid)
  for (const message of ['x', 'y']) net.b.processes.send(pid, message)
  await net.flow()
  const expected = {
    pid,
    label: 'shop 7',
    behaviour: 'shop',
    names: ['shop-7'],
    state: 'waiting',
    trapExit: true,
    messages: 2,
    links: 2,
    monitors: 1,
    watchers: 1,
  }
  assert.equal(await net.b.processes.inspection.info(undefined, pid), expected)
  const far = one.self.processInfo(pid)
  await net.flow()
  assert.equal(await far, expected)
  net.b.processes.send(pid, 'go on')
  await turns()
  assert.is((await net.b.processes.inspection.info(undefined, pid))?.state, 'running')
  net.b.processes.exit(pid, 'kill')
  const gone = one.self.processInfo(pid)
  await net.flow()
  assert.is(await gone, undefined)
})

test('a label is a short text', async (t) => {
  const { self } = await actor(loneNode(t))
  assert.is(self.label, undefined)
  self.label = 'x'.repeat(255)
  for (const label of ['x'.repeat(256), 7 as unknown as string]) {
    assert.is(
      thrown(() => {
        self.label = label
      }),
      'ERR_SKEIN_BAD_ARGUMENT',
    )
  }
  self.label = undefined
})

test('hostile: what another node says of a process is taken as far as it is well formed', async (t) => {
  const net = pair(t)
  const { pid } = (await actor(net.b)).self
  for (const value of [undefined, null, 7, { names: [1, 'x'], messages: 'many', state: 4, label: {}, extra: 1 }]) {
    const asked = net.a.processes.inspection.info(undefined, pid)
    const [question] = net.toB.waiting.splice(0)
    assert.is(question?.type, 'inspect')
    const call = question?.type === 'inspect' ? question.call : 0
    net.a.processes.deliver(net.toB, { type: 'reply', from: pid.number, call, value })
    assert.equal(await asked, {
      pid,
      label: undefined,
      behaviour: undefined,
      names: value !== null && typeof value === 'object' ? ['x'] : [],
      state: 'running',
      trapExit: false,
      messages: 0,
      links: 0,
      monitors: 0,
      watchers: 0,
    })
  }
})

test.run()
