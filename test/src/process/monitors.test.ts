/** Monitors: DOWN exactly once, here and across nodes. */
import * as assert from 'uvu/assert'
import { Pid } from '../../../src/pid.ts'
import { suite } from '../../support/suite.ts'
import { actor, actors, brief, loneNode, pair, thrown, turns } from './process-support.ts'

const test = suite('monitors')

test('DOWN carries the reference, the pid and the reason', async (t) => {
  const node = loneNode(t)
  const [one, two] = await actors(node, 2)
  const ref = one!.self.monitor(two!.self.pid)
  const reason = { shutdown: 'asked' }
  two!.self.trapExit = false
  node.processes.exit(two!.self.pid, reason)
  await turns()
  assert.equal(one!.log, [{ type: 'DOWN', ref, pid: two!.self.pid, reason }])
})

test('each monitor fires by itself', async (t) => {
  const node = loneNode(t)
  const [one, two] = await actors(node, 2)
  const refs = [1, 2, 3].map(() => one!.self.monitor(two!.self.pid))
  node.processes.exit(two!.self.pid, 'kill')
  await turns()
  assert.equal(
    one!.log.map((message) => (message as { ref: unknown }).ref),
    refs,
  )
})

test('a monitor on the dead or on an unknown name: noproc at once', async (t) => {
  const node = loneNode(t)
  const [one, dead] = await actors(node, 2)
  node.processes.exit(dead!.self.pid, 'kill')
  const first = one!.self.monitor(dead!.self.pid)
  const second = one!.self.monitor('nobody')
  const third = one!.self.monitor({ name: 'x', node: 'far@away' })
  await turns()
  assert.equal(one!.log, [
    { type: 'DOWN', ref: first, pid: dead!.self.pid, reason: 'noproc' },
    { type: 'DOWN', ref: second, pid: { name: 'nobody', node: node.origin.name }, reason: 'noproc' },
    { type: 'DOWN', ref: third, pid: { name: 'x', node: 'far@away' }, reason: 'noconnection' },
  ])
})

test('a monitor by name follows the process, not the name', async (t) => {
  const node = loneNode(t)
  const [one, two] = await actors(node, 2)
  two!.self.register('named')
  const ref = one!.self.monitor('named')
  node.processes.unregister('named')
  await turns()
  assert.equal(one!.log, [])
  node.processes.exit(two!.self.pid, 'kill')
  await turns()
  assert.equal(one!.log, [{ type: 'DOWN', ref, pid: { name: 'named', node: node.origin.name }, reason: 'killed' }])
})

test('demonitor: no DOWN any more; flush removes one that came', async (t) => {
  const node = loneNode(t)
  const [two, three, four] = await actors(node, 3)
  const steps: unknown[] = []
  node.processes.spawn(async (self) => {
    const early = self.monitor(two!.self.pid)
    const late = self.monitor(three!.self.pid)
    const kept = self.monitor(four!.self.pid)
    steps.push(self.demonitor(early))
    for (const { self: other } of [two!, three!, four!]) node.processes.exit(other.pid, 'kill')
    steps.push(self.demonitor(late, { flush: true }), self.demonitor(kept), self.demonitor(kept))
    const left = await self.receive()
    steps.push((left as { ref: unknown }).ref === kept)
    await self.receive(undefined, { timeoutMs: 0 }).catch((error) => steps.push(error.code))
  })
  await turns()
  assert.equal(steps, [true, false, false, false, true, 'ERR_SKEIN_RECEIVE_TIMEOUT'])
})

test('across nodes, by pid and by name', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  two.self.register('server')
  const byPid = one.self.monitor(two.self.pid)
  const byName = one.self.monitor({ name: 'server', node: 'b@test' })
  await net.flow()
  net.b.processes.exit(two.self.pid, 'kill')
  await net.flow()
  assert.equal(one.log, [
    { type: 'DOWN', ref: byPid, pid: two.self.pid, reason: 'killed' },
    { type: 'DOWN', ref: byName, pid: { name: 'server', node: 'b@test' }, reason: 'killed' },
  ])
})

