/** Who gets in, between processes on real QUIC: cookies, clusters, names, incarnations, versions, seeds and meshes. */
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { type NodeEvent, startNode } from '../../src/index.ts'
import { COOKIE, NodeProcess } from '../support/node-process.ts'
import { suite } from '../support/suite.ts'
import { failure, Rogue, temporaryFolder } from './support.ts'

const test = suite('membership')

test('different cookies: silence, a gated drop, no TLS handshake, and nothing is exchanged', async (t) => {
  const [a, b] = await Promise.all([
    NodeProcess.start(t, { name: 'a' }),
    NodeProcess.start(t, { name: 'b', cookie: 'quite another cookie' }),
  ])
  const startMs = performance.now()
  const refused = await failure(a.do('connect', b.address))
  console.log(`the dial was given up after ${Math.round(performance.now() - startMs)} ms`)
  assert.is(refused.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  assert.equal(
    refused.attempts.map(({ what, code }) => ({ what, code })),
    [b.address, `${b.address} over TCP`].map((what) => ({ what, code: 'ERR_SKEIN_CONNECT_TIMEOUT' })),
  )
  const counters = await b.do('counters')
  assert.ok((counters.gated ?? 0) > 0, 'b counted the drops')
  assert.is(counters.accepted, 0, 'no TLS handshake was begun')
  assert.is(counters.sent, 0, 'b was silent')
  assert.is((await a.do('counters')).received, 0)
  assert.equal([await a.nodes(), await b.nodes()], [[], []])
  for (const { events } of [a, b]) {
    assert.not(events.all.some(({ value }) => value.type === 'nodeup' || value.type === 'refused'))
  }
})

/** Both sides of one refusal: what the dialler got, and what either node reported. */
const refusal = async (
  dialler: NodeProcess,
  target: NodeProcess,
): Promise<{ code: string; there: string; byPeer: [boolean, boolean] }> => {
  const isRefusal = (event: NodeEvent): boolean => event.type === 'refused'
  const error = await failure(dialler.do('connect', target.address))
  const [here, there] = await Promise.all([dialler.events.next(isRefusal), target.events.next(isRefusal)])
  const [own, theirs] = [here.value, there.value]
  assert.ok(own.type === 'refused' && theirs.type === 'refused')
  assert.is(own.code, error.code, 'the event of the dialler has the code of the error')
  assert.is(error.attempts.length, 1)
  assert.is((await dialler.nodes()).includes(target.name), false)
  return { code: error.code, there: theirs.code, byPeer: [own.byPeer, theirs.byPeer] }
}

test('another cluster: ERR_SKEIN_WRONG_CLUSTER on both sides', async (t) => {
  const [a, b] = await Promise.all([
    NodeProcess.start(t, { name: 'a', cluster: 'one' }),
    NodeProcess.start(t, { name: 'b', cluster: 'two' }),
  ])
  assert.equal(await refusal(a, b), {
    code: 'ERR_SKEIN_WRONG_CLUSTER',
    there: 'ERR_SKEIN_WRONG_CLUSTER',
    byPeer: [true, false],
  })
})

test('the name of a live node, with another key: ERR_SKEIN_NAME_TAKEN on both sides, and the live one stays', async (t) => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const [b, impostor] = await Promise.all([
    NodeProcess.start(t, { name: 'b', seeds: [a.address] }),
    NodeProcess.start(t, { name: 'b' }),
  ])
  await a.up(b.name)
  assert.equal(await refusal(impostor, a), {
    code: 'ERR_SKEIN_NAME_TAKEN',
    there: 'ERR_SKEIN_NAME_TAKEN',
    byPeer: [true, false],
  })
  assert.is((await failure(impostor.do('connect', b.address))).code, 'ERR_SKEIN_NAME_TAKEN')
  assert.equal(await a.nodes(), [b.name])
  assert.type(await a.do('ping', b.name), 'number')
})

test('two processes with one identity: the older incarnation gets ERR_SKEIN_STALE_INCARNATION', async (t) => {
  const identity = join(await temporaryFolder(t), 'identity.json')
  const a = await NodeProcess.start(t, { name: 'a' })
  const older = await NodeProcess.start(t, { name: 'b', identity })
  const newer = await NodeProcess.start(t, { name: 'b', identity })
  await newer.do('connect', a.address)
  assert.equal(await refusal(older, a), {
    code: 'ERR_SKEIN_STALE_INCARNATION',
    there: 'ERR_SKEIN_STALE_INCARNATION',
    byPeer: [true, false],
  })
  assert.is((await failure(older.do('connect', newer.address))).code, 'ERR_SKEIN_STALE_INCARNATION')
  assert.equal(await a.nodes(), [newer.name])
})

test('no protocol version in common: ERR_SKEIN_VERSION on both sides', async (t) => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const stranger = await Rogue.dial(t, a, { versions: [1000, 1001] })
  const { code, byPeer } = await stranger.closed
  assert.equal({ code, byPeer }, { code: 'ERR_SKEIN_VERSION', byPeer: true })
  const { value } = await a.events.next((event) => event.type === 'refused')
  assert.ok(value.type === 'refused')
  assert.equal([value.code, value.byPeer], ['ERR_SKEIN_VERSION', false])
})

test('a node that dials its own address: ERR_SKEIN_SELF', async (t) => {
  const a = await NodeProcess.start(t, { name: 'a' })
  assert.is((await failure(a.do('connect', a.address))).code, 'ERR_SKEIN_SELF')
  assert.is((await failure(a.do('connect', a.name))).code, 'ERR_SKEIN_SELF')
})

