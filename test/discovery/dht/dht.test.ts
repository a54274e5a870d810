import * as assert from 'uvu/assert'
import { SEED_BYTES, type SigningKey, signingKeyFromSeed } from '../../../certs/signing-key.ts'
import { Dht } from '../../../discovery/dht/dht.ts'
import { compareDistance, idFitsHost, idForHost, sameKey } from '../../../discovery/dht/dht-id.ts'
import { decodeMessage, encodeMessage } from '../../../discovery/dht/krpc.ts'
import type { KrpcMessage, Query, Reply } from '../../../discovery/dht/message.ts'
import { immutableTarget, makeMutable } from '../../../discovery/dht/signed-item.ts'
import type { Address } from '../../../transport/address.ts'
import { suite } from '../../support/suite.ts'
import { loopbackAddress, type SimulatedNode, Simulation } from './simulation.ts'

const test = suite('dht')
const text = (value: string): Uint8Array => Buffer.from(`${value.length}:${value}`)

const newKey = ({ random }: Simulation): SigningKey => signingKeyFromSeed(random.bytes(SEED_BYTES))

const smallNetwork = (count: number, seed = 1): Simulation => {
  const simulation = new Simulation({ seed, delayMs: 5, address: loopbackAddress })
  simulation.grow(count)
  return simulation
}

/** A node of which the test is the mind: it answers what `answer` gives. */
const scripted = (
  simulation: Simulation,
  address: Address,
  answer: (query: Query) => Partial<Reply> | undefined,
): { asked: Query[]; say: (message: KrpcMessage, to: Address) => void } => {
  const asked: Query[] = []
  const say = (message: KrpcMessage, to: Address): void => simulation.send(encodeMessage(message), address, to)
  simulation.attach(address, (bytes, from) => {
    const message = decodeMessage(bytes)
    if (message?.kind !== 'query') return
    asked.push(message)
    const values = answer(message)
    if (values === undefined) return
    say({ kind: 'reply', transaction: message.transaction, id: new Uint8Array(20), nodes: [], ...values }, from)
  })
  return { asked, say }
}

test('two nodes: they know each other, and each keeps what the other stores', async () => {
  const simulation = smallNetwork(1)
  const [first] = simulation.nodes as [SimulatedNode]
  const second = simulation.add()
  assert.is(await simulation.until(second.dht.bootstrap([first.address])), 1)
  simulation.clock.advance(1000)
  assert.equal(first.dht.contacts()[0]?.address, second.address, 'the first asked back')
  const { stored } = await simulation.until(second.dht.putImmutable(text('hello')))
  assert.is(stored, 1)
  assert.is(first.dht.status().items, 1)
  const found = await simulation.until(second.dht.getItem(immutableTarget(text('hello'))))
  assert.equal(Buffer.from(found!.value), Buffer.from(text('hello')))
  const key = new Uint8Array(20).fill(9)
  assert.is(await simulation.until(second.dht.announce(key)), 1)
  assert.is(await simulation.until(second.dht.announce(key, 1234)), 1)
  const told: Address[] = []
  const peers = await simulation.until(second.dht.getPeers(key, (fresh) => told.push(...fresh)))
  assert.equal(
    peers.map(({ port }) => port).sort((a, b) => a - b),
    [1234, second.address.port],
  )
  assert.equal(told, peers)
})

test('findNode finds the nearest, and every node is known to somebody', async () => {
  const simulation = smallNetwork(60)
  for (let i = 0; i < 20; i++) {
    const target = simulation.random.bytes(20)
    const asker = simulation.any()
    const found = await simulation.until(asker.dht.findNode(target))
    const nearest = simulation.nodes
      .filter((node) => node !== asker)
      .toSorted((a, b) => compareDistance(target, a.dht.id, b.dht.id))
    assert.equal(
      found.map(({ address }) => address),
      nearest.slice(0, 8).map(({ address }) => address),
    )
  }
})

test('a mutable item: the newest is found, an older one is refused, compare-and-swap holds, salts are apart', async () => {
  const simulation = smallNetwork(30)
  const key = newKey(simulation)
  const put = (sequence: number, value: string, more: object = {}) =>
    simulation.until(simulation.any().dht.putMutable({ ...key, sequence, value: text(value), ...more }))
  const get = (options?: { sequence: number }, salt?: Uint8Array) =>
    simulation.until(
      simulation.any().dht.getItem({ publicKey: key.publicKey, ...(salt === undefined ? {} : { salt }) }, options),
    )
  assert.ok((await put(5, 'five')).stored >= 15)
  assert.is((await get())?.mutable?.sequence, 5)
  const old = await put(4, 'four')
  assert.ok(old.refused.length >= 14 && old.refused.every((code) => code === 302), JSON.stringify(old))
  assert.ok((await put(7, 'seven', { compareAndSwap: 6 })).refused.every((code) => code === 301))
  assert.ok((await put(7, 'seven', { compareAndSwap: 5 })).stored >= 12)
  assert.is((await get())?.mutable?.sequence, 7)
  assert.is(await get({ sequence: 7 }), undefined, 'nothing newer')
  assert.is((await get({ sequence: 6 }))?.mutable?.sequence, 7)
  const salt = Buffer.from('salt')
  assert.is(await get(undefined, salt), undefined)
  await put(1, 'salted', { salt })
  assert.is((await get(undefined, salt))?.mutable?.sequence, 1)
  assert.is((await get())?.mutable?.sequence, 7)
})

