/**
 * A sender that heeds backpressure as it should (send until false, then await drained) never heard false once its target
 * was gone: it went on for ever within one turn of the event loop, and the whole node stood still.
 */
import * as assert from 'uvu/assert'
import type { AnyTarget } from '../../src/process/directory.ts'
import type { Self } from '../../src/process/self.ts'
import { loneNode } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('send to nobody')

for (const [what, targetOf] of [
  ['a process that has ended', (self: Self<unknown>): AnyTarget => self.spawn(() => {})],
  ['a name nobody has', (): AnyTarget => 'nobody'],
  ['a node out of reach', (): AnyTarget => ({ name: 'nobody', node: 'no@where' })],
] as const) {
  test(`an endless sender to ${what} lets the event loop go on`, async (t) => {
    const node = loneNode(t)
    let sent = 0
    let enough = false
    t.defer(() => {
      enough = true
    })
    node.processes.spawn(async (self: Self<unknown>) => {
      const target = targetOf(self)
      // The bound is for the test alone: it has to fail, not to hang.
      while (!enough && sent < 2_000_000) {
        sent++
        if (!self.send(target as 'nobody', sent)) await self.drained(target)
      }
    })
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.ok(sent > 0)
    assert.ok(sent < 200_000, `${sent} messages within a few turns`)
  })
}

test.run()
