/**
 * A supervisor ended, and its children with it, when it could not put into words what it was asked for, and when the
 * queue to a node that did not read its answers was full.
 */
import * as assert from 'uvu/assert'
import { supervisor } from '../../src/behaviours/supervisor/supervisor.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { actor, codeOf, pair } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('answers of a supervisor')

test('a child named by an object without text', async (t) => {
  const net = pair(t)
  const { self } = await actor(net.a)
  const tree = await net.b.processes.start(supervisor({ children: [] }))
  const answer = self.call(tree, { type: 'terminateChild', child: { toString: 1 } as never })
  await net.flow()
  assert.is(((await answer) as { code: string }).code, 'ERR_SKEIN_NO_CHILD')
  assert.ok(net.b.processes.isAlive(tree))
})

test('a queue that is full', async (t) => {
  const clock = new VirtualClock()
  const net = pair(t, { clock })
  const { self } = await actor(net.a)
  const tree = await net.b.processes.start(supervisor({ children: [] }))
  net.toA.full = true
  const answer = self.call(tree, { type: 'whichChildren' })
  await net.flow()
  assert.ok(net.b.processes.isAlive(tree))
  net.toA.full = false
  const code = codeOf(answer)
  clock.advance(10)
  await net.flow()
  assert.is(await code, 'ERR_SKEIN_QUEUE_FULL')
})

test.run()
