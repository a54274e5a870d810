/** The coordinator of ways: members in virtual time, with relays that serve, die and lie. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import { nodeIdOf } from '../../../../certs/node-id.ts'
import { CONTROL } from '../../../../src/cluster/control.ts'
import { encodeObserved, encodePlan } from '../../../../src/cluster/reach/punch-plan.ts'
import {
  decodeRelayAsk,
  encodeRelayAsk,
  encodeRelayClose,
  encodeRelayIncoming,
  encodeRelayOpened,
} from '../../../../src/cluster/reach/relay-frames.ts'
import type { Way } from '../../../../transport/way.ts'
import { suite } from '../../../support/suite.ts'
import { type End, type Member, World } from './reach-world.ts'

const test = suite('reach')

const TOKEN = new Uint8Array(16).fill(9)
const VICTIM = { host: '192.0.2.66', port: 7 }

/** A and B, both connected to R, and not to each other. */
const triangle = () => {
  const world = new World()
  const [a, b, r] = [world.member(), world.member(), world.member()]
  const [ar, ra] = a.link(r)
  const [br, rb] = b.link(r)
  return { world, a, b, r, ar, ra, br, rb }
}

const send = (way: Way, text: string): void => way.send(Buffer.from(text, 'latin1'), text.length)

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'nothing was rejected',
    (error: unknown) => (isSkeinError(error) ? error.code : String(error)),
  )

/** Opens a channel and gives the way at each end. */
const openWays = async (world: World, from: Member, to: Member): Promise<[Way, Way]> => {
  const opening = from.reach.open({ id: to.id, addresses: [] })
  await world.pass(50)
  const { way } = await opening
  // At the other end it is offered to the connection that is made for it.
  const probe = relayWayOf(to, way)
  return [way, probe]
}

/** The other end of a relayed way, as an end of a connection needs it. */
const relayWayOf = (_to: Member, { key, address }: Way): Way => ({
  kind: 'relay',
  key: `${key} other end`,
  address,
  maxBytes: 1216,
  send: () => {},
})

const sweep = async (world: World, ...members: Member[]): Promise<void> => {
  for (const { reach } of members) reach.stop()
  for (const { ends } of members) for (const end of [...ends.values()]) end.end()
  await world.pass(20_000)
  assert.is(world.clock.pending, 0, 'timers were left')
  for (const { defects } of members) assert.equal(defects, [])
}

const asksOf = (end: End): string[] =>
  end.frames.filter(({ type }) => type === CONTROL.relayAsk).map(({ body }) => decodeRelayAsk(body).target)

test('a dial through a relay: both ends have a way, punch, and tell each other their plans', async () => {
  const { world, a, b, r } = triangle()
  const [way] = await openWays(world, a, b)
  assert.is(way.kind, 'relay')
  assert.equal(way.address, r.address)
  send(way, 'hello')
  await world.pass(20)
  assert.equal(b.received, ['hello'])
  assert.ok(a.probes.some(({ host }) => host === b.address.host))
  assert.ok(b.probes.some(({ host }) => host === a.address.host))
  const [ab, ba] = a.link(b, { ways: [way, relayWayOf(b, way)] })
  for (const { frames } of [ab, ba]) assert.is(frames.filter(({ type }) => type === CONTROL.punchPlan).length, 1)
  await sweep(world, a, b, r)
})

test('nobody relays: the introducers are dialled, two at most', async () => {
  const world = new World()
  const [a, b, r] = [world.member(), world.member(), world.member()]
  b.link(r)
  a.onDial = ({ host }) => {
    if (host === r.address.host) a.link(r)
  }
  const nowhere = ['198.51.100.1', '198.51.100.2'].map((host) => ({ host, port: 1 }))
  const failed = codeOf(a.reach.open({ id: b.id, addresses: [], introducers: [...nowhere, r.address] }))
  await world.pass(100)
  assert.is(await failed, 'ERR_SKEIN_NO_RELAY')
  assert.equal(a.dialled, nowhere)
  const opened = a.reach.open({ id: b.id, addresses: [], introducers: [nowhere[0]!, r.address] })
  await world.pass(100)
  assert.is((await opened).way.kind, 'relay')
  await sweep(world, a, b, r)
})

test('both ends dial each other through one relay: it is one channel, and one end that gives up does not cut it', async () => {
  const { world, a, b, r } = triangle()
  const both = [a.reach.open({ id: b.id, addresses: [] }), b.reach.open({ id: a.id, addresses: [] })] as const
  await world.pass(100)
  const [one, other] = await Promise.all(both)
  assert.is(r.reach.figures.relay.channels, 1)
  // The connection that B dialled is up; the dial of A ended otherwise.
  b.link(a, { ways: [other.way, one.way] })
  one.close()
  await world.pass(50)
  assert.is(r.reach.figures.relay.channels, 1)
  send(one.way, 'still here')
  await world.pass(50)
  assert.equal(b.received, ['still here'])
  await sweep(world, a, b, r)
})

