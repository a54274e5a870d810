/** Rights: rules and their patterns, and every signal of another node that needs a right. */
import * as assert from 'uvu/assert'
import { supervisor } from '../../../src/behaviours/supervisor/supervisor.ts'
import { Origin } from '../../../src/pid.ts'
import { Forbidden } from '../../../src/process/forbidden.ts'
import type { Names } from '../../../src/process/name-set.ts'
import { type Allow, type AllowRule, isSystemName, Rights } from '../../../src/process/rights.ts'
import type { Self } from '../../../src/process/self.ts'
import { suite } from '../../support/suite.ts'
import { actor, brief, codeOf, errorOf, type Pair, pair, thrown, turns } from './process-support.ts'

const test = suite('rights')

const ID = 'abcdefghijklmnopqrstuvwxyz234567'

const originOf = (name: string, id = 'z'.repeat(32)): Origin => new Origin(name, id, '0000000000000001')

const rightsOf = (allow: Allow): Rights => new Rights(allow, new Forbidden({ now: () => 0 }, () => {}))

const maySpawn = (rules: readonly AllowRule[], name: string, behaviour: string, id?: string): boolean =>
  rightsOf(rules).of(originOf(name, id))?.maySpawn(behaviour) ?? true

test('without rules, and for nodes that none is about, everything is allowed', () => {
  assert.is(rightsOf([]).of(originOf('a@x')), undefined)
  const rights = rightsOf([{ nodes: 'b', spawn: 'none', send: 'none' }])
  assert.ok(rights.of(originOf('a@x'))?.maySpawn('any'))
  assert.ok(rights.of(originOf('a@x'))?.mayAddress('any'))
  assert.not(rights.of(originOf('b@x'))?.maySpawn('any'))
})

test('for each question the first rule that answers it decides', () => {
  const rules: AllowRule[] = [
    { nodes: 'web-*', spawn: ['page'] },
    { nodes: '*', send: ['orders'] },
    { nodes: 'web-*', spawn: 'all', send: 'all' },
  ]
  const web = rightsOf(rules).of(originOf('web-1@x'))
  assert.equal([web?.maySpawn('page'), web?.maySpawn('root')], [true, false])
  assert.equal([web?.mayAddress('orders'), web?.mayAddress('db')], [true, false])
  const other = rightsOf(rules).of(originOf('db@x'))
  assert.equal([other?.maySpawn('root'), other?.mayAddress('db')], [true, false])
})

test('patterns are about the part before the @, or the whole name; an id is never a name', () => {
  const none = (nodes: string): AllowRule[] => [{ nodes, spawn: 'none' }]
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['a', 'a@x', true],
    ['a', 'aa@x', false],
    ['a', 'b@a', false],
    ['a*', 'abc@x', true],
    ['*@host-1', 'any@host-1', true],
    ['*@host-1', 'any@host-11', false],
    ['a@x', 'a@x', true],
    ['*b*', 'aba@x', true],
    ['a*b*c', 'axxbyyc@x', true],
    ['a*b*c', 'axxcyyb@x', false],
    ['**', 'a@x', true],
    ['*', 'a@x', true],
    ['A', 'a@x', false],
  ]
  for (const [pattern, name, isMeant] of cases)
    assert.is(maySpawn(none(pattern), name, 'b'), !isMeant, `${pattern} ${name}`)
  // Who calls itself by the id of another node is not that node.
  assert.ok(maySpawn(none(ID), `${ID}@x`, 'b'))
  assert.not(maySpawn(none(ID), 'a@x', 'b', ID))
})

test('a pattern made to take long does not', () => {
  const rules: AllowRule[] = [{ nodes: '*', spawn: [`${'*a'.repeat(31)}b`] }]
  assert.not(maySpawn(rules, 'x@y', 'a'.repeat(64)))
})

