import * as assert from 'uvu/assert'
import type { DiscoveryEvent, DiscoverySource, NodeRecord, Sighting } from '../../discovery/source.ts'
import { DiscoveryTable, MAX_SIGHTINGS, orderAddresses, type TableEvent } from '../../discovery/table.ts'
import { formatAddress } from '../../transport/address.ts'
import { suite } from '../support/suite.ts'
import { addressesOf, idOf, nodeRecord } from './support.ts'

const test = suite('discovery table')

/** A source that says what the test says. */
class ScriptedSource implements DiscoverySource {
  readonly source: string
  readonly calls: string[] = []
  emit: (event: DiscoveryEvent) => void = () => {}
  turned: () => void = () => {}

  constructor(source: string) {
    this.source = source
  }

  async start(_record: NodeRecord, emit: (event: DiscoveryEvent) => void, turned = () => {}): Promise<void> {
    this.calls.push('start')
    this.emit = emit
    this.turned = turned
  }

  say(type: DiscoveryEvent['type'], sighting: Sighting): void {
    this.emit({ type, source: this.source, sighting })
  }

  update(): void {
    this.calls.push('update')
  }

  refresh(): void {
    this.calls.push('refresh')
  }

  status() {
    return { source: this.source, state: 'working', detail: '', seen: 0 } as const
  }

  async stop(): Promise<void> {
    this.calls.push('stop')
  }
}

const sighting = (seed: number, ...addresses: string[]): Sighting => {
  const { name, id, incarnation } = nodeRecord(seed)
  return { key: name, name, id, incarnation, addresses: addressesOf(...addresses) }
}

const seed = (...addresses: string[]): Sighting => ({ key: addresses[0]!, addresses: addressesOf(...addresses) })

const setUp = async () => {
  const mdns = new ScriptedSource('mdns')
  const dht = new ScriptedSource('dht')
  const seeds = new ScriptedSource('seeds')
  const events: TableEvent[] = []
  const table = new DiscoveryTable({ sources: [mdns, dht, seeds], onEvent: (event) => events.push(event) })
  await table.start(nodeRecord(1))
  const told = (): string[] =>
    events
      .splice(0)
      .map(({ type, node }) => `${type} ${node.name ?? node.key} ${node.addresses.map(formatAddress).join(' ')}`)
  return { mdns, dht, seeds, table, told }
}

test('a node seen by two sources is one entry with the addresses of both, lost when the last one lost it', async () => {
  const { mdns, dht, table, told } = await setUp()
  mdns.say('found', sighting(2, '10.77.0.2:4433'))
  dht.say('found', sighting(2, '203.0.113.2:4433'))
  assert.equal(told(), ['found node2@host 10.77.0.2:4433', 'changed node2@host 10.77.0.2:4433 203.0.113.2:4433'])
  assert.equal(table.find('node2@host')[0]?.sources, ['dht', 'mdns'])
  assert.is(table.all().length, 1)
  mdns.say('lost', sighting(2, '10.77.0.2:4433'))
  assert.equal(told(), ['changed node2@host 203.0.113.2:4433'])
  dht.say('lost', sighting(2, '203.0.113.2:4433'))
  assert.equal(told(), ['lost node2@host 203.0.113.2:4433'])
  assert.equal(table.all(), [])
})

test('finds by id, by name and by the name without its host', async () => {
  const { mdns, table } = await setUp()
  mdns.say('found', sighting(2, '10.77.0.2:4433'))
  mdns.say('found', sighting(3, '10.77.0.3:4433'))
  for (const text of ['node2@host', 'node2', idOf(2)])
    assert.equal(
      table.find(text).map(({ id }) => id),
      [idOf(2)],
    )
  assert.equal(table.find('node'), [])
  assert.equal(table.find('host'), [])
})

test('a seed is an entry of its own until a node with that address is seen, and again afterwards', async () => {
  const { mdns, seeds, table, told } = await setUp()
  seeds.say('found', seed('10.77.0.2:4433'))
  assert.equal(told(), ['found 10.77.0.2:4433 10.77.0.2:4433'])
  mdns.say('found', sighting(2, '10.77.0.2:4433'))
  assert.equal(told(), ['changed node2@host 10.77.0.2:4433'])
  assert.equal(table.all()[0]?.sources, ['mdns', 'seeds'])
  mdns.say('lost', sighting(2, '10.77.0.2:4433'))
  assert.equal(told(), ['changed 10.77.0.2:4433 10.77.0.2:4433'])
})

