/** Snapshots of a cluster: what each node tells, and what one that hangs, is gone or lies costs the others. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { genServer } from '../../../src/behaviours/gen-server.ts'
import { supervisor } from '../../../src/behaviours/supervisor/supervisor.ts'
import type { SkeinNode } from '../../../src/node.ts'
import { checkSnapshot } from '../../../src/observe/check-snapshot.ts'
import { plain } from '../../../src/observe/plain.ts'
import type { NodeSnapshot } from '../../../src/observe/snapshot.ts'
import { Origin, Pid } from '../../../src/pid.ts'
import type { Self } from '../../../src/process/self.ts'
import { SYSTEM_PROCESS } from '../../../src/system-process.ts'
import { simulate } from '../../../src/testing/index.ts'
import { suite } from '../../support/suite.ts'
import { ending, meshed, pass, settled, startCluster, until } from '../node-support.ts'

const test = suite('observer')

const deaf = (self: Self): Promise<void> =>
  new Promise((resolve) => self.signal.addEventListener('abort', () => resolve()))

const idle = genServer({ init: () => ({ state: undefined }), label: 'idle child' })

const okOf = (one: { readonly status: string } | undefined): NodeSnapshot => {
  assert.is(one?.status, 'ok', JSON.stringify(one))
  return (one as unknown as { readonly snapshot: NodeSnapshot }).snapshot
}

test('a snapshot of all nodes, with what each has', async (t) => {
  const cluster = await startCluster(t, 3)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const busy = b.spawnWith({ name: 'busy' }, deaf)
  for (let i = 0; i < 7; i++) b.send(busy, i)
  const other = b.spawn(deaf)
  b.send(other, 'one')
  const tree = supervisor({
    label: 'top',
    children: [
      { id: 'worker', start: idle },
      {
        id: 'inner',
        type: 'supervisor',
        start: supervisor({ label: 'inner one', children: [{ id: 'deep', start: idle }] }),
      },
    ],
  })
  await settled(cluster, b.start(tree))
  b.observer.probes.add('shop', () => ({ open: true, orders: new Map([['x', 1n]]) }))
  const { at, nodes } = await settled(cluster, a.observer.snapshot())
  assert.ok(at >= 0)
  assert.equal(
    nodes.map(({ node }) => node),
    cluster.nodes.map(({ name }) => name),
  )
  const snapshot = okOf(nodes[1])
  assert.equal([snapshot.node, snapshot.id, snapshot.incarnation], [b.name, b.id, b.incarnation])
  assert.equal(
    snapshot.processes.byMessages.map(({ pid, names, messages }) => [String(pid), names, messages]),
    [
      [String(busy), ['busy'], 7],
      [String(other), [], 1],
    ],
  )
  assert.equal([snapshot.mailboxes.messages, snapshot.mailboxes.longest], [8, 7])
  assert.ok(snapshot.names.list.includes('busy') && snapshot.names.list.includes(SYSTEM_PROCESS))
  assert.is(snapshot.connections.count, 2)
  const connection = snapshot.connections.list.find(({ node }) => node === a.name)
  assert.ok(connection !== undefined && connection.sentBytes > 0 && connection.receivedBytes > 0)
  assert.is(connection?.protocolVersion, 2)
  const [top] = snapshot.supervisors.filter(({ label }) => label === 'top')
  assert.is(top?.status, 'answered')
  assert.equal(
    top?.children.map(({ id, status, type }) => [id, status, type]),
    [
      ['worker', 'running', 'worker'],
      ['inner', 'running', 'supervisor'],
    ],
  )
  assert.is(top?.children[0]?.tree, undefined)
  assert.is(top?.children[1]?.tree?.label, 'inner one')
  assert.equal(
    top?.children[1]?.tree?.children.map(({ id }) => id),
    ['deep'],
  )
  assert.is(snapshot.supervisors.filter(({ label }) => label === 'inner one').length, 0, 'it stands below the other')
  assert.equal(snapshot.probes.shop, { open: true, orders: { x: '1' } })
  assert.ok((snapshot.counters.spawned ?? 0) > 3 && (snapshot.counters.signalsReceived ?? 0) > 0)
  assert.equal(snapshot.memory, { residentBytes: 0, heapUsedBytes: 0 }, 'simulated nodes have no machine')
  // As others see it and as the node itself does: the same.
  const own = okOf((await settled(cluster, b.observer.snapshot({ nodes: [b.name] }))).nodes[0])
  assert.equal(own.processes.byMessages.map(String), snapshot.processes.byMessages.map(String))
})

test('services tell of themselves through probes', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const pid = b.spawn(deaf)
  b.groups.join('cashiers', pid)
  await settled(cluster, b.global.register('till', pid))
  b.registry('shelves', { keys: 'unique' })
  await until(cluster, 'the group', () => a.groups.members('cashiers').length === 1)
  const { probes } = okOf((await settled(cluster, a.observer.snapshot({ nodes: [b.name] }))).nodes[0])
  assert.equal(probes.global, { names: 1, ownNames: 1, list: ['till'] })
  assert.equal(probes.groups, { groups: 1, list: [{ group: 'cashiers', members: 1, localMembers: 1 }] })
  assert.match(JSON.stringify(probes.registries), 'shelves')
  assert.match(JSON.stringify(probes.drain), '"isDraining":false')
})

test('a paused node, a crashed one and one that is not there cost their own entries, within the deadline', () =>
  simulate({ nodes: ['a', 'b', 'c', 'd'], seed: 3 }, async (sim) => {
    await sim.meshed()
    const { a, b, c, d } = sim.hosts
    b.pause()
    c.crash()
    const [beganMs, names] = [sim.nowMs, [a.node.name, b.node.name, c.node.name, d.node.name]]
    const { nodes } = await a.node.observer.snapshot({ timeoutMs: 1500, nodes: [...names, 'nobody@nowhere'] })
    assert.ok(sim.nowMs - beganMs <= 1600, `${sim.nowMs - beganMs} ms`)
    assert.equal(
      nodes.map((one) => (one.status === 'ok' ? one.status : one.code)),
      ['ok', 'ERR_SKEIN_CALL_TIMEOUT', 'ERR_SKEIN_CALL_TIMEOUT', 'ok', 'ERR_SKEIN_CALL_TIMEOUT'],
    )
    b.resume()
  }))

test('a node that lies about others, or gives what is no snapshot, is a failed entry', async (t) => {
  const cluster = await startCluster(t, 3)
  await meshed(cluster)
  const [a, b, c] = cluster.nodes as [SkeinNode, SkeinNode, SkeinNode]
  const honest = okOf((await settled(cluster, b.observer.snapshot({ nodes: [b.name] }))).nodes[0])
  const answers: unknown[] = [
    { type: 'snapshot', snapshot: { ...honest, node: c.name } },
    { type: 'snapshot', snapshot: null },
    { type: 'snapshot', snapshot: { node: b.name } },
    { type: 'snapshot' },
    { type: 'unknown', knows: [] },
    'snapshot',
    null,
    undefined,
  ]
  // The liar stands in for the process `skein` of b.
  b.unregister(SYSTEM_PROCESS)
  let answer: unknown
  const liar = genServer({ init: () => ({ state: undefined }), handleCall: () => ({ reply: answer }) })
  // Only processes of the system may have such a name.
  b.register(SYSTEM_PROCESS, b.spawn(Object.assign(liar, { traits: { ...liar.traits, guarded: true } })))
  for (const one of answers) {
    answer = one
    const { nodes } = await settled(cluster, a.observer.snapshot())
    const entry = nodes.find(({ node }) => node === b.name)
    assert.is(entry?.status === 'failed' && entry.code, 'ERR_SKEIN_BAD_REPLY', JSON.stringify(one))
    assert.is(nodes.filter(({ status }) => status === 'ok').length, 2)
    okOf(nodes.find(({ node }) => node === c.name))
  }
})

test('what a node says of itself is cut to the shape and the bounds of a snapshot', async (t) => {
  const cluster = await startCluster(t, 1)
  const [node] = cluster.nodes as [SkeinNode]
  const honest = okOf((await settled(cluster, node.observer.snapshot())).nodes[0])
  const foreign = new Pid(new Origin('other@host', 'x'.repeat(32), '0'.repeat(16)), 3)
  const glance = { pid: foreign, label: 'not mine', names: [], state: 'waiting', messages: 1, bytes: 0, bonds: 0 }
  const lies = {
    ...honest,
    processes: { ...honest.processes, byMessages: [glance], count: 'many' },
    connections: { count: Number.NaN, list: new Array(10_000).fill({ node: 'x'.repeat(10_000) }) },
    names: { count: 1, list: new Array(10_000).fill('name') },
    supervisors: new Array(1000).fill({ pid: foreign, status: 'answered', children: [] }),
    counters: Object.fromEntries(Array.from({ length: 5000 }, (_, i) => [`c${i}`, i])),
    probes: { deep: nested(100), wide: new Array(100_000).fill('x') },
    extra: 'field',
  }
  const checked = checkSnapshot(lies, node.name)
  assert.ok(checked !== undefined)
  assert.equal([checked?.processes.byMessages.length, checked?.processes.count], [0, 0])
  assert.equal([checked?.connections.count, checked?.connections.list.length], [0, 256])
  assert.is(checked?.connections.list[0]?.node.length, 512)
  assert.is(checked?.names.list.length, 256)
  assert.is(checked?.supervisors.length, 0)
  assert.is(Object.keys(checked?.counters ?? {}).length, 128)
  assert.ok(JSON.stringify(checked?.probes).length < 5000)
  assert.not.ok('extra' in (checked ?? {}))
  for (const nonsense of [undefined, null, 1, 'x', [], {}, { node: node.name, processes: [], mailboxes: {} }]) {
    assert.is(checkSnapshot(nonsense, node.name), undefined)
  }
})

const nested = (depth: number): unknown => (depth === 0 ? 'end' : { in: nested(depth - 1) })

test('plain data of anything', () => {
  const cyclic: Record<string, unknown> = { a: 1 }
  cyclic.self = cyclic
  const hostile = {
    get bad(): never {
      throw new Error('no')
    },
    fine: 1,
  }
  assert.equal(plain(hostile), { bad: undefined, fine: 1 })
  const { proxy, revoke } = Proxy.revocable({}, {})
  revoke()
  assert.equal(plain({ shy: proxy, fine: 1 }), { shy: undefined, fine: 1 })
  assert.ok(JSON.stringify(plain(cyclic)).length < 500)
  assert.equal(plain([new Set([1]), 2n, () => 1, Symbol('s'), null]), [[1], '2', undefined, undefined, null])
  assert.is((plain('x'.repeat(9999)) as string).length, 1024)
})

test('probes: bounded, named, and one that throws says so', async (t) => {
  const cluster = await startCluster(t, 1)
  const [node] = cluster.nodes as [SkeinNode]
  const { probes } = node.observer
  const before = Object.keys(probes.read()).length
  const takeBack = probes.add('mine', () => 7)
  probes.add('broken', () => {
    throw new Error('out of order')
  })
  assert.throws(() => probes.add('mine', () => 8), isSkeinError)
  assert.throws(() => probes.add('not a name', () => 8), isSkeinError)
  const { probes: read } = okOf((await settled(cluster, node.observer.snapshot())).nodes[0])
  assert.is(read.mine, 7)
  assert.match(JSON.stringify(read.broken), 'out of order')
  takeBack()
  assert.is(Object.keys(probes.read()).length, before + 1)
  assert.throws(() => {
    for (let i = 0; i < 100; i++) probes.add(`p${i}`, () => i)
  }, isSkeinError)
})

test('a supervisor that is busy does not hold up the snapshot', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const hanging = genServer({ init: () => new Promise<never>(() => {}) })
  const pid = b.spawn(supervisor({ label: 'hangs', children: [{ id: 'never', start: hanging }] }))
  await pass(cluster, 10)
  const beganMs = cluster.clock.now()
  const { nodes } = await settled(cluster, a.observer.snapshot())
  const tree = okOf(nodes[1]).supervisors.find((one) => one.pid.equals(pid))
  assert.is(tree?.status, 'silent')
  assert.ok(cluster.clock.now() - beganMs < 1500)
  // Less time than the supervisors are given: the node's own entry fails, in time.
  const own = (await settled(cluster, b.observer.snapshot({ nodes: [b.name], timeoutMs: 100 }))).nodes[0]
  assert.is(own?.status === 'failed' && own.code, 'ERR_SKEIN_CALL_TIMEOUT')
})

test('many who ask at once cost one snapshot, and the process skein answers others meanwhile', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  let reads = 0
  b.observer.probes.add('counted', () => ++reads)
  b.spawn(supervisor({ children: [{ id: 'never', start: genServer({ init: () => new Promise<never>(() => {}) }) }] }))
  await pass(cluster, 10)
  const target = { name: SYSTEM_PROCESS, node: b.name }
  const asked = Array.from({ length: 300 }, () => a.call(target, { type: 'snapshot' }))
  assert.equal(await settled(cluster, a.call(target, { type: 'ping' })), { type: 'pong', node: b.name })
  assert.is(reads, 0)
  const replies = (await settled(cluster, Promise.all(asked))) as { type: string }[]
  assert.is(reads, 1)
  assert.is(replies.filter(({ type }) => type === 'snapshot').length, 256)
  assert.is(replies.filter(({ type }) => type === 'busy').length, 300 - 256)
})

test('poll: one snapshot an interval; a slow reader skips; it ends with the signal', () =>
  simulate({ nodes: ['a', 'b'], seed: 5 }, async (sim) => {
    await sim.meshed()
    const ends = new AbortController()
    const times: number[] = []
    const beganMs = sim.nowMs
    for await (const { nodes } of sim.hosts.a.node.observer.poll({ intervalMs: 100, signal: ends.signal })) {
      assert.is(nodes.length, 2)
      times.push(Math.round((sim.nowMs - beganMs) / 100))
      if (times.length === 3) await sim.sleep(450)
      if (times.length === 6) ends.abort()
    }
    assert.equal(times, [0, 1, 2, 7, 8, 9])
  }))

test('poll ends with the node, also in the midst of a snapshot; bad options are refused', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a] = cluster.nodes as [SkeinNode]
  let count = 0
  const polling = (async () => {
    for await (const _ of a.observer.poll({ intervalMs: 100 })) count++
  })()
  await until(cluster, 'some', () => count === 3)
  cluster.network.partition(['10.0.0.1'], ['10.0.0.2'])
  await pass(cluster, 300)
  await settled(cluster, a.stop())
  await settled(cluster, polling)
  const noted = ending(a.observer.poll({ intervalMs: 1 }).next())
  await pass(cluster, 1)
  assert.is(noted.code, 'ERR_SKEIN_BAD_ARGUMENT')
  const bad = ending(a.observer.snapshot({ timeoutMs: 0 }))
  await pass(cluster, 1)
  assert.is(bad.code, 'ERR_SKEIN_BAD_ARGUMENT')
  const { nodes } = await settled(cluster, a.observer.snapshot())
  assert.is(nodes[0]?.status === 'failed' && nodes[0].code, 'ERR_SKEIN_STOPPED')
})

test.run()
