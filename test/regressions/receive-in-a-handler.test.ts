/**
 * A handler that waited for a message of its own was given whatever came first, also what the behaviour had put into the
 * mailbox for itself: a state machine's timeout then never came.
 */
import * as assert from 'uvu/assert'
import { stateMachine } from '../../src/behaviours/state-machine.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { loneNode, turns } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('a receive in a handler')

for (const asksFirst of [true, false]) {
  test(`is not given the timeout of its machine, ${asksFirst ? 'waiting for it' : 'finding it'}`, async (t) => {
    const clock = new VirtualClock()
    const node = loneNode(t, { clock })
    const log: unknown[] = []
    const machine = stateMachine({
      data: () => undefined,
      initial: 'on',
      states: {
        on: {
          stateTimeout: { afterMs: 50, to: 'off' },
          on: {
            async ask({ self }) {
              if (!asksFirst) await new Promise<void>((resolve) => clock.after(60, resolve))
              log.push(await self.receive())
            },
          },
        },
        off: {
          enter: () => {
            log.push('off')
          },
        },
      },
    })
    const pid = await node.processes.start(machine)
    node.processes.cast(pid, 'ask')
    await turns()
    clock.advance(100)
    await turns()
    node.processes.send(pid, 'answer' as never)
    await turns()
    assert.equal(log, ['answer', 'off'])
  })
}

test.run()
