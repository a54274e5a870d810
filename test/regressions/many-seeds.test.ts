/**
 * A node with as many seeds as are allowed did not start: the seed that it adds itself, for the node on the default port of
 * its machine, was one too many. The port it had opened stayed open.
 */
import * as assert from 'uvu/assert'
import { startNode } from '../../src/index.ts'
import { suite } from '../support/suite.ts'

const test = suite('many seeds')

test('a node starts with 256 seeds', async (t) => {
  const seeds = Array.from({ length: 256 }, (_, i) => `127.0.0.1:${20_000 + i}`)
  const node = await startNode({
    cookie: 'a cookie that is long enough for tests',
    host: '127.0.0.1',
    port: 0,
    logLevel: 'silent',
    strategy: { mesh: 'none' },
    discovery: { mdns: false, dht: true, seeds },
  })
  t.defer(() => node.stop())
  assert.ok(node.isAlive)
})

test.run()
