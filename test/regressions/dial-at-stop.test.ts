/**
 * A dial that was under way when its node stopped failed with ERR_SKEIN_CONNECTION_LOST, and one that began a moment
 * later still opened a connection. Both say ERR_SKEIN_STOPPED now, and none is begun. And a look-up of a name nobody knows
 * kept the process of a stopped node alive for two more seconds.
 */
import * as assert from 'uvu/assert'
import { simulatedHost } from '../../src/testing/index.ts'
import { ending, pass, settled, startCluster } from '../src/node-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('dial at stop')

for (const { title, waitMs } of [
  { title: 'a dial under way', waitMs: 50 },
  { title: 'a dial called for in the same turn', waitMs: 0 },
]) {
  test(`${title} ends with ERR_SKEIN_STOPPED`, async (t) => {
    const cluster = await startCluster(t, 1)
    const node = cluster.nodes[0]!
    // Nobody is there: it would take its full time.
    const dial = ending(node.connect(`${simulatedHost(7)}:4433`))
    if (waitMs > 0) await pass(cluster, waitMs)
    await settled(cluster, node.stop())
    assert.is(dial.code, 'ERR_SKEIN_STOPPED')
  })
}

test('a look-up under way ends with the stop, and leaves no timer', async (t) => {
  const cluster = await startCluster(t, 1)
  const node = cluster.nodes[0]!
  const dial = ending(node.connect('nobody@nowhere'))
  await pass(cluster, 50)
  await settled(cluster, node.stop())
  assert.is(dial.code, 'ERR_SKEIN_STOPPED')
  assert.is(await cluster.clock.run(), 'idle')
  assert.ok(cluster.clock.now() < 1000, `something was still planned until ${cluster.clock.now()} ms`)
})

test.run()
