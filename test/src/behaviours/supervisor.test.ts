/** The supervisor: who is started again, in which order, how often, and how it all ends. */
import * as assert from 'uvu/assert'
import { supervisor } from '../../../src/behaviours/supervisor/supervisor.ts'
import type { Behaviour } from '../../../src/process/behaviour.ts'
import type { Self } from '../../../src/process/self.ts'
import { suite } from '../../support/suite.ts'
import { codeOf, errorOf, thrown } from '../process/process-support.ts'
import { World } from './supervisor-support.ts'

const test = suite('supervisor')

const RESTARTS = ['permanent', 'transient', 'temporary'] as const
const REASONS = ['normal', 'shutdown', 'crash', 'killed', new Error('bad')] as const

/** What happens after child b of a, b, c has ended and is to be started again. */
const AGAIN = {
  oneForOne: '-b +b',
  oneForAll: '-b -c -a +a +b +c',
  restForOne: '-b -c +b +c',
} as const

for (const strategy of ['oneForOne', 'oneForAll', 'restForOne'] as const) {
  for (const restart of RESTARTS) {
    test(`${strategy}: the end of a ${restart} child`, async (t) => {
      for (const reason of REASONS) {
        const world = new World(t)
        const sup = await world.start(
          supervisor({
            strategy,
            children: [
              { id: 'a', start: world.child('a') },
              { id: 'b', start: world.child('b'), restart },
              { id: 'c', start: world.child('c') },
            ],
          }),
        )
        assert.is(world.taken(), '+a +b +c')
        await world.crash('b', reason)
        const isFailure = reason !== 'normal' && reason !== 'shutdown'
        const again = restart === 'permanent' || (restart === 'transient' && isFailure)
        assert.is(world.taken(), again ? AGAIN[strategy] : '-b', `${strategy} ${restart} ${reason}`)
        const children = await sup.ask((client) => client.whichChildren())
        const expected = ['a', ...(restart === 'temporary' ? [] : ['b']), 'c']
        assert.equal(
          children.map(({ id }) => id),
          expected,
        )
        const b = children.find(({ id }) => id === 'b')
        assert.is(b?.status, restart === 'temporary' ? undefined : again ? 'running' : 'stopped')
        assert.ok(again === false || b?.pid?.equals(world.living.get('b')?.pid))
        assert.is(sup.ended, undefined)
      }
    })
  }
}

test('siblings that are ended with the one that failed: a temporary one is forgotten, a transient one comes back', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({
      strategy: 'oneForAll',
      children: [
        { id: 'a', start: world.child('a'), restart: 'temporary' },
        { id: 'b', start: world.child('b') },
        { id: 'c', start: world.child('c'), restart: 'transient' },
        { id: 'd', start: world.child('d'), restart: 'transient' },
      ],
    }),
  )
  // One that ended normally before comes back too, as in OTP.
  await world.crash('d', 'normal')
  world.taken()
  await world.crash('b')
  assert.is(world.taken(), '-b -c -a +b +c +d')
  assert.equal(
    (await sup.ask((client) => client.whichChildren())).map(({ id }) => id),
    ['b', 'c', 'd'],
  )
})

test('restForOne: the first takes all with it, the last only itself', async (t) => {
  const world = new World(t)
  await world.start(
    supervisor({
      strategy: 'restForOne',
      maxRestarts: 2,
      children: ['a', 'b', 'c'].map((id) => ({ id, start: world.child(id) })),
    }),
  )
  world.taken()
  await world.crash('a')
  assert.is(world.taken(), '-a -c -b +a +b +c')
  await world.crash('c')
  assert.is(world.taken(), '-c +c')
})

test('intensity: as many restarts as allowed within the period, and no more', async (t) => {
  for (const maxRestarts of [0, 1, 3]) {
    const world = new World(t)
    const sup = await world.start(
      supervisor({
        maxRestarts,
        withinMs: 5000,
        children: [
          { id: 'a', start: world.child('a') },
          { id: 'b', start: world.child('b') },
        ],
      }),
    )
    for (let i = 0; i < maxRestarts; i++) await world.crash('b')
    assert.is(sup.ended, undefined)
    world.taken()
    await world.crash('b')
    assert.is(world.taken(), '-b -a')
    assert.equal(sup.ended, { reason: 'shutdown' })
    assert.equal(world.reported('supervisorGaveUp'), ['b'])
    assert.is(world.reported('childRestarted').length, maxRestarts)
  }
})

test('intensity: a restart exactly one period ago counts, an older one does not', async (t) => {
  for (const [gapMs, survives] of [
    [5000, false],
    [5001, true],
  ] as const) {
    const world = new World(t)
    const sup = await world.start(supervisor({ children: [{ id: 'a', start: world.child('a') }] }))
    await world.crash('a')
    await world.pass(gapMs)
    await world.crash('a')
    assert.is(sup.ended === undefined, survives, `${gapMs} ms`)
  }
})

