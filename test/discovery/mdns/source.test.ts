/** The source on a LAN in memory, in virtual time. */
import * as assert from 'uvu/assert'
import type { MulticastInterface } from '../../../discovery/mdns/interfaces.ts'
import { MAX_PACKET_BYTES } from '../../../discovery/mdns/packet.ts'
import { type MdnsSource, mdnsSource } from '../../../discovery/mdns/source.ts'
import type { NodeRecord } from '../../../discovery/source.ts'
import { formatAddress } from '../../../transport/address.ts'
import { seededRandom } from '../../../transport/random.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'
import { addressesOf, EventLog, faceOf, MemoryLan, nodeRecord } from '../support.ts'

const test = suite('mdns source')

const loopbackFace: MulticastInterface = {
  interfaceName: 'lo',
  loopback: true,
  family: 4,
  address: '127.0.0.1',
  networks: ['127.0.0.1/8'],
}

interface Running {
  readonly source: MdnsSource
  readonly log: EventLog
  readonly started: Promise<void>
}

class World {
  readonly clock = new VirtualClock()
  readonly lan = new MemoryLan(this.clock)

  start(
    host: number,
    record: NodeRecord = nodeRecord(host),
    faces: () => MulticastInterface[] = () => [faceOf(host)],
  ): Running {
    const { clock } = this
    const random = seededRandom(host)
    const source = mdnsSource({ clock, random, listInterfaces: faces, openSocket: this.lan.open })
    const log = new EventLog()
    return { source, log, started: source.start(record, log.emit) }
  }

  /** Lets virtual time pass. */
  async pass(ms: number): Promise<void> {
    await this.clock.run({ untilMs: this.clock.now() + ms })
  }
}

test('two nodes find each other, one goes, the other hears of it within two seconds', async () => {
  const world = new World()
  const one = world.start(1)
  const two = world.start(2)
  await world.pass(1100)
  await Promise.all([one.started, two.started])
  assert.equal(one.log.take(), ['found node2@host'])
  assert.equal(two.log.take(), ['found node1@host'])
  assert.is(one.source.status().state, 'working')
  assert.is(one.source.status().seen, 1)
  await world.pass(60_000)
  assert.equal(one.log.take(), [])

  const stopped = two.source.stop()
  await world.pass(2000)
  await stopped
  assert.equal(one.log.take(), ['lost node2@host'])
  assert.is(two.source.status().state, 'stopped')
  await one.source.stop()
})

test('the later one finds the earlier one by its first question, and is found when it has its names', async () => {
  const world = new World()
  const one = world.start(1)
  await world.pass(30_000)
  const two = world.start(2)
  await world.pass(5)
  assert.equal(two.log.take(), ['found node1@host'], 'at once: nobody else can answer')
  assert.equal(one.log.take(), [])
  await world.pass(1000)
  assert.equal(one.log.take(), ['found node2@host'])
  await world.pass(5000)
  const three = world.start(3)
  await world.pass(15)
  assert.equal(three.log.take(), [])
  await world.pass(115)
  assert.equal(three.log.take().sort(), ['found node1@host', 'found node2@host'])
})

test('two interfaces on one wire do not take each other for rivals', async () => {
  const world = new World()
  const wired: MulticastInterface = { ...faceOf(1), networks: ['10.77.0.1/24', 'fe80::1/64'] }
  const wireless: MulticastInterface = {
    ...faceOf(11),
    interfaceName: 'wlan0',
    networks: ['10.77.0.11/24', 'fe80::b/64'],
  }
  const addresses = addressesOf('10.77.0.1:4433', '10.77.0.11:4433', '[fe80::1%eth0]:4433', '[fe80::b%wlan0]:4433')
  const one = world.start(1, nodeRecord(1, { addresses }), () => [wired, wireless])
  const two = world.start(2)
  await world.pass(5000)
  assert.is(two.log.take()[0], 'found node1@host')
  one.source.update(nodeRecord(1, { addresses: addresses.slice(1) }))
  await world.pass(5000)
  assert.is(two.log.take().at(-1), 'changed node1@host')
  const instances = new Set(
    world.lan.packets.flatMap((packet) =>
      packet.answers.flatMap((record) => (record.type === 'SRV' ? [`${record.name} ${record.target}`] : [])),
    ),
  )
  assert.is([...instances].filter((text) => text.startsWith('node1@')).length, 1, [...instances].join())
})