test('a liar who holds back, forges or shows what is old loses against the others', async () => {
  const simulation = smallNetwork(20)
  const key = newKey(simulation)
  const put = (sequence: number) =>
    simulation.any().dht.putMutable({ ...key, sequence, value: text(`value ${sequence}`) })
  await simulation.until(put(1))
  const oldItem = (await simulation.until(simulation.any().dht.getItem(key)))!
  await simulation.until(put(2))
  const forged = { ...oldItem, mutable: { ...oldItem.mutable!, sequence: 99 } }
  const other = newKey(simulation)
  const foreign = makeMutable({ ...other, sequence: 100, value: text('foreign') })
  const lies: Partial<Reply>[] = [{}, { item: oldItem }, { item: forged }, { item: foreign }]
  const getter = simulation.add()
  const liars = lies.map((lie, i) => {
    const address = { host: '127.0.0.1', port: 20_000 + i }
    const id = new Uint8Array(20).fill(0x11 * (i + 1))
    scripted(simulation, address, ({ method }) => (method === 'get' ? { id, ...lie } : { id }))
    return address
  })
  await simulation.until(getter.dht.bootstrap([simulation.nodes[0]!.address, ...liars]))
  for (let i = 0; i < 5; i++) {
    const found = await simulation.until(getter.dht.getItem(key))
    assert.is(found?.mutable?.sequence, 2)
  }
})

test('verified contacts only: who asks is asked back; read-only nodes, forgers of addresses and silent ones stay out', () => {
  const simulation = smallNetwork(1)
  const { dht, address: to } = simulation.nodes[0]!
  const id = (n: number): Uint8Array => new Uint8Array(20).fill(n)
  const ping = (n: number, readOnly = false): Query => ({
    kind: 'query',
    method: 'ping',
    transaction: Uint8Array.of(n),
    id: id(n),
    readOnly,
  })
  const at = (port: number): Address => ({ host: '127.0.0.1', port })
  const honest = scripted(simulation, at(1), () => ({ id: id(1) }))
  const readOnly = scripted(simulation, at(2), () => ({ id: id(2) }))
  const silent = scripted(simulation, at(3), () => undefined)
  honest.say(ping(1), to)
  readOnly.say(ping(2, true), to)
  silent.say(ping(3), to)
  // Somebody sends in the name of an address that asked nothing, and answers nobody asked for.
  honest.say({ kind: 'reply', transaction: Uint8Array.of(1, 2, 3, 4), id: id(4), nodes: [] }, to)
  simulation.clock.advance(10_000)
  assert.equal(
    dht.contacts().map(({ address }) => address),
    [at(1)],
  )
  assert.is(readOnly.asked.length, 0)
  assert.is(silent.asked.length, 2)
  assert.ok(dht.counters().answersUnmatched! >= 1)
})

test('a read-only node finds things, answers nobody and is in no table', async () => {
  const simulation = smallNetwork(10)
  const reader = simulation.add({ readOnly: true })
  const before = simulation.nodes[0]!
  await simulation.until(reader.dht.bootstrap([before.address]))
  await simulation.until(simulation.nodes[3]!.dht.putImmutable(text('for all')))
  assert.ok(await simulation.until(reader.dht.getItem(immutableTarget(text('for all')))))
  simulation.clock.advance(60_000)
  const tables = simulation.nodes.filter((node) => node !== reader).flatMap(({ dht }) => dht.contacts())
  assert.not(tables.some(({ address }) => address.port === reader.address.port))
  assert.is(reader.dht.counters().replies, 0)
})

test('in the public network a node takes an id that fits its address, and keeps only those that do', async () => {
  const address = (index: number): Address => ({ host: `${30 + index}.${index}.1.1`, port: 1 })
  const simulation = new Simulation({ seed: 3, delayMs: 5, address, dht: { network: 'public' } })
  // Those who are there from the beginning have ids that fit; the others find theirs by the votes.
  for (let i = 0; i < 10; i++) simulation.join({ id: idForHost(address(i).host, simulation.random) })
  simulation.clock.advance(1000)
  simulation.grow(20)
  simulation.clock.advance(3 * 60_000)
  const fitting = simulation.nodes.filter(({ dht, address }) => idFitsHost(dht.id, address.host))
  assert.is(fitting.length, simulation.nodes.length, `${fitting.length} of ${simulation.nodes.length}`)
  for (const { dht } of simulation.nodes)
    for (const { id, address } of dht.contacts()) assert.ok(idFitsHost(id, address.host))
  const node = simulation.any()
  assert.equal(node.dht.publicAddress, node.address)
  const { stored } = await simulation.until(node.dht.putImmutable(text('public')))
  assert.ok(stored >= 12, `${stored}`)
})