test('a dial that failed leaves nothing, although the other end asked again meanwhile', async () => {
  const { world, a, b, r } = triangle()
  const opening = a.reach.open({ id: b.id, addresses: [] })
  await world.pass(50)
  const opened = await opening
  void b.reach.open({ id: a.id, addresses: [] }).catch(() => {})
  await world.pass(50)
  assert.is(a.reach.figures.upgrades, 1)
  opened.close()
  await world.pass(50)
  assert.equal(
    [a, b, r].map(({ reach }) => reach.figures.upgrades),
    [0, 0, 0],
  )
  assert.is(r.reach.figures.relay.channels, 0)
  await sweep(world, a, b, r)
})

test('a relay that opens and closes in one turn has opened nothing', async () => {
  const world = new World()
  const [a, b, r] = [world.member(), world.member(), world.member()]
  const [ar] = a.link(r)
  ar.other!.owner.reach.stop()
  const opening = codeOf(a.reach.open({ id: b.id, addresses: [] }))
  const asked = ar.frames.find(({ type }) => type === CONTROL.relayAsk)
  const { request } = decodeRelayAsk(asked!.body)
  const opened = { request, channel: 5, token: TOKEN, observed: VICTIM }
  a.reach.frame(ar.asSession, CONTROL.relayOpened, encodeRelayOpened(opened))
  a.reach.frame(ar.asSession, CONTROL.relayClose, encodeRelayClose({ direction: 'fromRelay', channel: 5 }))
  await world.pass(10)
  assert.is(await opening, 'ERR_SKEIN_NO_RELAY')
  assert.is(a.reach.figures.upgrades, 0)
  assert.equal(a.probes, [])
  await sweep(world, a, b, r)
})

test('the session to the relay ends under a relayed connection: another relay is taken at once', async () => {
  const { world, a, b, r, ar, br } = triangle()
  const [way] = await openWays(world, a, b)
  const [ab, ba] = a.link(b, { ways: [way, relayWayOf(b, way)] })
  const spare = world.member()
  a.link(spare)
  b.link(spare)
  const before = ab.offered.length
  ar.end()
  ar.other!.end()
  assert.equal(a.gone, [way.key])
  await world.pass(100)
  assert.is(ab.offered.length, before + 1)
  assert.ok(ab.offered.at(-1)!.includes(spare.id))
  assert.ok(ba.offered.at(-1)!.includes(spare.id))
  br.end()
  await sweep(world, a, b, r, spare)
})

test('a connection on which nothing is answered gets a relay, by the dialler, and nobody else asks', async () => {
  const { world, a, b, r, ar, br } = triangle()
  const [ab, ba] = a.link(b)
  await world.pass(2000)
  assert.equal([ab.offered, ba.offered], [[], []])
  ab.cut()
  const cutMs = world.clock.now()
  while (ab.offered.length === 0 && world.clock.now() < cutMs + 4000) {
    ab.speak()
    await world.pass(100)
  }
  const tookMs = world.clock.now() - cutMs
  assert.ok(tookMs <= 2000, `it took ${tookMs} ms`)
  assert.ok(ab.offered[0]!.includes(r.id))
  assert.ok(ba.offered[0]!.includes(r.id))
  assert.equal([asksOf(ar), asksOf(br)], [[b.id], []])
  // It is heard again: nothing more is asked for.
  for (const end of [ab, ba]) end.isCut = false
  const asked = asksOf(ar).length
  for (let i = 0; i < 40; i++) {
    ab.speak()
    await world.pass(100)
  }
  assert.is(asksOf(ar).length, asked)
  await sweep(world, a, b, r)
})

test('a connection on which nobody has anything to say is not taken for a silent one', async () => {
  const { world, a, b, r, ar, br } = triangle()
  const [ab] = a.link(b)
  for (let i = 0; i < 15; i++) {
    await world.pass(4000)
    ab.speak()
  }
  assert.equal([asksOf(ar), asksOf(br)], [[], []])
  assert.equal(ab.offered, [])
  await sweep(world, a, b, r)
})

test('a quiet connection is kept known to NATs', async () => {
  const { world, a, b, r } = triangle()
  const [ab] = a.link(b)
  await world.pass(19_000)
  assert.is(ab.pings, 0)
  await world.pass(3 * 20_000)
  assert.ok(ab.pings >= 2 && ab.pings <= 4, `${ab.pings} pings`)
  await sweep(world, a, b, r)
})

