import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import { createIdentity, type Identity } from '../../../certs/identity.ts'
import { Keyring } from '../../../certs/keyring.ts'
import { deriveKeys } from '../../../certs/keys.ts'
import { type SigningKey, signingKeyOf } from '../../../certs/signing-key.ts'
import { compactAddress } from '../../../discovery/dht/compact-address.ts'
import { daysAt, itemKey, meetingPoint } from '../../../discovery/dht/places.ts'
import { whereabouts } from '../../../discovery/dht/publisher.ts'
import { RECORD_LIFETIME_MS, sealRecord, signRecord } from '../../../discovery/dht/record.ts'
import { dhtSource, type RendezvousOptions } from '../../../discovery/dht/rendezvous.ts'
import type { DiscoveryEvent, DiscoverySource, NodeRecord } from '../../../discovery/source.ts'
import { type Address, sameAddress } from '../../../transport/address.ts'
import { suite, type TestContext } from '../../support/suite.ts'
import { type SimulatedNode, Simulation } from './simulation.ts'

const test = suite('dht rendezvous')

const MINUTE_MS = 60_000
const LAN: readonly Address[] = [{ host: '192.168.1.7', port: 4433 }]
/** A query that stores an item (BEP 44). */
const isPut = (bytes: Uint8Array): boolean => Buffer.from(bytes).includes('1:q3:put')
const KEYS = deriveKeys(Buffer.from('a cookie for tests'), 'test')
/** Made before any virtual time runs. */
const identities: readonly Identity[] = await Promise.all(
  Array.from({ length: 5 }, () => createIdentity({ wallNowMs: Date.now() })),
)

interface Member {
  readonly source: DiscoverySource
  readonly node: SimulatedNode
  readonly record: NodeRecord
  readonly signer: SigningKey
  /** Those seen now, by key. */
  readonly seen: Map<string, DiscoveryEvent['sighting']>
  readonly told: string[]
}

interface MemberOptions extends Partial<Omit<RendezvousOptions, 'dht' | 'clock'>> {
  readonly hidden?: boolean
  readonly record?: Partial<NodeRecord>
}

class World extends Simulation {
  /** All datagrams that anybody sent. */
  readonly wire: { bytes: Uint8Array; from: Address; to: Address }[] = []
  #members = 0

  constructor(t: TestContext, seed = 1) {
    super({ seed, delayMs: 20, dht: { network: 'private' } })
    t.defer(() => this.stop())
  }

  override send(bytes: Uint8Array, from: Address, to: Address): void {
    this.wire.push({ bytes: Uint8Array.from(bytes), from, to })
    super.send(bytes, from, to)
  }

  member({ hidden = false, record: change = {}, ...options }: MemberOptions = {}): Member {
    const index = this.#members++
    const node = this.add({ readOnly: hidden })
    const identity = identities[index]!
    const signer = signingKeyOf(identity)
    const record: NodeRecord = {
      name: `app${index}@host`,
      id: identity.nodeId,
      incarnation: (index + 1).toString(16).padStart(16, '0'),
      addresses: hidden ? [] : [node.address],
      clusterTag: KEYS.clusterTag,
      ...change,
    }
    const source = dhtSource({
      dht: node.dht,
      clock: this.clock,
      random: this.random,
      keys: new Keyring(KEYS),
      signer,
      resolve: () => Promise.reject(new Error('no name service')),
      ...options,
    })
    const seen = new Map<string, DiscoveryEvent['sighting']>()
    const told: string[] = []
    void source.start(record, ({ type, sighting }) => {
      told.push(`${type} ${sighting.name ?? sighting.key}`)
      if (type === 'lost') seen.delete(sighting.key)
      else seen.set(sighting.key, sighting)
    })
    return { source, node, record, signer, seen, told }
  }

  /** Until the condition holds; fails after a minute. Gives how long it took. */
  async untilSeen(what: string, condition: () => boolean, patienceMs = MINUTE_MS): Promise<number> {
    const startMs = this.clock.now()
    const outcome = await this.clock.run({ until: condition, untilMs: startMs + patienceMs })
    assert.is(outcome, 'condition', `in vain: ${what}`)
    return this.clock.now() - startMs
  }

  async pass(ms: number): Promise<void> {
    await this.clock.run({ untilMs: this.clock.now() + ms })
  }
}

