/**
 * Found by the guarantee fuzzer: a node that crashes and is back before the others have noticed.
 *
 * A node that heard of the new incarnation while its connection to the old one still counted dialled it without end,
 * without letting a millisecond pass. And a pid of the new incarnation was taken for one of the past: noproc.
 */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../certs/errors.ts'
import type { Self, SystemMessage } from '../../src/index.ts'
import { type SimulatedHost, simulate } from '../../src/testing/index.ts'
import { suite } from '../support/suite.ts'

const test = suite('quick restart')

const idle = async (self: Self): Promise<void> => {
  await self.receive()
}

/** What a process of the host gets first. */
const firstOf = (host: SimulatedHost, begin: (self: Self<SystemMessage>) => void): Promise<SystemMessage> =>
  new Promise((resolve) => {
    host.node.spawn<SystemMessage>(async (self) => {
      begin(self)
      resolve(await self.receive())
    })
  })

test('who hears of the new incarnation while the old one counts as connected does not dial without end', async () => {
  let dials = 0
  await simulate({ nodes: ['a', 'b', 'c'], runs: 5 }, async (sim) => {
    const { a, b, c } = sim.hosts
    await sim.meshed()
    b.crash()
    // Only a can be reached at first, and tells c.
    sim.partition([b], [c])
    await sim.sleep(1)
    const sentBefore = c.node.counters().sent ?? 0
    let moments = 0
    let lastMs = sim.nowMs
    sim.always('time goes on', () => {
      moments = sim.nowMs === lastMs ? moments + 1 : 0
      lastMs = sim.nowMs
      return moments < 1000
    })
    await b.restart()
    await sim.until('a knows both', () => a.node.nodes().length === 2)
    await sim.sleep(2000)
    dials += (c.node.counters().sent ?? 0) - sentBefore
    sim.heal()
    await sim.meshed()
  })
  assert.ok(dials > 0)
})

test('a pid of the new incarnation is out of reach, not dead', async () => {
  const message = await simulate({ nodes: ['a', 'b'] }, async (sim) => {
    const { a, b } = sim.hosts
    await sim.meshed()
    a.crash()
    await sim.sleep(1)
    await a.restart()
    const pid = a.node.spawn(idle)
    return firstOf(b, (self) => self.monitor(pid))
  })
  assert.is(message.type === 'DOWN' && message.reason, 'noconnection')
})

test('a pid of the old incarnation is dead as soon as the new one is connected', async () => {
  const message = await simulate({ nodes: ['a', 'b'] }, async (sim) => {
    const { a, b } = sim.hosts
    await sim.meshed()
    const pid = a.node.spawn(idle)
    a.crash()
    await sim.sleep(1)
    const { incarnation } = await a.restart()
    const isNew = (): boolean => b.node.connectedNodes().some((node) => node.incarnation === incarnation)
    await sim.until('the new one is connected', isNew)
    return firstOf(b, (self) => self.monitor(pid))
  })
  assert.is(message.type === 'DOWN' && message.reason, 'noproc')
})

test('a node that was disconnected on purpose and is back with another key can be connected by its name', async () => {
  await simulate({ nodes: ['a', 'b'] }, async (sim) => {
    const { a, b } = sim.hosts
    await sim.meshed()
    const parting = b.node.disconnect(a.node.name)
    a.crash()
    await sim.sleep(5)
    await a.restart({ identity: 'new' })
    await parting
    // The first try shows that what is known of the name is out of date.
    await b.node.connect(a.node.name).catch((error: unknown) => assert.ok(isSkeinError(error)))
    await sim.meshed()
  })
})

test.run()
