/** A node as its users see it: processes across nodes, the system process, events, stop. On the memory network. */
import * as assert from 'uvu/assert'
import { MAX_WAITING_SIGNALS } from '../../src/cluster/peer.ts'
import type { SkeinNode } from '../../src/node.ts'
import type { Pid } from '../../src/pid.ts'
import type { Self } from '../../src/process/self.ts'
import { simulatedHost } from '../../src/testing/index.ts'
import { suite } from '../support/suite.ts'
import {
  emptyCluster,
  ending,
  failureOf,
  meshed,
  ofType,
  pass,
  settled,
  startCluster,
  until,
  watch,
} from './node-support.ts'

const test = suite('node')

/** A process that puts all it receives into a list. */
const collector = (node: SkeinNode, into: unknown[], prepare: (self: Self<unknown>) => void = () => {}): Pid<unknown> =>
  node.spawn(async (self: Self<unknown>) => {
    prepare(self)
    for await (const message of self) into.push(message)
  })

const isCall = (message: unknown): message is { from: never; request: number } =>
  typeof message === 'object' && message !== null && 'type' in message && message.type === 'call'

const doubler = (node: SkeinNode): Pid<unknown> =>
  node.spawn(async (self: Self<unknown>) => {
    for await (const message of self) if (isCall(message)) self.reply(message.from, message.request * 2)
  })

test('messages reach a pid and a registered name on another node, in order', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const got: unknown[] = []
  const pid = collector(b, got)
  b.register('collector', pid)
  for (let i = 0; i < 100; i++) a.send(i % 2 === 0 ? pid : { name: 'collector', node: b.name }, i)
  await until(cluster, 'all arrived', () => got.length === 100)
  assert.equal(
    got,
    Array.from({ length: 100 }, (_, i) => i),
  )
})

test('call, from outside and with a timeout', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  assert.is(await settled(cluster, a.call(doubler(b), 21)), 42)
  const silent = b.spawn(async (self) => {
    for await (const _ of self);
  })
  assert.is((await failureOf(cluster, a.call(silent, 1, { timeoutMs: 100 }))).code, 'ERR_SKEIN_CALL_TIMEOUT')
  assert.is((await failureOf(cluster, a.call({ name: 'nobody', node: b.name }, 1))).code, 'ERR_SKEIN_NOPROC')
})

test('sending to a node that is not connected dials it, and nothing sent meanwhile is lost or overtaken', async (t) => {
  const cluster = emptyCluster(t, { mesh: 'none' })
  for (let i = 0; i < 3; i++) await cluster.start(i)
  const [hub, a, b] = cluster.nodes as [SkeinNode, SkeinNode, SkeinNode]
  await settled(cluster, a.connect(`${simulatedHost(0)}:4433`))
  await settled(cluster, b.connect(`${simulatedHost(0)}:4433`))
  await until(cluster, 'both at the hub', () => hub.nodes().length === 2)
  const got: unknown[] = []
  b.register('collector', collector(b, got))
  const message = { number: 0 }
  for (let i = 0; i < 50; i++) {
    message.number = i
    a.send({ name: 'collector', node: b.name }, message)
  }
  assert.equal(a.nodes(), [hub.name])
  await until(cluster, 'all arrived', () => got.length === 50)
  assert.equal(
    got,
    Array.from({ length: 50 }, (_, number) => ({ number })),
    'as they were when sent',
  )
})

test('a pid of a third node that came in a message is reached by dialling', async (t) => {
  const cluster = emptyCluster(t, { mesh: 'none' })
  for (let i = 0; i < 3; i++) await cluster.start(i)
  const [hub, a, b] = cluster.nodes as [SkeinNode, SkeinNode, SkeinNode]
  await settled(cluster, a.connect(`${simulatedHost(0)}:4433`))
  await settled(cluster, b.connect(`${simulatedHost(0)}:4433`))
  const at: { pid?: Pid<unknown> } = {}
  hub.register(
    'desk',
    hub.spawn(async (self: Self<{ pid: Pid<unknown> }>) => {
      at.pid = (await self.receive()).pid
    }) as Pid<unknown>,
  )
  const got: unknown[] = []
  b.send({ name: 'desk', node: hub.name }, { pid: collector(b, got) })
  await until(cluster, 'the hub has the pid', () => at.pid !== undefined)
  const pids: Pid<unknown>[] = []
  const asker = a.spawn(async (self: Self<unknown>) => {
    pids.push((await self.receive()) as Pid<unknown>)
  })
  hub.send(asker as Pid<unknown>, at.pid)
  await until(cluster, 'a has the pid', () => pids.length === 1)
  a.send(pids[0]!, 'hello')
  await until(cluster, 'it arrived', () => got.length === 1)
  assert.ok(a.nodes().includes(b.name))
})

