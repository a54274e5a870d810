/** A peer that dies, leaves or comes back, between processes on real QUIC: who is told, what, when, and how often. */
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import type { NodeEvent, Pid, Ref } from '../../src/index.ts'
import { machineNowMs, NodeProcess, type Puppet, type Report, type Reports } from '../support/node-process.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { failure, temporaryFolder } from './support.ts'

const test = suite('loss')

interface System {
  readonly type: string
  readonly ref?: Ref
  readonly pid?: Pid
  readonly node?: string
  readonly reason?: unknown
}

const isOf =
  (type: string) =>
  (message: unknown): boolean =>
    typeof message === 'object' && message !== null && 'type' in message && message.type === type

const countOf = (reports: Reports<unknown>, type: string): number =>
  reports.all.filter(({ value }) => isOf(type)(value)).length

interface Watched {
  readonly a: NodeProcess
  readonly b: NodeProcess
  readonly c: NodeProcess
  readonly victim: Puppet
  /** At a: each has something going with the victim at b. */
  readonly byPid: Puppet
  readonly byName: Puppet
  readonly linked: Puppet
  readonly nodeWatcher: Puppet
  /** How the call that the victim does not answer ends. */
  readonly call: Promise<unknown>
}

/** Three nodes; processes at a monitor, link and call one at b. */
const watched = async (t: TestContext): Promise<Watched> => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const [b, c] = await Promise.all([
    NodeProcess.start(t, { name: 'b', seeds: [a.address] }),
    NodeProcess.start(t, { name: 'c', seeds: [a.address] }),
  ])
  await Promise.all([a.up(b.name), a.up(c.name), b.up(c.name), c.up(b.name)])
  const victim = await b.puppet('victim')
  const byPid = await a.puppet('byPid')
  const byName = await a.puppet('byName')
  const linked = await a.puppet('linked')
  const nodeWatcher = await a.puppet('nodeWatcher')
  await byPid.monitor(victim.pid)
  await byName.monitor({ name: 'victim', node: b.name })
  await linked.trapExit(true)
  await linked.link(victim.pid)
  await nodeWatcher.monitorNodes(true)
  const call = failure(a.do('call', victim.pid, 'a question', { timeoutMs: 60_000 }))
  await victim.mailbox.next(isOf('call'))
  for (const puppet of [byPid, byName, linked]) await puppet.caughtUp(victim)
  return { a, b, c, victim, byPid, byName, linked, nodeWatcher, call }
}

/** Awaits all reports of the loss of b. Gives the time of the last. */
const reports = async (all: Watched, nodedownReason: readonly string[]): Promise<{ lastMs: number; each: string }> => {
  const { a, b, c, victim, byPid, byName, linked, nodeWatcher } = all
  const [pidDown, nameDown, exit, nodedown, event, elsewhere] = (await Promise.all([
    byPid.mailbox.next(isOf('DOWN')),
    byName.mailbox.next(isOf('DOWN')),
    linked.mailbox.next(isOf('EXIT')),
    nodeWatcher.mailbox.next(isOf('nodedown')),
    a.down(b.name),
    c.down(b.name),
  ])) as [Report<System>, Report<System>, Report<System>, Report<System>, Report<NodeEvent>, Report<NodeEvent>]
  assert.is(pidDown.value.reason, 'noconnection')
  assert.ok(victim.pid.equals(pidDown.value.pid))
  assert.is(nameDown.value.reason, 'noconnection')
  assert.equal({ ...nameDown.value.pid }, { name: 'victim', node: b.name })
  assert.is(exit.value.reason, 'noconnection')
  assert.ok(victim.pid.equals(exit.value.pid))
  assert.is(nodedown.value.node, b.name)
  for (const { value } of [event, elsewhere]) {
    assert.ok(value.type === 'nodedown' && nodedownReason.includes(value.reason), JSON.stringify(value))
  }
  const times = { pidDown, nameDown, exit, nodedown, event, elsewhere }
  return {
    lastMs: Math.max(...Object.values(times).map(({ atMs }) => atMs)),
    each: Object.keys(times).join(', '),
  }
}