test('the system is always reached', () => {
  const grants = rightsOf([{ nodes: '*', send: 'none' }]).of(originOf('a@x'))
  assert.ok(grants?.mayAddress('skein'))
  assert.ok(grants?.mayAddress('skein.global'))
  assert.not(grants?.mayAddress('skeins'))
  assert.equal(['skein', 'skein.a', 'skeina', ''].map(isSystemName), [true, true, false, false])
})

/** Node b allows node a this. */
const scene = (t: Parameters<typeof pair>[0], rule: { spawn?: Names; send?: Names }): Pair =>
  pair(t, { allow: [{ nodes: 'a', ...rule }] })

const DB = { name: 'db', node: 'b@test' }

test('a name that may not be addressed: dead letter, refused call, noproc for a monitor; the same if nobody has it', async (t) => {
  const net = scene(t, { send: ['orders'] })
  const asking = await actor(net.a)
  for (const isThere of [false, true]) {
    const db = await actor(net.b)
    if (isThere) db.self.register('db')
    net.b.reports.length = asking.log.length = 0
    asking.self.send(DB, 1)
    asking.self.cast(DB, 2)
    net.a.processes.exit(DB, 'kill')
    asking.self.monitor(DB)
    const called = codeOf(asking.self.call(DB, 3))
    await net.flow()
    assert.is(await called, 'ERR_SKEIN_FORBIDDEN')
    assert.equal(asking.log.map(brief), ['DOWN noproc'])
    const letters = net.b.reports.flatMap((report) =>
      report.type === 'deadLetter' ? [[report.to, report.reason]] : [],
    )
    assert.equal(letters, Array(3).fill([DB, 'ERR_SKEIN_FORBIDDEN']))
    assert.ok(net.b.processes.isAlive(db.self.pid))
    assert.equal(db.log, [])
  }
})

test('nor by a guessed pid; a process without a name, or with one that is listed, is reached', async (t) => {
  const net = scene(t, { send: ['orders'] })
  const asking = await actor(net.a)
  const [db, orders, nameless] = [await actor(net.b), await actor(net.b), await actor(net.b)]
  db.self.register('db')
  orders.self.register('internal')
  orders.self.register('orders')
  asking.self.send(db.self.pid, 1)
  asking.self.exit(db.self.pid, 'kill')
  asking.self.link(db.self.pid)
  asking.self.monitor(db.self.pid)
  const outcomes = [
    codeOf(asking.self.call(db.self.pid, 1)),
    codeOf(asking.self.isProcessAlive(db.self.pid)),
    codeOf(asking.self.processInfo(db.self.pid)),
  ]
  for (const { self } of [orders, nameless]) asking.self.send(self.pid, 'hello')
  asking.self.send({ name: 'orders', node: 'b@test' }, 'by name')
  await net.flow()
  assert.equal(await Promise.all(outcomes), Array(3).fill('ERR_SKEIN_FORBIDDEN'))
  assert.equal(asking.log.map(brief).toSorted(), ['DOWN noproc', 'EXIT noproc'])
  assert.equal([db.log, orders.log, nameless.log], [[], ['hello', 'by name'], ['hello']])
  // What the refused process says itself is not held up, and what it is answered to reaches it.
  db.self.link(asking.self.pid)
  db.self.send(asking.self.pid, 'from db')
  const answered = db.self.call(asking.self.pid, 'who?')
  await net.flow()
  const call = asking.log.at(-1) as { from: Parameters<Self['reply']>[0] }
  asking.self.reply(call.from, 'me')
  asking.self.unlink(db.self.pid)
  await net.flow()
  assert.is(await answered, 'me')
  assert.ok(asking.log.includes('from db'))
})

