/** Tasks: a result once, failures that go both ways, and a bounded number at once. */
import * as assert from 'uvu/assert'
import { startTask, type Task, taskMap } from '../../../src/behaviours/task.ts'
import type { Self } from '../../../src/process/self.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import {
  type Actor,
  actor,
  brief,
  codeOf,
  errorOf,
  loneNode,
  type TestNode,
  thrown,
  turns,
} from '../process/process-support.ts'

const test = suite('task')

const forever = (self: Self<unknown>): Promise<unknown> => self.receive()

/** Notes with what reason a process ends. */
const reasonOf = async (node: TestNode, pid: Task<unknown>['pid']): Promise<() => unknown> => {
  const watcher = await actor(node)
  watcher.self.monitor(pid)
  return () => (watcher.log[0] as { reason: unknown } | undefined)?.reason
}

/** Runs in virtual time until the promise is settled. */
const settled = async <T>(clock: VirtualClock, promise: Promise<T>): Promise<T> => {
  let done = false
  const note = (): void => {
    done = true
  }
  promise.then(note, note)
  await clock.run({ until: () => done })
  return promise
}

test('a result, as often as it is asked for, and nothing in the mailbox', async (t) => {
  const node = loneNode(t)
  const { self, log } = await actor(node)
  const task = startTask(self, async (own) => ({ from: own.pid }))
  const value = await task.result()
  assert.ok(value.from.equals(task.pid))
  assert.is(await task.result({ timeoutMs: 0 }), value)
  await turns()
  assert.equal(log, [])
  assert.not(node.processes.isAlive(task.pid))
})

test('a task works in its own process while its owner does something else', async (t) => {
  const node = loneNode(t)
  const { self } = await actor(node)
  const echo = node.processes.spawn(async (own: Self<unknown>) => {
    for await (const message of own) own.reply((message as { from: never }).from, 'echo')
  })
  const tasks = [1, 2, 3].map((n) => startTask(self, async (own) => `${await own.call(echo as never, n)} ${n}`))
  assert.equal(await Promise.all(tasks.map((task) => task.result())), ['echo 1', 'echo 2', 'echo 3'])
})

test('a task that fails ends its owner, unless that traps exits or the task is not linked', async (t) => {
  const node = loneNode(t)
  const fail = async (): Promise<never> => {
    throw new Error('no luck')
  }
  const plain = await actor(node, false)
  const ended = await reasonOf(node, plain.self.pid)
  startTask(plain.self, fail)
  await turns()
  assert.is((ended() as Error).message, 'no luck')

  const trapping = await actor(node)
  const error = await errorOf(startTask(trapping.self, fail).result())
  assert.is(error.code, 'ERR_SKEIN_TASK_EXIT')
  assert.is((error.cause as Error).message, 'no luck')
  await turns()
  assert.equal(trapping.log.map(brief), ['EXIT no luck'])

  const apart = await actor(node, false)
  assert.is(await codeOf(startTask(apart.self, fail, { linked: false }).result()), 'ERR_SKEIN_TASK_EXIT')
  assert.ok(node.processes.isAlive(apart.self.pid))
})

test('an owner that fails ends its tasks, those not linked go on', async (t) => {
  const node = loneNode(t)
  const { self } = await actor(node, false)
  const linked = startTask(self, forever)
  const apart = startTask(self, forever, { linked: false })
  const ended = await reasonOf(node, linked.pid)
  node.processes.exit(self.pid, 'gone')
  await turns()
  assert.is(ended(), 'gone')
  assert.ok(node.processes.isAlive(apart.pid))
  assert.is(
    thrown(() => startTask(self, forever)),
    'ERR_SKEIN_PROCESS_ENDED',
  )
})

test('a timeout leaves the task running; its result can be had later', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const { self } = await actor(node)
  const task = startTask(self, async (own) => {
    await own.receive(undefined, { timeoutMs: 1000 }).catch(() => {})
    return 'late'
  })
  assert.is(await codeOf(settled(clock, task.result({ timeoutMs: 999 }))), 'ERR_SKEIN_TASK_TIMEOUT')
  assert.is(clock.now(), 999)
  assert.is(await settled(clock, task.result()), 'late')
  assert.is(await codeOf(task.result({ timeoutMs: -1 })), 'ERR_SKEIN_BAD_ARGUMENT')
})