test('what waits for a dial is bounded, and a dial in vain fires monitors and calls with noconnection', async (t) => {
  const cluster = await startCluster(t, 1)
  const node = cluster.nodes[0]!
  const got: unknown[] = []
  collector(node, got, (self) => self.monitor({ name: 'x', node: 'gone@nowhere' }))
  await pass(cluster, 1)
  const call = ending(node.call({ name: 'x', node: 'gone@nowhere' }, 1))
  let refused = 0
  let below = 0
  for (let i = 0; i < MAX_WAITING_SIGNALS + 10; i++) {
    try {
      if (!node.send({ name: 'x', node: 'gone@nowhere' }, i)) below++
    } catch {
      refused++
    }
  }
  assert.ok(refused >= 10 && refused <= 12, `${refused} refused`)
  assert.ok(below > 0, 'and send said so before')
  await until(cluster, 'DOWN and the end of the call', () => got.length === 1 && call.code !== undefined)
  assert.is(call.code, 'ERR_SKEIN_NOCONNECTION')
  assert.is((got[0] as { reason: string }).reason, 'noconnection')
})

test('an unserialisable message is refused where it is sent, connected or not', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  for (const node of [b.name, 'gone@nowhere']) {
    assert.throws(
      () => a.send({ name: 'x', node }, () => {}),
      (error: { code: string }) => error.code === 'ERR_SKEIN_UNSERIALISABLE',
    )
  }
  assert.equal(a.nodes(), [b.name])
})

test('kill -9: monitors, links and calls fire once, within 5 s; a graceful stop within 200 ms', async (t) => {
  for (const kind of ['crash', 'stop'] as const) {
    const cluster = await startCluster(t, 2)
    await meshed(cluster)
    const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
    const far = b.spawn(async (self) => {
      for await (const _ of self);
    })
    const got: unknown[] = []
    collector(a, got, (self) => {
      self.trapExit = true
      self.monitorNodes(true)
      self.monitor(far)
      self.link(far as Pid<never>)
    })
    const call = ending(a.call(far, 1, { timeoutMs: 60_000 }))
    await pass(cluster, 100)
    const fromMs = cluster.clock.now()
    if (kind === 'crash') cluster.network.crash(simulatedHost(1))
    else void b.stop()
    await until(cluster, 'all three', () => got.length === 3 && call.code !== undefined)
    assert.is(call.code, 'ERR_SKEIN_NOCONNECTION')
    assert.ok(
      cluster.clock.now() - fromMs < (kind === 'crash' ? 5000 : 200),
      `${kind}: ${cluster.clock.now() - fromMs} ms`,
    )
    await pass(cluster, 5000)
    const what = got
      .map((message) => message as { type: string; reason: unknown })
      .map(({ type, reason }) => `${type} ${reason}`)
    assert.equal(what.sort(), [
      'DOWN noconnection',
      'EXIT noconnection',
      `nodedown ${kind === 'crash' ? 'net_tick_timeout' : 'shutdown'}`,
    ])
    if (kind === 'crash') cluster.nodes.pop()
  }
})

test('what was sent just before a graceful stop arrives', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const got: unknown[] = []
  const pid = collector(b, got)
  for (let i = 0; i < 20; i++) a.send(pid, i)
  await settled(cluster, a.stop())
  await pass(cluster, 100)
  assert.is(got.length, 20)
})