const sees = (member: Member, other: Member): boolean =>
  [...member.seen.values()].some(({ addresses }) => addresses.some((one) => sameAddress(one, other.node.address)))

test('two nodes with one bootstrap address find each other cold, at the same moment and one after the other', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address]
  const [a, b] = [world.member({ bootstrap }), world.member({ bootstrap })]
  const tookMs = await world.untilSeen('each other', () => sees(a, b) || sees(b, a))
  assert.ok(tookMs < 1500, `${tookMs} ms`)
  await world.pass(5000)
  const c = world.member({ bootstrap })
  const laterMs = await world.untilSeen('the earlier ones', () => sees(c, a) && sees(c, b))
  assert.ok(laterMs < 1000, `${laterMs} ms`)
  assert.match(a.source.status().detail, /contacts; the record is on \d+ nodes, announced on \d+/)
  assert.is(a.source.status().state, 'working')
})

test('a name leads to a record directly, and so does an id', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address, world.add().address]
  const registrations = [{ name: 'web', metadata: { port: '80' } }]
  const [a, b] = [world.member({ bootstrap }), world.member({ bootstrap, record: { registrations } })]
  await world.pass(10_000)
  for (const wanted of ['app1@host', b.record.id, 'web']) {
    const { tookMs } = await world.timed(async () => a.source.refresh(wanted))
    assert.ok(tookMs < 1000, `${tookMs} ms`)
    const found = a.seen.get(b.record.id)
    assert.equal(found, {
      key: b.record.id,
      name: 'app1@host',
      id: b.record.id,
      incarnation: b.record.incarnation,
      addresses: b.record.addresses,
      registrations,
      nat: 'unknown',
      introducers: [],
    })
  }
  await world.until(Promise.resolve(a.source.refresh('nobody@host')))
  assert.is(a.seen.has('nobody@host'), false)
})

test('a change is published at once, what is unregistered is found no more', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address, world.add().address]
  const registrations = [{ name: 'web', metadata: {} }]
  const [a, b] = [world.member({ bootstrap }), world.member({ bootstrap, record: { registrations } })]
  await world.pass(10_000)
  const moved = { host: '198.51.100.9', port: 4444 }
  b.source.update({ ...b.record, addresses: [moved], registrations: [] })
  await world.pass(2000)
  await world.until(Promise.resolve(a.source.refresh('web')))
  assert.is(a.seen.has(b.record.id), false)
  await world.until(Promise.resolve(a.source.refresh('app1@host')))
  assert.equal(a.seen.get(b.record.id)?.addresses, [moved])
})

test('what the network changes is published at once, and then at most once a minute', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address, world.add().address]
  const [a, b] = [world.member({ bootstrap }), world.member({ bootstrap })]
  await world.pass(MINUTE_MS)
  const introducers = [a.node.address]
  const look = async (): Promise<DiscoveryEvent['sighting'] | undefined> => {
    await world.until(Promise.resolve(a.source.refresh('app1@host')))
    return a.seen.get(b.record.id)
  }
  b.source.update({ ...b.record, nat: 'symmetric', introducers })
  await world.pass(2000)
  const first = await look()
  assert.equal([first?.nat, first?.introducers], ['symmetric', introducers])

  // Many changes within the minute: what holds at its end is published, in one go.
  const puts = (): number =>
    world.wire.filter(({ bytes, from }) => isPut(bytes) && sameAddress(from, b.node.address)).length
  const before = puts()
  for (let i = 1; i <= 20; i++) {
    b.source.update({ ...b.record, nat: 'cone', addresses: [{ host: '198.51.100.9', port: 4000 + i }], introducers })
    await world.pass(1000)
  }
  assert.is(puts(), before)
  assert.equal((await look())?.addresses, first?.addresses)
  await world.pass(45_000)
  const last = await look()
  assert.is(last?.nat, 'cone')
  assert.ok(last?.addresses.some(({ port }) => port === 4020))
  const copies = puts() - before
  assert.ok(copies > 0 && copies <= 2 * 3 * 16, `${copies} puts`)

  // The same again is no change.
  b.source.update({ ...b.record, nat: 'cone', addresses: [{ host: '198.51.100.9', port: 4020 }], introducers })
  const settled = puts()
  await world.pass(2 * MINUTE_MS)
  assert.is(puts(), settled)
})

