/** Registries of one node: unique and duplicate keys, matching, dispatch, bounds, and what becomes of the entries of the dead. */
import * as assert from 'uvu/assert'
import type { Pid } from '../../../../src/pid.ts'
import { DuplicateRegistry, type UniqueRegistry } from '../../../../src/services/registry/local-registry.ts'
import { fits } from '../../../../src/services/registry/pattern.ts'
import { Registries } from '../../../../src/services/registry/registries.ts'
import { seededRandom } from '../../../../transport/random.ts'
import { suite, type TestContext } from '../../../support/suite.ts'
import {
  type Actor,
  actor,
  actors,
  loneNode,
  pair,
  type TestNode,
  thrown,
  turns,
} from '../../process/process-support.ts'

const test = suite('registries')

const registriesOf = ({ processes }: TestNode): Registries =>
  new Registries({
    process: (pid) => processes.local(pid),
    send: (pid, message) => processes.sendOrReport(pid, message),
  })

const unique = <V = unknown>(node: TestNode): UniqueRegistry<V> =>
  registriesOf(node).get('names', { keys: 'unique' }) as UniqueRegistry<V>

const duplicate = <V = unknown>(node: TestNode): DuplicateRegistry<V> =>
  registriesOf(node).get('topics', { keys: 'duplicate' }) as DuplicateRegistry<V>

const three = async (t: TestContext): Promise<{ node: TestNode; all: Actor[]; pids: Pid[] }> => {
  const node = loneNode(t)
  const all = await actors(node, 3)
  return { node, all, pids: all.map(({ self }) => self.pid) }
}

test('a unique key belongs to one process', async (t) => {
  const { node, pids } = await three(t)
  const [one, two] = pids as [Pid, Pid]
  const registry = unique<number | undefined>(node)
  registry.register('a', one, 1)
  registry.register('b', one)
  assert.is(
    thrown(() => registry.register('a', two)),
    'ERR_SKEIN_NAME_REGISTERED',
  )
  assert.is(
    thrown(() => registry.register('a', one)),
    'ERR_SKEIN_NAME_REGISTERED',
  )
  assert.equal(registry.lookup('a'), { pid: one, value: 1 })
  assert.equal(registry.lookup('b'), { pid: one, value: undefined })
  assert.is(registry.lookup('c'), undefined)
  assert.equal(registry.keys(one), ['a', 'b'])
  assert.equal([registry.keys(two), registry.count], [[], 2])
  // Whose key it is not cannot give it up for another.
  assert.not(registry.unregister('a', two))
  assert.ok(registry.unregister('a', one))
  assert.not(registry.unregister('a'))
  registry.register('a', two, 2)
  assert.equal(
    [...registry],
    [
      { key: 'b', pid: one, value: undefined },
      { key: 'a', pid: two, value: 2 },
    ],
  )
})

test('a duplicate key has any number, in order, one perhaps several times', async (t) => {
  const { node, pids } = await three(t)
  const [one, two, three_] = pids as [Pid, Pid, Pid]
  const registry = duplicate<string>(node)
  for (const [pid, value] of [
    [one, 'x'],
    [two, 'y'],
    [one, 'z'],
    [three_, 'x'],
  ] as const)
    registry.register('t', pid, value)
  assert.equal(
    registry.lookup('t').map(({ value }) => value),
    ['x', 'y', 'z', 'x'],
  )
  assert.equal(registry.lookup('u'), [])
  assert.equal(registry.keys(one), ['t', 't'])
  assert.is(registry.unregister('t', one, 'z'), 1)
  assert.is(registry.unregister('t', one), 1)
  assert.is(registry.unregister('t', one), 0)
  assert.is(
    registry.update('t', two, (value) => `${value}!`),
    1,
  )
  assert.equal(registry.lookup('t'), [
    { pid: two, value: 'y!' },
    { pid: three_, value: 'x' },
  ])
  assert.is(registry.unregister('t'), 2)
  assert.equal([registry.count, [...registry]], [0, []])
})

test('a value is changed in place', async (t) => {
  const { node, pids } = await three(t)
  const registry = unique<{ n: number }>(node)
  registry.register(7, pids[0]!, { n: 1 })
  assert.equal(
    registry.update(7, ({ n }) => ({ n: n + 1 })),
    { n: 2 },
  )
  assert.equal(registry.lookup(7)?.value, { n: 2 })
  // A number is not its text.
  assert.is(
    registry.update(String(7) as never, () => ({ n: 0 })),
    undefined,
  )
})

