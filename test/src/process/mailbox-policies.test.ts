/** Mailboxes with a bound of their own: what becomes of messages, calls and system messages, and what is told of it. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import type { Behaviour, MailboxOptions } from '../../../src/process/behaviour.ts'
import type { ProcessReport } from '../../../src/process/report.ts'
import type { Self } from '../../../src/process/self.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { actor, codeOf, loneNode, pair, type TestNode, thrown, turns } from './process-support.ts'

const test = suite('mailbox policies')

/** A process that takes nothing until it is told; then everything. */
const gated = (node: TestNode, mailbox: MailboxOptions, trapExit = false) => {
  const got: unknown[] = []
  let open = (): void => {}
  const opened = new Promise<void>((resolve) => {
    open = resolve
  })
  let self: Self | undefined
  const pid = node.processes.spawn(
    async (own: Self) => {
      self = own
      own.trapExit = trapExit
      await opened
      for await (const message of own) got.push(message)
    },
    { mailbox },
  )
  return { pid, got, open: () => open(), self: () => self as Self }
}

const ofOverflow = (reports: readonly ProcessReport[]) =>
  reports
    .filter((report) => report.type === 'mailboxOverflow')
    .map(({ phase, policy, limit, dropped }) => ({ phase, policy, limit, dropped }))

const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i)

test('dropNewest keeps the first ones, dropOldest the last ones, in order', async (t) => {
  const node = loneNode(t)
  const first = gated(node, { limit: 10, onFull: 'dropNewest' })
  const last = gated(node, { limit: 10, onFull: 'dropOldest' })
  for (const n of numbers(0, 1000)) {
    node.processes.send(first.pid, n)
    node.processes.send(last.pid, n)
  }
  await turns()
  first.open()
  last.open()
  await turns()
  assert.equal(first.got, numbers(0, 10))
  assert.equal(last.got, numbers(990, 1000))
  node.processes.send(first.pid, 'room again')
  await turns()
  assert.is(first.got.at(-1), 'room again')
})

test('system messages are never dropped and keep their place', async (t) => {
  for (const onFull of ['dropNewest', 'dropOldest'] as const) {
    const node = loneNode(t)
    const box = gated(node, { limit: 4, onFull }, true)
    await turns()
    const others = await Promise.all([actor(node), actor(node), actor(node)])
    for (const { self } of others) box.self().monitor(self.pid)
    box.self().link(others[2]!.self.pid)
    node.processes.send(box.pid, 'a')
    node.processes.exit(others[0]!.self.pid, 'kill')
    for (const n of numbers(0, 20)) node.processes.send(box.pid, n)
    node.processes.exit(others[1]!.self.pid, 'kill')
    node.processes.exit(others[2]!.self.pid, 'kill')
    await turns()
    box.open()
    await turns()
    const types = box.got.map((message) => (typeof message === 'object' ? (message as { type: string }).type : message))
    const kept = onFull === 'dropNewest' ? ['a', 'DOWN', 0, 1] : ['DOWN', 17, 18, 19]
    assert.equal(types.slice(0, 4), kept, onFull)
    assert.equal(types.slice(4).sort(), ['DOWN', 'DOWN', 'EXIT'], onFull)
  }
})

test('where only system messages wait the newest message is dropped', async (t) => {
  const node = loneNode(t)
  const box = gated(node, { limit: 2, onFull: 'dropOldest' })
  await turns()
  for (let n = 0; n < 3; n++) box.self().monitor('nobody')
  node.processes.send(box.pid, 'lost')
  box.open()
  await turns()
  assert.equal(
    box.got.map((message) => (message as { type: string }).type),
    ['DOWN', 'DOWN', 'DOWN'],
  )
})

test('a dropped call fails at its caller, here and on another node, be it the newest or the oldest', async (t) => {
  const { a, b, flow } = (() => {
    const net = pair(t)
    return { a: net.a, b: net.b, flow: () => net.flow() }
  })()
  for (const onFull of ['dropNewest', 'dropOldest'] as const) {
    const box = gated(b, { limit: 2, onFull })
    const calls = [b.processes.call(box.pid, 1), a.processes.call(box.pid, 2)].map(codeOf)
    await flow()
    for (const n of [3, 4]) b.processes.send(box.pid, n)
    if (onFull === 'dropNewest') calls.push(codeOf(b.processes.call(box.pid, 5)), codeOf(a.processes.call(box.pid, 6)))
    await flow()
    const expected = onFull === 'dropNewest' ? calls.slice(2) : calls
    assert.equal(await Promise.all(expected), ['ERR_SKEIN_MAILBOX_FULL', 'ERR_SKEIN_MAILBOX_FULL'], onFull)
    box.open()
    await flow()
    const kept = onFull === 'dropNewest' ? [1, 2] : [3, 4]
    assert.equal(
      box.got.map((message) => (typeof message === 'object' ? (message as { request: number }).request : message)),
      kept,
    )
    b.processes.exit(box.pid, 'kill')
    await flow()
  }
})

