/** node.drain: children and leadership move, with their state; new work is refused; then the node leaves, in time. */
import * as assert from 'uvu/assert'
import type { DrainReport, NodeEvent } from '../../../../src/index.ts'
import type { SimulatedHost } from '../../../../src/testing/index.ts'
import { suite } from '../../../support/suite.ts'
import { allRun, errorOf, type Stage, stage } from './stage.ts'

const test = suite('drain')

const leaderOf = ({ sim, supervisors }: Stage): SimulatedHost => {
  const host = Object.values(sim.hosts).find(({ name }) => supervisors[name as 'a'].isLeader)
  if (host === undefined) throw new Error('Nobody leads.')
  return host
}

test('children go on elsewhere with their state, also those of the leader; what moved is told', () =>
  stage({ placement: 'localFirst' }, async (all) => {
    const { sim, runs, supervisors } = all
    await sim.until('all run', () => allRun(all))
    const leader = leaderOf(all)
    const others = Object.values(sim.hosts).filter((host) => host !== leader)
    for (const { node, pid } of runs.now) {
      assert.is(node, leader.node.name)
      leader.node.send(pid as never, { add: 42 } as never)
    }
    const startMs = sim.nowMs
    let report: DrainReport | undefined
    const draining = leader.node.drain({ timeoutMs: 10_000 }).then((value) => {
      report = value
    })
    await sim.until(
      'all run elsewhere',
      () => allRun(all) && [...runs.now].every(({ node }) => node !== leader.node.name),
    )
    await draining
    assert.ok(sim.nowMs - startMs < 3000, `${sim.nowMs - startMs} ms`)
    assert.equal([...(report?.moved ?? [])].sort(), ['sup/x', 'sup/y', 'sup/z'])
    assert.equal(report?.notMoved, [])
    assert.is(leader.node.isAlive, false)
    assert.ok([...runs.now].every(({ args }) => args.length === 2 && args[1] === 42))
    assert.is(others.filter(({ name }) => supervisors[name as 'a'].isLeader).length, 1)
    assert.ok(others.every(({ node }) => node.nodes().length === 1))
    await sim.sleep(5000)
    assert.is(runs.now.size, 3)
    assert.is(runs.all.length, 6)
  }))

test('a node that drains starts nothing for others, says so, and is not ready', () =>
  stage({ children: [] }, async ({ sim, supervisors }) => {
    const { a, b, c } = sim.hosts
    const events: NodeEvent[] = []
    void (async () => {
      for await (const event of a.node.events) events.push(event)
    })()
    let go = (): void => {}
    b.node.onDrain(
      () =>
        new Promise((resolve) => {
          go = resolve
        }),
    )
    assert.is(b.node.isDraining, false)
    const draining = b.node.drain({ timeoutMs: 20_000 })
    assert.is(b.node.isDraining, true)
    assert.is(b.node.drain(), draining)
    await sim.until('all know', () => events.some((event) => event.type === 'draining' && event.node === b.node.name))
    assert.is((await errorOf(a.node.spawnOn(b.node.name, 'counter'))).code, 'ERR_SKEIN_DRAINING')
    assert.equal(
      b.node.observer.probes.reasons().map(({ what }) => what),
      ['draining'],
    )
    for (const id of ['1', '2', '3', '4']) {
      const pid = await supervisors.c.startChild({ id, behaviour: 'counter' })
      assert.is.not(pid.node, b.node.name)
    }
    assert.ok(b.node.isAlive)
    go()
    const { moved, hookErrors } = await draining
    assert.equal(moved, [])
    assert.equal(hookErrors, [])
    assert.is(c.node.nodes().includes(b.node.name), false)
  }))

test('it is over in time, whatever hangs, and tells what went wrong', () =>
  stage({ children: [] }, async (all) => {
    const { sim, supervisors } = all
    const { b } = sim.hosts
    // Nobody else could run it.
    b.node.behaviour('rooted', () => new Promise(() => {}))
    await sim.sleep(100)
    await supervisors.a.startChild({ id: 'r', behaviour: 'rooted' })
    b.node.onDrain(() => new Promise(() => {}))
    b.node.onDrain(() => {
      throw new Error('no')
    })
    const startMs = sim.nowMs
    const { notMoved, hookErrors, elapsedMs } = await b.node.drain({ timeoutMs: 4000 })
    assert.equal(notMoved, ['sup/r'])
    assert.is(hookErrors.length, 2)
    assert.ok(elapsedMs <= 4600, `${elapsedMs} ms`)
    assert.ok(sim.nowMs - startMs <= 4600)
    assert.is((await errorOf(b.node.drain({ timeoutMs: -1 }))).code, 'ERR_SKEIN_BAD_ARGUMENT')
    const infos = await supervisors.a.whichChildren()
    assert.is(infos[0]?.status, 'waiting')
  }))

test('a child that does not end by itself is killed, and goes on without its state', () =>
  stage({ children: [] }, async ({ sim, runs, supervisors }) => {
    for (const { node } of Object.values(sim.hosts)) {
      node.behaviour('stubborn', (self) => {
        self.trapExit = true
        return new Promise(() => {})
      })
    }
    await sim.sleep(100)
    const pid = await supervisors.a.startChild({ id: 's', behaviour: 'stubborn', shutdown: 500 })
    const host = Object.values(sim.hosts).find(({ node }) => node.name === pid.node)
    const report = await host?.node.drain({ timeoutMs: 10_000 })
    assert.equal(report?.moved, ['sup/s'])
    assert.is(runs.now.size, 0)
    const survivor = Object.values(sim.hosts).find((one) => one !== host)
    await sim.until('it runs elsewhere', () => {
      const now = survivor?.node.global.whereis('sup/s')
      return now !== undefined && now.node !== pid.node
    })
  }))

test('a process that nobody supervises is followed by another one under its global name, by a function of the program', () =>
  stage({ children: [] }, async ({ sim, runs }) => {
    const { a, b, c } = sim.hosts
    const first = await a.node.spawnOn(a.node.name, 'counter', [5])
    await a.node.global.register('tally', first)
    a.node.send(first as never, { add: 2 } as never)
    a.node.onDrain(async () => {
      const state = await a.node.call(first as never, 'total' as never)
      const next = await a.node.spawnOn(b.node.name, 'counter', [state])
      await a.node.global.transfer('tally', next)
    })
    await sim.sleep(100)
    const { hookErrors } = await a.node.drain({ timeoutMs: 5000 })
    assert.equal(hookErrors, [])
    await sim.sleep(2000)
    const pid = c.node.global.whereis('tally')
    assert.is(pid?.node, b.node.name)
    assert.is(await c.node.call(pid as never, 'total' as never), 7)
    assert.is(runs.all.length, 2)
  }))

test('the only node of a cluster just stops', () =>
  stage({ children: [] }, async ({ sim }) => {
    const { a, b, c } = sim.hosts
    await Promise.all([b.node.drain(), c.node.drain()])
    const startMs = sim.nowMs
    await a.node.drain()
    assert.ok(sim.nowMs - startMs < 1500)
  }))

test.run()
