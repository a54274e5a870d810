/** Beyond a full mesh there are no ticks to a peer that is heard all the time: pings ran out after a thousand. */
import * as assert from 'uvu/assert'
import { meshed, pass, settled, startCluster } from '../src/node-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('many pings')

const PINGS = 1500

test(
  'beyond a full mesh a peer answers as many pings as in one, one after the other',
  async (t) => {
    const cluster = await startCluster(t, 3, { fullMeshNodes: 2, seed: 1 })
    await meshed(cluster)
    await pass(cluster, 10_000)
    const [a, b] = cluster.nodes
    for (let i = 0; i < PINGS; i++) assert.ok((await settled(cluster, a!.ping(b!.name))) >= 0)
  },
  { deadlineMs: 60_000 },
)

test.run()
