/** Processes that do not notice on which side of the wire the others are: pids, calls, links, monitors, exits. */
import * as assert from 'uvu/assert'
import { type From, Pid, type Ref } from '../../src/index.ts'
import { NodeProcess, type Puppet } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { failure } from './support.ts'

const test = suite('processes across nodes')

interface System {
  readonly type: string
  readonly ref: Ref
  readonly pid: Pid
  readonly reason: unknown
}

const startPair = async (t: TestContext): Promise<[NodeProcess, NodeProcess]> => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
  await Promise.all([a.up(b.name), b.up(a.name)])
  return [a, b]
}

/** a and c know b only; nobody connects without need. */
const startChain = async (t: TestContext): Promise<[NodeProcess, NodeProcess, NodeProcess]> => {
  const nodes = await Promise.all([
    NodeProcess.start(t, { name: 'a', mesh: 'none' }),
    NodeProcess.start(t, { name: 'b', mesh: 'none' }),
    NodeProcess.start(t, { name: 'c', mesh: 'none' }),
  ])
  const [a, b, c] = nodes
  await a.do('connect', b.address)
  await c.do('connect', b.address)
  await Promise.all([b.up(a.name), b.up(c.name)])
  return nodes
}

const system = async (puppet: Puppet): Promise<System> => (await puppet.mailbox.next()).value as System

test('a pid that came in a message by way of another node is answered directly, however deep it lay', async (t) => {
  const [a, b, c] = await startChain(t)
  const correspondent = await c.do('load', 'correspondent', 'correspondent', [])
  await b.do('load', 'relay', 'relay', [correspondent])
  const writer = await a.puppet('writer')
  assert.equal(await c.nodes(), [b.name])
  const addresses = new Map([['home', [{ pid: writer.pid }]]])
  await writer.send({ name: 'relay', node: b.name }, { type: 'letter', addresses, enclosed: new Set([writer.pid]) })
  const answer = (await writer.mailbox.next()).value as { type: string; by: Pid }
  assert.is(answer.type, 'answer')
  assert.ok(answer.by.equals(correspondent))
  assert.equal(await c.nodes(), [a.name, b.name], 'c has connected to a on demand')
  // And the other way: the pid in the answer works at a.
  await writer.monitor(answer.by)
  await writer.exit(answer.by, 'enough')
  assert.is((await system(writer)).reason, 'enough')
})

test('a call whose from was handed on is answered by a third process on a third node', async (t) => {
  const [a, b, c] = await startChain(t)
  const deputy = await c.do('load', 'deputy', 'deputy', [])
  const relay = await b.do('load', 'relay', 'relay', [deputy])
  const caller = await a.puppet('caller')
  const answer = (await caller.call(relay, { question: 42 })) as { answered: unknown; by: Pid }
  assert.equal(answer.answered, { question: 42 })
  assert.ok(answer.by.equals(deputy))
  assert.is(caller.mailbox.all.length, 0, 'the reply went to the call, not to the mailbox')
  // From outside of any process too.
  assert.equal(((await a.do('call', relay, 7)) as { answered: unknown }).answered, 7)
})

test('a late reply and a second reply vanish', async (t) => {
  const [a, b] = await startPair(t)
  const caller = await a.puppet('caller')
  const server = await b.puppet('server')
  assert.is((await failure(caller.call(server.pid, 'slow', { timeoutMs: 50 }))).code, 'ERR_SKEIN_CALL_TIMEOUT')
  const { from } = (await server.mailbox.next()).value as { from: From }
  await server.reply(from, 'too late')
  const quick = caller.call(server.pid, 'quick')
  const again = (await server.mailbox.next()).value as { from: From }
  await server.reply(again.from, 'first')
  await server.reply(again.from, 'second')
  assert.is(await quick, 'first')
  await server.send(caller.pid, 'marker')
  assert.is((await caller.mailbox.next()).value, 'marker')
  assert.is(caller.mailbox.all.length, 1)
})

test('values keep their types on the way, and pids their identity', async (t) => {
  const [a, b] = await startPair(t)
  const sender = await a.puppet('sender')
  const receiver = await b.puppet('receiver')
  const value = {
    pids: [sender.pid, receiver.pid],
    map: new Map<unknown, unknown>([[1n, new Date(5)]]),
    set: new Set(['x']),
    bytes: Uint8Array.of(1, 2, 3),
    error: new TypeError('wrong'),
    nothing: [undefined, null, Number.NaN, -0],
  }
  await sender.send(receiver.pid, value)
  const got = (await receiver.mailbox.next()).value as typeof value
  assert.ok(sender.pid.equals(got.pids[0]) && receiver.pid.equals(got.pids[1]))
  assert.instance(got.pids[0], Pid)
  assert.equal([got.map, got.set, got.bytes, got.nothing], [value.map, value.set, value.bytes, value.nothing])
  assert.instance(got.error, TypeError)
  assert.is(got.error.message, 'wrong')
})

