/**
 * A hidden node, such as a tool, is told no news of members; asked for a node by name it has to ask whom it is connected
 * to. Version 2 asked with a digest, which nobody answers to a hidden node.
 */
import * as assert from 'uvu/assert'
import { SimulatedCluster } from '../../src/testing/cluster.ts'
import { suite } from '../support/suite.ts'

const test = suite('hidden node asks')

test('a hidden node finds a node by name through the one that it is connected to', async () => {
  const cluster = new SimulatedCluster({ seed: 1 })
  await cluster.start(0)
  await cluster.start(1)
  await cluster.clock.run({ until: () => cluster.nodes.every((node) => node.nodes().length === 1) })
  const tool = await cluster.start(2, { hidden: true, mesh: 'none' })
  let connected: string[] = []
  const connecting = tool
    .connect('10.0.0.1:4433')
    .then(() => tool.connect(cluster.nodes[1]!.name))
    .then(() => {
      connected = tool.nodes()
    })
  await cluster.clock.run({ until: () => connected.length === 2, untilMs: 20_000 })
  await connecting
  assert.equal(
    connected.sort(),
    cluster.nodes
      .slice(0, 2)
      .map(({ name }) => name)
      .sort(),
  )
  await cluster.stop()
})

test.run()