test('entries are matched by pattern or predicate', async (t) => {
  const { node, pids } = await three(t)
  const registry = duplicate<{ role: string; at?: { zone: string }; tags: string[] }>(node)
  const values = [
    { role: 'web', at: { zone: 'eu' }, tags: ['a'] },
    { role: 'web', at: { zone: 'us' }, tags: ['a', 'b'] },
    { role: 'db', tags: [] },
  ]
  for (const [index, value] of values.entries()) registry.register('s', pids[index]!, value)
  const found = (wanted: Parameters<typeof registry.match>[1]) =>
    registry.match('s', wanted).map(({ pid }) => pids.indexOf(pid))
  assert.equal(found({}), [0, 1, 2])
  assert.equal(found({ role: 'web' }), [0, 1])
  assert.equal(found({ at: { zone: 'us' } }), [1])
  assert.equal(found({ tags: ['a'] }), [0])
  assert.equal(
    found(({ tags }, pid) => tags.length > 0 && pid !== pids[0]),
    [1],
  )
  assert.equal(registry.match('other', {}), [])
  registry.register('t', pids[0]!, values[2]!)
  assert.equal(
    registry.select({ role: 'db' }).map(({ key }) => key),
    ['s', 't'],
  )
})

test('what fits what', async (t) => {
  const { pids } = await three(t)
  const cyclic: { self?: unknown } = {}
  cyclic.self = cyclic
  const cases: readonly (readonly [unknown, unknown, boolean])[] = [
    [1, 1, true],
    [1, '1', false],
    [Number.NaN, Number.NaN, true],
    [undefined, undefined, true],
    [{ a: undefined }, {}, false],
    [{ a: undefined }, { a: undefined, b: 1 }, true],
    [null, undefined, false],
    [{}, null, false],
    [[1, 2], [1, 2, 3], false],
    [[{ a: 1 }], [{ a: 1, b: 2 }], true],
    [{ 0: 1 }, [1], true],
    [[1], { 0: 1, length: 1 }, false],
    [new Date(5), new Date(5), true],
    [new Date(5), new Date(6), false],
    [Buffer.from('a'), new Uint8Array([97]), true],
    [{ pid: pids[0] }, { pid: pids[0] }, true],
    [{ pid: pids[0] }, { pid: pids[1] }, false],
    [new Map(), new Map(), false],
    [{ toString: Object.prototype.toString }, {}, false],
  ]
  for (const [pattern, value, isFit] of cases)
    assert.is(fits(pattern, value), isFit, String(JSON.stringify([pattern, value])))
  const other: { self?: unknown } = {}
  other.self = other
  assert.not(fits(cyclic, other))
})

test('dispatch gives all entries at once; publish sends to each', async (t) => {
  const { node, all, pids } = await three(t)
  const registry = duplicate<number>(node)
  for (const [index, pid] of pids.entries()) registry.register('t', pid, index)
  const seen: unknown[] = []
  assert.is(
    registry.dispatch('t', (entries) => void seen.push(entries.map(({ value }) => value))),
    3,
  )
  assert.is(
    registry.dispatch('nobody', () => assert.unreachable()),
    0,
  )
  assert.equal(seen, [[0, 1, 2]])
  // Whoever is called may change what it was called about, and fail.
  const failing = (): unknown =>
    registry.dispatch('t', (entries) => {
      for (const { pid } of entries.slice(1)) registry.unregister('t', pid)
      throw new Error('mine')
    })
  assert.throws(failing, 'mine')
  assert.is(registry.publish('t', 'hello'), 1)
  assert.is(registry.publish('nobody', 'hello'), 0)
  await turns()
  assert.equal(
    all.map(({ log }) => log),
    [['hello'], [], []],
  )
})

test('one whose mailbox is full does not keep the others from theirs', async (t) => {
  const node = loneNode(t, { limits: { mailbox: 1, mailboxHighWater: 1 } })
  const deaf = node.processes.spawn(() => new Promise<void>(() => {}))
  const hearing = await actor(node)
  const registry = duplicate(node)
  registry.register('t', deaf)
  registry.register('t', hearing.self.pid)
  for (const message of [1, 2]) {
    registry.publish('t', message)
    await turns()
  }
  assert.equal(hearing.log, [1, 2])
  assert.equal(
    node.reports.map((report) => report.type === 'deadLetter' && report.reason),
    ['ERR_SKEIN_QUEUE_FULL'],
  )
})

test('entries of a process are gone before anybody hears of its end', async (t) => {
  const node = loneNode(t)
  const [names, topics] = [unique(node), duplicate(node)]
  const doomed = await actor(node, false)
  const { pid } = doomed.self
  names.register('a', pid)
  topics.register('t', pid)
  topics.register('t', pid)
  const heard: unknown[] = []
  const look = (how: string): void =>
    void heard.push([how, names.lookup('a'), topics.lookup('t'), names.count, topics.count])
  doomed.self.signal.addEventListener('abort', () => look('signal'))
  node.processes.spawn(async (self) => {
    self.trapExit = true
    self.monitor(pid)
    self.link(pid)
    await self.receive()
    look('DOWN')
    // The key is free: no race for whoever comes next.
    names.register('a', self.pid)
    await self.receive()
  })
  const called = doomed.self.pid
  const calling = node.processes.call(called, 'never answered').catch(() => look('call'))
  await turns()
  node.processes.exit(pid, 'kill')
  await calling
  await turns()
  assert.is(heard.length, 3)
  for (const [how, ...found] of heard as unknown[][]) {
    if (how !== 'call') assert.equal(found, [undefined, [], 0, 0], String(how))
  }
  assert.is(names.lookup('a')?.pid.key === pid.key, false)
})

