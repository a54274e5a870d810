/** G29: a node speaks only for its own processes. Whatever else it sends has no effect, for each kind of signal. */
import * as assert from 'uvu/assert'
import { SkeinError } from '../../../certs/errors.ts'
import { Origin } from '../../../src/pid.ts'
import type { CallMessage } from '../../../src/process/calls.ts'
import { type Signal, Unreadable } from '../../../src/signals.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import {
  type Actor,
  actor,
  actors,
  brief,
  codeOf,
  errorOf,
  type Pair,
  pair,
  TestRoute,
  turns,
} from './process-support.ts'

const test = suite('foreign signals')

/** Nodes a and b with processes that have everything going with each other, and a third node that meddles. */
interface Scene {
  readonly net: Pair
  readonly one: Actor
  readonly two: Actor
  /** Sends to a, or to b, as the third node. */
  readonly meddle: (with_: 'a' | 'b', signal: Signal) => void
  readonly toThird: TestRoute
}

const scene = async (t: TestContext): Promise<Scene> => {
  const net = pair(t)
  const one = await actor(net.a)
  const two = await actor(net.b)
  const toThird = new TestRoute(new Origin('c@test', 'id-c', '00000000000000a1'))
  const meddle = (with_: 'a' | 'b', signal: Signal): void => {
    net[with_].processes.deliver(toThird, signal)
  }
  return { net, one, two, meddle, toThird }
}

test('links: linkExit, unlink and unlinkAck', async (t) => {
  const { net, one, two, meddle, toThird } = await scene(t)
  one.self.link(two.self.pid)
  await net.flow()
  const [from, to] = [two.self.pid.number, one.self.pid.number]
  meddle('a', { type: 'linkExit', from, to, reason: 'forged' })
  meddle('a', { type: 'unlink', from, to, id: 1 })
  assert.equal(
    toThird.waiting.map(({ type }) => type),
    ['unlinkAck'],
    'it is its own link that it was told of',
  )
  // An unlink of ours is under way: only the node it went to can acknowledge it.
  const three = await actor(net.a)
  three.self.link(two.self.pid)
  await net.flow()
  three.self.unlink(two.self.pid)
  meddle('a', { type: 'unlinkAck', from, to: three.self.pid.number, id: 1 })
  two.self.trapExit = false
  assert.throws(() => two.self.exit('true'))
  net.flowToA()
  await turns()
  assert.equal([one.log.map(brief), three.log], [['EXIT true'], []])
})

test('monitors: down and demonitor', async (t) => {
  const { net, one, two, meddle } = await scene(t)
  const ref = one.self.monitor(two.self.pid)
  await net.flow()
  meddle('a', { type: 'down', from: two.self.pid.number, ref: ref.number, reason: 'forged' })
  meddle('b', { type: 'demonitor', from: one.self.pid.number, to: two.self.pid.number, ref: ref.number })
  assert.throws(() => two.self.exit('true'))
  await net.flow()
  assert.equal(one.log.map(brief), ['DOWN true'])
})

test('calls: callFailed and callEnded', async (t) => {
  const { net, one, two, meddle } = await scene(t)
  const asked = one.self.call(two.self.pid, 'question')
  await net.flow()
  const { from } = two.log[0] as CallMessage
  meddle('a', { type: 'callFailed', from: two.self.pid.number, call: from.call.number, reason: 'forged' })
  meddle('b', { type: 'callEnded', from: one.self.pid.number, call: from.call.number })
  const second = codeOf(one.self.call(two.self.pid, 'another'))
  await net.flow()
  two.self.reply(from, 'answer')
  assert.throws(() => two.self.exit('true'))
  await net.flow()
  assert.is(await asked, 'answer')
  assert.is(await second, 'ERR_SKEIN_CALL_EXIT')
})

test('inspect: the answer of another node does not count', async (t) => {
  const { net, one, two, meddle } = await scene(t)
  const asked = one.self.processInfo(two.self.pid)
  const [question] = net.toB.waiting
  const call = question?.type === 'inspect' ? question.call : 0
  meddle('a', { type: 'reply', from: two.self.pid.number, call, value: { label: 'forged' } })
  meddle('a', { type: 'callFailed', from: two.self.pid.number, call, reason: 'noproc' })
  await net.flow()
  assert.is((await asked)?.label, undefined)
  assert.ok(await asked)
})