test('DOWN comes behind the last message of the process, on its lane', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.monitor(two.self.pid)
  await net.flow()
  two.self.send(one.self.pid, 'last words')
  net.b.processes.exit(two.self.pid, 'kill')
  assert.ok(net.toA.waiting.every(({ from }) => from === two.self.pid.number))
  await net.flow()
  assert.is(one.log[0], 'last words')
  assert.is(brief(one.log[1]), 'DOWN killed')
})

test('noproc across nodes', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  one.self.monitor(new Pid(net.b.origin, 99))
  one.self.monitor({ name: 'nobody', node: 'b@test' })
  await net.flow()
  assert.equal(one.log.map(brief), ['DOWN noproc', 'DOWN noproc'])
})

test('race: demonitor crosses the DOWN', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  const ref = one.self.monitor(two.self.pid)
  await net.flow()
  net.b.processes.exit(two.self.pid, 'kill')
  assert.is(net.toA.waiting[0]?.type, 'down')
  assert.ok(one.self.demonitor(ref))
  await net.flow()
  assert.equal(one.log, [])
})

test('race: the watcher ends before the monitor arrives', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.monitor(two.self.pid)
  net.a.processes.exit(one.self.pid, 'kill')
  await net.flow()
  const before = net.toA.sent
  net.b.processes.exit(two.self.pid, 'kill')
  assert.is(net.toA.sent, before)
})

test('a lost connection: noconnection exactly once, whatever was on its way', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const [two, three] = await actors(net.b, 2)
  one.self.monitor(two!.self.pid)
  const early = one.self.monitor(three!.self.pid)
  await net.flow()
  one.self.demonitor(early)
  net.b.processes.exit(two!.self.pid, 'kill')
  const held = [...net.toA.waiting]
  const dead = net.toB
  net.cut()
  net.a.processes.routeDown(dead)
  for (const signal of held) net.a.processes.deliver(dead, signal)
  net.reconnect()
  for (const signal of held) net.a.processes.deliver(net.toB, signal)
  await turns()
  assert.equal(one.log.map(brief), ['DOWN noconnection'])
})

test('a watch that came over a lost connection never fires over the next', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.monitor(two.self.pid)
  await net.flow()
  net.cut()
  net.reconnect()
  net.b.processes.exit(two.self.pid, 'kill')
  assert.equal(net.toA.waiting, [])
})

test('a node cannot fire monitors on processes of another', async (t) => {
  const net = pair(t)
  const [one, local] = await actors(net.a, 2)
  const ref = one!.self.monitor(local!.self.pid)
  net.a.processes.deliver(net.toB, { type: 'down', from: local!.self.pid.number, ref: ref.number, reason: 'forged' })
  await turns()
  assert.equal(one!.log, [])
})

test('monitors are bounded, here and for a peer', async (t) => {
  const net = pair(t, { limits: { monitors: 2 } })
  const [one, two] = await actors(net.a, 2)
  one!.self.monitor(two!.self.pid)
  one!.self.monitor(two!.self.pid)
  assert.is(
    thrown(() => one!.self.monitor(two!.self.pid)),
    'ERR_SKEIN_LIMIT',
  )
  for (let ref = 1; ref <= 3; ref++) {
    net.a.processes.deliver(net.toB, { type: 'monitor', from: 1, to: two!.self.pid.number, ref })
  }
  const from = two!.self.pid.number
  assert.equal(net.toB.waiting, [{ type: 'down', from, ref: 3, reason: 'system_limit' }])
})

test('a monitor that cannot be sent is not made', async (t) => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  net.toB.full = true
  assert.is(
    thrown(() => one.self.monitor(two.self.pid)),
    'ERR_SKEIN_QUEUE_FULL',
  )
  net.cut()
  await turns()
  assert.equal(one.log, [])
})

test.run()
