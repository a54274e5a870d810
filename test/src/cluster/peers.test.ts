/** Nodes meeting on the memory network: meshes, rivals, refusals on both sides, losses and returns. */
import * as assert from 'uvu/assert'
import type { SkeinNode } from '../../../src/node.ts'
import { simulatedHost } from '../../../src/testing/index.ts'
import { suite } from '../../support/suite.ts'
import { emptyCluster, failureOf, meshed, ofType, pass, settled, startCluster, until, watch } from '../node-support.ts'

const test = suite('peers')

const addressOf = (index: number): string => `${simulatedHost(index)}:4433`

test('nodes that know one seed become a full mesh by telling each other', async (t) => {
  const cluster = await startCluster(t, 12)
  const events = cluster.nodes.map(watch)
  await meshed(cluster)
  assert.ok(cluster.clock.now() < 5000, `it took ${cluster.clock.now()} ms`)
  await pass(cluster, 5000)
  for (const seen of events) {
    assert.is(ofType(seen, 'nodeup').length, 11, 'each once')
    assert.is(ofType(seen, 'nodedown').length, 0)
    assert.is(ofType(seen, 'refused').length, 0)
  }
})

test('two clusters that meet at one point become one', async (t) => {
  const cluster = emptyCluster(t)
  for (let i = 0; i < 8; i++) await cluster.start(i, { seeded: false })
  const [first, second] = [cluster.nodes.slice(0, 4), cluster.nodes.slice(4)]
  for (const [i, node] of [...first, ...second].entries()) {
    if (i % 4 !== 0) await settled(cluster, node.connect(addressOf(i - (i % 4))))
  }
  await until(cluster, 'two meshes', () => cluster.nodes.every((node) => node.nodes().length === 3))
  await settled(cluster, second[2]!.connect(addressOf(1)))
  await meshed(cluster)
})

test('both dial at once: one connection lives, both see one nodeup, no nodedown, and both dials succeed', async (t) => {
  for (let seed = 1; seed <= 30; seed++) {
    const cluster = emptyCluster(t, { seed, mesh: 'none', network: { defaults: { delayMs: 20, jitterMs: 15 } } })
    const a = await cluster.start(0)
    const b = await cluster.start(1)
    const seen = [watch(a), watch(b)]
    const toB = a.connect(addressOf(1))
    await pass(cluster, seed * 3)
    const toA = b.connect(addressOf(0))
    assert.is(await settled(cluster, toB), b.name)
    assert.is(await settled(cluster, toA), a.name)
    await pass(cluster, 3000)
    for (const events of seen) {
      assert.is(ofType(events, 'nodeup').length, 1, `seed ${seed}`)
      assert.is(ofType(events, 'nodedown').length, 0, `seed ${seed}`)
    }
    assert.is(
      a.connectedNodes()[0]?.dialled,
      !b.connectedNodes()[0]?.dialled,
      `seed ${seed}: it is the same connection`,
    )
  }
})

test('simultaneous dials under loss and reordering still end with one connection', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const cluster = emptyCluster(t, { seed, network: { defaults: { delayMs: 10, jitterMs: 10, loss: 0.15 } } })
    const a = await cluster.start(0)
    const b = await cluster.start(1)
    const dials = Promise.allSettled([a.connect(addressOf(1)), b.connect(addressOf(0))])
    await settled(cluster, dials)
    await until(cluster, `seed ${seed}: connected`, () => a.nodes().length === 1 && b.nodes().length === 1)
    await pass(cluster, 2000)
    assert.equal([a.nodes(), b.nodes()], [[b.name], [a.name]], `seed ${seed}`)
  }
})

const refusals = [
  { what: 'another cluster', changes: { cluster: 'other' }, codes: ['ERR_SKEIN_WRONG_CLUSTER'] },
  { what: 'the name of a live node', changes: { name: `n0@${simulatedHost(0)}` }, codes: ['ERR_SKEIN_NAME_TAKEN'] },
]

for (const { what, changes, codes } of refusals) {
  test(`${what}: the same code on both sides, and nobody else notices`, async (t) => {
    const cluster = await startCluster(t, 2)
    await meshed(cluster)
    const events = watch(cluster.nodes[0]!)
    const stranger = await cluster.start(2, { ...changes, seeded: false })
    const strangers = watch(stranger)
    const error = await failureOf(cluster, stranger.connect(addressOf(0)))
    assert.ok(codes.includes(error.code), error.code)
    assert.is(error.attempts.length, 1)
    assert.equal(
      ofType(events, 'refused').map(({ code, byPeer }) => ({ code, byPeer })),
      [{ code: error.code, byPeer: false }],
    )
    assert.equal(
      ofType(strangers, 'refused').map(({ code, byPeer }) => ({ code, byPeer })),
      [{ code: error.code, byPeer: true }],
    )
    assert.equal(stranger.nodes(), [])
    assert.is(cluster.nodes[0]!.nodes().length, 1)
  })
}

test('the name of a third live node is taken too', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const impostor = await cluster.start(2, { name: cluster.nodes[1]!.name, seeded: false })
  const error = await failureOf(cluster, impostor.connect(addressOf(0)))
  assert.is(error.code, 'ERR_SKEIN_NAME_TAKEN')
})