test('a newer connection through a relay replaces one that was up: its upgrade goes on', async () => {
  const { world, a, b, r, ar } = triangle()
  const [old, oldOther] = a.link(b)
  old.cut()
  const [way] = await openWays(world, a, b)
  const [fresh, other] = a.meet(b, { ways: [way, relayWayOf(b, way)] })
  fresh.up()
  other.up()
  assert.ok(old.isOver && oldOther.isOver)
  assert.is(a.reach.figures.upgrades, 1)
  assert.is(fresh.frames.filter(({ type }) => type === CONTROL.punchPlan).length, 1)
  const before = asksOf(ar).length
  for (let i = 0; i < 60; i++) {
    fresh.speak()
    other.speak()
    await world.pass(100)
  }
  assert.is(asksOf(ar).length, before + 1, 'it asks for another punch after 5 s')
  await sweep(world, a, b, r)
})

test('one that was kept for a connection that did not come about is dropped in the end', async () => {
  const { world, a, b, r, ar } = triangle()
  const [old] = a.link(b)
  const [way] = await openWays(world, a, b)
  const [fresh] = a.meet(b, { ways: [way, relayWayOf(b, way)] })
  old.end()
  assert.is(a.reach.figures.upgrades, 1)
  fresh.end()
  ar.end()
  ar.other!.end()
  a.link(r)
  await world.pass(1000)
  assert.is(a.reach.figures.upgrades, 0)
  await sweep(world, a, b, r)
})

test('a member without the capability has no part in it', async () => {
  const world = new World()
  const [a, b] = [world.member(), world.member()]
  const [ab] = a.link(b, { reaches: false })
  a.reach.frame(ab.asSession, CONTROL.observed, encodeObserved({ host: '203.0.113.77', port: 9 }))
  a.reach.frame(ab.asSession, CONTROL.relayAsk, Uint8Array.of(1))
  const incoming = { channel: 1, id: nodeIdOf(Buffer.alloc(32, 'x')), name: 'x@test', token: TOKEN, observed: VICTIM }
  a.reach.frame(ab.asSession, CONTROL.relayIncoming, encodeRelayIncoming(incoming))
  a.reach.datagram(ab.asSession, Uint8Array.of(1, 0, 0, 0, 1, 5))
  await world.pass(1000)
  assert.equal(a.view.publicAddresses(), [])
  assert.equal(ab.frames, [])
  assert.equal(a.probes, [])
  assert.is(a.reach.figures.upgrades, 0)
  await sweep(world, a, b)
})

test('a relay that announces thousands: what is remembered and sent is bounded, and goes with it', async () => {
  const world = new World()
  const [a, r] = [world.member(), world.member()]
  const [ar] = a.link(r)
  ar.other!.owner.reach.stop()
  for (let i = 0; i < 5000; i++) {
    const id = nodeIdOf(Buffer.alloc(32, `liar ${i}`))
    const incoming = {
      channel: i,
      id,
      name: 'x@test',
      token: TOKEN.map((_, j) => (i >> (j * 4)) & 255),
      observed: VICTIM,
    }
    a.reach.frame(ar.asSession, CONTROL.relayIncoming, encodeRelayIncoming(incoming))
    if (i % 10 === 0) await world.pass(10)
  }
  assert.ok(a.reach.figures.upgrades <= 64, `${a.reach.figures.upgrades} upgrades`)
  ar.end()
  assert.is(a.reach.figures.upgrades, 0)
  await sweep(world, a, r)
})

test('a relay and an accomplice that name a victim get no flood out of it', async () => {
  const world = new World()
  const [a, r, accomplice] = [world.member(), world.member(), world.member()]
  const [ar] = a.link(r)
  ar.other!.owner.reach.stop()
  const [ax] = a.link(accomplice)
  const startMs = world.clock.now()
  for (let i = 0; i < 120; i++) {
    const token = TOKEN.map((_, j) => (i >> (j * 4)) & 255)
    const incoming = { channel: 1, id: accomplice.id, name: 'x@test', token, observed: VICTIM }
    a.reach.frame(ar.asSession, CONTROL.relayIncoming, encodeRelayIncoming(incoming))
    a.reach.frame(ax.asSession, CONTROL.punchPlan, encodePlan({ token, nat: 'symmetric', candidates: [VICTIM] }))
    await world.pass(5000)
    ax.speak()
  }
  const seconds = (world.clock.now() - startMs) / 1000
  const sent = a.probes.filter(({ host }) => host === VICTIM.host).length
  assert.ok(sent > 2048, 'there was no sweep at all')
  assert.ok(sent < 100 * seconds, `${sent} probes in ${seconds} s`)
  await sweep(world, a, r, accomplice)
})

