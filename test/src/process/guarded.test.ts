/** Guarded processes, and casts that say who sent them. */
import * as assert from 'uvu/assert'
import { type Behaviour, CastEntry, type Traits } from '../../../src/process/behaviour.ts'
import type { Self } from '../../../src/process/self.ts'
import { announceStarted, serve } from '../../../src/process/serve.ts'
import { suite } from '../../support/suite.ts'
import { type Actor, actor, brief, errorOf, loneNode, pair, type TestNode, turns } from './process-support.ts'

const test = suite('guarded processes')

interface Guarded {
  readonly self: Self<unknown>
  readonly log: unknown[]
}

/** Started by `node`, or by `parent` and linked to it. */
const guarded = async (
  node: TestNode,
  traits: Traits = {},
  parent?: Self<unknown>,
  trapExit = false,
): Promise<Guarded> => {
  let made: Guarded | undefined
  const run = async (self: Self<unknown>): Promise<void> => {
    self.trapExit = trapExit
    made = { self, log: [] }
    for await (const message of self) made.log.push(message)
  }
  const behaviour: Behaviour<unknown> = Object.assign(run, { traits: { guarded: true, ...traits } })
  if (parent === undefined) node.processes.spawn(behaviour)
  else parent.spawnLink(behaviour)
  await turns()
  return made!
}

test('strangers, on other nodes and on this one, cannot end it; dead letters say so', async (t) => {
  const net = pair(t)
  const there = await actor(net.a)
  const here = await actor(net.b)
  const { self } = await guarded(net.b)
  for (const reason of ['kill', 'normal', 'boom']) {
    there.self.exit(self.pid, reason)
    here.self.exit(self.pid, reason)
    net.b.processes.exit(self.pid, reason)
  }
  await net.flow()
  assert.ok(net.b.processes.isAlive(self.pid))
  const letters = net.b.reports.flatMap((report) =>
    report.type === 'deadLetter' ? [[report.to, report.from, report.reason] as const] : [],
  )
  const letter = (from: Actor | undefined) => [self.pid, from?.self.pid, 'ERR_SKEIN_FORBIDDEN']
  assert.equal(letters.length, 9)
  assert.equal(letters.filter((one) => one[1] === undefined).length, 3)
  for (const sender of [there, here]) {
    assert.equal(
      letters.filter((one) => sender.self.pid.equals(one[1])),
      Array(3).fill(letter(sender)),
    )
  }
})

test('a link of strangers tells them of its end and not it of theirs', async (t) => {
  const net = pair(t)
  const [there, doomed, local] = [await actor(net.a), await actor(net.a, false), await actor(net.b, false)]
  const { self, log } = await guarded(net.b)
  for (const one of [there, doomed, local]) one.self.link(self.pid)
  await net.flow()
  net.a.processes.exit(doomed.self.pid, 'boom')
  net.b.processes.exit(local.self.pid, 'boom')
  await net.flow()
  assert.ok(net.b.processes.isAlive(self.pid))
  assert.throws(() => self.exit('enough'))
  await net.flow()
  assert.equal(there.log.map(brief), ['EXIT enough'])
  assert.equal(log, [])
})

test('a lost connection leaves it alone', async (t) => {
  const net = pair(t)
  const there = await actor(net.a)
  const { self } = await guarded(net.b)
  there.self.link(self.pid)
  self.link(there.self.pid)
  await net.flow()
  net.cut()
  await turns()
  assert.ok(net.b.processes.isAlive(self.pid))
})

test('one that traps exits is told of them, and lives', async (t) => {
  const net = pair(t)
  const there = await actor(net.a, false)
  const { self, log } = await guarded(net.b, {}, undefined, true)
  there.self.link(self.pid)
  await net.flow()
  net.a.processes.exit(there.self.pid, 'boom')
  await net.flow()
  assert.equal(log.map(brief), ['EXIT boom'])
  assert.ok(net.b.processes.isAlive(self.pid))
})

test('its parent ends it, by signal and over the link, and so does the node that stops', async (t) => {
  const node = loneNode(t)
  const parent = await actor(node)
  const one = await guarded(node, {}, parent.self)
  parent.self.exit(one.self.pid, 'shutdown')
  const two = await guarded(node, {}, parent.self)
  assert.not(node.processes.isAlive(one.self.pid))
  assert.ok(node.processes.isAlive(two.self.pid))
  node.processes.exit(parent.self.pid, 'kill')
  assert.not(node.processes.isAlive(two.self.pid))
  const [three, four] = [await guarded(node), await guarded(node, {}, undefined, true)]
  await node.processes.stop(100)
  assert.not(node.processes.isAlive(three.self.pid))
  assert.equal(four.log.map(brief), ['EXIT shutdown'])
})

test('other nodes cannot spawn one', async (t) => {
  const net = pair(t)
  net.b.processes.catalogue.add(
    'guard',
    Object.assign(() => {}, { traits: { guarded: true } }),
  )
  const asked = net.a.processes.spawns.spawn(undefined, 'b@test', 'guard')
  await net.flow()
  assert.is((await errorOf(asked)).code, 'ERR_SKEIN_FORBIDDEN')
})

test('a full mailbox costs messages and not the process', async (t) => {
  const net = pair(t, { limits: { mailbox: 100, mailboxHighWater: 10 } })
  const there = await actor(net.a)
  const idle: Behaviour<unknown> = Object.assign(() => new Promise<void>(() => {}), { traits: { guarded: true } })
  const pid = net.b.processes.spawn(idle)
  for (let i = 0; i < 500; i++) there.self.send(pid, i)
  await net.flow()
  assert.ok(net.b.processes.isAlive(pid))
})

const casts = (node: TestNode, traits: Traits): CastEntry[] => {
  const seen: CastEntry[] = []
  const run = (self: Self<unknown>): void => {
    serve(self, (entry) => void (entry instanceof CastEntry && seen.push(entry)))
    announceStarted(self)
  }
  node.processes.spawn(Object.assign(run, { traits: { serves: true, announces: true, ...traits } }), { name: 'it' })
  return seen
}

test('with the trait "senders" a cast comes with who sent it, of whichever node', async (t) => {
  const net = pair(t)
  const [there, here] = [await actor(net.a), await actor(net.b)]
  const seen = casts(net.b, { senders: true })
  there.self.cast({ name: 'it', node: 'b@test' }, 1)
  net.a.processes.cast({ name: 'it', node: 'b@test' }, 2)
  await net.flow()
  here.self.cast('it', 3)
  net.b.processes.cast('it', 4)
  await turns()
  const froms = seen.map(({ message, from }) => [message, from?.key])
  assert.equal(froms, [
    [1, there.self.pid.key],
    [2, undefined],
    [3, here.self.pid.key],
    [4, undefined],
  ])
})

test('without it nobody is told', async (t) => {
  const net = pair(t)
  const there = await actor(net.a)
  const seen = casts(net.b, {})
  there.self.cast({ name: 'it', node: 'b@test' }, 1)
  await net.flow()
  assert.equal(
    seen.map(({ from }) => from),
    [undefined],
  )
})

test.run()
