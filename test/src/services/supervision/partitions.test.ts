/** Distributed supervisors while the cluster is split, and after it has healed. */
import * as assert from 'uvu/assert'
import { suite } from '../../../support/suite.ts'
import { allRun, NODES, stage } from './stage.ts'

const test = suite('distributed supervisors and partitions')

test('both sides go on; after healing one leads, and what ran twice runs once, with a token that is admitted', () =>
  stage({ placement: 'roundRobin' }, async (all) => {
    const { sim, runs, supervisors } = all
    await sim.until('all run', () => allRun(all))
    const leader = NODES.find((name) => supervisors[name].isLeader) as 'a'
    const minority = sim.hosts[leader]
    const majority = Object.values(sim.hosts).filter((host) => host !== minority)
    const before = [...runs.now]
    sim.partition([minority], majority)
    await sim.until('both sides run everything', () => ['x', 'y', 'z'].every((id) => runs.of(`sup/${id}`).length === 2))
    assert.is(NODES.filter((name) => supervisors[name].isLeader).length, 2)
    // What is asked on one side is done there.
    await supervisors[leader].startChild({ id: 'small', behaviour: 'counter' })
    await supervisors[leader].terminateChild('z')
    const other = majority[0]?.name as 'a'
    await supervisors[other].startChild({ id: 'large', behaviour: 'counter' })
    for (const run of runs.now) runs.admits(run)

    sim.heal()
    await sim.meshed()
    await sim.until(
      'each child runs once, and what was terminated not at all',
      () => allRun(all, ['x', 'y', 'small', 'large']) && runs.of('sup/z').length === 0 && runs.now.size === 4,
      { withinMs: 10_000 },
    )
    await sim.sleep(5000)
    assert.is(NODES.filter((name) => supervisors[name].isLeader).length, 1)
    assert.is(runs.now.size, 4)
    // The older registrations won: those from before the partition.
    for (const id of ['x', 'y']) assert.ok(runs.of(`sup/${id}`).every((run) => before.includes(run)))
    for (const run of runs.now) assert.ok(runs.admits(run), run.name)
    const infos = await supervisors.a.whichChildren()
    assert.equal(infos.map(({ id, status }) => `${id} ${status}`).sort(), [
      'large running',
      'small running',
      'x running',
      'y running',
      'z stopped',
    ])
  }))

test('children outlive leaders, and a child that ended while nobody led is judged by the next one', () =>
  stage({ children: [] }, async ({ sim, runs, supervisors }) => {
    const leader = NODES.find((name) => supervisors[name].isLeader) as 'a'
    const others = NODES.filter((name) => name !== leader)
    const node = sim.hosts[others[0] as 'a'].node.name
    for (const id of ['stays', 'ends', 'done']) {
      const restart = id === 'done' ? 'transient' : 'permanent'
      await supervisors[leader].startChild({ id, behaviour: 'counter', restart })
    }
    // Placement is by load: some run with the leader.
    const elsewhere = [...runs.now].filter((run) => !run.node.startsWith(`${leader}@`))
    assert.ok(elsewhere.length > 0, node)
    const old = sim.hosts[leader].node.name
    sim.hosts[leader].crash()
    runs.crashed(old)
    for (const run of elsewhere) {
      const host = Object.values(sim.hosts).find((one) => one.node.name === run.node)
      if (run.name === 'sup/ends') host?.node.exit(run.pid, 'kill')
      if (run.name === 'sup/done') host?.node.exit(run.pid, 'shutdown')
    }
    await sim.until(
      'all that should runs again',
      () => runs.of('sup/stays').length === 1 && runs.of('sup/ends').length === 1,
    )
    await sim.sleep(3000)
    const info = (await supervisors[others[0] as 'a'].whichChildren()).find(({ id }) => id === 'done')
    const wasElsewhere = elsewhere.some(({ name }) => name === 'sup/done')
    assert.is(info?.status, wasElsewhere ? 'stopped' : 'running')
    assert.is(runs.of('sup/done').length, wasElsewhere ? 0 : 1)
  }))

test('a leader whose process is ended by somebody is followed by another one; children notice nothing', () =>
  stage({}, async (all) => {
    const { sim, runs, supervisors } = all
    await sim.until('all run', () => allRun(all))
    const before = [...runs.now]
    for (let i = 0; i < 5; i++) {
      const leader = sim.hosts.a.node.global.whereis('supervisor:sup')
      if (leader === undefined) throw new Error('nobody leads')
      sim.hosts.a.node.exit(leader as never, 'kill')
      await sim.until('another one leads', () => {
        const now = sim.hosts.a.node.global.whereis('supervisor:sup')
        return now !== undefined && !now.equals(leader)
      })
    }
    await sim.sleep(3000)
    assert.equal([...runs.now], before)
    assert.is(NODES.filter((name) => supervisors[name].isLeader).length, 1)
  }))

test('a child that does not heed the loss of its name is ended all the same', () => {
  const running = new Set<string>()
  return stage(
    {
      children: [{ id: 'deaf', behaviour: 'deaf', shutdown: 200 }],
      boot: (node) => {
        node.behaviour('deaf', (self) => {
          self.trapExit = true
          running.add(self.pid.key)
          self.signal.addEventListener('abort', () => running.delete(self.pid.key))
          return new Promise<void>((resolve) => self.signal.addEventListener('abort', () => resolve()))
        })
      },
    },
    async ({ sim }) => {
      await sim.until('it runs', () => running.size === 1)
      const { a, b, c } = sim.hosts
      const pid = a.node.global.whereis('sup/deaf')
      const alone = [a, b, c].find(({ node }) => node.name === pid?.node) ?? a
      sim.partition([alone])
      await sim.until('it runs twice', () => running.size === 2)
      sim.heal()
      await sim.meshed()
      await sim.until('it runs once', () => running.size === 1, { withinMs: 10_000 })
      await sim.sleep(3000)
      assert.is(running.size, 1)
    },
  )
})

test.run()