test('an address that the DHT sees is published within about a minute of being agreed on', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address, world.add().address]
  const [a, b] = [world.member({ bootstrap }), world.member({ bootstrap, record: { addresses: LAN } })]
  await world.pass(MINUTE_MS)
  const seenAt: Address = { host: '203.0.113.77', port: 6000 }
  Object.defineProperty(b.node.dht, 'publicAddress', { get: () => seenAt })
  await world.pass(MINUTE_MS + 5000)
  await world.until(Promise.resolve(a.source.refresh('app1@host')))
  const found = a.seen.get(b.record.id)
  assert.equal([found?.nat, found?.addresses], ['cone', [seenAt, ...LAN]])
})

test('where the DHT sees a node behind a NAT, only class cone tells of it', () => {
  const seen: Address = { host: '203.0.113.77', port: 6000 }
  const own = [...LAN, { host: '127.0.0.1', port: 4433 }]
  assert.equal(whereabouts({ addresses: own }, seen), { nat: 'cone', addresses: [seen, ...LAN] })
  assert.equal(whereabouts({ addresses: own, nat: 'cone' }, seen), { nat: 'cone', addresses: [seen, ...LAN] })
  assert.equal(whereabouts({ addresses: own, nat: 'symmetric' }, seen), { nat: 'symmetric', addresses: LAN })
  // A mapped port: what the NAT gives to others is not for strangers.
  const mapped = { host: '203.0.113.77', port: 4433 }
  assert.equal(whereabouts({ addresses: [mapped, ...own], nat: 'open' }, { host: '203.0.113.77', port: 1 }), {
    nat: 'open',
    addresses: [mapped, ...LAN],
  })
  assert.equal(whereabouts({ addresses: own, nat: 'cone' }, undefined), { nat: 'cone', addresses: LAN })
  assert.equal(whereabouts({ addresses: own.slice(1) }, undefined), { nat: 'unknown', addresses: own.slice(1) })
  const ip6 = { host: '2001:db8::7', port: 4433 }
  assert.equal(whereabouts({ addresses: own }, ip6), { nat: 'unknown', addresses: [ip6, ...LAN] })
})

test('a node that stops takes its record back; one that vanishes is lost when its record is over', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address, world.add().address, world.add().address]
  const [a, b, c] = [world.member({ bootstrap }), world.member({ bootstrap }), world.member({ bootstrap })]
  await world.pass(10_000)
  for (const { record } of [b, c]) await world.until(Promise.resolve(a.source.refresh(record.name)))
  assert.ok(a.seen.has(b.record.id) && a.seen.has(c.record.id))
  await world.until(b.source.stop())
  await world.until(Promise.resolve(a.source.refresh(b.record.name)))
  assert.is(a.seen.has(b.record.id), false, 'it was taken back')

  world.kill([c.node])
  await world.untilSeen('it is lost', () => !a.seen.has(c.record.id), RECORD_LIFETIME_MS + MINUTE_MS)
  assert.ok(a.told.includes('lost app2@host'))
  assert.ok(![...a.seen.values()].some(({ addresses }) => addresses.some((one) => sameAddress(one, c.node.address))))
})

test(
  'a record outlives hours: it is published again, through midnight',
  async (t) => {
    const world = new World(t)
    const bootstrap = [world.add().address, world.add().address]
    const [a, b] = [world.member({ bootstrap }), world.member({ bootstrap })]
    for (let hour = 0; hour < 26; hour++) {
      await world.pass(60 * MINUTE_MS)
      await world.until(Promise.resolve(a.source.refresh(b.record.name)))
      assert.ok(a.seen.has(b.record.id), `after ${hour + 1} hours`)
      assert.ok(sees(a, b))
    }
  },
  { deadlineMs: 60_000 },
)

test('a hidden node finds others and is found by nobody', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address, world.add().address]
  const [a, hidden] = [world.member({ bootstrap }), world.member({ bootstrap, hidden: true })]
  await world.untilSeen('the other', () => sees(hidden, a))
  await world.pass(MINUTE_MS)
  assert.is(sees(a, hidden), false)
  await world.until(Promise.resolve(a.source.refresh(hidden.record.name)))
  assert.is(a.seen.size, 0)
})