test('cut off for half an hour, a node keeps its contacts, and works again afterwards', async () => {
  const simulation = smallNetwork(20)
  const node = simulation.nodes[5]!
  const before = node.dht.contacts().length
  simulation.setLoss(1)
  simulation.clock.advance(30 * 60_000)
  assert.ok(node.dht.contacts().length >= before * 0.8, `${node.dht.contacts().length} of ${before}`)
  simulation.setLoss(0)
  const target = new Uint8Array(20)
  assert.is((await simulation.until(node.dht.findNode(target))).length, 8)
})

test('without anybody: everything ends, empty; a bootstrap node that comes late is found', async () => {
  const simulation = new Simulation({ seed: 1, delayMs: 5, address: loopbackAddress })
  const lone = simulation.add()
  const to = { host: '127.0.0.1', port: 10_001 }
  assert.is(await simulation.until(lone.dht.bootstrap([to])), 0)
  assert.equal(await simulation.until(lone.dht.findNode(new Uint8Array(20))), [])
  assert.equal(await simulation.until(lone.dht.putImmutable(text('x'))), { stored: 0, refused: [] })
  assert.is(await simulation.until(lone.dht.getItem(new Uint8Array(20))), undefined)
  const late = simulation.add()
  assert.equal(late.address, to)
  simulation.clock.advance(120_000)
  assert.is(lone.dht.contacts().length, 1)
})

test('saved contacts are asked before they are believed', async () => {
  const simulation = smallNetwork(20)
  const contacts = simulation.nodes.slice(0, 5).map(({ dht, address }) => ({ id: dht.id, address }))
  const gone = { id: new Uint8Array(20).fill(5), address: { host: '127.0.0.1', port: 9 } }
  const node = simulation.add({ contacts: [gone, ...contacts] })
  assert.equal(node.dht.contacts(), [])
  assert.ok((await simulation.until(node.dht.bootstrap())) >= 10)
  assert.not(node.dht.contacts().some(({ id }) => sameKey(id, gone.id)))
})

test('both families are networks of their own in one node, and lead to each other', async () => {
  const simulation = new Simulation({ seed: 1, delayMs: 5 })
  const [four, six] = [
    { host: '20.1.1.1', port: 1 },
    { host: '2001:db8::4', port: 1 },
  ]
  const id = (n: number): Uint8Array => new Uint8Array(20).fill(n)
  const first = scripted(simulation, four, () => ({ id: id(1), nodes: [{ id: id(2), address: six }] }))
  const second = scripted(simulation, six, () => ({ id: id(2), nodes: [{ id: id(9), address: { ...four, port: 2 } }] }))
  const own = { ip4: { host: '20.2.2.2', port: 5 }, ip6: { host: '2001:db8::5', port: 5 } }
  const node = new Dht({
    clock: simulation.clock,
    random: simulation.random,
    families: ['ip4', 'ip6'],
    send: (bytes, to) => simulation.send(bytes, to.host.includes(':') ? own.ip6 : own.ip4, to),
  })
  for (const address of Object.values(own)) simulation.attach(address, (bytes, from) => node.receive(bytes, from))
  await simulation.until(node.bootstrap([four]))
  simulation.clock.advance(1000)
  assert.equal(
    node.contacts().map(({ address }) => address),
    [four, six],
  )
  const before = [first.asked.length, second.asked.length]
  await simulation.until(node.getItem(id(7)))
  assert.ok(first.asked.length > before[0]! && second.asked.length > before[1]!, 'each is asked in its own network')
  const wanted = first.asked.flatMap((query) => (query.method === 'find_node' ? query.want : []))
  assert.ok(wanted.includes('n4') && wanted.includes('n6'))
  node.stop()
})

test('stop: everything under way ends, and no timer is left', async () => {
  const simulation = smallNetwork(20)
  const node = simulation.nodes[3]!
  const pending = [node.dht.findNode(new Uint8Array(20)), node.dht.announce(new Uint8Array(20))]
  node.dht.stop()
  node.dht.stop()
  await Promise.all(pending)
  assert.is((await node.dht.putImmutable(text('late'))).stored, 0)
  const { sent } = node
  simulation.clock.advance(60_000)
  assert.is(node.sent, sent)
  simulation.stop()
  simulation.clock.advance(1)
  assert.is(simulation.clock.pending, 0)
})

test('junk, whatever it is, neither throws nor grows anything', () => {
  const simulation = smallNetwork(3)
  const { dht } = simulation.nodes[0]!
  const before = dht.status()
  for (let i = 0; i < 2000; i++) {
    const bytes = simulation.random.bytes(1 + (i % 300))
    bytes[0] = 0x64
    dht.receive(bytes, { host: `30.${i & 255}.1.1`, port: 1 })
  }
  assert.equal(dht.status(), before)
  assert.is(dht.counters().receivedBad, 2000)
})

test.run()