test('another cookie: silence, a gated drop, and no handshake', async (t) => {
  const cluster = await startCluster(t, 1)
  const node = cluster.nodes[0]!
  const stranger = await cluster.start(1, { cookie: 'some other cookie', seeded: false })
  const error = await failureOf(cluster, stranger.connect(addressOf(0)))
  assert.is(error.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  assert.ok((node.counters().gated ?? 0) > 0)
})

test('a node that dials itself is told so', async (t) => {
  const cluster = await startCluster(t, 1)
  const node = cluster.nodes[0]!
  assert.is((await failureOf(cluster, node.connect(addressOf(0)))).code, 'ERR_SKEIN_SELF')
  assert.is((await failureOf(cluster, node.connect(node.name))).code, 'ERR_SKEIN_SELF')
})

test('nobody knows the name: ERR_SKEIN_NODE_UNKNOWN', async (t) => {
  const cluster = await startCluster(t, 2)
  const error = await failureOf(cluster, cluster.nodes[0]!.connect('nobody@nowhere'))
  assert.is(error.code, 'ERR_SKEIN_NODE_UNKNOWN')
})

test('a name that a connected member knows is found through it', async (t) => {
  const cluster = emptyCluster(t, { mesh: 'none' })
  for (let i = 0; i < 3; i++) await cluster.start(i)
  const [hub, a, b] = cluster.nodes as [SkeinNode, SkeinNode, SkeinNode]
  await settled(cluster, a.connect(addressOf(0)))
  await settled(cluster, b.connect(addressOf(0)))
  await until(cluster, 'both are up at the hub', () => hub.nodes().length === 2)
  assert.is(await settled(cluster, a.connect(b.name)), b.name)
})

test('kill -9: nodedown on each other node, once, within 5 s, and nobody else goes', async (t) => {
  const cluster = await startCluster(t, 4)
  await meshed(cluster)
  await pass(cluster, 1234)
  const events = cluster.nodes.slice(1).map(watch)
  const killedMs = cluster.clock.now()
  cluster.network.crash(simulatedHost(0))
  const victim = cluster.nodes[0]!.name
  await until(cluster, 'all noticed', () => events.every((seen) => ofType(seen, 'nodedown').length > 0))
  assert.ok(cluster.clock.now() - killedMs < 5000, `it took ${cluster.clock.now() - killedMs} ms`)
  await pass(cluster, 10_000)
  for (const seen of events) {
    assert.equal(
      ofType(seen, 'nodedown').map(({ node, reason }) => ({ node, reason })),
      [{ node: victim, reason: 'net_tick_timeout' }],
    )
  }
  cluster.nodes.shift()
})

test('a graceful stop is seen within 200 ms, with its reason', async (t) => {
  const cluster = await startCluster(t, 3)
  await meshed(cluster)
  const events = cluster.nodes.slice(1).map(watch)
  const fromMs = cluster.clock.now()
  const stopping = cluster.nodes[0]!.stop()
  await until(cluster, 'all noticed', () => events.every((seen) => ofType(seen, 'nodedown').length === 1))
  assert.ok(cluster.clock.now() - fromMs < 200, `it took ${cluster.clock.now() - fromMs} ms`)
  for (const seen of events) assert.is(ofType(seen, 'nodedown')[0]?.reason, 'shutdown')
  await settled(cluster, stopping)
  assert.is(cluster.nodes[0]!.stop(), stopping, 'and stop is idempotent')
})

test('a restart with the same identity replaces the dead incarnation at once', async (t) => {
  const cluster = emptyCluster(t)
  const identity = await cluster.identity()
  for (let i = 0; i < 2; i++) await cluster.start(i)
  await cluster.start(2, { identity })
  await meshed(cluster)
  const seen = watch(cluster.nodes[0]!)
  const name = cluster.nodes[2]!.name
  cluster.network.crash(simulatedHost(2))
  await pass(cluster, 500)
  const restarted = await cluster.start(2, { identity })
  await until(cluster, 'it is back', () => ofType(seen, 'nodeup').length === 1)
  const about = seen.filter((event) => event.type === 'nodeup' || event.type === 'nodedown')
  assert.equal(
    about.map(({ type, node }) => ({ type, node })),
    [
      { type: 'nodedown', node: name },
      { type: 'nodeup', node: name },
    ],
  )
  assert.is(ofType(seen, 'nodeup')[0]?.incarnation, restarted.incarnation)
  assert.ok(cluster.clock.now() < 4000, 'before any tick timed out')
})

test('a restart with a new identity has its name again once the dead one is found out', async (t) => {
  const cluster = await startCluster(t, 3)
  await meshed(cluster)
  const seen = watch(cluster.nodes[0]!)
  const name = cluster.nodes[2]!.name
  cluster.network.crash(simulatedHost(2))
  await cluster.start(2)
  await until(cluster, 'it is back', () => ofType(seen, 'nodeup').some(({ node }) => node === name))
  await meshed(cluster)
})

test('an old process of the same identity is refused', async (t) => {
  const cluster = emptyCluster(t)
  const identity = await cluster.identity()
  await cluster.start(0)
  const old = await cluster.start(1, { identity, name: 'twin@one', seeded: false })
  await pass(cluster, 10)
  const young = await cluster.start(2, { identity, name: 'twin@one', seeded: false })
  await settled(cluster, young.connect(addressOf(0)))
  assert.is((await failureOf(cluster, old.connect(addressOf(0)))).code, 'ERR_SKEIN_STALE_INCARNATION')
  assert.is((await failureOf(cluster, old.connect(addressOf(2)))).code, 'ERR_SKEIN_STALE_INCARNATION')
})

test('a node that lost the connection alone gets a new one: the other side is told to replace', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const [atA, atB] = [watch(a), watch(b)]
  // From a nothing is heard at b; b gives up, a still believes.
  cluster.network.cut([simulatedHost(0)], [simulatedHost(1)])
  await until(cluster, 'b gives up', () => ofType(atB, 'nodedown').length === 1)
  cluster.network.heal()
  await until(
    cluster,
    'connected again',
    () => ofType(atB, 'nodeup').length === 1 && b.nodes().length === 1 && a.nodes().length === 1,
  )
  await pass(cluster, 10_000)
  assert.is(ofType(atA, 'nodedown').length, ofType(atA, 'nodeup').length, 'up and down alternate')
  assert.equal([a.nodes(), b.nodes()], [[b.name], [a.name]])
})

