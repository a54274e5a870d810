/**
 * Two members of a cluster start again, and meet each other before they meet the one that leads: neither leads at once, and what
 * runs does not start a second time.
 */
import * as assert from 'uvu/assert'
import type { SimulatedHost } from '../../src/testing/index.ts'
import { type Address, formatAddress } from '../../transport/address.ts'
import { allRun, type Name, NODES, stage } from '../src/services/supervision/stage.ts'
import { suite } from '../support/suite.ts'

const test = suite('newcomers that meet each other first')

const JOIN_MS = 5000

test('they wait for the others, and only so long', () =>
  stage({ joinMs: JOIN_MS }, async (all) => {
    const { sim, runs, supervisors } = all
    await sim.until('all run', () => allRun(all))
    const leader = NODES.find((name) => supervisors[name].isLeader) as 'a'
    const old = sim.hosts[leader]
    const others = Object.values(sim.hosts).filter((host) => host !== old)
    const restart = async (): Promise<void> => {
      for (const host of others) {
        const { name } = host.node
        host.crash()
        runs.crashed(name)
      }
      sim.partition([old], others)
      for (const host of others) await host.restart()
      const [one, two] = others as [SimulatedHost, SimulatedHost]
      await one.node.connect(formatAddress(two.node.addresses[0] as Address))
      await sim.until('they see each other', () => two.node.nodes().length === 1)
    }

    await restart()
    await sim.until('all run where the leader is', () => allRun(all))
    const before = [...runs.now]
    await sim.sleep(JOIN_MS / 2)
    sim.heal()
    await sim.meshed()
    await sim.sleep(3000)
    assert.is(NODES.filter((name) => supervisors[name].isLeader).length, 1)
    assert.equal([...runs.now], before)

    await restart()
    await sim.until('they go on alone', () => others.some(({ name }) => supervisors[name as Name].isLeader), {
      withinMs: 2 * JOIN_MS,
    })
    sim.heal()
    await sim.meshed()
    await sim.until('each runs once', () => allRun(all), { withinMs: 10_000 })
  }))

test.run()
