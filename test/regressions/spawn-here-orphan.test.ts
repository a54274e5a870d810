/**
 * A process that asked its own node for another one by name, and ended before that had started, left its promise pending
 * and the other process alive. On another node both were seen to.
 */
import * as assert from 'uvu/assert'
import type { Self } from '../../src/process/self.ts'
import { announceStarted } from '../../src/process/serve.ts'
import { actor, codeOf, loneNode, turns } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('spawned here by name, by one that ends')

for (const [how, ends] of [
  ['spawnOn', 'killed'],
  ['spawnLinkOn', 'over'],
  ['spawnMonitorOn', 'killed'],
] as const) {
  test(`${how} fails, and the process that had still to start ends too`, async (t) => {
    const node = loneNode(t)
    const born: Self<unknown>[] = []
    const slow = async (self: Self<unknown>): Promise<void> => {
      born.push(self)
      await new Promise((_, reject) => self.signal.addEventListener('abort', () => reject(self.signal.reason)))
      announceStarted(self)
    }
    node.processes.catalogue.add('slow', Object.assign(slow, { traits: { announces: true } }))
    const { self } = await actor(node, false)
    const options = { start: true, timeoutMs: Number.POSITIVE_INFINITY }
    const code = codeOf(self[how](self.node, 'slow', [], options))
    await turns()
    assert.is(node.processes.count, 2)
    node.processes.exit(self.pid, 'over')
    await turns()
    assert.is(node.processes.count, 0)
    assert.is(await code, 'ERR_SKEIN_PROCESS_ENDED')
    assert.is((born[0]?.signal.reason as Error | undefined)?.cause, ends)
  })
}

test.run()
