/** Our nodes beside Avahi, the responder of most Linux machines, on a LAN of network namespaces: each sees the other. */
import { setTimeout as sleep } from 'node:timers/promises'
import * as assert from 'uvu/assert'
import type { NodeRecord } from '../../../discovery/source.ts'
import { formatAddress } from '../../../transport/address.ts'
import { Avahi } from '../../support/avahi.ts'
import { type LanHost, lan } from '../../support/lan.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { addressesOf, idOf, nodeRecord } from '../support.ts'
import { NodeProcess } from './fixtures/process.ts'
import { type Resolved, resolved } from './fixtures/resolved.ts'

const test = suite('mdns and avahi')
const DEADLINE = { deadlineMs: 60_000 }
/** As service.ts makes them of the record below. */
const LABEL = `node1@host-${idOf(1).slice(0, 12)}`
const HOST_NAME = `skein-${idOf(1).slice(0, 16)}.local`

const record = (change: Partial<NodeRecord> = {}): NodeRecord =>
  nodeRecord(1, { addresses: addressesOf('10.77.0.1:4433', '[fd77::1]:4433'), ...change })

interface World {
  readonly ours: LanHost
  readonly theirs: LanHost
  readonly avahi: Avahi
}

const world = async (t: TestContext): Promise<World> => {
  const [ours, theirs] = lan(t, 2)
  return { ours: ours!, theirs: theirs!, avahi: await Avahi.start(t, theirs!, 'theirs') }
}

/** Starts our node and waits until it has its names and has announced them. */
const startNode = async (t: TestContext, host: LanHost, change: Partial<NodeRecord> = {}): Promise<NodeProcess> => {
  const node = NodeProcess.start(t, record(change), { host })
  await node.status()
  return node
}

/** A browser that runs on, and the first service it resolves that fits. */
const found = async (avahi: Avahi, fits: (service: Resolved) => boolean): Promise<Resolved> => {
  const browser = avahi.run('avahi-browse', '--resolve', '--parsable', '_skein._udp')
  const line = await browser.line((text) => {
    const service = resolved(text)
    return service !== undefined && fits(service)
  })
  return resolved(line)!
}

test(
  'avahi shows our node with host, port, addresses and what its TXT record says, also by its type alone',
  async (t) => {
    const { ours, avahi } = await world(t)
    await startNode(t, ours)
    const service = await found(avahi, ({ label }) => label === LABEL)
    assert.is(service.host, HOST_NAME)
    assert.is(service.port, 4433)
    assert.is(service.address, '10.77.0.1')
    const { id, name, incarnation, clusterTag } = record()
    assert.equal(service.texts.sort(), [`id=${id}`, `inc=${incarnation}`, `name=${name}`, `tag=${clusterTag}`, 'v=1'])

    assert.match(await avahi.output('avahi-browse', '-rpt', '_skein._udp'), HOST_NAME)
    assert.match(await avahi.output('avahi-browse', '-apt'), '_skein._udp')
    assert.match(await avahi.output('avahi-resolve', '-4', '-n', HOST_NAME), '10.77.0.1')
    assert.match(await avahi.output('avahi-resolve', '-6', '-n', HOST_NAME), 'fd77::1')
  },
  DEADLINE,
)

test(
  'we see what avahi publishes: a stranger is a foreign service, our TXT form is a node, and its goodbye counts',
  async (t) => {
    const { ours, avahi } = await world(t)
    const node = await startNode(t, ours)
    avahi.run('avahi-publish', '-s', 'a stranger. really', '_skein._udp', '1234', 'colour=blue')
    while ((await node.look()).counters.foreign !== 1) await sleep(100)
    assert.is((await node.look()).status.seen, 0)

    const other = nodeRecord(2)
    const texts = ['v=1', `id=${other.id}`, `name=${other.name}`, `inc=${other.incarnation}`, `tag=${other.clusterTag}`]
    const publisher = avahi.run('avahi-publish', '-s', 'any label will do', '_skein._udp', '5544', ...texts)
    const { sighting } = await node.event('found', other.name)
    assert.is(sighting.id, other.id)
    assert.is(sighting.incarnation, other.incarnation)
    assert.ok(sighting.addresses.map(formatAddress).includes('10.77.0.2:5544'), JSON.stringify(sighting))
    await publisher.stop()
    await node.event('lost', other.name)
  },
  DEADLINE,
)

test(
  'where avahi holds our label, our node takes the next one and keeps its name',
  async (t) => {
    const { ours, avahi } = await world(t)
    const publisher = avahi.run('avahi-publish', '-s', LABEL, '_skein._udp', '1234')
    await publisher.line((line) => line.includes('Established'))
    await startNode(t, ours)
    const renamed = await found(avahi, ({ label }) => label === `${LABEL}-2`)
    assert.is(renamed.port, 4433)
    assert.ok(renamed.texts.includes(`name=${record().name}`))
    const theirs = await found(avahi, ({ label }) => label === LABEL)
    assert.is(theirs.port, 1234, 'theirs is left alone')
  },
  DEADLINE,
)

test(
  'where our node holds the label, avahi has to take another one',
  async (t) => {
    const { ours, avahi } = await world(t)
    await startNode(t, ours)
    await found(avahi, ({ label }) => label === LABEL)
    const publisher = avahi.run('avahi-publish', '-s', LABEL, '_skein._udp', '1234')
    const line = await publisher.line((text) => /Established|collision|Failed/i.test(text))
    assert.ok(/collision|Failed/i.test(line) || line.includes('#2'), line)
    const ownService = await found(avahi, ({ label }) => label === LABEL)
    assert.is(ownService.port, 4433, 'ours is left alone')
  },
  DEADLINE,
)

test(
  'a host that takes over our host name does not take our node away',
  async (t) => {
    const { ours, avahi } = await world(t)
    const publisher = avahi.run('avahi-publish', '-a', '-R', HOST_NAME, '10.77.0.99')
    await publisher.line((line) => line.includes('Established'))
    await startNode(t, ours)
    const service = await found(avahi, ({ label }) => label === LABEL)
    assert.is(service.host, HOST_NAME.replace('.local', '-2.local'))
    assert.is(service.address, '10.77.0.1')
  },
  DEADLINE,
)

test(
  'avahi hears our goodbye',
  async (t) => {
    const { ours, avahi } = await world(t)
    const node = await startNode(t, ours)
    const browser = avahi.run('avahi-browse', '--parsable', '_skein._udp')
    await browser.line((line) => line.startsWith('+;'))
    assert.ok(await node.stop())
    const leftMs = performance.now()
    await browser.line((line) => line.startsWith('-;'))
    // RFC 6762 section 10.1: one second, and as much again to notice.
    assert.ok(performance.now() - leftMs < 2500)
  },
  DEADLINE,
)

test.run()