test(
  'an unknown host, an unknown name, a bad address, a port where nobody listens',
  async (t) => {
    const a = await NodeProcess.start(t, { name: 'a' })
    const free = await NodeProcess.start(t, { name: 'gone' })
    const { address } = free
    await free.do('stop')
    assert.is((await failure(a.do('connect', 'no-such-host.invalid:4433'))).code, 'ERR_SKEIN_UNKNOWN_HOST')
    assert.is((await failure(a.do('connect', 'nobody@nowhere'))).code, 'ERR_SKEIN_NODE_UNKNOWN')
    assert.is((await failure(a.do('connect', '127.0.0.1:99999'))).code, 'ERR_SKEIN_BAD_ADDRESS')
    assert.is((await failure(a.do('connect', address))).code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  },
  // Two of them are waited for, and two processes are started.
  { deadlineMs: 30_000 },
)

test('a busy port that was asked for: ERR_SKEIN_PORT_BUSY, and the node that has it lives on', async (t) => {
  const a = await NodeProcess.start(t, { name: 'a' })
  const late = await NodeProcess.spawn(t)
  assert.is((await failure(late.start({ name: 'late', port: a.facts.port }))).code, 'ERR_SKEIN_PORT_BUSY')
  await late.start({ name: 'late', seeds: [a.address] })
  await a.up(late.name)
  // The same within one process: nothing of a failed start is left behind (the suite would see it).
  const error = await startNode({
    host: '127.0.0.1',
    port: a.facts.port,
    cookie: COOKIE,
    discovery: false,
    logLevel: 'silent',
  }).then(
    () => assert.unreachable('the port is taken'),
    (reason: unknown) => reason,
  )
  assert.is((error as { code: string }).code, 'ERR_SKEIN_PORT_BUSY')
})

test('three nodes that know one seed form a full mesh by telling each other', async (t) => {
  const seed = await NodeProcess.start(t, { name: 'seed' })
  const [b, c] = await Promise.all([
    NodeProcess.start(t, { name: 'b', seeds: [seed.address] }),
    NodeProcess.start(t, { name: 'c', seeds: [seed.address] }),
  ])
  await Promise.all([b.up(c.name), c.up(b.name), seed.up(b.name), seed.up(c.name)])
  assert.equal(await seed.nodes(), [b.name, c.name].sort())
  assert.equal(await b.nodes(), [c.name, seed.name].sort())
  assert.equal(await c.nodes(), [b.name, seed.name].sort())
})

test("mesh 'none' connects only where a node is needed", async (t) => {
  const hub = await NodeProcess.start(t, { name: 'hub', mesh: 'none' })
  const [b, c] = await Promise.all([
    NodeProcess.start(t, { name: 'b', mesh: 'none', seeds: [hub.address] }),
    NodeProcess.start(t, { name: 'c', mesh: 'none', seeds: [hub.address] }),
  ])
  const here = await c.puppet('here')
  assert.equal([await hub.nodes(), await b.nodes(), await c.nodes()], [[], [], []], 'a seed is not dialled')
  await b.do('connect', hub.address)
  await c.do('connect', hub.address)
  await Promise.all([hub.up(b.name), hub.up(c.name)])
  assert.equal(await b.nodes(), [hub.name], 'what the hub knows is not dialled')
  // By the name of a node that only the hub knows.
  await b.do('send', { name: here.name, node: c.name }, 'on demand')
  assert.is((await here.mailbox.next()).value, 'on demand')
  assert.equal(await b.nodes(), [c.name, hub.name].sort())
})

for (const how of ['by address, both at once', 'both as seeds of each other']) {
  test(
    `simultaneous dials (${how}), 20 times: one connection, both up, no message lost`,
    async (t) => {
      const [a, b] = await Promise.all([NodeProcess.spawn(t, 'a'), NodeProcess.spawn(t, 'b')])
      let ports: [number, number] = [0, 0]
      for (let round = 0; round < 20; round++) {
        const seeds = (port: number): string[] => (how.includes('seeds') && port > 0 ? [`127.0.0.1:${port}`] : [])
        await Promise.all([
          a.start({ name: 'a', port: ports[0], seeds: seeds(ports[1]) }),
          b.start({ name: 'b', port: ports[1], seeds: seeds(ports[0]) }),
        ])
        ports = [a.facts.port, b.facts.port]
        const [left, right] = await Promise.all([a.puppet('left'), b.puppet('right')])
        if (seeds(1).length === 0 || round === 0) {
          assert.equal(await Promise.all([a.do('connect', b.address), b.do('connect', a.address)]), [b.name, a.name])
        }
        const sent = [0, 1, 2, 3].map((n) => [
          left.send({ name: 'right', node: b.name }, { round, n }),
          right.send({ name: 'left', node: a.name }, { round, n }),
        ])
        await Promise.all([...sent.flat(), a.up(b.name), b.up(a.name)])
        for (const n of [0, 1, 2, 3]) {
          assert.equal((await left.mailbox.next()).value, { round, n })
          assert.equal((await right.mailbox.next()).value, { round, n })
        }
        const [fromA, fromB] = await Promise.all([a.do('connectedNodes'), b.do('connectedNodes')])
        assert.is(fromA.length, 1)
        assert.is(fromB.length, 1)
        assert.is(fromA[0]?.dialled, !fromB[0]?.dialled, 'it is the same connection')
        const downs = [a, b].flatMap(({ events }) => events.all.filter(({ value }) => value.type === 'nodedown'))
        assert.is(downs.length, 2 * round, 'no nodedown but those of the stops')
        await Promise.all([a.do('stop'), b.do('stop')])
        await Promise.all([a.down(b.name), b.down(a.name)])
      }
    },
    { deadlineMs: 60_000 },
  )
}

test.run()