test('a seed that comes after the node joins it', async () => {
  const { mdns, seeds, table, told } = await setUp()
  mdns.say('found', sighting(2, '10.77.0.2:4433'))
  told()
  seeds.say('found', seed('10.77.0.2:4433'))
  assert.equal(told(), [])
  assert.is(table.all().length, 1)
})

test('a host name that stands for many nodes does not lend its addresses to one of them', async () => {
  const { mdns, seeds, table } = await setUp()
  seeds.say('found', seed('10.77.0.2:4433', '10.77.0.3:4433', '10.77.0.4:4433'))
  mdns.say('found', sighting(2, '10.77.0.2:4433'))
  mdns.say('found', sighting(3, '10.77.0.3:4433'))
  assert.equal(
    table.find('node2').flatMap(({ addresses }) => addresses.map(formatAddress)),
    ['10.77.0.2:4433'],
  )
  assert.equal(
    table.find('node3').flatMap(({ addresses }) => addresses.map(formatAddress)),
    ['10.77.0.3:4433'],
  )
})

test('seeds that share an address are one entry', async () => {
  const { seeds, table } = await setUp()
  seeds.say('found', seed('10.77.0.2:4433'))
  seeds.say('found', { key: 'db:4433', addresses: addressesOf('10.77.0.2:4433', '[fd77::2]:4433') })
  assert.is(table.all().length, 1)
  assert.equal(table.all()[0]?.addresses.map(formatAddress), ['10.77.0.2:4433', '[fd77::2]:4433'])
})

test('a restart is one change: a new incarnation, or a new key in the same sighting', async () => {
  const { mdns, table, told } = await setUp()
  mdns.say('found', sighting(2, '10.77.0.2:4433'))
  told()
  mdns.say('changed', { ...sighting(2, '10.77.0.2:4433'), incarnation: '00000000000000ff' })
  assert.equal(told(), ['changed node2@host 10.77.0.2:4433'])
  mdns.say('changed', { ...sighting(3, '10.77.0.2:4433'), name: 'node2@host', key: 'node2@host' })
  assert.equal(told(), ['changed node2@host 10.77.0.2:4433'])
  assert.equal(
    table.all().map(({ id }) => id),
    [idOf(3)],
  )
})

test('a restart with a new key takes the seed of its address along', async () => {
  const { mdns, seeds, table } = await setUp()
  seeds.say('found', seed('10.77.0.2:4433'))
  mdns.say('found', sighting(2, '10.77.0.2:4433'))
  mdns.say('changed', { ...sighting(3, '10.77.0.2:4433'), name: 'node2@host', key: 'node2@host' })
  assert.equal(
    table.all().map(({ id, sources }) => `${id} ${sources}`),
    [`${idOf(3)} mdns,seeds`],
  )
})

test('two keys that claim one name are two entries, the freshest first', async () => {
  const { mdns, dht, table } = await setUp()
  mdns.say('found', sighting(2, '10.77.0.2:4433'))
  dht.say('found', { ...sighting(3, '10.77.0.3:4433'), name: 'node2@host' })
  assert.equal(
    table.find('node2').map(({ id }) => id),
    [idOf(3), idOf(2)],
  )
  mdns.say('changed', sighting(2, '10.77.0.22:4433'))
  assert.equal(
    table.find('node2').map(({ id }) => id),
    [idOf(2), idOf(3)],
  )
})

test('two nodes at one address are not mixed up, even by a seed', async () => {
  const { mdns, dht, seeds, table } = await setUp()
  dht.say('found', sighting(2, '10.77.0.2:4433'))
  mdns.say('found', sighting(3, '10.77.0.2:4433'))
  seeds.say('found', seed('10.77.0.2:4433'))
  assert.equal(
    table
      .all()
      .map(({ id }) => id)
      .sort(),
    [idOf(2), idOf(3)].sort(),
  )
})

test('this node itself is not in the table, a predecessor of another incarnation is', async () => {
  const { mdns, told } = await setUp()
  mdns.say('found', sighting(1, '10.77.0.1:4433'))
  assert.equal(told(), [])
  mdns.say('found', { ...sighting(1, '10.77.0.1:4433'), incarnation: '00000000000000ff' })
  assert.is(told().length, 1)
})

test(
  'the table is bounded',
  async () => {
    const { dht, table } = await setUp()
    for (let n = 0; n < MAX_SIGHTINGS + 10; n++) dht.say('found', { key: `${n}`, id: `id${n}`, addresses: [] })
    assert.is(table.all().length, MAX_SIGHTINGS)
    assert.is(table.refused, 10)
    const many = Array.from({ length: 100 }, (_, n) => `10.77.1.${n}:4433`)
    dht.say('changed', { key: '0', id: 'id0', addresses: addressesOf(...many) })
    assert.is(table.find('id0')[0]?.addresses.length, 32)
  },
  { deadlineMs: 20_000 },
)

