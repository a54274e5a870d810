/** The processes of a node together: messages, backpressure, timers, node events, limits, stopping. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import type { Pid } from '../../../src/pid.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { actor, actors, brief, codeOf, loneNode, pair, thrown, turns } from './process-support.ts'

const test = suite('processes')

test('messages of one sender arrive in order, here and across nodes', async (t) => {
  const net = pair(t)
  const here = await actor(net.a)
  const there = await actor(net.b)
  const { self } = await actor(net.a)
  for (let i = 0; i < 3000; i++) {
    self.send(here.self.pid, i)
    self.send(there.self.pid, i)
  }
  await net.flow()
  const expected = Array.from({ length: 3000 }, (_, i) => i)
  while (here.log.length < 3000 || there.log.length < 3000) await turns()
  assert.equal(here.log, expected)
  assert.equal(there.log, expected)
})

test('a message within the node is handed over, not copied', async (t) => {
  const node = loneNode(t)
  const { self, log } = await actor(node)
  const message = { fn: () => 1 }
  node.processes.cast(self.pid, message)
  await turns()
  assert.is(log[0], message)
})

test('a message to a dead process is a dead letter', async (t) => {
  const node = loneNode(t)
  const [one, two] = await actors(node, 2)
  node.processes.exit(two!.self.pid, 'kill')
  assert.ok(one!.self.send(two!.self.pid, 'x'))
  assert.ok(node.processes.send(two!.self.pid, 'x'))
  assert.equal(node.reports, [
    { type: 'deadLetter', to: two!.self.pid, from: one!.self.pid, reason: 'noproc' },
    { type: 'deadLetter', to: two!.self.pid, from: undefined, reason: 'noproc' },
  ])
})

test('a sender on this node hears false above the mark, and drained tells when to go on', async (t) => {
  const node = loneNode(t, { limits: { mailboxHighWater: 10, mailbox: 20 } })
  let open = (): void => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const slow = node.processes.spawn(async (self) => {
    await gate
    for await (const _ of self);
  })
  for (let i = 0; i < 10; i++) assert.ok(node.processes.send(slow, i))
  assert.not(node.processes.send(slow, 10))
  let drained = false
  const draining = node.processes.drained(slow).then(() => {
    drained = true
  })
  await turns()
  assert.not(drained)
  open()
  await draining
  assert.ok(node.processes.send(slow, 'more'))
})

test('a full mailbox refuses a sender of this node', async (t) => {
  const node = loneNode(t, { limits: { mailboxHighWater: 2, mailbox: 4 } })
  const { self } = await actor(node)
  const deaf = node.processes.spawn(async (own) => {
    await new Promise((resolve) => own.signal.addEventListener('abort', resolve))
  })
  await turns()
  for (let i = 0; i < 4; i++) self.send(deaf, i)
  assert.is(
    thrown(() => self.send(deaf, 5)),
    'ERR_SKEIN_QUEUE_FULL',
  )
  assert.is(await codeOf(self.call(deaf, 5)), 'ERR_SKEIN_QUEUE_FULL')
  assert.ok(node.processes.isAlive(deaf))
})

test('a lane is held while the mailbox is above the mark, and let go once', async (t) => {
  const net = pair(t, { limits: { mailboxHighWater: 10, mailbox: 100 } })
  const { self } = await actor(net.a)
  let open = (): void => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const slow = net.b.processes.spawn(async (own) => {
    await gate
    for await (const _ of own);
  })
  for (let i = 0; i < 11; i++) self.send(slow, i)
  net.flowToB(10)
  assert.is(net.holds.length, 0)
  net.flowToB(1)
  assert.is(net.holds.length, 1)
  let relieved = 0
  net.holds[0]?.onceRelieved(() => relieved++)
  open()
  await turns()
  assert.is(relieved, 1)
})

test('calls hold a lane too', async (t) => {
  const net = pair(t, { limits: { mailboxHighWater: 2 } })
  const deaf = net.b.processes.spawn(async (own) => {
    await new Promise((resolve) => own.signal.addEventListener('abort', resolve))
  })
  for (let i = 0; i < 3; i++) void net.a.processes.call(deaf, i)
  net.flowToB()
  assert.is(net.holds.length, 1)
})

test('a process that waits for what is still held back is not left waiting', async (t) => {
  const net = pair(t, { limits: { mailboxHighWater: 10, mailbox: 1000 } })
  const { self } = await actor(net.a)
  const found: unknown[] = []
  let open = (): void => {}
  const gate = new Promise<void>((resolve) => {
    open = resolve
  })
  const picky = net.b.processes.spawn<unknown, []>(async (own) => {
    await gate
    found.push(await own.receive((message) => message === 'wanted'))
    await gate
    await new Promise((resolve) => own.signal.addEventListener('abort', resolve))
  })
  for (let i = 0; i < 50; i++) self.send(picky, i)
  self.send(picky, 'wanted')
  self.send(picky, 'behind')
  while (net.holds.length === 0) net.flowToB(1)
  let relieved = false
  net.holds[0]?.onceRelieved(() => {
    relieved = true
  })
  open()
  await turns()
  assert.ok(relieved)
  net.flowToB(50 - 11)
  assert.is(net.holds.length, 1, 'not held again while it waits')
  net.flowToB(1)
  await turns()
  assert.equal(found, ['wanted'])
  net.flowToB(1)
  assert.is(net.holds.length, 2, 'held again once it has its message')
})

test('a mailbox that overflows from outside ends its process, with a reason', async (t) => {
  const net = pair(t, { limits: { mailboxHighWater: 2, mailbox: 4 } })
  const watcher = await actor(net.b)
  const picky = net.b.processes.spawn(async (own) => {
    await own.receive(() => false)
  })
  watcher.self.monitor(picky)
  await turns()
  for (let i = 0; i < 5; i++) net.a.processes.send(picky, i)
  net.flowToB()
  await turns()
  assert.not(net.b.processes.isAlive(picky))
  const { reason } = watcher.log[0] as { reason: unknown }
  assert.ok(isSkeinError(reason, 'ERR_SKEIN_MAILBOX_FULL'))
})

test('processes that keep each other busy leave room for timers and sockets', async (t) => {
  const node = loneNode(t)
  let rounds = 0
  const players: Pid<unknown>[] = []
  for (const index of [0, 1]) {
    players.push(
      node.processes.spawn(async (self) => {
        for await (const _ of self) {
          rounds++
          self.send(players[1 - index] as Pid<unknown>, 'ball')
        }
      }),
    )
  }
  node.processes.send(players[0] as Pid<unknown>, 'ball')
  for (let i = 0; i < 5; i++) await turns()
  assert.ok(rounds > 1000)
  const before = rounds
  await turns()
  assert.ok(rounds > before)
})

test('sendAfter sends once, even if its process is gone; cancelTimer prevents it', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const [one, two] = await actors(node, 2)
  one!.self.sendAfter(100, two!.self.pid, 'first')
  one!.self.sendAfter(200, 'nobody', 'lost')
  const cancelled = one!.self.sendAfter(100, two!.self.pid, 'cancelled')
  assert.ok(two!.self.cancelTimer(cancelled))
  assert.not(two!.self.cancelTimer(cancelled))
  node.processes.exit(one!.self.pid, 'kill')
  await clock.run({ untilMs: 99 })
  assert.equal(two!.log, [])
  await clock.run({ untilMs: 1000 })
  assert.equal(two!.log, ['first'])
  assert.equal(
    node.reports.map(({ type }) => type),
    ['deadLetter'],
  )
  for (const ms of [-1, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.is(
      thrown(() => two!.self.sendAfter(ms, two!.self.pid, 'x')),
      'ERR_SKEIN_BAD_ARGUMENT',
    )
  }
})

test('a delayed message that cannot be sent is a dead letter', async (t) => {
  const clock = new VirtualClock()
  const net = pair(t, { clock })
  const one = await actor(net.a)
  const two = await actor(net.b)
  one.self.sendAfter(10, two.self.pid, () => 'a function')
  await clock.run({ untilMs: 10 })
  const [report] = net.a.reports
  assert.is(report?.type === 'deadLetter' && report.reason, 'ERR_SKEIN_UNSERIALISABLE')
})

test('who asks for it hears of nodes', async (t) => {
  const node = loneNode(t)
  const [one, two] = await actors(node, 2)
  one!.self.monitorNodes(true)
  two!.self.monitorNodes(true)
  node.processes.nodeUp('x@y')
  two!.self.monitorNodes(false)
  node.processes.nodeDown('x@y', 'shutdown')
  await turns()
  const up = { type: 'nodeup', node: 'x@y' }
  assert.equal(one!.log, [up, { type: 'nodedown', node: 'x@y', reason: 'shutdown' }])
  assert.equal(two!.log, [up])
})

test('the lane of a process ends with it, on every node it spoke to and on no other', async (t) => {
  const net = pair(t)
  const [one, silent] = await actors(net.a, 2)
  const two = await actor(net.b)
  one!.self.send(two.self.pid, 'x')
  for (const { self } of [one!, silent!]) net.a.processes.exit(self.pid, 'kill')
  assert.equal(net.toB.gone, [one!.self.pid.number])
})

test('processes are bounded, and functions that outlive them count', async (t) => {
  const node = loneNode(t, { limits: { processes: 2 } })
  let release = (): void => {}
  const stubborn = node.processes.spawn(
    () =>
      new Promise<void>((resolve) => {
        release = resolve
      }),
  )
  await actor(node)
  assert.is(
    thrown(() => node.processes.spawn(() => {})),
    'ERR_SKEIN_LIMIT',
  )
  node.processes.exit(stubborn, 'kill')
  assert.is(
    thrown(() => node.processes.spawn(() => {})),
    'ERR_SKEIN_LIMIT',
  )
  release()
  await turns()
  node.processes.spawn(() => {})
})

test('a report that throws harms nobody', async (t) => {
  const node = loneNode(t)
  node.reports.push = () => {
    throw new Error('bad listener')
  }
  const { self } = await actor(node)
  assert.ok(self.send('nobody', 'x'))
  node.processes.spawn(() => {
    throw new Error('bug')
  })
  await turns()
  assert.ok(node.processes.isAlive(self.pid))
})

test('stop ends every process, tells other nodes, and refuses what comes later', async (t) => {
  const net = pair(t)
  const [one] = await actors(net.a, 3)
  const two = await actor(net.b)
  two.self.monitor(one!.self.pid)
  two.self.link(one!.self.pid)
  await net.flow()
  const call = codeOf(net.a.processes.call(two.self.pid, 1))
  one!.self.sendAfter(60_000, two.self.pid, 'never')
  await net.a.processes.stop()
  await net.a.processes.stop()
  assert.equal(net.a.processes.list(), [])
  assert.is(await call, 'ERR_SKEIN_STOPPED')
  await net.flow()
  assert.equal(two.log.filter((message) => (message as { type: string }).type !== 'call').map(brief), [
    'EXIT shutdown',
    'DOWN shutdown',
  ])
  assert.is(
    thrown(() => net.a.processes.spawn(() => {})),
    'ERR_SKEIN_STOPPED',
  )
  assert.is(await codeOf(net.a.processes.call(two.self.pid, 1)), 'ERR_SKEIN_STOPPED')
  assert.is(net.a.processes.deliver(net.toB, { type: 'monitor', from: 1, to: 1, ref: 1 }), undefined)
  net.cut()
})

test('stop does not wait for ever', async (t) => {
  const node = loneNode(t)
  node.processes.spawn(() => new Promise<void>(() => {}))
  await turns()
  await node.processes.stop()
})

test('what a peer sends to nobody or twice is answered or ignored, never thrown', async (t) => {
  const net = pair(t)
  const { self } = await actor(net.a)
  const to = self.pid.number
  const strange = 4242
  for (let i = 0; i < 2; i++) {
    net.a.processes.deliver(net.toB, { type: 'send', from: 1, to: strange, message: 1 })
    net.a.processes.deliver(net.toB, { type: 'reply', from: 1, call: strange, value: 1 })
    net.a.processes.deliver(net.toB, { type: 'callFailed', from: 1, call: strange, reason: 1 })
    net.a.processes.deliver(net.toB, { type: 'callEnded', from: 1, call: strange })
    net.a.processes.deliver(net.toB, { type: 'unlinkAck', from: 1, to, id: strange })
    net.a.processes.deliver(net.toB, { type: 'unlinkAck', from: 1, to: strange, id: strange })
    net.a.processes.deliver(net.toB, { type: 'linkExit', from: 1, to: strange, reason: 1 })
    net.a.processes.deliver(net.toB, { type: 'exit', from: 1, to: strange, reason: 1 })
    net.a.processes.deliver(net.toB, { type: 'exit', from: 1, to: 'nobody', reason: 1 })
    net.a.processes.deliver(net.toB, { type: 'demonitor', from: 1, to, ref: strange })
    net.a.processes.deliver(net.toB, { type: 'down', from: 1, ref: strange, reason: 1 })
    net.a.processes.deliver(net.toB, { type: 'monitor', from: 1, to, ref: 7 })
    net.a.processes.deliver(net.toB, { type: 'link', from: 1, to })
    net.a.processes.deliver(net.toB, { type: 'call', from: 1, to, call: 7, request: 1 })
  }
  assert.equal(net.toB.waiting, [])
  net.a.processes.exit(self.pid, 'kill')
  assert.equal(net.toB.waiting.map(({ type }) => type).sort(), ['callFailed', 'down', 'linkExit'])
})

test.run()
