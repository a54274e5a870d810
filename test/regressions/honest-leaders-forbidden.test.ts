/**
 * After a partition two nodes lead one supervisor until they hear of each other, and both give orders. Those of the one that
 * loses were told to operators as attempts at what it may not do, with the events `forbidden` and `memberRefused`: in 76 of
 * 200 seeds of `npm run test:sim -- supervision`. They are not obeyed, and nothing else.
 */
import * as assert from 'uvu/assert'
import type { DistributedSupervisor, SkeinNode } from '../../src/index.ts'
import { simulate } from '../../src/testing/index.ts'
import { Runs } from '../sim/children.ts'
import { Refusals } from '../sim/refusals.ts'
import { suite } from '../support/suite.ts'

const test = suite('honest leaders are not told of')

const CHILDREN = ['x', 'y', 'z'].map((id) => ({ id, behaviour: 'counter', args: [0] }))

for (const seed of [1, 2, 3, 4, 5]) {
  test(`two led, and one does no more, seed ${seed}`, () => {
    const runs = new Runs()
    const refusals = new Refusals()
    const supervisors = new Map<string, DistributedSupervisor>()
    const boot = (node: SkeinNode): void => {
      runs.offer(node)
      refusals.listen(node)
      supervisors.set(node.name, node.supervise('sup', { children: CHILDREN, placement: 'roundRobin' }))
    }
    return simulate({ nodes: ['a', 'b', 'c', 'd'], seed, boot }, async (sim) => {
      const { a, b, c, d } = sim.hosts
      const leaders = (): number => [...supervisors.values()].filter(({ isLeader }) => isLeader).length
      await sim.meshed()
      await sim.until('one leads', () => leaders() === 1)
      sim.partition([a, b], [c, d])
      await sim.until('two lead', () => leaders() === 2)
      await sim.sleep(10_000)
      sim.heal()
      await sim.until('one leads', () => leaders() === 1)
      await sim.sleep(10_000)
      assert.equal(refusals.told, [])
    })
  })
}

test.run()