test('a pid of an earlier incarnation never reaches the present one', async (t) => {
  const cluster = emptyCluster(t)
  const identity = await cluster.identity()
  await cluster.start(0)
  const before = await cluster.start(1, { identity })
  await meshed(cluster)
  const stale = collector(before, [])
  cluster.network.crash(simulatedHost(1))
  await pass(cluster, 10)
  const after = await cluster.start(1, { identity })
  const got: unknown[] = []
  const fresh = collector(after, got)
  assert.is(fresh.number, stale.number, 'the numbers are the same, the incarnation is not')
  await until(cluster, 'it is back', () => cluster.nodes[0]!.connectedNodes()[0]?.incarnation === after.incarnation)
  cluster.nodes[0]!.send(stale, 'for the dead')
  cluster.nodes[0]!.send(fresh, 'for the living')
  await until(cluster, 'the second', () => got.length > 0)
  await pass(cluster, 1000)
  assert.equal(got, ['for the living'])
})

test('a process of an earlier incarnation is not alive, also when that is found out by dialling', async (t) => {
  const cluster = emptyCluster(t)
  const identities = await Promise.all([cluster.identity(), cluster.identity()])
  const a = await cluster.start(0, { identity: identities[0]! })
  const before = await cluster.start(1, { identity: identities[1]! })
  await meshed(cluster)
  const pid = collector(before, [])
  assert.is(await settled(cluster, a.isProcessAlive(pid)), true)
  await settled(cluster, before.stop())
  await until(cluster, 'a alone', () => a.nodes().length === 0)
  const after = await cluster.start(1, { identity: identities[1]! })
  const dialling = a.isProcessAlive(pid)
  assert.is(await settled(cluster, dialling), false)
  await until(cluster, 'both again', () => a.nodes().length === 1)
  assert.is(await settled(cluster, a.isProcessAlive(pid)), false)
  assert.is(await settled(cluster, a.processInfo(pid)), undefined)
  assert.ok(after.isAlive)
})

test('spawn by name on another node, dialling it if need be', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  b.behaviour('double', async (self: Self<unknown>, factor: number) => {
    self.label = `times ${factor}`
    for await (const message of self) if (isCall(message)) self.reply(message.from, message.request * factor)
  })
  assert.equal(b.behaviours(), ['double'])
  await settled(cluster, a.disconnect(b.name))
  const pid = await settled(cluster, a.spawnOn(b.name, 'double', [3], { name: 'triple' }))
  assert.is(await settled(cluster, a.call(pid, 7)), 21)
  const info = await settled(cluster, a.processInfo(pid))
  assert.equal([info?.label, info?.names, info?.state], ['times 3', ['triple'], 'waiting'])
  const unknown = await failureOf(cluster, a.spawnOn(b.name, 'triple'))
  assert.is(unknown.code, 'ERR_SKEIN_UNKNOWN_BEHAVIOUR')
  assert.is((await failureOf(cluster, a.spawnOn('nowhere@else', 'double'))).code, 'ERR_SKEIN_NOCONNECTION')
})

test('stop gives processes that trap exits their time; connections have gone before', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const log: string[] = []
  const stubborn = (timeoutMs: number) => async (self: Self<unknown>) => {
    self.trapExit = true
    const { reason } = (await self.receive()) as { reason: string }
    log.push(`${reason}, ${a.nodes().length} nodes`)
    await self.receive(() => false, { timeoutMs }).catch(() => {})
    log.push(`over after ${timeoutMs}`)
  }
  a.spawn(stubborn(10_000))
  a.spawn(stubborn(60_000))
  const startedMs = cluster.clock.now()
  await settled(cluster, a.stop({ timeoutMs: 20_000 }))
  const lastedMs = cluster.clock.now() - startedMs
  assert.equal(log.slice(0, 3), ['shutdown, 0 nodes', 'shutdown, 0 nodes', 'over after 10000'])
  assert.ok(lastedMs >= 20_000 && lastedMs < 21_000, `${lastedMs}`)
  await settled(cluster, b.stop({ timeoutMs: Number.NaN }))
})