/** A word of the third node to each watcher, behind which nothing more may come; then the counts. */
const exactlyOnce = async ({ a, c, victim, byPid, byName, linked, nodeWatcher }: Watched): Promise<void> => {
  const messenger = await c.puppet('messenger')
  for (const puppet of [byPid, byName, linked, nodeWatcher]) {
    await messenger.send(puppet.pid, 'marker')
    await puppet.mailbox.next((message) => message === 'marker')
  }
  assert.is(countOf(byPid.mailbox, 'DOWN'), 1)
  assert.is(byPid.mailbox.all.length, 2)
  assert.is(byName.mailbox.all.length, 2)
  assert.is(linked.mailbox.all.length, 2)
  assert.is(nodeWatcher.mailbox.all.length, 2)
  for (const node of [a, c]) {
    const downs = node.events.all.filter(({ value }) => value.type === 'nodedown')
    assert.is(downs.length, 1, 'one nodedown event, of b')
  }
  assert.equal([await a.nodes(), await c.nodes()], [[c.name], [a.name]])
  // What is asked about the dead one from now on is answered at once, and once.
  await byPid.monitor(victim.pid)
  const late = (await byPid.mailbox.next(isOf('DOWN'))).value as System
  assert.is(late.reason, 'noconnection')
}

test(
  'kill -9 of a peer: DOWN, EXIT, nodedown with noconnection, each exactly once, within 5 s by default',
  async (t) => {
    const all = await watched(t)
    const killedMs = await all.b.kill()
    const { lastMs, each } = await reports(all, ['net_tick_timeout', 'connection_closed'])
    console.log(`kill -9: the last report of ${each} came after ${Math.round(lastMs - killedMs)} ms`)
    assert.ok(lastMs - killedMs <= 5000, `${lastMs - killedMs} ms`)
    assert.is(((await all.call) as { code: string }).code, 'ERR_SKEIN_NOCONNECTION')
    await exactlyOnce(all)
  },
  { deadlineMs: 40_000 },
)

test(
  'graceful stop of a peer: the same within 200 ms',
  async (t) => {
    const all = await watched(t)
    const stopMs = await all.b.do('stop')
    const { lastMs, each } = await reports(all, ['shutdown'])
    console.log(`stop: the last report of ${each} came after ${(lastMs - stopMs.calledAtMs).toFixed(1)} ms`)
    assert.ok(lastMs - stopMs.calledAtMs <= 200, `${lastMs - stopMs.calledAtMs} ms`)
    assert.is(((await all.call) as { code: string }).code, 'ERR_SKEIN_NOCONNECTION')
    await exactlyOnce(all)
  },
  { deadlineMs: 30_000 },
)

for (const stopping of ['sender', 'receiver'] as const) {
  test(
    `graceful stop of the ${stopping} in the midst of a bulk transfer: seen within 200 ms`,
    async (t) => {
      const a = await NodeProcess.start(t, { name: 'a' })
      const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
      await a.up(b.name)
      const sink = await b.do('load', 'sink', 'sink', [])
      await b.do('release', 'sink')
      for (const name of ['bulk', 'more', 'most']) await a.do('load', name, 'bulk', [sink])
      while (((await b.do('progress', 'sink')).received ?? 0) < 500);
      const [leaving, staying] = stopping === 'sender' ? [a, b] : [b, a]
      const startMs = machineNowMs()
      const { calledAtMs } = await leaving.do('stop')
      const tookMs = machineNowMs() - startMs
      const { value, atMs } = await staying.down(leaving.name)
      console.log(`${stopping}: seen after ${(atMs - calledAtMs).toFixed(1)} ms, stop took ${tookMs.toFixed(1)} ms`)
      assert.ok(value.type === 'nodedown' && value.reason === 'shutdown', JSON.stringify(value))
      assert.ok(atMs - calledAtMs <= 200, `${atMs - calledAtMs} ms`)
      assert.is((await leaving.leave()).code, 0)
    },
    { deadlineMs: 20_000 },
  )
}

