/** The option `compression` between nodes on the memory network: fewer bytes, the same messages in the same order. */
import * as assert from 'uvu/assert'
import type { Self } from '../../src/index.ts'
import type { CompressionOptions } from '../../src/wire/packing.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { startCluster, until } from './node-support.ts'

const test = suite('compression')

const COUNT = 24
const NOISE_BYTES = 30_000

const random = seededRandom(1)
const rows = (first: number): unknown =>
  Array.from({ length: 400 }, (_, row) => ({ row: first + row, name: `user-${row % 50}`, state: 'waiting' }))

/** Sends small, large and incompressible messages in turn from one process; gives how many datagrams that took. */
const exchange = async (t: TestContext, compression: CompressionOptions | undefined) => {
  const cluster = await startCluster(t, 2, compression === undefined ? {} : { compression })
  await until(cluster, 'two nodes', () => cluster.nodes.every((node) => node.nodes().length === 1))
  const [a, b] = cluster.nodes
  const got: unknown[] = []
  const sink = b!.spawn(async (self: Self) => {
    for await (const message of self) got.push(message)
  })
  const sent = Array.from({ length: COUNT }, (_, i) =>
    i % 4 === 0 ? Buffer.from(random.bytes(NOISE_BYTES)) : i % 4 === 1 ? i : rows(i),
  )
  a!.spawn(async (self: Self) => {
    for (const message of sent) if (!self.send(sink, message)) await self.drained(sink)
  })
  const before = b!.counters().received!
  await until(cluster, 'all messages', () => got.length === COUNT)
  assert.equal(got, sent)
  return b!.counters().received! - before
}

test(
  'everything arrives in order, in fewer datagrams',
  async (t) => {
    const plain = await exchange(t, undefined)
    const packed = await exchange(t, { aboveBytes: 2000 })
    assert.ok(packed < plain * 0.85, `${packed} datagrams packed, ${plain} as it is`)
  },
  { deadlineMs: 60_000 },
)

test(
  'a mailbox is bounded by what messages hold, not by what they took on the way',
  async (t) => {
    const cluster = await startCluster(t, 2, { compression: { aboveBytes: 2000 } })
    await until(cluster, 'two nodes', () => cluster.nodes.every((node) => node.nodes().length === 1))
    const [a, b] = cluster.nodes
    let read = (): void => {}
    const gate = new Promise<void>((resolve) => {
      read = resolve
    })
    const sizes: number[] = []
    let waits = 0
    const sink = b!.spawn(async (self: Self) => {
      await gate
      for await (const message of self) sizes.push((message as unknown[]).length)
    })
    const content = rows(0)
    let sent = 0
    a!.spawn(async (self: Self) => {
      for (; sent < 2400; sent++) {
        if (!self.send(sink, content)) {
          waits++
          await self.drained(sink)
        }
      }
    })
    // As plain frames these are some 34 MB, packed an eighth: they must not all be taken in before anybody reads.
    await cluster.clock.run({ untilMs: cluster.clock.now() + 20_000 })
    assert.ok(waits > 0 && sent < 2400, `${sent} messages were sent to a process that reads none`)
    read()
    await until(cluster, 'all messages', () => sizes.length === 2400)
  },
  { deadlineMs: 60_000 },
)

test.run()
