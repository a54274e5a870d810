/**
 * Spawning with a link or monitor that the limits did not allow threw an error, and the process lived on, known to nobody
 * (G23: a process with its link, or an error and no process).
 */
import * as assert from 'uvu/assert'
import { startTask } from '../../src/behaviours/task.ts'
import type { Self } from '../../src/process/self.ts'
import { actor, codeOf, loneNode, thrown, turns } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('spawned beyond the limit of links and monitors')

test('there is an error and no process', async (t) => {
  const node = loneNode(t, { limits: { links: 0, monitors: 0 } })
  const { self, log } = await actor(node)
  const idle = async (own: Self<unknown>): Promise<void> => {
    for await (const _message of own);
  }
  node.processes.catalogue.add('idle', idle)
  assert.is(
    thrown(() => self.spawnLink(idle)),
    'ERR_SKEIN_LIMIT',
  )
  assert.is(
    thrown(() => self.spawnMonitor(idle)),
    'ERR_SKEIN_LIMIT',
  )
  assert.is(
    thrown(() => startTask(self, () => undefined)),
    'ERR_SKEIN_LIMIT',
  )
  assert.is(await codeOf(self.startLink(idle)), 'ERR_SKEIN_LIMIT')
  assert.is(await codeOf(self.spawnLinkOn(self.node, 'idle')), 'ERR_SKEIN_LIMIT')
  assert.is(await codeOf(self.spawnMonitorOn(self.node, 'idle')), 'ERR_SKEIN_LIMIT')
  await turns()
  assert.is(node.processes.count, 1)
  assert.equal(log, [])
})

test.run()