test('a torn network: both halves see nodedown, and find together again when it heals', async (t) => {
  const cluster = await startCluster(t, 6)
  await meshed(cluster)
  const hosts = cluster.nodes.map((_, index) => simulatedHost(index))
  cluster.network.partition(hosts.slice(0, 3), hosts.slice(3))
  await until(cluster, 'two halves', () => cluster.nodes.every((node) => node.nodes().length === 2))
  await pass(cluster, 30_000)
  cluster.network.heal()
  await meshed(cluster)
})

test('a pause of the own host accuses nobody', async (t) => {
  const cluster = await startCluster(t, 2, { liveness: { tickIntervalMs: 1000, downAfterMs: 8000 } })
  await meshed(cluster)
  const seen = watch(cluster.nodes[0]!)
  cluster.network.pause(simulatedHost(0))
  await pass(cluster, 7000)
  cluster.network.resume(simulatedHost(0))
  await pass(cluster, 20_000)
  assert.is(ofType(seen, 'nodedown').length, 0)
})

test('disconnect ends it on both sides, and it stays so until somebody asks', async (t) => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const [atA, atB] = [watch(a), watch(b)]
  assert.is(await settled(cluster, a.disconnect(b.name)), true)
  await pass(cluster, 60_000)
  assert.equal(
    [...ofType(atA, 'nodedown'), ...ofType(atB, 'nodedown')].map(({ reason }) => reason),
    ['disconnect', 'disconnect'],
  )
  assert.equal([a.nodes(), b.nodes()], [[], []])
  assert.is(await settled(cluster, a.disconnect(b.name)), false)
  await settled(cluster, b.connect(a.name))
  await until(cluster, 'both are up', () => a.nodes().length === 1 && b.nodes().length === 1)
})

test('a hidden node sees others and is not listed, told of or dialled', async (t) => {
  const cluster = await startCluster(t, 3)
  await meshed(cluster)
  const hidden = await cluster.start(3, { hidden: true, seeded: false })
  await settled(cluster, hidden.connect(addressOf(0)))
  await pass(cluster, 10_000)
  assert.equal(hidden.nodes(), [cluster.nodes[0]!.name])
  assert.is(cluster.nodes[0]!.nodes().length, 2)
  assert.is(cluster.nodes[0]!.nodes({ hidden: true }).length, 3)
  assert.is(cluster.nodes[1]!.nodes({ hidden: true }).length, 2)
})

test('mesh none connects only when somebody needs a node', async (t) => {
  const cluster = await startCluster(t, 3, { mesh: 'none' })
  await pass(cluster, 10_000)
  assert.equal(
    cluster.nodes.map((node) => node.nodes().length),
    [0, 0, 0],
  )
})

test('a refused dial lists every attempt', async (t) => {
  const cluster = await startCluster(t, 1)
  const error = await failureOf(cluster, cluster.nodes[0]!.connect('10.9.9.9:1'))
  assert.is(error.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  assert.equal(
    error.attempts.map(({ what, code }) => ({ what, code })),
    [{ what: '10.9.9.9:1', code: 'ERR_SKEIN_CONNECT_TIMEOUT' }],
  )
})

test('the same seed gives the same run', async (t) => {
  const run = async (seed: number): Promise<string> => {
    const cluster = await startCluster(t, 8, {
      seed,
      network: { logLines: 1, defaults: { delayMs: 5, jitterMs: 5, loss: 0.05 } },
    })
    await meshed(cluster)
    await pass(cluster, 2000)
    return cluster.network.fingerprint()
  }
  const [first, again, other] = [await run(7), await run(7), await run(8)]
  assert.is(first, again)
  assert.is.not(first, other)
})

test.run()