test('exit ends the process with a code, and a call with it', async (t) => {
  const node = loneNode(t)
  const watcher = await actor(node)
  const box = gated(node, { limit: 3, onFull: 'exit' })
  watcher.self.monitor(box.pid)
  const call = codeOf(node.processes.call(box.pid, 'in time'))
  for (const n of [1, 2]) node.processes.send(box.pid, n)
  assert.ok(node.processes.isAlive(box.pid))
  node.processes.send(box.pid, 'too much')
  assert.not(node.processes.isAlive(box.pid))
  await turns()
  const { reason } = watcher.log[0] as { reason: unknown }
  assert.ok(isSkeinError(reason, 'ERR_SKEIN_MAILBOX_FULL'))
  assert.is(await call, 'ERR_SKEIN_CALL_EXIT')
  box.open()
})

test('block holds senders back, here by false and an error, from elsewhere by a Hold', async (t) => {
  const net = pair(t)
  const box = gated(net.b, { limit: 4, onFull: 'block' })
  const { processes } = net.b
  assert.equal(
    numbers(0, 6).map((n) => processes.send(box.pid, n)),
    [true, true, true, true, false, false],
  )
  net.a.processes.send(box.pid, 'from afar')
  net.flowToB()
  assert.is(net.holds.length, 1)
  let isDrained = false
  void processes.drained(box.pid).then(() => {
    isDrained = true
  })
  let sent = 7
  assert.is(
    thrown(() => {
      for (; ; sent++) processes.send(box.pid, sent)
    }),
    'ERR_SKEIN_QUEUE_FULL',
  )
  assert.is(sent, 64, '16 times the limit')
  assert.is(await codeOf(processes.call(box.pid, 1)), 'ERR_SKEIN_QUEUE_FULL')
  await turns()
  assert.not(isDrained)
  box.open()
  await turns()
  assert.ok(isDrained)
  assert.equal(box.got, [...numbers(0, 6), 'from afar', ...numbers(7, 64)])
})

test('the options of a spawn go before the traits; nonsense is refused', async (t) => {
  const node = loneNode(t)
  const behaviour: Behaviour<unknown> = Object.assign(async (self: Self) => void (await self.receive(() => false)), {
    traits: { mailbox: { limit: 1, onFull: 'exit' } as const },
  })
  const one = node.processes.spawn(behaviour)
  const other = node.processes.spawn(behaviour, { mailbox: { limit: 1, onFull: 'dropNewest' } })
  for (let n = 0; n < 3; n++) for (const pid of [one, other]) node.processes.send(pid, n)
  assert.not(node.processes.isAlive(one))
  assert.ok(node.processes.isAlive(other))
  for (const mailbox of [
    { limit: 0, onFull: 'exit' },
    { limit: 1.5, onFull: 'exit' },
    { limit: 2 ** 21, onFull: 'exit' },
    { limit: 1, onFull: 'explode' },
    { onFull: 'exit' },
  ] as MailboxOptions[]) {
    assert.is(
      thrown(() => node.processes.spawn(behaviour, { mailbox })),
      'ERR_SKEIN_BAD_ARGUMENT',
    )
  }
})

test('an overflow is told when it begins and when it is over, with what was lost, however much that is', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const box = gated(node, { limit: 10, onFull: 'dropOldest' })
  await clock.run({ untilMs: 0 })
  for (let second = 0; second < 5; second++) {
    for (const n of numbers(0, 1000)) node.processes.send(box.pid, n)
    await clock.run({ untilMs: 1000 * (second + 1) })
  }
  const began = { phase: 'began', policy: 'dropOldest', limit: 10, dropped: 0 } as const
  assert.equal(ofOverflow(node.reports), [began])
  box.open()
  await clock.run({ untilMs: 10_000 })
  const ended = { phase: 'ended', policy: 'dropOldest', limit: 10, dropped: 4990 } as const
  assert.equal(ofOverflow(node.reports), [began, ended])
  assert.equal(
    node.reports.filter(({ type }) => type === 'deadLetter'),
    [{ type: 'deadLetter', to: box.pid, from: undefined, reason: 'ERR_SKEIN_MAILBOX_FULL', count: 4990 }],
  )
  assert.is(clock.pending, 0, 'nothing looks on any more')
})

test('the end of the process ends the overflow; holding senders back loses nothing', async (t) => {
  const clock = new VirtualClock()
  const node = loneNode(t, { clock })
  const box = gated(node, { limit: 2, onFull: 'block' })
  for (const n of numbers(0, 5)) node.processes.send(box.pid, n)
  await clock.run({ untilMs: 5000 })
  assert.equal(
    ofOverflow(node.reports).map(({ phase }) => phase),
    ['began'],
  )
  node.processes.exit(box.pid, 'kill')
  await clock.run({ untilMs: 10_000 })
  assert.equal(
    ofOverflow(node.reports).map(({ phase, dropped }) => [phase, dropped]),
    [
      ['began', 0],
      ['ended', 0],
    ],
  )
  assert.is(node.reports.filter(({ type }) => type === 'deadLetter').length, 0)
  box.open()
})

test('a sender that goes on until it hears false hears it from a mailbox that drops', async (t) => {
  const node = loneNode(t)
  for (const onFull of ['dropNewest', 'dropOldest'] as const) {
    const box = gated(node, { limit: 5, onFull })
    let sent = 0
    while (node.processes.send(box.pid, sent)) sent++
    await node.processes.drained(box.pid)
    assert.ok(sent < 100_000)
    node.processes.exit(box.pid, 'kill')
    box.open()
  }
})

test.run()
