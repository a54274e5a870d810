/** Bounded mailboxes flooded from another node over QUIC: memory stays bounded, order is kept, and what is lost is told. */
import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import type { NodeEvent } from '../../src/event-stream.ts'
import { type Pid, type Self, type SkeinNode, startNode } from '../../src/index.ts'
import type { MailboxOptions } from '../../src/process/behaviour.ts'
import type { CallMessage } from '../../src/process/calls.ts'
import { suite, type TestContext } from '../support/suite.ts'

const test = suite('mailboxes')

const BODY_BYTES = 16 * 1024

interface Numbered {
  readonly number: number
  readonly body: Uint8Array
}

const twoNodes = async (t: TestContext): Promise<[SkeinNode, SkeinNode]> => {
  const cookie = randomBytes(16).toString('hex')
  const start = async (name: string): Promise<SkeinNode> => {
    const node = await startNode({ name: `${name}@mailboxes`, cookie, host: '127.0.0.1', port: 0, discovery: false })
    t.defer(() => node.stop())
    return node
  }
  const [a, b] = [await start('a'), await start('b')]
  const { host, port } = b.addresses[0]!
  await a.connect(`${host}:${port}`)
  return [a, b]
}

/** Takes nothing until it is opened. */
const gated = (node: SkeinNode, mailbox: MailboxOptions) => {
  const got: number[] = []
  let open = (): void => {}
  let enough = (_count: number): void => {}
  let wanted = Number.POSITIVE_INFINITY
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  const pid = node.spawnWith({ mailbox }, async (self: Self<Numbered>) => {
    await opened
    for await (const { number } of self) if (got.push(number) >= wanted) enough(got.length)
  })
  const has = (count: number): Promise<unknown> => {
    wanted = count
    return got.length >= count ? Promise.resolve() : new Promise((resolve) => (enough = resolve))
  }
  return { pid, got, open: () => open(), has }
}

const echo = (node: SkeinNode): Pid<CallMessage> =>
  node.spawn(async (self: Self<CallMessage>) => {
    for await (const { from, request } of self) self.reply(from, request)
  })

const eventsOf = (node: SkeinNode): NodeEvent[] => {
  const seen: NodeEvent[] = []
  const read = async (): Promise<void> => {
    for await (const event of node.events) seen.push(event)
  }
  void read()
  return seen
}

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

test(
  'block: the sender on the other node is held back, nothing is lost, and calls to others go on',
  async (t) => {
    const [a, b] = await twoNodes(t)
    const box = gated(b, { limit: 50, onFull: 'block' })
    const answering = echo(b)
    const count = 6000
    let sent = 0
    const sender = a.spawn(async (self: Self) => {
      const body = new Uint8Array(BODY_BYTES)
      for (; sent < count; sent++) if (!self.send(box.pid, { number: sent, body })) await self.drained(box.pid)
      await self.receive()
    })
    // It comes to a standstill: nothing more is sent while hundreds of calls go to and fro.
    for (let calm = 0, last = -1; calm < 300; calm++) {
      await a.call(answering, calm)
      if (sent !== last) [last, calm] = [sent, 0]
    }
    const heldAt = sent
    console.log(`held back after ${heldAt} messages of 16 KiB`)
    assert.ok(heldAt < count / 2, 'what may be under way is bounded')
    box.open()
    await box.has(count)
    assert.equal(box.got, numbers(0, count))
    a.exit(sender, 'kill')
  },
  { deadlineMs: 60_000 },
)

test(
  'dropOldest: the sender is never held back by it, the last messages are there, and the loss is told',
  async (t) => {
    const [a, b] = await twoNodes(t)
    const events = eventsOf(b)
    const box = gated(b, { limit: 100, onFull: 'dropOldest' })
    const answering = echo(b)
    const count = 20_000
    const before = process.memoryUsage()
    await new Promise<void>((resolve) => {
      a.spawn(async (self: Self) => {
        const body = new Uint8Array(BODY_BYTES)
        for (let number = 0; number < count; number++) {
          if (!self.send(box.pid, { number, body })) await self.drained(box.pid)
        }
        // On the same lane, behind them all.
        await self.call(answering, 'all through')
        resolve()
      })
    })
    const after = process.memoryUsage()
    const growthMiB = (after.heapUsed + after.external - before.heapUsed - before.external) / 2 ** 20
    console.log(`${count} messages of 16 KiB: ${growthMiB.toFixed(0)} MiB more`)
    assert.ok(growthMiB < 150, `${growthMiB} MiB more, of 312 MiB sent`)
    box.open()
    await box.has(100)
    assert.equal(box.got, numbers(count - 100, count))

    const overflows = () => events.filter((event) => event.type === 'mailboxOverflow')
    while (overflows().length < 2) await a.call(answering, 'are we there yet')
    assert.equal(
      overflows().map(({ phase, dropped }) => [phase, dropped]),
      [
        ['began', 0],
        ['ended', count - 100],
      ],
    )
    const letters = events.filter((event) => event.type === 'deadLetter')
    assert.equal(
      letters.map(({ reason, count }) => [reason, count]),
      [['ERR_SKEIN_MAILBOX_FULL', count - 100]],
    )
  },
  { deadlineMs: 60_000 },
)

test.run()
