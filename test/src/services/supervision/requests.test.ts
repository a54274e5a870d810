/** What is asked of a distributed supervisor, from any node; and what it makes of the ends of children. */
import * as assert from 'uvu/assert'
import {
  type Candidate,
  genServer,
  isSkeinError,
  type NodeEvent,
  SkeinError,
  type SkeinNode,
} from '../../../../src/index.ts'
import { suite } from '../../../support/suite.ts'
import { errorOf, stage } from './stage.ts'

const test = suite('requests to distributed supervisors')

const NONE = { children: [] }

test('children are added, ended, started again and taken off from any node', () =>
  stage(NONE, async ({ sim, runs, supervisors: { a, b, c } }) => {
    const pid = await b.startChild({ id: 'n', behaviour: 'counter', args: ['one', 5] })
    await sim.until('all find it', () => c.child('n')?.equals(pid) === true)
    assert.equal(runs.of('sup/n')[0]?.args, ['one', 5])
    assert.is((await errorOf(a.startChild({ id: 'n', behaviour: 'counter' }))).code, 'ERR_SKEIN_CHILD_EXISTS')
    assert.is((await errorOf(a.restartChild('n'))).code, 'ERR_SKEIN_CHILD_RUNNING')
    assert.is((await errorOf(a.deleteChild('n'))).code, 'ERR_SKEIN_CHILD_RUNNING')
    assert.is((await errorOf(a.terminateChild('m'))).code, 'ERR_SKEIN_NO_CHILD')
    await c.terminateChild('n')
    assert.is(runs.now.size, 0)
    await sim.sleep(2000)
    assert.is(a.child('n'), undefined)
    assert.equal(await a.whichChildren(), [
      { id: 'n', behaviour: 'counter', restart: 'permanent', node: undefined, pid: undefined, status: 'stopped' },
    ])
    const again = await a.restartChild('n')
    assert.not(again.equals(pid))
    assert.equal(runs.of('sup/n')[0]?.args, ['one', 5])
    await b.terminateChild('n')
    await b.deleteChild('n')
    assert.equal(await c.whichChildren(), [])
  }))

test('a child of a behaviour that nobody has, or whose start fails, is not added', () =>
  stage(NONE, async ({ sim, supervisors: { a, b } }) => {
    sim.hosts.c.node.behaviour('failing', () => {
      throw new Error('no luck')
    })
    assert.is((await errorOf(a.startChild({ id: 'n', behaviour: 'nobody' }))).code, 'ERR_SKEIN_NO_CANDIDATE')
    const old = { id: 'o', behaviour: 'counter', version: '9' }
    assert.is((await errorOf(a.startChild(old))).code, 'ERR_SKEIN_NO_CANDIDATE')
    assert.equal(await b.whichChildren(), [])
    const [wrong] = [{ id: 'w', behaviour: 'counter', args: [() => {}] }]
    assert.is((await errorOf(a.startChild(wrong as never))).code, 'ERR_SKEIN_UNSERIALISABLE')
    assert.is((await errorOf(a.startChild({ id: '', behaviour: 'counter' }))).code, 'ERR_SKEIN_BAD_ARGUMENT')
  }))

test('what an init throws is never taken for what its node says, whatever its code', () =>
  stage(NONE, async ({ sim, supervisors }) => {
    for (const { node } of Object.values(sim.hosts)) {
      const init = () => {
        throw new SkeinError('ERR_SKEIN_NAME_REGISTERED', 'of the child')
      }
      node.behaviour('clash', genServer({ init }))
    }
    const { code } = await errorOf(supervisors.a.startChild({ id: 'x', behaviour: 'clash' }, { timeoutMs: 5000 }))
    assert.is(code, 'ERR_SKEIN_START_FAILED')
  }))

test('a timeout that is none is refused, before anybody waits', () =>
  stage(NONE, async ({ supervisors }) => {
    for (const timeoutMs of [Number.NaN, -1, '5' as never]) {
      assert.is((await errorOf(supervisors.a.whichChildren({ timeoutMs }))).code, 'ERR_SKEIN_BAD_ARGUMENT')
    }
  }))

test('what ended in order is not started again if it is transient, and forgotten if it is temporary', () =>
  stage(NONE, async ({ sim, runs, supervisors: { a, b } }) => {
    await a.startChild({ id: 'tr', behaviour: 'counter', restart: 'transient' })
    await a.startChild({ id: 'te', behaviour: 'counter', restart: 'temporary' })
    const crash = async (id: string): Promise<void> => {
      const [run] = runs.of(`sup/${id}`)
      await errorOf(sim.hosts.b.node.call(run?.pid as never, 'crash' as never))
    }
    await crash('tr')
    await sim.until('it is back', () => runs.of('sup/tr').length === 1)
    await crash('te')
    const leave = async (id: string): Promise<void> => {
      const [run] = runs.of(`sup/${id}`)
      await sim.hosts.b.node.call(run?.pid as never, 'hand over' as never)
    }
    await leave('tr')
    await sim.sleep(2000)
    assert.is(runs.now.size, 0)
    const infos = await b.whichChildren()
    assert.equal(
      infos.map(({ id, status }) => [id, status]),
      [['tr', 'stopped']],
    )
  }))

