/**
 * A state machine whose inserted events insert two more each filled the memory, and with it the node ended. Now the
 * machine ends, with a code.
 */
import * as assert from 'uvu/assert'
import { stateMachine } from '../../src/behaviours/state-machine.ts'
import { actor, loneNode, turns } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('endless inserts')

test('end the machine', async (t) => {
  const node = loneNode(t)
  const { self, log } = await actor(node)
  let handled = 0
  const machine = stateMachine({
    data: () => undefined,
    initial: 'on',
    states: {
      on: {
        on: {
          // The bound is for the test alone: it has to fail, not to fill the memory.
          more: () => (handled++ < 1000 ? { insert: Array(1000).fill('more') } : {}),
        },
      },
    },
  })
  const pid = await node.processes.start(machine)
  self.monitor(pid)
  node.processes.cast(pid, 'more')
  for (let i = 0; i < 20; i++) await turns()
  const [down] = log as { reason: { code: string } }[]
  assert.is(down?.reason.code, 'ERR_SKEIN_LIMIT')
})

test.run()
