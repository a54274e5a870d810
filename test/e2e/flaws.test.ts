/**
 * Flaws that systems of this kind have been known for, each shown not to be here. docs/guarantees.md lists them with
 * those that other tests cover.
 */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import * as assert from 'uvu/assert'
import type { From, Pid, Ref } from '../../src/index.ts'
import { Origin } from '../../src/pid.ts'
import type { Signal } from '../../src/signals.ts'
import { MessageCodec } from '../../src/wire/codec.ts'
import { Wire } from '../../src/wire/wire.ts'
import { NodeProcess, type Puppet } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { Rogue } from './support.ts'

const test = suite('flaws')

interface System {
  readonly type: string
  readonly ref: Ref
  readonly pid: Pid
  readonly reason: unknown
}

const startPair = async (t: TestContext): Promise<[NodeProcess, NodeProcess]> => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
  await Promise.all([a.up(b.name), b.up(a.name)])
  return [a, b]
}

const next = async (puppet: Puppet): Promise<System> => (await puppet.mailbox.next()).value as System

/** Sends as the rogue's own node would, whatever the signal claims. */
const forge = (rogue: Rogue, victim: NodeProcess, signals: readonly Signal[]): void => {
  const local = new Origin('rogue@nowhere', 'f'.repeat(32), 'f'.repeat(16))
  const { name, id, incarnation } = victim.facts
  const wire = new Wire(new MessageCodec({ local, maxMessageBytes: 1 << 20 }))
  const sender = rogue.lanes.sender()
  for (const signal of signals) {
    const { type, head, headLength, body } = wire.encode(signal, new Origin(name, id, incarnation))
    sender.send(type, head, headLength, body)
  }
}

test('processes with one number on two nodes are two: signals reach the one that was meant (G3, G20)', async (t) => {
  const [a, b] = await startPair(t)
  const here = await a.puppet('here')
  const there = await b.puppet('there')
  const third = await a.puppet('third')
  assert.is(here.pid.number, there.pid.number)
  assert.not.ok(here.pid.equals(there.pid))
  assert.is.not(here.pid.key, there.pid.key)
  assert.is.not(String(here.pid), String(there.pid))

  for (const [from, to, other] of [
    [here, there, here],
    [third, there, here],
    [there, here, there],
  ] as const) {
    await from.send(to.pid, `from ${from.name}`)
    assert.is((await to.mailbox.next()).value, `from ${from.name}`)
    assert.not(other.mailbox.all.some(({ value }) => value === `from ${from.name}`))
  }
  // Calls, monitors, links and exits too: only the one meant is concerned.
  const call = third.call(there.pid, 'question')
  const { from } = (await there.mailbox.next()).value as { from: From }
  await there.reply(from, 'answer of there')
  assert.is(await call, 'answer of there')
  await third.monitor(there.pid)
  await third.monitor(here.pid)
  await third.trapExit(true)
  await third.link(there.pid)
  await third.exit(there.pid, 'meant for there')
  for (const down of [await next(third), await next(third)]) {
    assert.is(down.reason, 'meant for there')
    assert.ok(down.pid.equals(there.pid))
  }
  await third.send(here.pid, 'alive')
  assert.is((await here.mailbox.next()).value, 'alive')
  await third.monitor(there.pid)
  assert.is((await next(third)).reason, 'noproc', 'the namesake is not taken for it')
})

test('four bytes of ff from a stranger: no answer, and the node works on', async (t) => {
  const [a, b] = await startPair(t)
  const stranger = createSocket('udp4')
  stranger.bind(0, '127.0.0.1')
  await once(stranger, 'listening')
  t.defer(() => new Promise<void>((resolve) => stranger.close(() => resolve())))
  let answers = 0
  stranger.on('message', () => answers++)
  const before = (await a.do('counters')).received ?? 0
  const send = (): Promise<void> =>
    new Promise((resolve) =>
      stranger.send(Uint8Array.of(0xff, 0xff, 0xff, 0xff), a.facts.port, '127.0.0.1', () => resolve()),
    )
  for (let i = 0; i < 100; i++) await send()
  while (((await a.do('counters')).received ?? 0) < before + 100) await sleep(5)
  assert.type(await b.do('ping', a.name), 'number')
  assert.is(answers, 0)
  assert.equal(await a.nodes(), [b.name])
})

