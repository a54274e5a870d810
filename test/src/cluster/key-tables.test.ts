/** Keys and names by number between nodes: over changes of lane, over reconnects, and beside nodes that know nothing of it. */
import * as assert from 'uvu/assert'
import type { Self } from '../../../src/index.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { startCluster, until } from '../node-support.ts'

const test = suite('key tables between nodes')

const COUNT = 600

/** Light at first, heavy in the middle (a lane of its own), light again. */
const message = (i: number): unknown => ({
  sequence: i,
  content: { [`field-${i % 20}`]: i, text: i > 200 && i < 400 ? 'x'.repeat(3000) : 'short' },
})

const start = async (t: TestContext) => {
  const cluster = await startCluster(t, 2)
  await until(cluster, 'two nodes', () => cluster.nodes.every((node) => node.nodes().length === 1))
  return cluster
}

test('a sender that changes lanes, by name and by pid: all of it, in order, each way', async (t) => {
  const cluster = await start(t)
  const [a, b] = cluster.nodes
  const pause = (ms: number): Promise<void> => new Promise((resolve) => cluster.clock.after(ms, resolve))
  for (const [from, to] of [
    [a!, b!],
    [b!, a!],
  ] as const) {
    const got: unknown[] = []
    const sink = to.spawn(async (self: Self) => {
      for await (const one of self) got.push(one)
    })
    to.register('sink', sink)
    const named = { name: 'sink', node: to.name }
    from.spawn(async (self: Self) => {
      for (let i = 0; i < COUNT; i++) {
        const target = i % 2 === 0 ? named : sink
        if (!self.send(target, message(i))) await self.drained(target)
        if (i % 50 === 0) await pause(5)
      }
    })
    await until(cluster, 'all messages', () => got.length === COUNT)
    assert.equal(
      got,
      Array.from({ length: COUNT }, (_, i) => message(i)),
    )
  }
})

test('a reconnect begins with empty tables', async (t) => {
  const cluster = await start(t)
  const [a, b] = cluster.nodes
  const pause = (ms: number): Promise<void> => new Promise((resolve) => cluster.clock.after(ms, resolve))
  const got: unknown[] = []
  const sink = b!.spawn(async (self: Self) => {
    for await (const one of self) got.push(one)
  })
  b!.register('sink', sink)
  let sent = 0
  for (let life = 0; life < 3; life++) {
    a!.spawn(async (self: Self) => {
      for (let i = 0; i < 50; i++) {
        self.send({ name: 'sink', node: b!.name }, message(i))
        sent++
        await pause(2)
      }
    })
    await until(cluster, 'what was sent in this life', () => sent === 50 * (life + 1) && got.length === sent)
    a!.disconnect(b!.name)
    await until(cluster, 'the end of the connection', () => a!.nodes().length === 0 && b!.nodes().length === 0)
  }
  assert.equal(
    got,
    Array.from({ length: 150 }, (_, i) => message(i % 50)),
  )
})

test.run()