test('while cookies change, nodes meet under all that count and publish under the primary', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address, world.add().address]
  const next = deriveKeys(Buffer.from('the next cookie'), 'test')
  const keys = new Keyring(KEYS)
  const [a, b] = [world.member({ bootstrap, keys }), world.member({ bootstrap, keys: new Keyring(next) })]
  await world.pass(2 * MINUTE_MS)
  assert.not(sees(a, b) || sees(b, a))
  keys.accept(next)
  a.source.update({ ...a.record, acceptedTags: [next.clusterTag] })
  await world.untilSeen('who uses the next one', () => sees(a, b))
  await world.until(Promise.resolve(a.source.refresh(b.record.name)))
  assert.is(a.seen.get(b.record.id)?.name, b.record.name)
  assert.not(sees(b, a))
  keys.use(next)
  a.source.update({ ...a.record, clusterTag: next.clusterTag, acceptedTags: [KEYS.clusterTag] })
  await world.untilSeen('by it', () => sees(b, a), 2 * MINUTE_MS)
  await world.until(Promise.resolve(b.source.refresh(a.record.name)))
  assert.is(b.seen.get(a.record.id)?.name, a.record.name)
})

test('a cluster of another cookie in the same DHT meets elsewhere', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address, world.add().address]
  const keys = new Keyring(deriveKeys(Buffer.from('another cookie'), 'test'))
  const [a, b] = [world.member({ bootstrap }), world.member({ bootstrap, keys })]
  await world.pass(2 * MINUTE_MS)
  await world.until(Promise.resolve(a.source.refresh(b.record.name)))
  assert.equal([a.seen.size, b.seen.size], [0, 0])
})

test('whoever hears every datagram reads no name, no id and no key; values have one size', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address, world.add().address]
  const members = [
    world.member({ bootstrap }),
    world.member({ bootstrap, record: { registrations: [{ name: 'web', metadata: { secret: 'data' } }] } }),
  ]
  await world.pass(MINUTE_MS)
  for (const { record } of members)
    for (const { source } of members) await world.until(Promise.resolve(source.refresh(record.name)))
  const all = Buffer.concat(world.wire.map(({ bytes }) => bytes))
  const told = members.flatMap(({ record, signer }) => [record.name, record.id, signer.publicKey, 'app', 'web', 'data'])
  for (const text of [...told, KEYS.clusterTag, KEYS.rendezvous, KEYS.sealing]) assert.is(all.indexOf(text), -1)

  const values = world.wire.flatMap(({ bytes }) => {
    const at = Buffer.from(bytes).indexOf('1:v')
    const match = /^1:v(\d+):/.exec(Buffer.from(bytes).subarray(at).toString('latin1'))
    const size = Number(match?.[1] ?? 0)
    return size > 20 ? [Buffer.from(bytes).subarray(at + match![0].length, at + match![0].length + size)] : []
  })
  assert.ok(values.length > 10, `${values.length} values`)
  assert.equal([...new Set(values.map(({ length }) => length))], [480])
  for (const value of values) {
    for (const { node } of members) assert.is(value.indexOf(compactAddress(node.address)!.subarray(0, 4)), -1)
  }
})

test('a member that writes into the item of another one can hide it, and not forge it', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address, world.add().address]
  const [a, victim, forger] = [world.member({ bootstrap }), world.member({ bootstrap }), world.member({ bootstrap })]
  await world.pass(10_000)
  const nowMs = world.clock.wallNow()
  const lie: Address = { host: '203.0.113.66', port: 666 }
  const said = {
    name: victim.record.name,
    incarnation: 'ffffffffffffffff',
    addresses: [lie],
    nat: 'unknown',
    introducers: [],
    registrations: [],
    sequence: nowMs + 1000,
    expiresAtMs: nowMs + 1000 + RECORD_LIFETIME_MS,
  } as const
  const impostor = { publicKey: victim.signer.publicKey, sign: forger.signer.sign }
  for (const text of [victim.record.name, victim.record.id]) {
    for (const day of daysAt(nowMs)) {
      const { publicKey, sign } = itemKey(KEYS.rendezvous, day, text === victim.record.id ? 'id' : 'name', text)
      const value = sealRecord(signRecord(said, impostor, KEYS.clusterTag), KEYS.sealing, publicKey, randomBytes(12))
      const put = { publicKey, sign, sequence: said.sequence, value }
      const { stored } = await world.until(forger.node.dht.putMutable(put))
      assert.ok(stored > 0, 'the DHT cannot know')
    }
    await world.until(Promise.resolve(a.source.refresh(text)))
  }
  assert.is(
    [...a.seen.values()].some(({ addresses }) => addresses.some((one) => sameAddress(one, lie))),
    false,
  )
  assert.is(a.seen.has(victim.record.id), false, 'it is hidden')
  // The next publication has a later number.
  await world.pass(36 * MINUTE_MS)
  await world.until(Promise.resolve(a.source.refresh(victim.record.name)))
  assert.equal(a.seen.get(victim.record.id)?.addresses, victim.record.addresses)
})

