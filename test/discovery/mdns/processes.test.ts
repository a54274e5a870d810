/** Real processes on real sockets: on this machine's loopback, and on a LAN of network namespaces. */
import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import { mdnsSource } from '../../../discovery/index.ts'
import type { NodeRecord } from '../../../discovery/source.ts'
import { type Address, formatAddress } from '../../../transport/address.ts'
import { systemClock } from '../../../transport/clock.ts'
import { systemRandom } from '../../../transport/random.ts'
import { lan } from '../../support/lan.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { addressesOf, nodeRecord } from '../support.ts'
import { NodeProcess } from './fixtures/process.ts'

const test = suite('mdns processes')
/** Starting node with tsx takes seconds on a busy machine. */
const DEADLINE = { deadlineMs: 40_000 }
/** RFC 6762 section 10.1 gives a goodbye one second; as much again to notice. */
const GOODBYE_LIMIT_MS = 2000
/** Other processes on the loopback may run the same test. */
const clusterTag = randomBytes(8).toString('hex')

const record = (number: number, addresses: Address[], change: Partial<NodeRecord> = {}): NodeRecord =>
  nodeRecord(number, { clusterTag, addresses, ...change })

/** The goodbye is on the wire before the process ends: from then on the others have two seconds. */
const assertGoodbye = async (leaving: NodeProcess, watching: NodeProcess, name: string): Promise<void> => {
  assert.ok(await leaving.stop(), 'the process left by itself')
  const leftMs = performance.now()
  await watching.event('lost', name)
  assert.ok(performance.now() - leftMs < GOODBYE_LIMIT_MS)
}

const hostsOf = (addresses: readonly Address[]): string[] => addresses.map(formatAddress).sort()

test(
  'two processes find each other over the loopback of this machine, one says goodbye',
  async (t) => {
    const interfaces = ['127.0.0.1']
    const one = NodeProcess.start(t, record(1, addressesOf('127.0.0.1:4431')), { interfaces })
    const two = NodeProcess.start(t, record(2, addressesOf('127.0.0.1:4432')), { interfaces })
    const [status] = await Promise.all([one.status(), two.status()])
    if (status.state !== 'working') t.missing(`multicast on the loopback: ${status.detail}`)
    const [seen] = await Promise.all([one.event('found', 'node2@host'), two.event('found', 'node1@host')])
    assert.equal(hostsOf(seen.sighting.addresses), ['127.0.0.1:4432'])
    await assertGoodbye(two, one, 'node2@host')
  },
  DEADLINE,
)

test(
  'two processes of a machine that has nothing but a loopback find each other',
  async (t) => {
    const [host] = lan(t, 1, { loopbackOnly: true })
    const one = NodeProcess.start(t, record(1, addressesOf('127.0.0.1:4431')), { host: host! })
    const two = NodeProcess.start(t, record(2, addressesOf('127.0.0.1:4432')), { host: host! })
    await Promise.all([one.event('found', 'node2@host'), two.event('found', 'node1@host')])
    const { state, detail } = await one.status()
    assert.is(state, 'working')
    assert.match(detail, 'this machine only')
  },
  DEADLINE,
)

test(
  'a machine without any interface up has a failed source and a process that lives and stops',
  async (t) => {
    const [host] = lan(t, 1, { loopbackOnly: true })
    host!.ip('link', 'set', 'lo', 'down')
    const one = NodeProcess.start(t, record(1, addressesOf('127.0.0.1:4431')), { host: host! })
    assert.is((await one.status()).state, 'failed')
  },
  DEADLINE,
)

test('a source that is stopped while it starts leaves nothing behind', async () => {
  const source = mdnsSource({ clock: systemClock, random: systemRandom, interfaces: ['127.0.0.1'] })
  const started = source.start(record(1, addressesOf('127.0.0.1:4431')), () => {})
  await source.stop()
  await started
  assert.is(source.status().state, 'stopped')
})

const onLan = async (t: TestContext, ipv6Only: boolean): Promise<void> => {
  const hosts = lan(t, 3, { ipv6Only })
  const address = (number: number, port = 4433): string =>
    ipv6Only ? `[${hosts[number - 1]!.ipv6}]:${port}` : `${hosts[number - 1]!.ipv4}:${port}`
  const start = (number: number, change: Partial<NodeRecord> = {}): NodeProcess =>
    NodeProcess.start(t, record(number, addressesOf(address(number)), change), { host: hosts[number - 1]! })
  const nodes = [start(1), start(2), start(3)] as const
  const [one, two, three] = nodes
  for (const [index, node] of nodes.entries()) {
    for (const other of [1, 2, 3].filter((number) => number !== index + 1)) {
      const { sighting } = await node.event('found', `node${other}@host`)
      assert.equal(hostsOf(sighting.addresses), [address(other)])
    }
    assert.is((await node.status()).state, 'working')
  }

  await three.kill()
  start(3, { incarnation: '00000000000000ff', addresses: addressesOf(address(3, 5544)) })
  let { sighting } = await one.event('changed', 'node3@host')
  assert.is(sighting.incarnation, '00000000000000ff')
  // For a second after the restart the old port may still be known; the new one is what counts in the end.
  while (sighting.addresses.some(({ port }) => port !== 5544))
    sighting = (await one.event('changed', 'node3@host')).sighting

  await assertGoodbye(two, one, 'node2@host')
}

test(
  'a LAN: three machines find each other, one is killed and restarted, one says goodbye',
  (t) => onLan(t, false),
  DEADLINE,
)

test('the same on a LAN without IPv4', (t) => onLan(t, true), DEADLINE)

test.run()
