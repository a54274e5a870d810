/** A `taskMap` over items whose iterator fails when it is closed told of that instead of the failure, and ended no task. */
import * as assert from 'uvu/assert'
import { taskMap } from '../../src/behaviours/task.ts'
import { actor, errorOf, loneNode } from '../src/process/process-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('items of tasks')

test('closing them fails', async (t) => {
  const node = loneNode(t)
  const { self } = await actor(node)
  let next = 0
  const items: Iterable<number> = {
    [Symbol.iterator]: () => ({
      next: () => ({ done: false, value: next++ }),
      return: () => {
        throw new Error('closing failed')
      },
    }),
  }
  const work = async (item: number): Promise<void> => {
    if (item === 1) throw new Error('item 1')
    await new Promise(() => {})
  }
  const error = await errorOf(taskMap(self, items, work, { linked: false, concurrency: 2 }))
  assert.is(error.code, 'ERR_SKEIN_TASK_EXIT')
  assert.is((error.cause as Error).message, 'item 1')
  assert.is(node.processes.count, 1)
})

test.run()
