/** Calls: one reply or one error, two signals when all goes well, nothing remembered for longer than somebody waits. */
import * as assert from 'uvu/assert'
import { Pid } from '../../../src/pid.ts'
import type { CallMessage, From } from '../../../src/process/calls.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { actor, codeOf, errorOf, loneNode, pair, type TestNode, thrown, turns } from './process-support.ts'

const test = suite('calls')

/** A process that replies with twice the request. */
const doubler = (node: TestNode): Pid<CallMessage<number>> =>
  node.processes.spawn<CallMessage<number>, []>(async (self) => {
    for await (const { from, request } of self) self.reply(from, request * 2)
  })

test('a call is answered, from outside and from a process', async (t) => {
  const node = loneNode(t)
  const server = doubler(node)
  assert.is(await node.processes.call(server, 21), 42)
  const one = await actor(node)
  assert.is(await one.self.call(server, 4), 8)
  assert.equal(one.log, [], 'the reply goes to the call, not to the mailbox')
})

test('the server sees who calls', async (t) => {
  const net = pair(t)
  const server = await actor(net.b)
  server.self.register('server')
  const caller = await actor(net.a)
  const calls = [
    caller.self.call(server.self.pid, 'pid'),
    caller.self.call({ name: 'server', node: 'b@test' }, 'name'),
    net.a.processes.call(server.self.pid, 'outside'),
    server.self.call(server.self.pid, 'itself'),
  ]
  await net.flow()
  const seen = server.log as CallMessage[]
  assert.equal(seen.map(({ type, request }) => `${type} ${request}`).sort(), [
    'call itself',
    'call name',
    'call outside',
    'call pid',
  ])
  for (const { from, request } of seen) {
    if (request === 'outside') assert.is(from.pid, undefined)
    else assert.ok((request === 'itself' ? server : caller).self.pid.equals(from.pid))
    server.self.reply(from, `re: ${request}`)
  }
  await net.flow()
  assert.equal(await Promise.all(calls), ['re: pid', 're: name', 're: outside', 're: itself'])
})

test('a call to another node costs two signals', async (t) => {
  const net = pair(t)
  const server = doubler(net.b)
  const answer = net.a.processes.call(server, 5)
  await net.flow()
  assert.is(await answer, 10)
  assert.is(net.toA.sent + net.toB.sent, 2)
  // And nothing is owed when the server ends.
  net.b.processes.exit(server, 'kill')
  await net.flow()
  assert.is(net.toA.sent + net.toB.sent, 2)
})

test('nobody there: noproc', async (t) => {
  const net = pair(t)
  const dead = net.a.processes.spawn(() => {})
  await turns()
  assert.is(await codeOf(net.a.processes.call(dead, 1)), 'ERR_SKEIN_NOPROC')
  assert.is(await codeOf(net.a.processes.call('nobody', 1)), 'ERR_SKEIN_NOPROC')
  const there = [
    codeOf(net.a.processes.call(new Pid(net.b.origin, 9), 1)),
    codeOf(net.a.processes.call({ name: 'nobody', node: 'b@test' }, 1)),
  ]
  await net.flow()
  assert.equal(await Promise.all(there), ['ERR_SKEIN_NOPROC', 'ERR_SKEIN_NOPROC'])
})

test('the server ends first: the call fails with its reason', async (t) => {
  const net = pair(t)
  const here = await actor(net.a, false)
  const there = await actor(net.b, false)
  const calls = [net.a.processes.call(here.self.pid, 1), net.a.processes.call(there.self.pid, 1)]
  await net.flow()
  net.a.processes.exit(here.self.pid, 'tired')
  net.b.processes.exit(there.self.pid, 'tired')
  await net.flow()
  for (const call of calls) {
    const error = await errorOf(call)
    assert.is(error.code, 'ERR_SKEIN_CALL_EXIT')
    assert.is(error.cause, 'tired')
  }
})