test('intensity Infinity never gives up', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({ maxRestarts: Number.POSITIVE_INFINITY, children: [{ id: 'a', start: world.child('a') }] }),
  )
  for (let i = 0; i < 100; i++) await world.crash('a')
  assert.is(sup.ended, undefined)
  assert.ok(world.living.has('a'))
})

test('shutdown: children in reverse order, each with its time, then kill', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({
      children: [
        { id: 'slow', start: world.child('slow', 4000) },
        { id: 'stuck', start: world.child('stuck', 9000), shutdown: 100 },
        { id: 'brutal', start: world.child('brutal', 10), shutdown: 'brutalKill' },
        { id: 'patient', start: world.child('patient', 100_000), shutdown: 'infinity' },
      ],
    }),
  )
  world.taken()
  const startedMs = world.clock.now()
  world.processes.exit(sup.pid, 'shutdown')
  await world.pass(99_999)
  assert.is(world.taken(), '')
  await world.pass(1)
  assert.is(world.taken(), '-patient -brutal')
  await world.pass(100)
  assert.is(world.taken(), '-stuck')
  assert.is(sup.ended, undefined)
  await world.pass(4000)
  assert.is(world.taken(), '-slow')
  assert.equal(sup.ended, { reason: 'shutdown' })
  assert.is(world.clock.now() - startedMs, 104_100)
  assert.equal(world.reported('childKilled'), ['stuck'])
})

test('the end of the parent ends the supervisor in order, with the same reason', async (t) => {
  const world = new World(t)
  const tree = supervisor({
    children: [
      { id: 'a', start: world.child('a', 50) },
      { id: 'b', start: world.child('b') },
    ],
  })
  let parent: Self<unknown> | undefined
  const reasons: unknown[] = []
  world.processes.spawn(async (self: Self<unknown>) => {
    parent = self
    const pid = await self.startLink(tree)
    world.processes.spawn(async (watcher: Self<unknown>) => {
      watcher.monitor(pid)
      reasons.push(((await watcher.receive()) as { reason: unknown }).reason)
    })
    await self.receive()
  })
  await world.rest()
  world.taken()
  if (parent === undefined) throw new Error('no parent')
  world.processes.exit(parent.pid, 'done for')
  await world.rest()
  assert.is(world.taken(), '-b')
  await world.pass(50)
  assert.is(world.taken(), '-a')
  assert.equal(reasons, ['done for'])
})

test('a node that stops lets supervisors end their children in order', async (t) => {
  const world = new World(t)
  const inner = supervisor({
    children: [
      { id: 'b', start: world.child('b') },
      { id: 'c', start: world.child('c', 30) },
    ],
  })
  await world.start(
    supervisor({
      children: [
        { id: 'a', start: world.child('a') },
        { id: 'inner', start: inner },
        { id: 'd', start: world.child('d') },
      ],
    }),
  )
  world.taken()
  await world.close()
  assert.is(world.taken(), '-d -c -b -a')
  assert.is(world.clock.now(), 30)
  assert.equal(world.node.reports, [])
})

test('a supervisor that is killed takes its children along', async (t) => {
  const world = new World(t)
  const sup = await world.start(supervisor({ children: [{ id: 'a', start: world.child('a') }] }))
  world.taken()
  world.processes.exit(sup.pid, 'kill')
  await world.rest()
  assert.is(world.taken(), '-a')
  assert.equal(sup.ended, { reason: 'killed' })
})

test('killed while it waits for a child, it does nothing more', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({
      children: [
        { id: 'a', start: world.child('a') },
        { id: 'slow', start: world.child('slow', 500), shutdown: 200 },
      ],
    }),
  )
  world.taken()
  world.processes.exit(sup.pid, 'shutdown')
  await world.pass(100)
  world.processes.exit(sup.pid, 'kill')
  await world.pass(10_000)
  assert.equal(world.taken().split(' ').sort(), ['-a', '-slow'])
  assert.equal(sup.ended, { reason: 'killed' })
  assert.equal(world.reported('childKilled'), [])
  assert.equal(
    world.node.reports.filter(({ type }) => type === 'failedAfterEnd'),
    [],
  )
})