test('nodes() shrinks when a node has gone, and grows when it is back', async (t) => {
  const [a, b] = await startPair(t)
  assert.equal(await a.nodes(), [b.name])
  await b.do('stop')
  await a.down(b.name)
  assert.equal(await a.nodes(), [])
  assert.equal(await a.do('connectedNodes'), [])
  await b.start({ name: 'b', seeds: [a.address] })
  await a.up(b.name)
  assert.equal(await a.nodes(), [b.name])
})

test(
  'a node that crashed and lost its key comes back under its name as soon as its death is known',
  async (t) => {
    const [a, b] = await startPair(t)
    const old = await b.puppet('desk')
    const watcher = await a.puppet('watcher')
    await watcher.send(old.pid, 'hello')
    await old.mailbox.next()
    const killedMs = await b.kill()
    const second = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
    await a.down(b.name)
    const { atMs } = await a.up(second.name)
    console.log(`back ${Math.round(atMs - killedMs)} ms after the crash`)
    assert.is.not(second.facts.id, b.facts.id)
    const fresh = await second.puppet('desk')
    assert.is(fresh.pid.number, old.pid.number)
    await watcher.send(old.pid, 'for the dead')
    await watcher.monitor(old.pid)
    assert.ok(['noproc', 'noconnection'].includes(String((await next(watcher)).reason)))
    await watcher.send(fresh.pid, 'for the living')
    assert.is((await fresh.mailbox.next()).value, 'for the living')
    assert.is(fresh.mailbox.all.length, 1)
  },
  { deadlineMs: 40_000 },
)

test('a member that speaks for the processes of others is not believed (G3, G29)', async (t) => {
  const [a, b] = await startPair(t)
  const watcher = await a.puppet('watcher')
  const victim = await b.puppet('victim')
  await watcher.trapExit(true)
  const ref = await watcher.monitor(victim.pid)
  await watcher.link(victim.pid)
  const call = watcher.call(victim.pid, 'question')
  const { from } = (await victim.mailbox.next()).value as { from: From }

  const rogue = await Rogue.dial(t, a)
  await rogue.up
  const [mine, theirs] = [watcher.pid.number, victim.pid.number]
  forge(rogue, a, [
    { type: 'down', from: theirs, ref: ref.number, reason: 'forged' },
    { type: 'linkExit', from: theirs, to: mine, reason: 'forged' },
    { type: 'callFailed', from: theirs, call: from.call.number, reason: 'forged' },
    { type: 'unlink', from: theirs, to: mine, id: 1 },
    { type: 'unlinkAck', from: theirs, to: mine, id: 1 },
    { type: 'demonitor', from: theirs, to: mine, ref: ref.number },
    { type: 'callEnded', from: theirs, call: from.call.number },
    { type: 'exit', from: theirs, to: mine, reason: 'of my own' },
  ])
  // Anybody may send exit/2, but under no name other than its own.
  const exit = await next(watcher)
  assert.equal([exit.type, exit.reason, exit.pid.node], ['EXIT', 'of my own', 'rogue@nowhere'])
  assert.not.ok(exit.pid.equals(victim.pid))
  assert.is(watcher.mailbox.all.length, 1, 'nothing that was forged')

  // All of it still holds.
  await victim.reply(from, 'answer')
  assert.is(await call, 'answer')
  await b.do('exit', victim.pid, 'the true end')
  const ends = [await next(watcher), await next(watcher)]
  assert.equal(ends.map(({ type }) => type).sort(), ['DOWN', 'EXIT'])
  for (const { reason, pid } of ends) {
    assert.is(reason, 'the true end')
    assert.ok(pid.equals(victim.pid))
  }
})

test.run()
