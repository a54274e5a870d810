/**
 * The process that answers tools ended for good when anybody sent it what looks like a call and is none.
 */
import * as assert from 'uvu/assert'
import { settled, startCluster } from '../src/node-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('the system process')

test('what looks like a call does not end it', async (t) => {
  const cluster = await startCluster(t, 2)
  const [a, b] = cluster.nodes
  const target = { name: 'skein', node: b!.name }
  for (const from of [1, null, {}, { call: 7 }]) a!.send(target, { type: 'call', from, request: { type: 'ping' } })
  assert.equal(await settled(cluster, a!.call(target, { type: 'ping' })), { type: 'pong', node: b!.name })
})

test.run()
