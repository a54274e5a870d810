/**
 * Addresses of stopped nodes stay at the meeting point of the DHT for 45 minutes, and anybody near it can make some up:
 * each was dialled every 30 s, and at once whenever it came back. And a node that was known by another key before, or
 * whose key was forgotten, was dialled for ever under the old one, since nobody ever called it lost.
 */
import * as assert from 'uvu/assert'
import type { DiscoveryEvent, DiscoverySource, Sighting } from '../../discovery/source.ts'
import { DiscoveryTable, type KnownNode } from '../../discovery/table.ts'
import { Mesh } from '../../src/cluster/mesh.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { addressesOf, idOf, nodeRecord } from '../discovery/support.ts'
import { suite } from '../support/suite.ts'

const test = suite('silent hints')

const MINUTE_MS = 60_000

class Teller implements DiscoverySource {
  readonly source: string
  #emit: (event: DiscoveryEvent) => void = () => {}

  constructor(source: string) {
    this.source = source
  }
  async start(_record: unknown, emit: (event: DiscoveryEvent) => void): Promise<void> {
    this.#emit = emit
  }
  say(type: DiscoveryEvent['type'], sighting: Sighting): void {
    this.#emit({ type, source: this.source, sighting })
  }
  update(): void {}
  refresh(): void {}
  status() {
    return { source: this.source, state: 'working', detail: '', seen: 0 } as const
  }
  async stop(): Promise<void> {}
}

/** Nobody answers at any address. */
const nowhere = async (...sources: Teller[]) => {
  const clock = new VirtualClock()
  const random = seededRandom(1)
  const dialled: KnownNode[] = []
  const host = {
    isUp: () => false,
    wants: () => true,
    forget: () => {},
    silent: () => {},
    dial: async (node: KnownNode): Promise<string | undefined> => {
      dialled.push(node)
      throw new Error('silence')
    },
  }
  const mesh = new Mesh({ selfId: idOf(1), selfIncarnation: 'f'.repeat(16), clock, random, host })
  const table = new DiscoveryTable({
    sources,
    onEvent: ({ type, node, formerKey }) => {
      if (type === 'lost') mesh.lost(node)
      else mesh.known(node, formerKey)
    },
  })
  await table.start(nodeRecord(1))
  const dialsWithin = async (ms: number): Promise<KnownNode[]> => {
    dialled.length = 0
    await clock.run({ untilMs: clock.now() + ms })
    return [...dialled]
  }
  return { clock, dialsWithin }
}

const hint = (text: string): Sighting => ({ key: text, addresses: addressesOf(text) })

test('an address from the meeting point that never answers is dialled ever more rarely, a seed every 30 s', async () => {
  const [dht, seeds] = [new Teller('dht'), new Teller('seeds')]
  const { dialsWithin } = await nowhere(dht, seeds)
  dht.say('found', hint('10.77.0.2:4433'))
  seeds.say('found', hint('10.77.0.3:4433'))
  const all = await dialsWithin(45 * MINUTE_MS)
  const count = (source: string): number => all.filter(({ sources }) => sources.includes(source)).length
  assert.ok(count('dht') >= 12 && count('dht') < 25, `${count('dht')} dials of the hint`)
  assert.ok(count('seeds') > 60, `${count('seeds')} dials of the seed`)
})

test('its silence is remembered when it comes and goes', async () => {
  const dht = new Teller('dht')
  const { dialsWithin } = await nowhere(dht)
  let dials = 0
  for (let i = 0; i < 60; i++) {
    dht.say('found', hint('10.77.0.2:4433'))
    dials += (await dialsWithin(MINUTE_MS)).length
    dht.say('lost', hint('10.77.0.2:4433'))
  }
  assert.ok(dials < 20, `${dials} dials in an hour`)
})

test('a node whose id is forgotten, or replaced by another, is dialled under it no more', async () => {
  const [dht, peers] = [new Teller('dht'), new Teller('peers')]
  const { dialsWithin } = await nowhere(dht, peers)
  const address = '10.77.0.2:4433'
  const known = (seed: number, key = idOf(seed)): Sighting => ({
    ...nodeRecord(seed),
    key,
    addresses: addressesOf(address),
  })
  dht.say('found', hint(address))
  peers.say('found', known(2))
  await dialsWithin(MINUTE_MS)
  peers.say('lost', known(2))
  const byHint = await dialsWithin(10 * MINUTE_MS)
  assert.ok(byHint.length > 0)
  assert.equal([...new Set(byHint.map(({ id }) => id))], [undefined])

  peers.say('found', known(3, 'one name'))
  await dialsWithin(MINUTE_MS)
  peers.say('changed', known(4, 'one name'))
  const byName = await dialsWithin(10 * MINUTE_MS)
  assert.equal([...new Set(byName.map(({ id }) => id))], [idOf(4)])
  peers.say('lost', known(4, 'one name'))
  dht.say('lost', hint(address))
  assert.equal(await dialsWithin(10 * MINUTE_MS), [])
})

test.run()
