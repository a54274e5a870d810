/** Distributed supervisors on simulated clusters: start, restart, failover. */
import * as assert from 'uvu/assert'
import { suite } from '../../../support/suite.ts'
import { allRun, NODES, stage } from './stage.ts'

const test = suite('distributed supervisor')

test('starts every child once, on nodes that have its behaviour, and one node leads', () =>
  stage({}, async (all) => {
    const { sim, runs, supervisors } = all
    await sim.until('all run', () => allRun(all), { withinMs: 5000 })
    await sim.sleep(2000)
    assert.is(runs.all.length, 3)
    assert.is(NODES.filter((name) => supervisors[name].isLeader).length, 1)
    assert.is(new Set(NODES.map((name) => supervisors[name].leader)).size, 1)
    const infos = await supervisors.c.whichChildren()
    assert.equal(
      infos.map(({ id, status }) => `${id} ${status}`),
      ['x running', 'y running', 'z running'],
    )
    assert.ok([...runs.now].every((run) => run.self.supervised?.token === sim.hosts.a.node.global.token(run.name)))
    assert.equal(await supervisors.b.countChildren(), { specs: 3, active: 3, supervisors: 0, workers: 3 })
  }))

test('starts a child that crashed again, on its own node first', () =>
  stage({}, async (all) => {
    const { sim, runs, supervisors } = all
    await sim.until('all run', () => allRun(all))
    const [before] = runs.of('sup/y')
    await sim.hosts.a.node.call(before?.pid as never, 'crash' as never).catch(() => {})
    await sim.until('it runs again', () => runs.of('sup/y').some((run) => run !== before))
    assert.is(runs.of('sup/y')[0]?.node, before?.node)
    await sim.sleep(1000)
    assert.ok(supervisors.a.child('y')?.equals(runs.of('sup/y')[0]?.pid))
    assert.is(runs.all.length, 4)
  }))

test('children of a node that is gone go on elsewhere, those of others stay', () =>
  stage({}, async (all) => {
    const { sim, runs, supervisors } = all
    await sim.until('all run', () => allRun(all))
    for (const name of ['a', 'b', 'c'] as const) {
      const before = [...runs.now]
      const { host } = { host: sim.hosts[name] }
      const elsewhere = before.filter(({ node }) => node !== host.node.name)
      const crashedMs = sim.nowMs
      host.crash()
      runs.crashed(host.node.name)
      await sim.until('all run elsewhere', () => allRun(all), { withinMs: 10_000 })
      sim.note(`after ${sim.nowMs - crashedMs} ms`)
      assert.ok(elsewhere.every((run) => runs.now.has(run)))
      await host.restart()
      await sim.meshed()
      await sim.sleep(3000)
      assert.ok(allRun(all))
    }
    assert.is(NODES.filter((name) => supervisors[name].isLeader).length, 1)
  }))

test.run()
