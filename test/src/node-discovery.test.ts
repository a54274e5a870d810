import * as assert from 'uvu/assert'
import { suite } from '../support/suite.ts'
import { emptyCluster, failureOf, meshed, pass, settled, startCluster, until, watch } from './node-support.ts'

const test = suite('node.discovery')

test('nodes that know one DHT address form a mesh, and list each other', async (t) => {
  const cluster = await startCluster(t, 5, { discovery: 'dht' })
  await meshed(cluster)
  const [first] = cluster.nodes
  const listed = first!.discovery.list()
  assert.equal(listed.map(({ name }) => name).sort(), cluster.nodes.map(({ name }) => name).sort())
  assert.equal(listed[0]?.sources, ['self'])
})

test('a registered name is found by others with its metadata, until it is unregistered', async (t) => {
  const cluster = await startCluster(t, 3, { discovery: 'dht', mesh: 'none' })
  const [, a, b] = cluster.nodes
  await pass(cluster, 5000)
  b!.discovery.register('web', { port: '80' })
  b!.discovery.register('web', { port: '8080' })
  await pass(cluster, 2000)
  const found = await settled(cluster, a!.discovery.lookup('web'))
  assert.equal(
    found.map(({ name, id, registrations, sources }) => ({ name, id, registrations, sources })),
    [{ name: b!.name, id: b!.id, registrations: [{ name: 'web', metadata: { port: '8080' } }], sources: ['dht'] }],
  )
  assert.is(b!.discovery.unregister('web'), true)
  assert.is(b!.discovery.unregister('web'), false)
  await pass(cluster, 2000)
  const c = await cluster.start(3, { mesh: 'none' })
  await pass(cluster, 5000)
  assert.equal(await settled(cluster, c.discovery.lookup('web')), [])
  assert.is((await settled(cluster, c.discovery.lookup(b!.name)))[0]?.id, b!.id)
})

test('lookup gives oneself, by name, short name, id and registered name', async (t) => {
  const cluster = await startCluster(t, 1, { discovery: 'dht' })
  const [node] = cluster.nodes
  node!.discovery.register('here')
  for (const wanted of [node!.name, node!.name.split('@')[0]!, node!.id, 'here']) {
    assert.equal(
      (await settled(cluster, node!.discovery.lookup(wanted))).map(({ id }) => id),
      [node!.id],
    )
  }
  const startMs = cluster.clock.now()
  assert.equal(await settled(cluster, node!.discovery.lookup('nobody', { timeoutMs: 500 })), [])
  assert.is(cluster.clock.now() - startMs, 500)
})

test('what is no name or no metadata is refused, and so is too much', async (t) => {
  const cluster = await startCluster(t, 1)
  const { discovery } = cluster.nodes[0]!
  const refused = async (code: string, register: () => void): Promise<void> => {
    assert.is((await failureOf(cluster, Promise.resolve().then(register))).code, code)
  }
  for (const name of ['', 'two words', 'a@', 'x'.repeat(65)])
    await refused('ERR_SKEIN_BAD_NAME', () => discovery.register(name))
  await refused('ERR_SKEIN_BAD_NAME', () => discovery.register(7 as never))
  for (const metadata of [{ a: 1 }, [], 'text', null])
    await refused('ERR_SKEIN_BAD_ARGUMENT', () => discovery.register('a', metadata as never))
  await refused('ERR_SKEIN_LIMIT', () => discovery.register('a', { long: 'x'.repeat(300) }))
  for (let i = 0; i < 8; i++) discovery.register(`n${i}`)
  await refused('ERR_SKEIN_LIMIT', () => discovery.register('n8'))
  discovery.register('n0', { more: 'said' })
  assert.is(discovery.list()[0]?.registrations.length, 8)
})

test('connect by name leads through the DHT, without a mesh', async (t) => {
  const cluster = await startCluster(t, 4, { discovery: 'dht', mesh: 'none' })
  const [, a, b] = cluster.nodes
  await pass(cluster, 5000)
  assert.is(await settled(cluster, a!.connect(b!.name)), b!.name)
  assert.is((await failureOf(cluster, a!.connect('nobody@nowhere'))).code, 'ERR_SKEIN_NODE_UNKNOWN')
})

test('a message to a node that nobody has heard of yet finds its way', async (t) => {
  const cluster = await startCluster(t, 3, { discovery: 'dht', mesh: 'none' })
  const [, a, b] = cluster.nodes
  const got: unknown[] = []
  b!.register(
    'inbox',
    b!.spawn(async (self) => {
      for await (const message of self) got.push(message)
    }),
  )
  await pass(cluster, 5000)
  a!.send({ name: 'inbox', node: b!.name }, 'hello')
  await until(cluster, 'the message', () => got.length > 0)
  assert.equal(got, ['hello'])
})

test('a node that is asked for before it has started is found as soon as it is there', async (t) => {
  const cluster = await startCluster(t, 2, { discovery: 'dht', mesh: 'none' })
  const [, a] = cluster.nodes
  await pass(cluster, 5000)
  const identity = await cluster.identity()
  const lookup = a!.discovery.lookup('late@10.0.0.3', { timeoutMs: 10_000 })
  await pass(cluster, 1500)
  await cluster.start(2, { name: 'late@10.0.0.3', identity })
  assert.is((await settled(cluster, lookup))[0]?.name, 'late@10.0.0.3')
})

test('a policy of the user decides whom to connect to; one that throws wants nobody', async (t) => {
  const cluster = await startCluster(t, 3, { discovery: 'dht', mesh: 'none' })
  const chosen = cluster.nodes[1]!.name
  await pass(cluster, 2000)
  const picky = await cluster.start(3, {
    mesh: (node) => node.addresses.some(({ host }) => chosen.endsWith(`@${host}`)),
  })
  const timid = await cluster.start(4, {
    mesh: () => {
      throw new Error('a defect of the policy')
    },
  })
  await until(cluster, 'a connection', () => picky.nodes().includes(chosen))
  await pass(cluster, 10_000)
  assert.equal(timid.nodes(), [])
  assert.equal(picky.nodes(), [chosen])
})

test('events tell of what the DHT found, and of its status', async (t) => {
  const cluster = emptyCluster(t, { discovery: 'dht' })
  const a = await cluster.start(0)
  await cluster.start(1)
  const events = watch(a)
  await until(cluster, 'the other node', () =>
    events.some((event) => event.type === 'discovered' && event.sources.includes('dht')),
  )
  await until(cluster, 'the status', () =>
    events.some((event) => event.type === 'discoveryStatus' && event.status.source === 'dht'),
  )
})

test.run()