test('exits and messages of strangers change nothing', async (t) => {
  const world = new World(t)
  const sup = await world.start(supervisor({ children: [{ id: 'a', start: world.child('a') }] }))
  world.taken()
  const stranger = world.processes.spawn(async (self: Self<unknown>) => {
    self.link(sup.pid)
    await self.receive()
    throw new Error('stranger')
  })
  await world.rest()
  world.processes.send(stranger, 'go')
  world.processes.spawn(async (self: Self<unknown>) => self.exit(sup.pid, 'because'))
  world.processes.send(sup.pid, 'hello')
  world.processes.cast(sup.pid, 'hello')
  world.processes.send(sup.pid, { type: 'EXIT' })
  // It looks like the end of a child that lives.
  world.processes.send(sup.pid, { type: 'EXIT', pid: world.living.get('a')?.pid, reason: 'made up' })
  await world.rest()
  assert.is(world.taken(), '')
  assert.is(sup.ended, undefined)
  const letters = world.node.reports.filter((report) => report.type === 'deadLetter')
  assert.equal(
    letters.map(({ reason }) => reason),
    Array(3).fill('ERR_SKEIN_NO_HANDLER'),
  )
})

test('a start that fails ends those started before, and the supervisor', async (t) => {
  const world = new World(t)
  world.failing.set('c', 1)
  const tree = supervisor({ children: ['a', 'b', 'c', 'd'].map((id) => ({ id, start: world.child(id) })) })
  const error = await errorOf(world.settled(world.processes.start(tree)))
  assert.is(error.code, 'ERR_SKEIN_START_FAILED')
  const cause = error.cause as { code: string; message: string; cause: unknown }
  assert.is(cause.code, 'ERR_SKEIN_START_FAILED')
  assert.match(cause.message, '"c"')
  assert.is(cause.cause, 'no start')
  assert.is(world.taken(), '+a +b !c -b -a')
  assert.equal(world.reported('childStartFailed'), ['c'])
  assert.equal(world.reported('crashed'), [])
})

test('a start that takes too long has failed', async (t) => {
  const world = new World(t)
  const endless: Behaviour<unknown, []> = Object.assign(() => new Promise<void>(() => {}), {
    traits: { serves: true, announces: true },
  })
  const tree = supervisor({
    children: [
      { id: 'a', start: world.child('a') },
      { id: 'endless', start: endless, startTimeoutMs: 300 },
    ],
  })
  assert.is(await codeOf(world.settled(world.processes.start(tree))), 'ERR_SKEIN_START_FAILED')
  assert.is(world.clock.now(), 300)
  assert.is(world.taken(), '+a -a')
})

test('a restart that fails is tried again, and each try counts', async (t) => {
  for (const [failures, survives] of [
    [2, true],
    [3, false],
  ] as const) {
    const world = new World(t)
    const sup = await world.start(
      supervisor({
        maxRestarts: 3,
        children: [
          { id: 'a', start: world.child('a') },
          { id: 'b', start: world.child('b') },
        ],
      }),
    )
    world.taken()
    world.failing.set('b', failures)
    await world.crash('b')
    assert.is(world.taken(), survives ? '-b !b !b +b' : '-b !b !b !b -a')
    assert.is(sup.ended === undefined, survives)
  }
})

test('oneForAll and restForOne: a sibling that fails to start again is tried again with those behind it', async (t) => {
  for (const [strategy, expected] of [
    ['oneForAll', '-a -c -b +a !b -a +a +b +c'],
    ['restForOne', '-a -c -b +a !b +b +c'],
  ] as const) {
    const world = new World(t)
    const sup = await world.start(
      supervisor({
        strategy,
        maxRestarts: 2,
        children: ['a', 'b', 'c'].map((id) => ({ id, start: world.child(id) })),
      }),
    )
    world.taken()
    world.failing.set('b', 1)
    await world.crash('a')
    assert.is(world.taken(), expected, strategy)
    assert.is(sup.ended, undefined)
  }
})

test('significant children end the supervisor by ending themselves', async (t) => {
  const cases = [
    { autoShutdown: 'anySignificant', ends: ['s1'], over: true },
    { autoShutdown: 'anySignificant', ends: ['plain'], over: false },
    { autoShutdown: 'allSignificant', ends: ['s1'], over: false },
    { autoShutdown: 'allSignificant', ends: ['s1', 'plain'], over: false },
    { autoShutdown: 'allSignificant', ends: ['s1', 's2'], over: true },
  ] as const
  for (const { autoShutdown, ends, over } of cases) {
    const world = new World(t)
    const sup = await world.start(
      supervisor({
        autoShutdown,
        children: [
          { id: 's1', start: world.child('s1'), restart: 'transient', significant: true },
          { id: 's2', start: world.child('s2'), restart: 'temporary', significant: true },
          { id: 'plain', start: world.child('plain'), restart: 'temporary' },
        ],
      }),
    )
    for (const id of ends) await world.crash(id, 'normal')
    assert.equal(sup.ended, over ? { reason: 'shutdown' } : undefined, `${autoShutdown} ${ends}`)
    assert.is(world.living.size === 0, over)
  }
})