test('shutdown ends a task and spares its owner, in time or by kill', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const { self, log } = await actor(node, false)
  const quick = startTask(self, forever)
  await settled(clock, quick.shutdown())
  assert.not(node.processes.isAlive(quick.pid))
  assert.is((await errorOf(quick.result())).cause, 'shutdown')
  const stubborn = startTask(self, async (own) => {
    own.trapExit = true
    for await (const _ of own);
  })
  await clock.run({ untilMs: 0 })
  await settled(clock, stubborn.shutdown({ timeoutMs: 70 }))
  assert.is(clock.now(), 70)
  assert.is((await errorOf(stubborn.result())).cause, 'killed')
  assert.ok(node.processes.isAlive(self.pid))
  assert.equal(log, [])
})

/** Tasks that note how many run at once. */
class Load {
  now = 0
  most = 0

  async take(): Promise<void> {
    this.most = Math.max(this.most, ++this.now)
    await turns()
    this.now--
  }
}

test('taskMap: results in order, so many at once and no more', async (t) => {
  const node = loneNode(t)
  const { self, log } = await actor(node)
  const load = new Load()
  const items = Array.from({ length: 50 }, (_, i) => i)
  const squares = await taskMap(
    self,
    items,
    async (n) => {
      await load.take()
      return n * n
    },
    { concurrency: 7 },
  )
  assert.equal(
    squares,
    items.map((n) => n * n),
  )
  assert.is(load.most, 7)
  assert.equal(await taskMap(self, [], () => 1), [])
  await turns()
  assert.equal(log, [])
})

test('taskMap: when one fails the others are ended, and no more are started', async (t) => {
  const node = loneNode(t)
  const { self }: Actor = await actor(node)
  const before = node.processes.list().length
  let started = 0
  const failing = taskMap(
    self,
    Array.from({ length: 100 }, (_, i) => i),
    async (n, own) => {
      started++
      if (n === 2) throw new Error('two')
      await own.receive()
    },
    { concurrency: 4, linked: false },
  )
  const error = await errorOf(failing)
  assert.is((error.cause as Error).message, 'two')
  assert.is(started, 4)
  assert.is(node.processes.list().length, before)
})

test('taskMap: a task that ends well although it was told to end is the last of its kind', async (t) => {
  const node = loneNode(t)
  const { self } = await actor(node)
  let started = 0
  const failing = taskMap(
    self,
    [0, 1, 2, 3, 4, 5],
    async (n, own) => {
      started++
      own.trapExit = true
      if (n === 1) throw new Error('one')
      await own.receive()
    },
    { concurrency: 2, linked: false },
  )
  assert.is(await codeOf(failing), 'ERR_SKEIN_TASK_EXIT')
  await turns()
  assert.is(started, 2)
})

test('taskMap: an item that takes too long', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const { self } = await actor(node)
  const before = node.processes.list().length
  const slow = taskMap(self, [1, 2], (_, own) => forever(own), { timeoutMs: 50 })
  assert.is(await codeOf(settled(clock, slow)), 'ERR_SKEIN_TASK_TIMEOUT')
  assert.is(node.processes.list().length, before)
})

test('taskMap: items that throw, and a concurrency that is none', async (t) => {
  const node = loneNode(t)
  const { self } = await actor(node)
  const items = function* (): Generator<number> {
    yield 1
    throw new Error('no more')
  }
  try {
    await taskMap(self, items(), (n) => n)
    assert.unreachable()
  } catch (error) {
    assert.is((error as Error).message, 'no more')
  }
  for (const concurrency of [0, 1.5, -1, 10_001, Number.NaN]) {
    assert.is(await codeOf(taskMap(self, [1], (n) => n, { concurrency })), 'ERR_SKEIN_BAD_ARGUMENT')
  }
})

test.run()