test('ping measures the round trip, connecting if need be', async (t) => {
  const cluster = emptyCluster(t, { network: { defaults: { delayMs: 10 } } })
  const a = await cluster.start(0)
  const b = await cluster.start(1)
  await meshed(cluster)
  const rttMs = await settled(cluster, a.ping(b.name))
  assert.ok(rttMs >= 20 && rttMs < 25, String(rttMs))
  await settled(cluster, a.disconnect(b.name))
  assert.ok((await settled(cluster, a.ping(b.name))) >= 20)
  assert.is(await settled(cluster, a.ping(a.name)), 0)
  assert.is((await failureOf(cluster, a.ping('nobody@nowhere'))).code, 'ERR_SKEIN_NODE_UNKNOWN')
  cluster.network.pause(simulatedHost(1))
  assert.is((await failureOf(cluster, a.ping(b.name, { timeoutMs: 500 }))).code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  cluster.network.resume(simulatedHost(1))
})

test('the process "skein" of every node answers tools', async (t) => {
  const cluster = await startCluster(t, 3)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const ask = (request: unknown): Promise<unknown> => settled(cluster, a.call({ name: 'skein', node: b.name }, request))
  assert.equal(await ask({ type: 'ping' }), { type: 'pong', node: b.name })
  const { nodes } = (await ask({ type: 'nodes' })) as { nodes: { name: string }[] }
  assert.equal(nodes.map(({ name }) => name).sort(), [a.name, cluster.nodes[2]!.name].sort())
  const { info } = (await ask({ type: 'info' })) as { info: { name: string; id: string; registered: string[] } }
  assert.is(info.id, b.id)
  assert.ok(info.registered.includes('skein'))
  for (const nonsense of [undefined, null, 7, 'nodes', {}, { type: {} }, { type: 'format' }]) {
    assert.is(((await ask(nonsense)) as { type: string }).type, 'unknown')
  }
})

test('events tell of crashed processes and dead letters', async (t) => {
  const cluster = await startCluster(t, 1)
  const node = cluster.nodes[0]!
  const seen = watch(node)
  const pid = node.spawn(() => {
    throw new Error('on purpose')
  })
  node.send('nobody', 'lost')
  await until(cluster, 'both', () => ofType(seen, 'processCrashed').length + ofType(seen, 'deadLetter').length === 2)
  assert.ok(ofType(seen, 'processCrashed')[0]?.pid.equals(pid))
  assert.equal(ofType(seen, 'deadLetter')[0]?.to, { name: 'nobody', node: node.name })
})

test('events tell what discovery sees', async (t) => {
  const cluster = emptyCluster(t)
  await cluster.start(0)
  const b = await cluster.start(1)
  const seen = watch(b)
  await meshed(cluster)
  await pass(cluster, 10)
  assert.ok(ofType(seen, 'discovered').some(({ sources }) => sources.some((source) => source === 'seeds')))
  assert.equal(
    b.discovery.status().map(({ source }) => source),
    ['seeds', 'peers'],
  )
})

test('after stop nothing works and nothing hangs', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const seen = watch(a)
  assert.is(a.isAlive, true)
  const stopping = a[Symbol.asyncDispose]()
  assert.is(a.isAlive, false)
  assert.is((await failureOf(cluster, a.connect(b.name))).code, 'ERR_SKEIN_STOPPED')
  await settled(cluster, stopping)
  assert.throws(
    () => a.spawn(() => {}),
    (error: { code: string }) => error.code === 'ERR_SKEIN_STOPPED',
  )
  a.send({ name: 'x', node: b.name }, 1)
  assert.equal(a.nodes(), [])
  assert.is(ofType(seen, 'nodedown')[0]?.reason, 'shutdown')
})

test('stop during the handshake and with dials under way is bounded', async (t) => {
  const cluster = await startCluster(t, 5)
  cluster.nodes[1]!.send({ name: 'x', node: 'gone@nowhere' }, 1)
  await pass(cluster, 3)
  const fromMs = cluster.clock.now()
  await settled(cluster, Promise.all(cluster.nodes.map((node) => node.stop())))
  assert.ok(cluster.clock.now() - fromMs < 3500, String(cluster.clock.now() - fromMs))
})

test(
  '40 nodes: a full mesh, and a message on every pair',
  async (t) => {
    const cluster = await startCluster(t, 40)
    await meshed(cluster)
    const got = cluster.nodes.map((node) => {
      const messages: unknown[] = []
      node.register('collector', collector(node, messages))
      return messages
    })
    for (const from of cluster.nodes) {
      for (const to of from.nodes()) from.send({ name: 'collector', node: to }, from.name)
    }
    await until(cluster, 'all arrived', () => got.every((messages) => messages.length === 39))
    for (const messages of got) assert.is(new Set(messages).size, 39)
  },
  { deadlineMs: 60_000 },
)

test.run()