test(
  'a restart under the same name with the saved identity: a new incarnation rejoins at once, old pids mean nothing',
  async (t) => {
    const identity = join(await temporaryFolder(t), 'identity.pem')
    const a = await NodeProcess.start(t, { name: 'a' })
    const first = await NodeProcess.start(t, { name: 'b', identity, seeds: [a.address] })
    await a.up(first.name)
    const old = await first.puppet('desk')
    const watcher = await a.puppet('watcher')
    await watcher.monitor(old.pid)
    await watcher.send(old.pid, 'hello')
    await old.mailbox.next((message) => message === 'hello')
    await first.kill()
    // The dead one has not been found out yet: its successor replaces it all the same.
    const second = await NodeProcess.start(t, { name: 'b', identity, seeds: [a.address] })
    assert.is(second.facts.id, first.facts.id, 'the same key')
    assert.is.not(second.facts.incarnation, first.facts.incarnation)
    await a.down(first.name)
    await a.up(second.name)
    const down = (await watcher.mailbox.next(isOf('DOWN'))).value as System
    assert.is(down.reason, 'noconnection')

    // A process of the same number and name as the old one.
    const fresh = await second.puppet('desk')
    assert.is(fresh.pid.number, old.pid.number)
    await watcher.send(old.pid, 'for the dead')
    await watcher.send(fresh.pid, 'for the living')
    await watcher.send({ name: 'desk', node: second.name }, 'by name')
    assert.is((await fresh.mailbox.next()).value, 'for the living')
    assert.is((await fresh.mailbox.next()).value, 'by name')
    await watcher.monitor(old.pid)
    assert.is(((await watcher.mailbox.next(isOf('DOWN'))).value as System).reason, 'noproc')
    assert.is((await failure(watcher.call(old.pid, 'anyone?'))).code, 'ERR_SKEIN_NOPROC')
    assert.is(fresh.mailbox.all.length, 2)
  },
  { deadlineMs: 30_000 },
)

test(
  'after the peer is back, a name is enough to connect again',
  async (t) => {
    const identity = join(await temporaryFolder(t), 'identity.pem')
    const a = await NodeProcess.start(t, { name: 'a', mesh: 'none' })
    const b = await NodeProcess.start(t, { name: 'b', mesh: 'none', identity })
    await a.do('connect', b.address)
    const { port } = b.facts
    await b.do('stop')
    await a.down(b.name)
    await b.start({ name: 'b', mesh: 'none', identity, port })
    assert.equal(await a.nodes(), [])
    const desk = await b.puppet('desk')
    const sender = await a.puppet('sender')
    await sender.send({ name: 'desk', node: b.name }, 'are you there?')
    assert.is((await desk.mailbox.next()).value, 'are you there?')
    await a.up(b.name)
    await a.do('disconnect', b.name)
    await Promise.all([a.down(b.name), b.down(a.name)])
    assert.is(await a.do('connect', b.name), b.name)
  },
  { deadlineMs: 20_000 },
)

test('after stop the process exits by itself with code 0, whatever was under way', async (t) => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
  await a.up(b.name)
  const silent = await b.puppet('silent')
  await a.do('litter', silent.pid)
  await a.do('litter', { name: 'nobody', node: 'unknown@nowhere' })
  await a.do('load', 'caller', 'caller', [silent.pid])
  await silent.mailbox.next(isOf('call'))
  // In the midst of a dial to where nobody is.
  const dial = failure(a.do('connect', '127.0.0.1:9'))
  const calledMs = performance.now()
  const stops = await Promise.all([a.do('stop'), a.do('stop')])
  const stopTookMs = performance.now() - calledMs
  assert.is(stops.length, 2)
  assert.is(await a.do('isAlive'), false)
  await a.do('stop')
  assert.is((await dial).code, 'ERR_SKEIN_STOPPED')
  assert.is((await failure(a.do('connect', b.address))).code, 'ERR_SKEIN_STOPPED')
  const letGoMs = performance.now()
  assert.equal(await a.leave(), { code: 0, signal: null, stderr: '' })
  console.log(
    `stop took ${Math.round(stopTookMs)} ms, the exit ${Math.round(performance.now() - letGoMs)} ms after being let go`,
  )
})

test('await using stops the node', async (t) => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const b = await NodeProcess.start(t, { name: 'b', seeds: [a.address] })
  await a.up(b.name)
  await b.do('dispose')
  const { value } = await a.down(b.name)
  assert.ok(value.type === 'nodedown' && value.reason === 'shutdown')
  assert.is(await b.do('isAlive'), false)
  assert.equal(await b.leave(), { code: 0, signal: null, stderr: '' })
})

test.run()
