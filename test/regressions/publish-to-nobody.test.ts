/**
 * A publisher that heeds backpressure as it should (publish until false, then await drained) went on for ever within one
 * turn of the event loop where nobody was to get it: `drained` of an empty group resolved without letting others have
 * their turn, and where all members were excluded it never even heard false. The node stood still.
 */
import * as assert from 'uvu/assert'
import type { Self } from '../../src/index.ts'
import { startCluster } from '../src/node-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('publish to nobody')

for (const [what, joins] of [
  ['an empty group', false],
  ['a group without anybody else', true],
] as const) {
  test(`an endless publisher to ${what} lets the event loop go on`, async (t) => {
    const cluster = await startCluster(t, 1)
    const node = cluster.nodes[0]
    assert.ok(node)
    let sent = 0
    let enough = false
    t.defer(() => {
      enough = true
    })
    node.spawn(async (self: Self) => {
      if (joins) node.groups.join('group', self.pid)
      // The bound is for the test alone: it has to fail, not to hang.
      while (!enough && sent < 2_000_000) {
        sent++
        if (!self.publish('group', sent, { exclude: self.pid })) await self.drained({ group: 'group' })
      }
    })
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.ok(sent > 0)
    assert.ok(sent < 200_000, `${sent} messages within a few turns`)
  })
}

test.run()