test('the same node twice: the second one gets another label and is the same node still', async () => {
  const world = new World()
  const watching = world.start(3)
  world.start(1)
  await world.pass(5000)
  world.start(2, nodeRecord(1, { incarnation: '00000000000000ff', addresses: addressesOf('10.77.0.2:4433') }))
  await world.pass(5000)
  assert.equal(watching.log.take(), ['found node1@host', 'changed node1@host'])
  const labels = world.lan.packets.flatMap((packet) =>
    packet.answers.flatMap((record) => (record.type === 'SRV' ? [record.name.split('.')[0]!] : [])),
  )
  const plain = labels.find((label) => label.startsWith('node1@') && !label.endsWith('-2'))
  assert.ok(labels.includes(`${plain}-2`), labels.join())
})

test('a node that vanished without goodbye is lost when its host records expire', async () => {
  const world = new World()
  const one = world.start(1)
  world.start(2)
  await world.pass(5000)
  one.log.take()
  world.lan.kill('10.77.0.2')
  await world.pass(100_000)
  assert.equal(one.log.take(), [])
  await world.pass(30_000)
  assert.equal(one.log.take(), ['lost node2@host'])
})

test('a restart under the same name is a change, with the old key and with a new one', async () => {
  const world = new World()
  const one = world.start(1)
  world.start(2)
  await world.pass(5000)
  one.log.take()
  world.lan.kill('10.77.0.2')
  world.start(2, nodeRecord(2, { incarnation: '00000000000000ff' }))
  await world.pass(3000)
  assert.equal(one.log.take(), ['changed node2@host'])
  world.lan.kill('10.77.0.2')
  world.start(2, nodeRecord(3, { name: 'node2@host', addresses: addressesOf('10.77.0.2:4433') }))
  await world.pass(3000)
  const [event] = one.log.events
  assert.is(event?.sighting.id, nodeRecord(3).id)
  assert.equal(one.log.take(), ['changed node2@host'])
  await world.pass(200_000)
  assert.equal(one.log.take(), [], 'the stale record of the old key runs out unnoticed')
})

test('a node on two interfaces of ours is one sighting with all its addresses', async () => {
  const world = new World()
  const both = (host: number) => () => [loopbackFace, faceOf(host)]
  const local = addressesOf('127.0.0.1:4433', '10.77.0.1:4433')
  const one = world.start(1, nodeRecord(1), both(1))
  const two = world.start(2, nodeRecord(2, { addresses: local }), () => [loopbackFace, faceOf(1)])
  await world.pass(5000)
  const last = one.log.events.at(-1)
  assert.equal(last?.sighting.addresses.map(formatAddress).sort(), ['10.77.0.1:4433', '127.0.0.1:4433'])
  assert.is(one.log.events.filter(({ type }) => type === 'found').length, 1)
  one.log.take()
  void two.source.stop()
  await world.pass(2000)
  assert.is(one.log.take().filter((text) => text.startsWith('lost')).length, 1)
})

test('an update of our record reaches the others', async () => {
  const world = new World()
  const one = world.start(1)
  const two = world.start(2)
  await world.pass(5000)
  one.log.take()
  two.source.update(nodeRecord(2, { addresses: addressesOf('10.77.0.2:5544') }))
  await world.pass(50)
  assert.equal(one.log.events[0]?.sighting.addresses.map(formatAddress), ['10.77.0.2:5544'])
  assert.equal(one.log.take(), ['changed node2@host'])
  await world.pass(3000)
  const sent = world.lan.packets.length
  two.source.update(nodeRecord(2, { addresses: addressesOf('10.77.0.2:5544') }))
  await world.pass(0)
  assert.is(world.lan.packets.length, sent, 'the same record again is not announced')
})

test('clusters on one wire leave each other alone', async () => {
  const world = new World()
  const one = world.start(1)
  const two = world.start(2, nodeRecord(2, { clusterTag: 'other' }))
  const three = world.start(3)
  await world.pass(10_000)
  assert.equal(one.log.take(), ['found node3@host'])
  assert.equal(two.log.take(), [])
  assert.equal(three.log.take(), ['found node1@host'])
})

test('packets from senders that are no neighbours are dropped', async () => {
  const world = new World()
  const one = world.start(1)
  world.start(2, nodeRecord(2), () => [{ ...faceOf(2), address: '10.99.0.2', networks: ['10.99.0.2/24'] }])
  await world.pass(10_000)
  assert.equal(one.log.take(), [])
  assert.ok(one.source.counters().offLink! > 0)
})