test('a source that throws or rejects is a failed status, and the others go on', async () => {
  const bad = new ScriptedSource('bad')
  bad.start = () => Promise.reject(new Error('no luck'))
  bad.refresh = () => {
    throw new Error('again')
  }
  bad.stop = () => Promise.reject(new Error('and again'))
  const good = new ScriptedSource('good')
  const table = new DiscoveryTable({ sources: [bad, good], onEvent: () => {} })
  await table.start(nodeRecord(1))
  assert.equal(
    table.status().map(({ source, state }) => `${source} ${state}`),
    ['bad failed', 'good working'],
  )
  assert.match(table.status()[0]!.detail, 'no luck')
  table.update(nodeRecord(1))
  table.refresh()
  await table.stop()
  assert.equal(good.calls, ['start', 'update', 'refresh', 'stop'])
})

test('what a node registered finds it too; sources that want to learn hear what others see, not their own', async () => {
  const dht = new ScriptedSource('dht')
  const seeds = new ScriptedSource('seeds')
  const learnt: string[][] = []
  const learner = Object.assign(dht, {
    learn: (addresses: NodeRecord['addresses']) => void learnt.push(addresses.map(formatAddress)),
  })
  const table = new DiscoveryTable({ sources: [learner, seeds], onEvent: () => {} })
  table.update(nodeRecord(1))
  await table.start(nodeRecord(1))
  assert.equal(dht.calls, ['start'], 'before the start there is nothing to update')

  const registrations = [{ name: 'web', metadata: { port: '80' } }]
  dht.say('found', { ...sighting(2, '10.0.0.2:1'), registrations })
  assert.equal(learnt, [])
  seeds.say('found', seed('10.0.0.3:1'))
  assert.equal(learnt, [['10.0.0.3:1']])
  assert.equal(
    table.find('web').map(({ name, registrations: said }) => [name, said]),
    [['node2@host', registrations]],
  )
  await table.refresh('web')
  assert.ok(dht.calls.includes('refresh') && seeds.calls.includes('refresh'))
})

test('after stop nothing is told', async () => {
  const { mdns, table, told } = await setUp()
  await table.stop()
  mdns.say('found', sighting(2, '10.77.0.2:4433'))
  assert.equal(told(), [])
})

test('addresses are tried in this order: loopback, own host, LAN, public, link-local', () => {
  const given = addressesOf(
    '[fe80::2%eth0]:1',
    '203.0.113.7:1',
    '[2001:db8::7]:1',
    '10.1.2.3:1',
    '[fd77::3]:1',
    '192.168.7.7:1',
    '127.0.0.1:1',
    '10.1.2.3:1',
  )
  assert.equal(orderAddresses(given, addressesOf('192.168.7.7:4433')).map(formatAddress), [
    '127.0.0.1:1',
    '192.168.7.7:1',
    '10.1.2.3:1',
    '[fd77::3]:1',
    '203.0.113.7:1',
    '[2001:db8::7]:1',
    '[fe80::2%eth0]:1',
  ])
})

test('class and introducers are those of the freshest source that knows of them, for the incarnation of now', async () => {
  const { table, mdns, dht, seeds } = await setUp()
  const introducers = addressesOf('198.51.100.1:4433')
  dht.say('found', { ...sighting(2, '203.0.113.2:4433'), nat: 'cone', introducers })
  mdns.say('found', sighting(2, '10.77.0.2:4433'))
  seeds.say('found', seed('10.77.0.2:4433'))
  const find = () => table.find('node2@host')[0]
  assert.equal([find()?.nat, find()?.introducers], ['cone', introducers])
  dht.say('changed', { ...sighting(2, '203.0.113.2:4433'), nat: 'open', introducers: [] })
  assert.equal([find()?.nat, find()?.introducers], ['open', []])
  // It has started anew: what was true then may not be now.
  mdns.say('changed', { ...sighting(2, '10.77.0.2:4433'), incarnation: 'ffffffffffffffff' })
  assert.equal([find()?.nat, find()?.introducers], [undefined, undefined])
})

test('a source says that its status is another now, until all stop', async () => {
  const told: string[] = []
  const source = new ScriptedSource('a')
  const options = { sources: [source], onEvent: () => {} }
  const table = new DiscoveryTable({ ...options, onStatus: (status) => told.push(`${status.source} ${status.state}`) })
  await table.start(nodeRecord(1))
  assert.equal(told, [])
  source.turned()
  assert.equal(told, ['a working'])
  await table.stop()
  source.turned()
  assert.is(told.length, 1)
})

test.run()