test('spawn: spawned, started and spawnFailed', async (t) => {
  const { net, one, meddle } = await scene(t)
  net.b.processes.catalogue.add('child', async (self) => {
    for await (const _ of self);
  })
  const asked = one.self.spawnLinkOn(net.b.origin.name, 'child', [], { start: true })
  const [request] = net.toB.waiting
  const number = request?.type === 'spawn' ? request.request : 0
  meddle('a', { type: 'spawned', from: 9, request: number })
  meddle('a', { type: 'started', from: 9, request: number })
  meddle('a', { type: 'spawnFailed', from: 0, request: number, reason: 'forged' })
  await net.flow()
  const pid = await asked
  assert.is(pid.node, net.b.origin.name)
  assert.equal(one.log, [])
})

test('link, monitor, exit and send come from the node they came from, whatever number they bear', async (t) => {
  const { net, one, two, meddle, toThird } = await scene(t)
  const [from, to] = [two.self.pid.number, one.self.pid.number]
  meddle('a', { type: 'exit', from, to, reason: 'why' })
  meddle('a', { type: 'link', from, to })
  meddle('a', { type: 'monitor', from, to, ref: 1 })
  meddle('a', { type: 'linkExit', from, to, reason: 'its own' })
  await turns()
  assert.equal(
    one.log.map((message) => (message as { pid: { node: string } }).pid.node),
    ['c@test', 'c@test'],
  )
  // b's process is not linked, nor does it watch.
  assert.throws(() => one.self.exit('over'))
  await net.flow()
  assert.equal(two.log, [])
  assert.equal(
    toThird.waiting.map(({ type }) => type),
    ['down'],
  )
})

test('signals to who is not there, with wild numbers, throw nothing and leave nothing', async (t) => {
  const { net, one, meddle } = await scene(t)
  const MOST = Number.MAX_SAFE_INTEGER
  for (const from of [0, 1, MOST]) {
    for (const to of [0, 4711, MOST]) {
      for (const signal of [
        { type: 'send', from, to, message: 1 },
        { type: 'cast', from, to, message: 1 },
        { type: 'call', from, to, call: to, request: 1 },
        { type: 'reply', from, call: to, value: 1 },
        { type: 'callFailed', from, call: to, reason: 1 },
        { type: 'callEnded', from, call: to },
        { type: 'link', from, to },
        { type: 'unlink', from, to, id: to },
        { type: 'unlinkAck', from, to, id: to },
        { type: 'monitor', from, to, ref: to },
        { type: 'demonitor', from, to, ref: to },
        { type: 'linkExit', from, to, reason: 1 },
        { type: 'exit', from, to, reason: 'kill' },
        { type: 'down', from, ref: to, reason: 1 },
        { type: 'spawned', from, request: to },
        { type: 'started', from, request: to },
        { type: 'spawnFailed', from, request: to, reason: 1 },
        { type: 'inspect', from, to, call: to },
      ] as const satisfies readonly Signal[]) {
        meddle('a', signal)
      }
    }
  }
  assert.equal(net.a.processes.list(), [one.self.pid])
  assert.equal(one.log, [])
})

test('content of an unknown type costs only itself: each kind of signal', async (t) => {
  const { net, one, two } = await scene(t)
  const unreadable = new Unreadable(new SkeinError('ERR_SKEIN_UNKNOWN_TYPE', 'No type is registered as "x/Y"'))
  const [from, to] = [one.self.pid.number, two.self.pid.number]
  net.b.processes.deliver(net.toA, { type: 'send', from, to, message: unreadable })
  net.b.processes.deliver(net.toA, { type: 'cast', from, to, message: unreadable })
  await turns()
  assert.equal(two.log, [])
  assert.equal(
    net.b.reports.map((report) => report.type === 'deadLetter' && [report.reason, report.from?.key]),
    Array(2).fill(['ERR_SKEIN_UNKNOWN_TYPE', one.self.pid.key]),
  )
  // A request: its caller is told, and the process lives on.
  const refused = errorOf(one.self.call(two.self.pid, 'x'))
  const [call] = net.toB.waiting.splice(0)
  net.b.processes.deliver(net.toA, { ...call, request: unreadable } as Signal)
  await net.flow()
  assert.is((await refused).code, 'ERR_SKEIN_UNKNOWN_TYPE')
  assert.match((await refused).message, '"x/Y"')
  // A reply.
  const asked = errorOf(one.self.call(two.self.pid, 'x'))
  net.flowToB()
  await turns()
  const { from: caller } = two.log[0] as CallMessage
  net.a.processes.deliver(net.toB, { type: 'reply', from: to, call: caller.call.number, value: unreadable })
  assert.is((await asked).code, 'ERR_SKEIN_UNKNOWN_TYPE')
  assert.equal((await actors(net.b, 1)).length, 1)
  assert.ok(net.b.processes.isAlive(two.self.pid))
})

test.run()