test('monitors: the reason of the end, noproc for who is not there, nothing after demonitor', async (t) => {
  const [a, b] = await startPair(t)
  const watcher = await a.puppet('watcher')
  const one = await b.puppet('one')
  const two = await b.puppet('two')
  const ref = await watcher.monitor(one.pid)
  const byName = await watcher.monitor({ name: 'one', node: b.name })
  await watcher.caughtUp(one)
  await b.do('exit', one.pid, { because: 'it is over' })
  const downs = [await system(watcher), await system(watcher)]
  for (const down of downs) assert.equal([down.type, down.reason], ['DOWN', { because: 'it is over' }])
  assert.equal(downs.map((down) => down.ref.key).sort(), [ref.key, byName.key].sort())
  for (const gone of [one.pid, { name: 'one', node: b.name }, { name: 'never', node: b.name }]) {
    await watcher.monitor(gone)
    assert.is((await system(watcher)).reason, 'noproc')
  }
  assert.is(await watcher.demonitor(await watcher.monitor(two.pid)), true)
  await watcher.caughtUp(two)
  await b.do('exit', two.pid, 'boom')
  await watcher.monitor(two.pid)
  assert.is((await system(watcher)).reason, 'noproc')
  assert.is(watcher.mailbox.all.length, 6)
})

test('links: ends go both ways, are trapped, and stop at unlink', async (t) => {
  const [a, b] = await startPair(t)
  const trapper = await a.puppet('trapper')
  await trapper.trapExit(true)
  const watcher = await a.puppet('watcher')

  const one = await b.puppet('one')
  await trapper.link(one.pid)
  await trapper.caughtUp(one)
  await b.do('exit', one.pid, 'boom')
  const exit = await system(trapper)
  assert.equal([exit.type, exit.reason], ['EXIT', 'boom'])
  assert.ok(exit.pid.equals(one.pid))
  await trapper.link(one.pid)
  assert.is((await system(trapper)).reason, 'noproc')

  // Not trapping: it goes down with its partner, across the wire and further.
  const [near, far, farther] = [await a.puppet('near'), await b.puppet('far'), await a.puppet('farther')]
  await near.link(far.pid)
  await far.link(farther.pid)
  await watcher.monitor(farther.pid)
  await near.caughtUp(far)
  await far.caughtUp(farther)
  await a.do('exit', near.pid, 'chain')
  assert.is((await system(watcher)).reason, 'chain')

  const two = await b.puppet('two')
  await trapper.link(two.pid)
  await trapper.unlink(two.pid)
  await watcher.monitor(two.pid)
  await trapper.caughtUp(two)
  await watcher.caughtUp(two)
  await b.do('exit', two.pid, 'unseen')
  assert.is((await system(watcher)).reason, 'unseen')
  await b.do('send', trapper.pid, 'marker')
  assert.is((await trapper.mailbox.next()).value, 'marker')
})

test('exit signals: kill is killed, kill over a link can be trapped, normal does nothing', async (t) => {
  const [a, b] = await startPair(t)
  const sender = await a.puppet('sender')
  const watcher = await a.puppet('watcher')
  const stubborn = await b.puppet('stubborn')
  await stubborn.trapExit(true)
  await watcher.monitor(stubborn.pid)
  for (const reason of ['normal', 'please', { code: 7 }]) {
    await sender.exit(stubborn.pid, reason)
    const exit = await system(stubborn)
    assert.equal([exit.type, exit.reason], ['EXIT', reason])
    assert.ok(exit.pid.equals(sender.pid))
  }
  await sender.exit(stubborn.pid, 'kill')
  assert.is((await system(watcher)).reason, 'killed')

  // The partner of a process that was killed sees killed, and may trap it.
  const partner = await b.puppet('partner')
  const condemned = await a.puppet('condemned')
  await partner.trapExit(true)
  await partner.link(condemned.pid)
  await partner.caughtUp(condemned)
  await partner.exit(condemned.pid, 'kill')
  assert.is((await system(partner)).reason, 'killed')

  const soft = await b.puppet('soft')
  await watcher.monitor(soft.pid)
  await sender.exit(soft.pid, 'normal')
  await sender.send(soft.pid, 'still here?')
  assert.is((await soft.mailbox.next()).value, 'still here?')
  await sender.exit(soft.pid, 'shutdown')
  assert.is((await system(watcher)).reason, 'shutdown')
})

test('an error as exit reason crosses the wire, and calls tell how the server ended', async (t) => {
  const [a, b] = await startPair(t)
  const watcher = await a.puppet('watcher')
  const server = await b.puppet('server')
  await watcher.monitor(server.pid)
  await watcher.caughtUp(server)
  const call = failure(watcher.call(server.pid, 'a question'))
  await server.mailbox.next()
  await b.do('exit', server.pid, new RangeError('out of it'))
  assert.is((await call).code, 'ERR_SKEIN_CALL_EXIT')
  const { reason } = await system(watcher)
  assert.instance(reason, RangeError)
  assert.is((reason as Error).message, 'out of it')
  assert.is((await failure(watcher.call(server.pid, 'anyone?'))).code, 'ERR_SKEIN_NOPROC')
  assert.is((await failure(watcher.call({ name: 'x', node: 'y@nowhere' }, 1))).code, 'ERR_SKEIN_NOCONNECTION')
})

test.run()