test('who does not hear itself is degraded after two seconds, and says why that may be', async () => {
  const world = new World()
  world.lan.drops = () => true
  const one = world.start(1)
  let settled = false
  void one.started.then(() => {
    settled = true
  })
  await world.pass(1900)
  assert.is(settled, false)
  assert.is(one.source.status().state, 'starting')
  await world.pass(200)
  assert.is(settled, true)
  const { state, detail } = one.source.status()
  assert.is(state, 'degraded')
  for (const word of ['eth0', 'Docker', 'WSL2', 'Kubernetes', 'seeds']) assert.match(detail, word)
  world.lan.drops = () => false
  await world.pass(20_000)
  assert.is(one.source.status().state, 'working', 'and works again when the wire does')
  world.lan.drops = () => true
  one.source.refresh()
  await world.pass(2100)
  assert.is(one.source.status().state, 'degraded', 'and notices when it stops, as soon as it says something')
})

test('where only the loopback hears itself the status says so', async () => {
  const world = new World()
  world.lan.drops = (from) => from !== '127.0.0.1'
  const one = world.start(1, nodeRecord(1), () => [loopbackFace, faceOf(1)])
  await world.pass(3000)
  const { state, detail } = one.source.status()
  assert.is(state, 'degraded')
  assert.match(detail, 'this machine only')
})

test('without any interface it has failed, until one comes up', async () => {
  const world = new World()
  let faces: MulticastInterface[] = []
  const one = world.start(1, nodeRecord(1), () => faces)
  world.start(2)
  await one.started
  assert.is(one.source.status().state, 'failed')
  faces = [faceOf(1)]
  await world.pass(11_000)
  assert.is(one.source.status().state, 'working')
  assert.equal(one.log.take(), ['found node2@host'])
  faces = []
  await world.pass(10_000)
  assert.equal(one.log.take(), ['lost node2@host'])
  assert.is(one.source.status().state, 'failed')
})

test('a socket that cannot be opened is a failure with the reason, tried again', async () => {
  const world = new World()
  const { clock } = world
  let refusals = 2
  const source = mdnsSource({
    clock,
    random: seededRandom(1),
    listInterfaces: () => [faceOf(1)],
    openSocket: async (face, port, handler) => {
      if (refusals-- <= 0) return world.lan.open(face, port, handler)
      handler.onError('EADDRNOTAVAIL')
      return { send: () => {}, close: async () => {} }
    },
  })
  void source.start(nodeRecord(1), () => {})
  await world.pass(3000)
  const { state, detail } = source.status()
  assert.is(state, 'failed')
  assert.match(detail, 'eth0: EADDRNOTAVAIL')
  await world.pass(20_000)
  assert.is(source.status().state, 'working')
})

test('a name that fits no TXT record is a failed status', async () => {
  const world = new World()
  const one = world.start(1, nodeRecord(1, { name: `a@${'x'.repeat(300)}` }))
  await one.started
  assert.is(one.source.status().state, 'failed')
  await one.source.stop()
})

test('stop is bounded even if a socket never closes, and nothing is told afterwards', async () => {
  const world = new World()
  const { clock } = world
  const source = mdnsSource({
    clock,
    random: seededRandom(1),
    listInterfaces: () => [faceOf(1)],
    openSocket: async () => ({ send: () => {}, close: () => new Promise(() => {}) }),
  })
  void source.start(nodeRecord(1), () => {})
  await world.pass(10)
  const stopped = source.stop()
  assert.is(source.stop(), stopped)
  await world.pass(600)
  await stopped
})

test(
  'forty nodes on one wire all see each other, in packets that fit',
  async () => {
    const world = new World()
    const nodes = Array.from({ length: 40 }, (_, index) => world.start(index + 1))
    await world.pass(5000)
    for (const { source } of nodes) assert.is(source.status().seen, 39)
    assert.ok(world.lan.largestBytes <= MAX_PACKET_BYTES)
    const before = world.lan.packets.length
    await world.pass(600_000)
    for (const { source, log } of nodes) {
      assert.is(source.status().seen, 39)
      assert.is(log.events.filter(({ type }) => type === 'lost').length, 0)
    }
    // Ten minutes of quiet: each node asks for the service once a minute, and refreshes are shared by all.
    const perNodeAndMinute = (world.lan.packets.length - before) / 40 / 10
    console.log(`${perNodeAndMinute.toFixed(1)} packets per node and minute`)
    assert.ok(perNodeAndMinute < 20)
  },
  { deadlineMs: 20_000 },
)

test.run()
