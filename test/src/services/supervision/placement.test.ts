/** Where children are placed, and what nodes tell of their load. */
import * as assert from 'uvu/assert'
import { differs, IDLE, weightOf } from '../../../../src/services/supervision/load.ts'
import { type Candidate, type Placement, Placer } from '../../../../src/services/supervision/placement.ts'
import { seededRandom, simulatedNodes } from '../../../../src/testing/index.ts'
import { Runs } from '../../../sim/children.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('placement')

const CHILD = { supervisor: 'sup', id: 'x', behaviour: 'counter' }

const candidate = (node: string, more: Partial<Candidate> = {}): Candidate => ({
  node,
  isLocal: false,
  load: IDLE,
  children: 0,
  ...more,
})

const choose = (placement: Placement, candidates: readonly Candidate[]): string | undefined =>
  new Placer(placement, seededRandom(1)).choose(candidates, CHILD)

test('least loaded: event loop, waiting messages and processes count, then the number of children', () => {
  const busy = candidate('a', { load: { utilisation: 0.9, processes: 10, messages: 0 } })
  const full = candidate('b', { load: { utilisation: 0.1, processes: 10, messages: 5000 } })
  const calm = candidate('c', { load: { utilisation: 0.2, processes: 2000, messages: 0 } })
  assert.is(choose('leastLoaded', [busy, full, calm]), 'c')
  assert.is(choose('leastLoaded', [busy, full]), 'a')
  assert.is(choose('leastLoaded', [candidate('a', { children: 2 }), candidate('b', { children: 1 })]), 'b')
  assert.is(choose('leastLoaded', [candidate('b'), candidate('a')]), 'a')
  assert.ok(weightOf(full.load) > weightOf(busy.load))
})

test('round robin goes on where it was, though nodes come and go', () => {
  const placer = new Placer('roundRobin', seededRandom(1))
  const [a, b, c] = ['a', 'b', 'c'].map((node) => candidate(node)) as [Candidate, Candidate, Candidate]
  const order = [[a, b, c], [c, b, a], [a, c], [a, b, c], [b]].map((all) => placer.choose(all, CHILD))
  assert.equal(order, ['a', 'b', 'c', 'a', 'b'])
})

test('local first, fixed, custom, random, and nowhere', () => {
  const all = [candidate('a'), candidate('b', { isLocal: true, children: 9 })]
  assert.is(choose('localFirst', all), 'b')
  assert.is(choose('localFirst', [candidate('a')]), 'a')
  assert.is(choose({ node: 'b' }, all), 'b')
  assert.is(choose({ node: 'c' }, all), undefined)
  assert.is(
    choose((candidates, { id }) => candidates.find(() => id === 'x')?.node, all),
    'a',
  )
  assert.is(
    choose(() => 'elsewhere', all),
    undefined,
  )
  assert.is(choose('random', []), undefined)
  const placer = new Placer('random', seededRandom(7))
  const drawn = new Set(Array.from({ length: 50 }, () => placer.choose(all, CHILD)))
  assert.equal([...drawn].sort(), ['a', 'b'])
})

test('small changes of the load are not told', () => {
  const load = { utilisation: 0.5, processes: 1000, messages: 100 }
  assert.not(differs({ ...load, utilisation: 0.52 }, load))
  assert.ok(differs({ ...load, utilisation: 0.6 }, load))
  assert.not(differs({ ...load, processes: 1090 }, load))
  assert.ok(differs({ ...load, processes: 1200 }, load))
  assert.ok(differs({ ...load, messages: 10_000 }, load))
})

test('the load of other nodes is heard of, and children go where it is least', async (t) => {
  const cluster = await simulatedNodes(0, { seed: 3 })
  t.defer(() => cluster.stop())
  const loads = [0.9, 0.1, 0.6]
  const runs = new Runs()
  const identities = await Promise.all(loads.map(() => cluster.identity()))
  for (const [index, identity] of identities.entries()) {
    const node = await cluster.start(index, { identity, loopMeter: () => loads[index] ?? 0 })
    runs.offer(node)
  }
  const { nodes, clock } = cluster
  await clock.run({ until: () => nodes.every((node) => node.nodes().length === 2) })
  await clock.run({ untilMs: clock.now() + 5000 })
  const supervisor = nodes[0]?.supervise('sup')
  const start = async (id: string): Promise<void> => {
    let isDone = false
    const started = supervisor?.startChild({ id, behaviour: 'counter' }).finally(() => {
      isDone = true
    })
    await clock.run({ until: () => isDone })
    await started
  }
  await start('x')
  assert.is([...runs.now][0]?.node, nodes[1]?.name)
  loads[1] = 1
  loads[2] = 0.2
  await clock.run({ untilMs: clock.now() + 5000 })
  await start('y')
  assert.is(runs.of('sup/y')[0]?.node, nodes[2]?.name)
})

test.run()