test('a child that fails too often is given up, and the others run on', () =>
  stage({ children: [{ id: 'x', behaviour: 'counter' }], maxRestarts: 2, withinMs: 60_000 }, async (all) => {
    const { sim, runs, supervisors } = all
    await supervisors.a.startChild({ id: 'bad', behaviour: 'counter' })
    const events: NodeEvent[] = []
    for (const { node } of Object.values(sim.hosts)) void collect(node, events)
    for (let i = 0; i < 3; i++) {
      await sim.until('it runs', () => runs.of('sup/bad').length === 1)
      const [run] = runs.of('sup/bad')
      await errorOf(sim.hosts.a.node.call(run?.pid as never, 'crash' as never))
    }
    await sim.until('it is given up', () => events.some(({ type }) => type === 'supervisedGaveUp'))
    await sim.sleep(5000)
    assert.is(runs.of('sup/bad').length, 0)
    assert.is(runs.of('sup/x').length, 1)
    const infos = await supervisors.c.whichChildren()
    assert.is(infos.find(({ id }) => id === 'bad')?.status, 'gaveUp')
    await supervisors.c.restartChild('bad')
    assert.is(runs.of('sup/bad').length, 1)
  }))

test('stop ends all children everywhere, and the supervisor', () =>
  stage({}, async ({ sim, runs, supervisors: { a, b, c } }) => {
    await sim.until('all run', () => runs.now.size === 3)
    await b.stop()
    assert.is(runs.now.size, 0)
    await sim.sleep(5000)
    assert.is(runs.now.size, 0)
    for (const one of [a, b, c]) assert.is(one.leader, undefined)
    assert.is((await errorOf(a.whichChildren({ timeoutMs: 500 }))).code, 'ERR_SKEIN_NO_LEADER')
    sim.hosts.a.node.supervise('sup', { children: [{ id: 'x', behaviour: 'counter' }] })
    await sim.until('it begins anew', () => runs.now.size === 1)
  }))

test('placements', async () => {
  const children = ['1', '2', '3', '4', '5', '6'].map((id) => ({ id, behaviour: 'counter' }))
  const spread = async (placement: import('../../../../src/index.ts').Placement): Promise<Record<string, number>> => {
    const counts: Record<string, number> = {}
    await stage({ children, placement }, async ({ sim, runs }) => {
      await sim.until('all run', () => runs.now.size === 6)
      for (const { node } of runs.now) counts[node.slice(0, 1)] = (counts[node.slice(0, 1)] ?? 0) + 1
    })
    return counts
  }
  assert.equal(await spread('roundRobin'), { a: 2, b: 2, c: 2 })
  assert.equal(await spread('leastLoaded'), { a: 2, b: 2, c: 2 })
  assert.equal(Object.values(await spread('localFirst')), [6])
  assert.equal(await spread({ node: 'b@10.0.0.2' }), { b: 6 })
  const last = (candidates: readonly Candidate[]): string =>
    candidates
      .map(({ node }) => node)
      .sort()
      .at(-1) as string
  assert.equal(await spread(last), { c: 6 })
  const random = await spread('random')
  assert.is(
    Object.values(random).reduce((sum, one) => sum + one),
    6,
  )
})

test('a node that forbids it is passed over', () =>
  stage(
    { children: [{ id: 'x', behaviour: 'counter' }], placement: 'roundRobin', allow: [{ nodes: '*', spawn: 'none' }] },
    async ({ sim, runs, supervisors }) => {
      await sim.until('it runs where the leader is', () => runs.now.size === 1)
      const [run] = runs.now
      const leader = Object.values(supervisors).find(({ isLeader }) => isLeader)
      assert.is(run?.node, leader?.leader)
    },
  ))

test('every node knows what the others can start', () =>
  stage(NONE, async ({ sim }) => {
    const { a, b } = sim.hosts
    b.node.behaviour('more', () => {}, { version: '2.1.0' })
    await sim.sleep(100)
    assert.equal(a.node.behavioursOf(b.node.name), [
      { name: 'counter', version: undefined },
      { name: 'more', version: '2.1.0' },
    ])
    assert.is(a.node.behavioursOf('nobody@nowhere'), undefined)
    assert.ok(a.node.behavioursOf(a.node.name)?.some(({ name }) => name === 'counter'))
  }))

test('nonsense is refused', () =>
  stage(NONE, async ({ sim }) => {
    const { node } = sim.hosts.a
    const code = (make: () => unknown): string => {
      try {
        make()
      } catch (error) {
        return isSkeinError(error) ? error.code : String(error)
      }
      return 'nothing'
    }
    assert.is(
      code(() => node.supervise('a/b')),
      'ERR_SKEIN_BAD_NAME',
    )
    assert.is(
      code(() => node.supervise('sup')),
      'ERR_SKEIN_NAME_REGISTERED',
    )
    const twice = [
      { id: 'x', behaviour: 'counter' },
      { id: 'x', behaviour: 'counter' },
    ]
    assert.is(
      code(() => node.supervise('s', { children: twice })),
      'ERR_SKEIN_BAD_ARGUMENT',
    )
    assert.is(
      code(() => node.supervise('s', { placement: 'nowhere' as never })),
      'ERR_SKEIN_BAD_ARGUMENT',
    )
    const leader = node.global.whereis('supervisor:sup')
    const answer = await node.call(leader as never, { type: 'dance' } as never)
    assert.ok(isSkeinError(answer, 'ERR_SKEIN_BAD_ARGUMENT'))
  }))

const collect = async (node: SkeinNode, events: NodeEvent[]): Promise<void> => {
  for await (const event of node.events) events.push(event)
}

test.run()