test('only what is listed is started, and only under names that may be addressed', async (t) => {
  const net = scene(t, { spawn: ['work*'], send: ['job-*'] })
  for (const name of ['worker', 'root']) net.b.processes.catalogue.add(name, () => new Promise<void>(() => {}))
  const ask = async (behaviour: string, name?: string): Promise<string> => {
    const asked = net.a.processes.spawns.spawn(undefined, 'b@test', behaviour, [], name === undefined ? {} : { name })
    const outcome = asked.then(
      () => 'spawned',
      ({ code }: { code: string }) => code,
    )
    await net.flow()
    return outcome
  }
  assert.is(await ask('worker'), 'spawned')
  assert.is(await ask('worker', 'job-1'), 'spawned')
  assert.is(await ask('worker', 'db'), 'ERR_SKEIN_FORBIDDEN')
  assert.is(await ask('root'), 'ERR_SKEIN_FORBIDDEN')
  // Whether it exists is not told either.
  assert.is(await ask('absent'), 'ERR_SKEIN_FORBIDDEN')
  assert.is(await ask('work-absent'), 'ERR_SKEIN_UNKNOWN_BEHAVIOUR')
  assert.is(net.b.processes.list().length, 2)
})

test('names of the system are nobody else to give, rules or not', async (t) => {
  const net = pair(t)
  net.b.processes.catalogue.add('worker', () => {})
  for (const name of ['skein', 'skein.global']) {
    const asked = net.a.processes.spawns.spawn(undefined, 'b@test', 'worker', [], { name })
    await net.flow()
    assert.is((await errorOf(asked)).code, 'ERR_SKEIN_FORBIDDEN')
  }
})

test('a supervisor starts nothing for a node that may not start it', async (t) => {
  const net = scene(t, { spawn: ['worker'] })
  for (const name of ['worker', 'root']) net.b.processes.catalogue.add(name, () => new Promise<void>(() => {}))
  const pid = await net.b.processes.start(supervisor({ children: [] }))
  const startChild = async (node: Pair['a'], start: string, name?: string): Promise<unknown> => {
    const spec = { id: start, start, ...(name && { name }) }
    const asked = node.processes.call(pid, { type: 'startChild', spec })
    await net.flow()
    const answer = await asked
    return answer instanceof Error && 'code' in answer ? answer.code : 'started'
  }
  assert.is(await startChild(net.a, 'root'), 'ERR_SKEIN_FORBIDDEN')
  assert.is(await startChild(net.a, 'worker', 'skein.x'), 'ERR_SKEIN_FORBIDDEN')
  assert.is(await startChild(net.a, 'worker'), 'started')
  assert.is(await startChild(net.b, 'root'), 'started')
  await turns()
})

test('strict: nothing that no rule allows', () => {
  const rules: AllowRule[] = [{ nodes: 'web', send: ['orders'], groups: ['chat', 'game/*'], supervise: ['sup'] }]
  const rights = rightsOf({ preset: 'strict', rules })
  const [web, other] = [rights.of(originOf('web@x')), rights.of(originOf('db@x'))]
  assert.equal([web?.mayAddress('orders'), other?.mayAddress('orders')], [true, false])
  assert.equal([web?.maySpawn('page'), other?.maySpawn('page')], [false, false])
  assert.equal(
    ['x', 'supervisor:sup', 'supervisor:top', 'sup/a/b', 'super/a', '/a'].map((name) => web?.mayRegister(name)),
    [false, true, false, true, false, false],
  )
  assert.equal(
    [
      web?.mayAsk('ping'),
      rightsOf([{ nodes: '*', observe: 'nodes' }])
        .of(originOf('a@x'))
        ?.mayAsk('ping'),
    ],
    [false, true],
  )
  assert.ok(rightsOf('default').of(originOf('a@x')) === undefined)
  assert.not(rightsOf('strict').of(originOf('a@x'))?.mayRegister('x'))
})

test('the name of a leader needs supervise, whatever register says', () => {
  const may = (allow: Allow): (boolean | undefined)[] => {
    const grants = rightsOf(allow).of(originOf('a@x'))
    return ['supervisor:sup', 'supervisor:top', 'till'].map((name) => grants?.mayRegister(name))
  }
  assert.equal(may({ preset: 'strict', rules: [{ nodes: '*', register: 'all' }] }), [false, false, true])
  assert.equal(may([{ nodes: '*', supervise: ['sup'] }]), [true, false, true])
  assert.equal(may([{ nodes: '*', supervise: 'none' }]), [false, false, true])
  assert.equal(may([{ nodes: '*', spawn: 'none' }]), [true, true, true])
  assert.equal(may([{ nodes: '*', register: ['till'] }]), [false, false, true])
})