test('only living processes of this node can stand in one', async (t) => {
  const net = pair(t)
  const [here, there] = [await actor(net.a), await actor(net.b)]
  const registry = unique(net.a)
  assert.is(
    thrown(() => registry.register('a', there.self.pid)),
    'ERR_SKEIN_NOPROC',
  )
  net.a.processes.exit(here.self.pid, 'kill')
  assert.is(
    thrown(() => registry.register('a', here.self.pid)),
    'ERR_SKEIN_NOPROC',
  )
  assert.equal([registry.keys(here.self.pid), registry.keys(there.self.pid), registry.count], [[], [], 0])
})

test('bounds and options', async (t) => {
  const { node, pids } = await three(t)
  const all = registriesOf(node)
  const small = all.get('small', { keys: 'duplicate', maxEntries: 2 }) as DuplicateRegistry
  small.register('a', pids[0]!)
  small.register('a', pids[0]!)
  assert.is(
    thrown(() => small.register('b', pids[1]!)),
    'ERR_SKEIN_LIMIT',
  )
  node.processes.exit(pids[0]!, 'kill')
  small.register('b', pids[1]!)
  assert.is(
    thrown(() => small.register({} as never, pids[1]!)),
    'ERR_SKEIN_BAD_ARGUMENT',
  )
  assert.is(all.get('small', { keys: 'duplicate' }), small)
  assert.instance(small, DuplicateRegistry)
  const wrong: readonly (readonly [string, unknown, string])[] = [
    ['small', { keys: 'unique' }, 'ERR_SKEIN_BAD_OPTION'],
    ['small', { keys: 'duplicate', maxEntries: 3 }, 'ERR_SKEIN_BAD_OPTION'],
    ['other', { keys: 'uniq' }, 'ERR_SKEIN_BAD_OPTION'],
    ['other', { key: 'unique' }, 'ERR_SKEIN_BAD_OPTION'],
    ['other', { keys: 'unique', maxEntries: 0 }, 'ERR_SKEIN_BAD_OPTION'],
    ['other', undefined, 'ERR_SKEIN_BAD_OPTION'],
    ['no name', { keys: 'unique' }, 'ERR_SKEIN_BAD_NAME'],
  ]
  for (const [name, options, code] of wrong)
    assert.is(
      thrown(() => all.get(name, options as never)),
      code,
    )
  for (let i = 1; i < 1000; i++) all.get(`r${i}`, { keys: 'unique' })
  assert.is(
    thrown(() => all.get('one-too-many', { keys: 'unique' })),
    'ERR_SKEIN_LIMIT',
  )
  assert.equal(all.list()[0], { name: 'small', keys: 'duplicate', count: 1 })
})

test('against a simple model, whatever is done in whatever order', async (t) => {
  for (let seed = 1; seed <= 30; seed++) await againstModel(t, seed)
})

/** Random registrations and ends; after each step both tables and every question agree with a list of triples. */
const againstModel = async (t: TestContext, seed: number): Promise<void> => {
  const random = seededRandom(seed)
  const int = (below: number): number => Math.floor(random.float() * below)
  const node = loneNode(t)
  const registry = duplicate<number>(node)
  let living = (await actors(node, 8)).map(({ self }) => self.pid)
  let model: { key: string; pid: Pid; value: number }[] = []
  for (let step = 0; step < 200; step++) {
    const pid = living[int(living.length)]
    const key = 'abc'.charAt(int(3))
    const what = int(10)
    if (pid === undefined) break
    if (what < 6) {
      registry.register(key, pid, step)
      model.push({ key, pid, value: step })
    } else if (what < 9) {
      registry.unregister(key, pid)
      model = model.filter((entry) => entry.key !== key || entry.pid !== pid)
    } else if (step % 3 === 0) {
      node.processes.exit(pid, 'kill')
      living = living.filter((one) => one !== pid)
      model = model.filter((entry) => entry.pid !== pid)
    }
    assert.is(registry.count, model.length, `seed ${seed}`)
    const under = model.filter((entry) => entry.key === key)
    assert.equal(
      registry.lookup(key).map(({ value }) => value),
      under.map(({ value }) => value),
      `seed ${seed}`,
    )
    for (const one of living) assert.is(registry.keys(one).length, model.filter((entry) => entry.pid === one).length)
  }
  await node.processes.stop(0)
  assert.is(registry.count, 0)
}

test('what is no pid is no process', (t) => {
  const node = loneNode(t)
  const registry = unique(node)
  for (const pid of [undefined, null, 'a', {}] as unknown as Pid[]) {
    assert.is(
      thrown(() => registry.register('a', pid)),
      'ERR_SKEIN_NOPROC',
    )
    assert.not(node.processes.isAlive(pid))
  }
})

test.run()