test('plans of no punch, and observations that cannot be true, change nothing', async () => {
  const { world, a, b, r, ar } = triangle()
  a.reach.frame(ar.asSession, CONTROL.punchPlan, encodePlan({ token: TOKEN, nat: 'cone', candidates: [VICTIM] }))
  const [way] = await openWays(world, a, b)
  const [ab] = a.link(b, { ways: [way, relayWayOf(b, way)] })
  a.reach.frame(ab.asSession, CONTROL.punchPlan, encodePlan({ token: TOKEN, nat: 'symmetric', candidates: [VICTIM] }))
  const before = a.view.publicAddresses()
  for (const host of ['127.0.0.1', '10.1.2.3', '::1', '0.0.0.0', '255.255.255.255'])
    a.reach.frame(ar.asSession, CONTROL.observed, encodeObserved({ host, port: 4433 }))
  for (const body of [new Uint8Array(0), Uint8Array.of(0), Uint8Array.of(200), new Uint8Array(60)]) {
    assert.throws(
      () => a.reach.frame(ar.asSession, CONTROL.observed, body),
      (error: unknown) => isSkeinError(error, 'ERR_SKEIN_PROTOCOL'),
    )
  }
  await world.pass(1500)
  assert.is(a.probes.filter(({ host }) => host === VICTIM.host).length, 0)
  assert.equal(a.view.publicAddresses(), before)
  await sweep(world, a, b, r)
})

test('a member that says every time that it sees another address is heard now and then', async () => {
  const world = new World()
  const [a, r] = [world.member(), world.member()]
  const [ar] = a.link(r)
  await world.pass(50)
  let changes = 0
  let before = ''
  for (let port = 1; port <= 2000; port++) {
    a.reach.frame(ar.asSession, CONTROL.observed, encodeObserved({ host: '203.0.113.50', port }))
    const now = JSON.stringify(a.view.publicAddresses())
    if (now !== before) changes++
    before = now
  }
  assert.ok(changes > 1 && changes <= 16, `${changes} changes`)
  await sweep(world, a, r)
})

test('who is reached through a relay itself is not relayed', async () => {
  const { world, a, b, r } = triangle()
  const [way] = await openWays(world, a, b)
  const c = world.member()
  b.link(c)
  const [ab] = a.link(b, { ways: [way, relayWayOf(b, way)] })
  ab.frames.length = 0
  // B sees A by way of R: a channel from A to C through B would lead nowhere.
  const refused = codeOf(a.reach.open({ id: c.id, addresses: [] }))
  await world.pass(100)
  assert.is(await refused, 'ERR_SKEIN_NO_RELAY')
  assert.equal(asksOf(ab), [])
  ab.other!.owner.reach.frame(ab.other!.asSession, CONTROL.relayAsk, encodeRelayAsk({ request: 1, target: c.id }))
  await world.pass(50)
  assert.is(b.reach.figures.relay.channels, 0)
  await sweep(world, a, b, r, c)
})

test('connections that a channel goes through are needed', async () => {
  const { world, a, b, r } = triangle()
  assert.equal([a.reach.needs(r.id), r.reach.needs(a.id), r.reach.needs(b.id)], [false, false, false])
  const opening = a.reach.open({ id: b.id, addresses: [] })
  await world.pass(50)
  const opened = await opening
  assert.equal(
    [a.reach.needs(r.id), b.reach.needs(r.id), r.reach.needs(a.id), r.reach.needs(b.id)],
    [true, true, true, true],
  )
  opened.close()
  await world.pass(50)
  assert.equal(
    [a.reach.needs(r.id), b.reach.needs(r.id), r.reach.needs(a.id), r.reach.needs(b.id)],
    [false, false, false, false],
  )
  await sweep(world, a, b, r)
})

test('a stop ends what waits, and leaves no timer', async () => {
  const { world, a, b, r, ar } = triangle()
  ar.isCut = true
  const waiting = codeOf(a.reach.open({ id: b.id, addresses: [] }))
  await world.pass(100)
  a.reach.stop()
  await world.pass(10)
  assert.is(await waiting, 'ERR_SKEIN_NO_RELAY')
  assert.is(await codeOf(a.reach.open({ id: b.id, addresses: [] })), 'ERR_SKEIN_NO_RELAY')
  await sweep(world, a, b, r)
})

test.run()
