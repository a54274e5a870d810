/**
 * A supervisor starts a counter again when it fails, on this node and, asked from here, on another one. Run it with:
 * npx tsx examples/supervised.ts
 */
import { randomBytes } from 'node:crypto'
import { type CallMessage, type Self, startNode, startTask, supervisor, supervisorOf, taskMap } from 'skein'

type Counter = { add: number } | CallMessage<'total', number>

/** A counter that cannot count below zero. */
const counter = async (self: Self<Counter>, start: number) => {
  let total = start
  for await (const message of self) {
    if ('add' in message) total += message.add
    else self.reply(message.from, total)
    if (total < 0) throw new Error(`${total} is too few`)
  }
}

const options = { cookie: randomBytes(32), host: '127.0.0.1', port: 0, discovery: false }
const here = await startNode({ ...options, name: 'here' })
const there = await startNode({ ...options, name: 'there' })
await here.connect(`127.0.0.1:${there.addresses[0]?.port}`)

// 1. Children with names: whoever comes after a failure is found under the same name.
const tree = supervisor({
  strategy: 'oneForOne',
  maxRestarts: 3,
  withinMs: 5000,
  children: [
    { id: 'apples', name: 'apples', start: counter, args: [10] },
    { id: 'pears', name: 'pears', start: counter, args: [20] },
  ],
})
await here.start(tree)

const restarted = (async () => {
  for await (const event of here.events) if (event.type === 'childRestarted') return event
  throw new Error('the node was stopped')
})()
here.send('apples', { add: -50 })
const { id, reason } = await restarted
console.log(`"${id}" was started again: ${(reason as Error).message}`)
console.log(`apples: ${await here.call('apples', 'total')}, pears: ${await here.call('pears', 'total')}`)

// 2. On another node behaviours have names. This supervisor has one pattern and starts children when it is asked to.
there.behaviour('counter', counter)
there.behaviour(
  'counters',
  supervisor({ strategy: 'simpleOneForOne', children: [{ id: 'counter', start: 'counter', restart: 'temporary' }] }),
)
const counters = supervisorOf(here, await here.spawnOn(there.name, 'counters', [], { start: true }))
const pids = await Promise.all([1, 2, 3].map((start) => counters.startChildWith(start)))

// 3. Tasks: work done apart, at most two at once here, and the results in order.
here.spawn(async (self) => {
  const totals = await taskMap(self, pids, (pid, task) => task.call(pid as never, 'total'), { concurrency: 2 })
  console.log(`over there: ${totals}`)
  const task = startTask(self, () => counters.countChildren())
  const { active } = await task.result({ timeoutMs: 5000 })
  console.log(`${active} children run over there`)
  await counters.stop()
  await Promise.all([here.stop(), there.stop()])
})