test('a significant child ended by request, or started again, ends nobody', async (t) => {
  const world = new World(t)
  const sup = await world.start(
    supervisor({
      autoShutdown: 'anySignificant',
      children: [{ id: 's', start: world.child('s'), restart: 'transient', significant: true }],
    }),
  )
  await world.crash('s')
  await sup.ask((client) => client.terminateChild('s'))
  assert.is(sup.ended, undefined)
  await sup.ask((client) => client.restartChild('s'))
  await world.crash('s', 'shutdown')
  assert.equal(sup.ended, { reason: 'shutdown' })
})

test('plain functions are children like others', async (t) => {
  const world = new World(t)
  let starts = 0
  const sup = await world.start(
    supervisor({
      children: [
        {
          id: 'function',
          name: 'worker',
          start: async (self: Self<string>, step: number) => {
            starts += step
            await self.receive()
            throw new Error('enough')
          },
          args: [10],
        },
      ],
    }),
  )
  const before = world.processes.whereis('worker')
  world.processes.send('worker', 'go')
  await world.rest()
  const after = world.processes.whereis('worker')
  assert.is(starts, 20)
  assert.ok(before && after && !before.equals(after))
  assert.is(sup.ended, undefined)
})

test('supervisors supervise supervisors: the failure goes up when one gives up', async (t) => {
  const world = new World(t)
  const inner = supervisor({ children: [{ id: 'leaf', start: world.child('leaf') }] })
  const sup = await world.start(
    supervisor({
      strategy: 'restForOne',
      children: [
        { id: 'first', start: world.child('first') },
        { id: 'inner', start: inner },
        { id: 'last', start: world.child('last') },
      ],
    }),
  )
  assert.equal(await sup.ask((client) => client.countChildren()), { specs: 3, active: 3, supervisors: 1, workers: 2 })
  world.taken()
  await world.crash('leaf')
  assert.is(world.taken(), '-leaf +leaf')
  await world.crash('leaf')
  assert.is(world.taken(), '-leaf -last +leaf +last')
  assert.is(sup.ended, undefined)
})

test('a supervisor may be made of its arguments', async (t) => {
  const world = new World(t)
  const tree = supervisor((first: string, second: string) => ({
    label: `${first} and ${second}`,
    children: [first, second].map((id) => ({ id, start: world.child(id) })),
  }))
  await world.settled(world.processes.start(tree, {}, 'x', 'y'))
  assert.is(world.taken(), '+x +y')
  const bad = supervisor(() => ({ children: [{ id: '', start: world.child('a') }] }))
  const error = await errorOf(world.settled(world.processes.start(bad)))
  assert.is(error.code, 'ERR_SKEIN_START_FAILED')
  assert.is((error.cause as { code: string }).code, 'ERR_SKEIN_BAD_ARGUMENT')
})

test('what makes no sense is refused where the supervisor is made', () => {
  const start = (): void => {}
  const make = supervisor as (options: unknown) => unknown
  const bad: unknown[] = [
    undefined,
    {},
    { children: 'all' },
    { children: [], strategy: 'one_for_one' },
    { children: [], maxRestarts: -1 },
    { children: [], maxRestarts: 1.5 },
    { children: [], maxRestarts: 10_001 },
    { children: [], withinMs: 0 },
    { children: [], withinMs: Number.POSITIVE_INFINITY },
    { children: [], autoShutdown: 'always' },
    { children: [], label: 5 },
    { children: [], strategy: 'simpleOneForOne' },
    { children: [null] },
    { children: [{ id: 7, start }] },
    { children: [{ id: 'a' }] },
    { children: [{ id: 'a', start, args: 5 }] },
    { children: [{ id: 'a', start, name: 5 }] },
    { children: [{ id: 'a', start, restart: 'always' }] },
    { children: [{ id: 'a', start, shutdown: -1 }] },
    { children: [{ id: 'a', start, shutdown: 'kill' }] },
    { children: [{ id: 'a', start, shutdown: Number.NaN }] },
    { children: [{ id: 'a', start, type: 'boss' }] },
    { children: [{ id: 'a', start, startTimeoutMs: 0 }] },
    { children: [{ id: 'a', start, significant: 'very' }], autoShutdown: 'anySignificant' },
    { children: [{ id: 'a', start, significant: true }], autoShutdown: 'anySignificant' },
    { children: [{ id: 'a', start, restart: 'transient', significant: true }] },
    {
      children: [
        { id: 'a', start },
        { id: 'a', start },
      ],
    },
  ]
  for (const options of bad)
    assert.is(
      thrown(() => make(options)),
      'ERR_SKEIN_BAD_ARGUMENT',
      JSON.stringify(options),
    )
})

test.run()
