/**
 * Nodes that were started before the one they know, as after a power cut: their dials backed off to 30 s although none of
 * them had any connection, and so a cluster came together half a minute after its seed was there.
 */
import * as assert from 'uvu/assert'
import { SkeinError } from '../../certs/errors.ts'
import { Mesh } from '../../src/cluster/mesh.ts'
import { SimulatedCluster } from '../../src/testing/index.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { addressesOf, idOf } from '../discovery/support.ts'
import { suite } from '../support/suite.ts'

const test = suite('started before the seed', { watchdogMs: 180_000 })

const MINUTE_MS = 60_000
/** The longest pause, by chance a quarter longer, a dial under way, and a moment to meet the others. */
const TOGETHER_MS = 10_000

for (const seed of [1, 2, 3, 4, 5]) {
  test(`nodes that waited for their seed for minutes are one mesh with it within 10 s (seed ${seed})`, async () => {
    const cluster = new SimulatedCluster({ seed })
    const identities = [await cluster.identity(), await cluster.identity(), await cluster.identity()]
    for (const index of [1, 2]) await cluster.start(index, { identity: identities[index]! })
    await cluster.clock.run({ untilMs: 3 * MINUTE_MS + seed * 1700 })
    await cluster.start(0, { identity: identities[0]! })
    const startedMs = cluster.clock.now()
    const isMeshed = (): boolean => cluster.nodes.every((node) => node.nodes().length === 2)
    await cluster.clock.run({ until: isMeshed, untilMs: startedMs + TOGETHER_MS })
    assert.ok(isMeshed(), `${cluster.nodes.map((node) => node.nodes().length)}`)
    await cluster.stop()
  })
}

interface Silence {
  /** Nodes that it knows, none of which answers. */
  readonly nodes: number
  readonly source?: string
  readonly isConnected?: boolean
}

/** How many dials a node makes in ten minutes, the first of them left out. */
const dials = async ({ nodes, source = 'seeds', isConnected = false }: Silence): Promise<number> => {
  const clock = new VirtualClock()
  let count = 0
  const mesh = new Mesh({
    selfId: idOf(1),
    selfIncarnation: 'f'.repeat(16),
    clock,
    random: seededRandom(1),
    host: {
      isUp: () => false,
      wants: () => true,
      forget: () => {},
      silent: () => {},
      dial: async () => {
        count++
        const attempts = [{ what: 'there', code: 'ERR_SKEIN_CONNECT_TIMEOUT', message: 'silence' }]
        throw new SkeinError('ERR_SKEIN_CONNECT_TIMEOUT', 'silence', { attempts })
      },
    },
  })
  if (isConnected) mesh.up(idOf(2))
  for (let i = 0; i < nodes; i++) {
    const text = `10.77.${i >> 8}.${i & 255}:4433`
    mesh.known({ key: text, addresses: addressesOf(text), sources: [source] })
  }
  await clock.run({ untilMs: 2 * MINUTE_MS })
  count = 0
  await clock.run({ untilMs: 12 * MINUTE_MS })
  mesh.stop()
  return count
}

const SECONDS = 600

test('a node that is alone dials what it knows every few seconds, one that is not every 30 s', async () => {
  const alone = await dials({ nodes: 3 })
  assert.ok(alone > (3 * SECONDS) / 7 && alone <= (3 * SECONDS) / 4, `${alone} dials`)
  const inCompany = await dials({ nodes: 3, isConnected: true })
  assert.ok(inCompany <= (3 * SECONDS) / 20, `${inCompany} dials`)
})

test('it makes no more than about a dial a second, unless it knows so many that 30 s for each is more', async () => {
  const few = await dials({ nodes: 12 })
  assert.ok(few <= SECONDS * 1.2, `${few} dials`)
  const many = await dials({ nodes: 120 })
  const usual = await dials({ nodes: 120, isConnected: true })
  assert.ok(Math.abs(many - usual) < usual * 0.05, `${many} dials instead of ${usual}`)
})

test('what only the DHT or other members tell of is dialled no more often than before', async () => {
  for (const source of ['dht', 'peers']) assert.ok((await dials({ nodes: 3, source })) <= (3 * SECONDS) / 20, source)
})

test.run()
