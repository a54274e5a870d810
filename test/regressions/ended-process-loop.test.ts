/**
 * A function that ignored the end of its process and tried again at once, for ever, did so within one turn of the event
 * loop: the whole node stood still, and its stop too. What an ended process is refused now draws on the share of messages
 * that all processes have.
 */
import * as assert from 'uvu/assert'
import type { Self } from '../../src/process/self.ts'
import { loneNode } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('loop of an ended process')

const attempts: readonly { what: string; attempt: (self: Self<unknown>) => Promise<unknown> }[] = [
  { what: 'receive', attempt: (self) => self.receive() },
  { what: 'next', attempt: (self) => self[Symbol.asyncIterator]().next() },
  { what: 'call', attempt: (self) => self.call('nobody', 1) },
  { what: 'drained', attempt: (self) => self.drained('nobody') },
]

for (const { what, attempt } of attempts) {
  test(`${what} again and again after the end lets the event loop go on`, async (t) => {
    const node = loneNode(t)
    let tries = 0
    let enough = false
    t.defer(() => {
      enough = true
    })
    const pid = node.processes.spawn(async (self: Self<unknown>) => {
      await self.receive().catch(() => {})
      // The bound is for the test alone: it has to fail, not to hang.
      while (!enough && tries < 1_000_000) {
        tries++
        await attempt(self).catch(() => {})
      }
    })
    await new Promise((resolve) => setImmediate(resolve))
    node.processes.exit(pid, 'kill')
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
    assert.ok(tries > 0, 'it goes on')
    assert.ok(tries < 100_000, `${tries} tries within a few turns`)
  })
}

test.run()
