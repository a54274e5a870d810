/**
 * A node that started before its network was up stayed unannounced: its addresses were read anew by whoever asked for
 * them, but nobody told the sources of discovery. And a lookup under way kept a stopped node busy until its time was over.
 */
import * as assert from 'uvu/assert'
import type { DiscoverySource, NodeRecord } from '../../discovery/source.ts'
import { DiscoveryTable } from '../../discovery/table.ts'
import { NodeDiscovery } from '../../src/node-discovery.ts'
import type { Address } from '../../transport/address.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { addressesOf, nodeRecord } from '../discovery/support.ts'
import { pass, settled, startCluster } from '../src/node-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('late network')

class Listener implements DiscoverySource {
  readonly source = 'listener'
  readonly records: NodeRecord[] = []
  async start(record: NodeRecord): Promise<void> {
    this.records.push(record)
  }
  update(record: NodeRecord): void {
    this.records.push(record)
  }
  refresh(): void {}
  status() {
    return { source: 'listener', state: 'working', detail: '', seen: 0 } as const
  }
  async stop(): Promise<void> {}
}

test('a changed address is published within ten seconds, the same ones in another order are not', async () => {
  const clock = new VirtualClock()
  const source = new Listener()
  const table = new DiscoveryTable({ sources: [source], onEvent: () => {} })
  let addresses: readonly Address[] | undefined = addressesOf('127.0.0.1:4433')
  const self = (): NodeRecord => {
    if (addresses === undefined) throw new Error('the system lists no interfaces now')
    return nodeRecord(1, { addresses })
  }
  const discovery = new NodeDiscovery({ table, clock, ask: async () => {}, self })
  const published = (): string[] => source.records.map((record) => record.addresses.map(({ host }) => host).join(' '))
  await discovery.start()
  discovery.register('web')
  await clock.run({ untilMs: 60_000 })
  assert.equal(published(), ['127.0.0.1', '127.0.0.1'])

  addresses = addressesOf('10.77.0.1:4433', '127.0.0.1:4433')
  await clock.run({ untilMs: 70_000 })
  assert.is(published().at(-1), '10.77.0.1 127.0.0.1')
  assert.equal(
    source.records.at(-1)?.registrations?.map(({ name }) => name),
    ['web'],
  )

  addresses = addressesOf('127.0.0.1:4433', '10.77.0.1:4433')
  await clock.run({ untilMs: 90_000 })
  addresses = undefined
  await clock.run({ untilMs: 120_000 })
  assert.is(published().length, 3)
  addresses = addressesOf('10.77.0.9:4433')
  await clock.run({ untilMs: 131_000 })
  assert.is(published().at(-1), '10.77.0.9')

  await discovery.stop()
  addresses = addressesOf('10.77.0.1:4433')
  await clock.run({ untilMs: 200_000 })
  assert.is(published().length, 4)
})

test('a lookup ends with the stop, and leaves no timer', async (t) => {
  const cluster = await startCluster(t, 1)
  const node = cluster.nodes[0]!
  const found = node.discovery.lookup('nobody@nowhere', { timeoutMs: 60_000 })
  await pass(cluster, 50)
  await settled(cluster, node.stop())
  assert.equal(await found, [])
  assert.equal(await node.discovery.lookup('nobody@nowhere'), [])
  assert.is(await cluster.clock.run(), 'idle')
  assert.ok(cluster.clock.now() < 1000, `something was still planned until ${cluster.clock.now()} ms`)
})

test.run()