test('a call still in the mailbox of a process that ends fails too', async (t) => {
  const net = pair(t)
  const busy = net.b.processes.spawn(async (self) => {
    await new Promise((resolve) => self.signal.addEventListener('abort', resolve))
  })
  const call = codeOf(net.a.processes.call(busy, 1))
  await net.flow()
  net.b.processes.exit(busy, 'kill')
  await net.flow()
  assert.is(await call, 'ERR_SKEIN_CALL_EXIT')
})

test('the connection is lost: noconnection, and at once where there is none', async (t) => {
  const net = pair(t)
  const server = await actor(net.b)
  const waiting = net.a.processes.call(server.self.pid, 1)
  await net.flow()
  net.cut()
  assert.is(await codeOf(waiting), 'ERR_SKEIN_NOCONNECTION')
  assert.is(await codeOf(net.a.processes.call(server.self.pid, 1)), 'ERR_SKEIN_NOCONNECTION')
  // The server may answer all the same.
  assert.ok(server.self.reply((server.log[0] as CallMessage).from, 'too late'))
})

test('a call times out, the late reply vanishes, and the server forgets the call', async (t) => {
  const clock = new VirtualClock()
  const net = pair(t, { clock })
  const server = await actor(net.b)
  const caller = await actor(net.a)
  const call = codeOf(caller.self.call(server.self.pid, 1))
  const long = caller.self.call(server.self.pid, 2, { timeoutMs: Number.POSITIVE_INFINITY })
  await net.flow()
  await clock.run({ untilMs: 4999 })
  assert.equal(net.toB.waiting, [])
  await clock.run({ untilMs: 5000 })
  assert.is(await call, 'ERR_SKEIN_CALL_TIMEOUT')
  assert.equal(
    net.toB.waiting.map(({ type }) => type),
    ['callEnded'],
  )
  const [first, second] = server.log as CallMessage[]
  server.self.reply((first as CallMessage).from, 'late')
  await net.flow()
  assert.equal(caller.log, [])
  server.self.reply((second as CallMessage).from, 'in time')
  server.self.reply((second as CallMessage).from, 'twice')
  await net.flow()
  assert.is(await long, 'in time')
  // The server ends owing nothing.
  net.toA.waiting.length = 0
  net.b.processes.exit(server.self.pid, 'kill')
  assert.equal(net.toA.waiting, [])
})

test('race: the reply crosses the time-out', async (t) => {
  const clock = new VirtualClock()
  const net = pair(t, { clock })
  const server = await actor(net.b)
  const call = codeOf(net.a.processes.call(server.self.pid, 1, { timeoutMs: 10 }))
  await net.flow()
  server.self.reply((server.log[0] as CallMessage).from, 'x')
  await clock.run({ untilMs: 10 })
  assert.is(await call, 'ERR_SKEIN_CALL_TIMEOUT')
  await net.flow()
  assert.equal([...net.toA.waiting, ...net.toB.waiting], [])
})

test('a call is abandoned by its signal', async (t) => {
  const net = pair(t)
  const server = await actor(net.b)
  const controller = new AbortController()
  const call = net.a.processes.call(server.self.pid, 1, { signal: controller.signal })
  await net.flow()
  controller.abort('changed my mind')
  const error = await errorOf(call)
  assert.is(error.code, 'ERR_SKEIN_CALL_ABORTED')
  assert.is(error.cause, 'changed my mind')
  assert.is(net.toB.waiting[0]?.type, 'callEnded')
  const before = net.toB.sent
  assert.is(
    await codeOf(net.a.processes.call(server.self.pid, 1, { signal: controller.signal })),
    'ERR_SKEIN_CALL_ABORTED',
  )
  assert.is(net.toB.sent, before)
})

test('the caller ends: its calls are over', async (t) => {
  const net = pair(t)
  const server = await actor(net.b)
  const caller = await actor(net.a)
  const call = codeOf(caller.self.call(server.self.pid, 1))
  await net.flow()
  net.a.processes.exit(caller.self.pid, 'kill')
  assert.is(await call, 'ERR_SKEIN_PROCESS_ENDED')
  assert.is(net.toB.waiting[0]?.type, 'callEnded')
  assert.is(await codeOf(caller.self.call(server.self.pid, 1)), 'ERR_SKEIN_PROCESS_ENDED')
})