test('the status says what is missing, and a contact that another source finds is enough', async (t) => {
  const world = new World(t)
  const alone = world.member()
  await world.pass(5000)
  assert.is(alone.source.status().state, 'degraded')
  assert.match(alone.source.status().detail, /no bootstrap address is given/)

  const lost = world.member({
    bootstrap: [
      { host: '203.0.113.1', port: 1 },
      { host: 'nowhere.example', port: 2 },
    ],
  })
  await world.pass(20_000)
  assert.is(lost.source.status().state, 'failed')
  assert.match(lost.source.status().detail, /no DHT node answered at 203\.0\.113\.1:1, nowhere\.example:2/)

  lost.source.learn?.([alone.node.address])
  await world.untilSeen('a contact', () => lost.source.status().state === 'working')
  await world.untilSeen('both work', () => alone.source.status().state === 'working')
})

test('a name service that hangs holds up nobody who has an address', async (t) => {
  const world = new World(t)
  const there = world.add().address
  const bootstrap = [{ host: 'slow.example', port: 1 }, there]
  const a = world.member({ bootstrap, resolve: () => new Promise(() => {}) })
  await world.untilSeen('a contact', () => a.source.status().state === 'working')
  const b = world.member({ bootstrap: [{ host: 'boot.example', port: there.port }], resolve: async () => [there.host] })
  await world.untilSeen('the other one, by a name', () => sees(b, a))
})

test('who starts before its bootstrap node is there joins when it comes', async (t) => {
  const world = new World(t)
  const late = { host: '203.0.113.5', port: 4433 }
  const [a, b] = [world.member({ bootstrap: [late] }), world.member({ bootstrap: [late] })]
  await world.pass(10 * MINUTE_MS)
  const node = world.add()
  world.attach(late, (bytes, from) => node.dht.receive(bytes, from))
  // What it sends comes from its own address: move it.
  const send = world.send.bind(world)
  world.send = (bytes, from, to) => send(bytes, sameAddress(from, node.address) ? late : from, to)
  const tookMs = await world.untilSeen('each other', () => sees(a, b) && sees(b, a), 2 * MINUTE_MS)
  assert.ok(tookMs < 90_000, `${tookMs} ms`)
})

test('made-up addresses at the meeting point are bounded, and push out only each other for long', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address]
  const [a, b] = [world.member({ bootstrap }), world.member({ bootstrap })]
  const liar = world.add()
  void liar.dht.bootstrap(bootstrap)
  await world.untilSeen('each other', () => sees(a, b))
  let lies = 0
  for (let round = 0; round < 100; round++) {
    for (const day of daysAt(world.clock.wallNow()))
      await world.until(liar.dht.announce(meetingPoint(KEYS.rendezvous, day), 1 + lies++))
  }
  await world.pass(3 * MINUTE_MS)
  assert.ok(sees(a, b))
  assert.ok(a.seen.size <= 512, `${a.seen.size} addresses`)
  assert.ok(a.seen.size > 1, 'some lies came through')
})

test('stop is idempotent, and after it nothing is sent', async (t) => {
  const world = new World(t)
  const bootstrap = [world.add().address]
  const a = world.member({ bootstrap })
  await world.pass(5000)
  await world.until(Promise.all([a.source.stop(), a.source.stop()]))
  assert.is(a.source.status().state, 'stopped')
  const sentBy = (): number => world.wire.filter(({ from }) => sameAddress(from, a.node.address)).length
  const before = sentBy()
  await a.source.refresh('x@y')
  a.source.learn?.(bootstrap)
  a.source.update(a.record)
  await world.pass(60 * MINUTE_MS)
  assert.is(sentBy(), before)
})

test.run()