test('strict: who had a process started may end it, whatever it calls itself, and no more', async (t) => {
  const net = pair(t, { allow: { preset: 'strict', rules: [{ nodes: '*', spawn: ['page'] }] } })
  net.b.processes.catalogue.add('page', async (self: Self<unknown>) => {
    self.register('front')
    for await (const _ of self);
  })
  const asked = net.a.processes.spawns.spawn(undefined, 'b@test', 'page')
  await net.flow()
  const pid = await asked
  const called = codeOf(net.a.processes.call(pid, 'who'))
  net.a.processes.exit({ name: 'front', node: 'b@test' }, 'kill')
  await net.flow()
  assert.is(await called, 'ERR_SKEIN_FORBIDDEN')
  assert.ok(net.b.processes.isAlive(pid))
  net.a.processes.exit(pid, 'kill')
  await net.flow()
  assert.not(net.b.processes.isAlive(pid))
})

test('no choice of scope and group passes for another', () => {
  const grants = rightsOf({
    preset: 'strict',
    rules: [{ nodes: '*', groups: ['chat', 'a/b/c', 'g*/x'], rooms: ['r'] }],
  }).of(originOf('a@x'))
  const cases: readonly (readonly [string, string, boolean])[] = [
    ['skein', 'chat', true],
    ['other', 'chat', false],
    ['a', 'b/c', true],
    ['a/b', 'c', false],
    ['gx', 'x', true],
    ['g', 'a/x', false],
    ['skein.rooms', 'r', true],
    ['skein.rooms', 'chat', false],
  ]
  for (const [scope, group, isIn] of cases) assert.is(grants?.mayJoin(scope, group), isIn, `${scope} ${group}`)
  assert.equal([grants?.mayPublish('skein', 'chat'), grants?.mayPublish('skein.rooms', 'r')], [true, false])
  // All may be joined, but nobody's names are to be passed by because of that.
  assert.not(
    rightsOf([{ nodes: '*', send: [] }])
      .of(originOf('a@x'))
      ?.mayPublish('skein', 'chat'),
  )
})

test('strict: an unnamed process is reached by the node that had it started, and by no other', async (t) => {
  const net = pair(t, { allow: { preset: 'strict', rules: [{ nodes: '*', spawn: ['echo'] }] } })
  net.b.processes.catalogue.add('echo', async (self: Self<unknown>) => {
    for await (const message of self)
      if (message !== undefined) net.b.processes.reply((message as { from: never }).from, 'here')
  })
  const local = await actor(net.b)
  const asked = net.a.processes.spawns.spawn(undefined, 'b@test', 'echo')
  await net.flow()
  const pid = await asked
  const answers = [net.a.processes.call(pid, 'who'), codeOf(net.a.processes.call(local.self.pid, 'who'))]
  await net.flow()
  assert.equal(await Promise.all(answers), ['here', 'ERR_SKEIN_FORBIDDEN'])
})

test('names of Skein are refused to programs of the node, too', async (t) => {
  const net = pair(t)
  const one = await actor(net.b)
  for (const name of ['skein', 'skein.x']) {
    assert.is(
      thrown(() => one.self.register(name)),
      'ERR_SKEIN_BAD_NAME',
    )
    assert.is(
      thrown(() => net.b.processes.register(name, one.self.pid)),
      'ERR_SKEIN_BAD_NAME',
    )
    assert.is(
      thrown(() => net.b.processes.spawn(() => {}, { name })),
      'ERR_SKEIN_BAD_NAME',
    )
  }
  one.self.register('skeins')
})

test.run()