test('from can be handed on, to a process or to another node, and anybody who holds it may reply', async (t) => {
  const net = pair(t)
  const worker = net.a.processes.spawn<From, []>(async (self) => {
    for await (const from of self) self.reply(from, 'from the worker')
  })
  const server = net.b.processes.spawn<CallMessage, []>(async (self) => {
    for await (const { from } of self) self.send(worker, from)
  })
  const call = net.a.processes.call(server, 1)
  await net.flow()
  assert.is(await call, 'from the worker')
  // The called node is told that the call is over, so the end of the server has nothing to say.
  const before = net.toA.sent
  net.b.processes.exit(server, 'kill')
  assert.is(net.toA.sent, before)
  const outside = await actor(net.b)
  const second = net.a.processes.call(outside.self.pid, 2)
  await net.flow()
  net.b.processes.reply((outside.log[0] as CallMessage).from, 'from outside')
  await net.flow()
  assert.is(await second, 'from outside')
})

test('only the called node can fail a call', async (t) => {
  const net = pair(t)
  const here = await actor(net.a)
  const call = net.a.processes.call(here.self.pid, 1)
  await turns()
  const { from } = here.log[0] as CallMessage
  net.a.processes.deliver(net.toB, { type: 'callFailed', from: 1, call: from.call.number, reason: 'forged' })
  here.self.reply(from, 'true answer')
  assert.is(await call, 'true answer')
})

test('what cannot be sent fails the call at once; a reply that cannot be sent leaves it waiting', async (t) => {
  const net = pair(t)
  const server = await actor(net.b)
  assert.is(await codeOf(net.a.processes.call(server.self.pid, () => {})), 'ERR_SKEIN_UNSERIALISABLE')
  const call = net.a.processes.call(server.self.pid, 1)
  await net.flow()
  const { from } = server.log[0] as CallMessage
  assert.is(
    thrown(() => server.self.reply(from, () => {})),
    'ERR_SKEIN_UNSERIALISABLE',
  )
  server.self.reply(from, 'plain')
  await net.flow()
  assert.is(await call, 'plain')
})

test('bad arguments', async (t) => {
  const node = loneNode(t)
  const one = await actor(node)
  for (const timeoutMs of [-1, Number.NaN]) {
    assert.is(await codeOf(one.self.call(one.self.pid, 1, { timeoutMs })), 'ERR_SKEIN_BAD_ARGUMENT')
  }
  assert.is(await codeOf(one.self.call(undefined as unknown as string, 1)), 'ERR_SKEIN_BAD_ARGUMENT')
  assert.is(
    thrown(() => one.self.reply({} as From, 1)),
    'ERR_SKEIN_BAD_ARGUMENT',
  )
})

test('calls are bounded, here and for a peer', async (t) => {
  const net = pair(t, { limits: { calls: 2 } })
  const server = await actor(net.b)
  const calls = [1, 2, 3].map((request) => codeOf(net.a.processes.call(server.self.pid, request)))
  assert.is(await calls[2], 'ERR_SKEIN_LIMIT')
  await net.flow()
  net.b.processes.deliver(net.toA, { type: 'call', from: 0, to: server.self.pid.number, call: 99, request: 1 })
  const from = server.self.pid.number
  assert.equal(net.toA.waiting, [{ type: 'callFailed', from, call: 99, reason: 'system_limit' }])
  net.cut()
  assert.equal(await Promise.all(calls.slice(0, 2)), ['ERR_SKEIN_NOCONNECTION', 'ERR_SKEIN_NOCONNECTION'])
})

test('a call that nobody awaits fails unnoticed', async (t) => {
  const node = loneNode(t)
  const one = await actor(node)
  void one.self.call('nobody', 1)
  void node.processes.call('nobody', 1)
  void one.self.call(one.self.pid, 1)
  await turns()
  await node.processes.stop()
  void node.processes.call('nobody', 1)
  await turns()
})

test.run()
