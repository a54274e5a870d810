/** A relay between two members: channels open, carry both ways, close at both ends, and belong to nobody else. */
import * as assert from 'uvu/assert'
import { CONTROL } from '../../../../src/cluster/control.ts'
import {
  encodeRelayClose,
  RELAY_HEAD_BYTES,
  RELAY_TOKEN_BYTES,
  writeHead,
} from '../../../../src/cluster/reach/relay-frames.ts'
import { suite } from '../../../support/suite.ts'
import { RelayWorld, rejection, sendText } from './relay-world.ts'

const test = suite('relay service')

/** A datagram of a member to the relay, made by hand. */
const datagramOn = (channel: number, text: string): Uint8Array => {
  const bytes = Buffer.alloc(RELAY_HEAD_BYTES + text.length)
  writeHead(bytes, 'toRelay', channel)
  bytes.write(text, RELAY_HEAD_BYTES, 'latin1')
  return bytes
}

const channelIn = (key: string): number => Number(key.split(' ').at(-1))

test('both ends hear of each other, with one token, and datagrams go both ways unchanged', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  const { own, other } = await world.open(a, b)
  assert.is(own.peerId, b.id)
  assert.equal(own.observed, b.address)
  assert.is(own.relayId, world.id)
  assert.not(own.isIncoming)
  assert.is(other.peerId, a.id)
  assert.equal(other.observed, a.address)
  assert.ok(other.isIncoming)
  assert.is(own.token.length, RELAY_TOKEN_BYTES)
  assert.equal(own.token, other.token)
  assert.is(own.way.kind, 'relay')
  assert.equal(own.way.address, a.relay.address)

  sendText(own, 'there')
  sendText(other, 'back')
  world.settle()
  assert.equal(b.texts, ['there'])
  assert.equal(a.texts, ['back'])
  assert.is(b.received[0]?.key, other.way.key)
  assert.equal(world.service.figures, {
    channels: 1,
    forwardedBytes: 'thereback'.length + 2 * RELAY_HEAD_BYTES,
    refused: 0,
    dropped: 0,
  })
})

test('asked again the channel stays, and both ends hear a fresh token', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  const first = await world.open(a, b)
  const second = await world.open(a, b)
  const third = await world.open(b, a)
  assert.is(second.own.way, first.own.way)
  assert.is(third.other.way, first.own.way)
  assert.not.equal(second.own.token, first.own.token)
  assert.not.equal(third.own.token, second.own.token)
  assert.equal(third.own.token, third.other.token)
  assert.is(b.incoming.length, 2)
  assert.is(world.service.figures.channels, 1)
})

test('who asks for each other at once shares one channel', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  const asked = [a.client.ask(a.relay, b.id), b.client.ask(b.relay, a.id)]
  world.settle()
  const [fromA, fromB] = await Promise.all(asked)
  assert.is(world.service.figures.channels, 1)
  assert.is(a.incoming[0]?.way, fromA?.way)
  assert.is(b.incoming[0]?.way, fromB?.way)
})

test('a member can use its own channels and no others', async () => {
  const world = new RelayWorld()
  const [a, b, thief] = [world.join(), world.join(), world.join()]
  const { own, other } = await world.open(a, b)
  for (const { way } of [own, other]) {
    thief.relay.sendDatagram(datagramOn(channelIn(way.key), 'stolen'))
    thief.relay.sendFrame(CONTROL.relayClose, encodeRelayClose({ direction: 'toRelay', channel: channelIn(way.key) }))
  }
  world.settle()
  assert.is(a.received.length + b.received.length, 0)
  // The other one might belong to a channel that the thief is about to ask for.
  assert.is(world.service.figures.dropped, 1)
  assert.is(world.service.figures.channels, 1)
  sendText(own, 'still there')
  world.settle()
  assert.equal(b.texts, ['still there'])
})

test('a number means something to its own member only', async () => {
  const world = new RelayWorld()
  const [a, b, c] = [world.join(), world.join(), world.join()]
  const withB = await world.open(a, b)
  const withC = await world.open(a, c)
  assert.not(withB.own.way.key === withC.own.way.key)
  sendText(withC.own, 'for c')
  sendText(withB.own, 'for b')
  world.settle()
  assert.equal(b.texts, ['for b'])
  assert.equal(c.texts, ['for c'])
})

test('closed at one end, a channel is gone at the other, and nothing more passes', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  const { own, other } = await world.open(a, b)
  own.close()
  own.close()
  sendText(own, 'too late')
  sendText(other, 'crossing')
  world.settle()
  assert.equal(a.retired, [own.way.key])
  assert.is(a.gone.length, 0, 'who closes knows it')
  assert.equal(b.gone, [other])
  assert.equal(b.retired, [other.way.key])
  assert.is(a.received.length + b.received.length, 0)
  assert.is(world.service.figures.channels, 0)
  assert.is(world.service.figures.dropped, 1, 'the one that crossed the close')

  const next = await world.open(a, b)
  assert.not(next.own.way.key === own.way.key, 'a number that was used is not used again soon')
})

test('a close that crosses the other ends request leaves both ends with the same', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  const { own } = await world.open(a, b)
  const asked = b.client.ask(b.relay, a.id)
  world.clock.advance(6)
  // The relay has answered, and this is on the way to it.
  own.close()
  world.settle()
  await asked
  world.settle()
  assert.is(world.service.figures.channels, 0)
  assert.is(a.gone.length, a.incoming.length, 'what was announced anew is gone too')
  assert.is(b.gone.length, 1)
})

test('an idle channel is closed at both ends, one in use is not', async () => {
  const world = new RelayWorld()
  const [a, b, c] = [world.join(), world.join(), world.join()]
  const idle = await world.open(a, b)
  const used = await world.open(a, c)
  for (let minute = 0; minute < 5; minute++) {
    world.clock.advance(60_000)
    sendText(used.other, 'tick')
  }
  world.settle()
  assert.equal(a.gone, [idle.own])
  assert.equal(b.gone, [idle.other])
  assert.is(world.service.figures.channels, 1)
  assert.is(a.received.length, 5)
  used.own.close()
  world.clock.advance(600_000)
  assert.is(world.clock.pending, 0, 'without channels there is nothing to look after')
})

test('refused: nobody there, oneself, the relay itself', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  world.end(b)
  for (const target of [b.id, a.id, world.id]) {
    const asked = rejection(a.client.ask(a.relay, target))
    world.settle()
    assert.match(await asked, /^ERR_SKEIN_NO_RELAY.*not connected/)
  }
  assert.is(world.service.figures.refused, 3)
})

test('a relay that is switched off, or stopped, refuses', async () => {
  const off = new RelayWorld({ isEnabled: false })
  const [a, b] = [off.join(), off.join()]
  const asked = rejection(a.client.ask(a.relay, b.id))
  off.settle()
  assert.match(await asked, /ERR_SKEIN_NO_RELAY.*does not relay/)

  const world = new RelayWorld()
  const [c, d] = [world.join(), world.join()]
  const { own } = await world.open(c, d)
  world.service.stop()
  sendText(own, 'lost')
  const again = rejection(c.client.ask(c.relay, d.id))
  world.settle()
  assert.match(await again, /ERR_SKEIN_NO_RELAY.*does not relay/)
  assert.is(d.received.length, 0)
  assert.is(world.clock.pending, 0)
})

test('sessions that end, in every order', async () => {
  const orders = [['a', 'b'], ['b', 'a'], ['a'], ['b']]
  for (const order of orders) {
    const world = new RelayWorld()
    const members = { a: world.join(), b: world.join() }
    const { own, other } = await world.open(members.a, members.b)
    for (const name of order) world.end(name === 'a' ? members.a : members.b)
    world.settle()
    assert.equal(members.a.gone, [own], order.join())
    assert.equal(members.b.gone, [other], order.join())
    assert.is(world.service.figures.channels, 0, order.join())
    sendText(own, 'lost')
    sendText(other, 'lost')
    world.settle()
    assert.is(members.a.received.length + members.b.received.length, 0)

    world.again(members.a)
    world.again(members.b)
    const anew = await world.open(members.a, members.b)
    assert.not(anew.own.way.key === own.way.key, 'what is still said of the old channel means nothing now')
    sendText(anew.own, 'anew')
    world.settle()
    assert.equal(members.b.texts, ['anew'])
  }
})

test('a session that ends while a channel opens leaves nothing behind', async () => {
  for (const [who, afterMs] of [
    ['a', 2],
    ['a', 7],
    ['b', 2],
    ['b', 7],
  ] as const) {
    const world = new RelayWorld()
    const members = { a: world.join(), b: world.join() }
    const asked = rejection(members.a.client.ask(members.a.relay, members.b.id))
    world.clock.advance(afterMs)
    world.end(members[who])
    world.clock.advance(5000)
    const ending = await asked
    if (who === 'a') assert.match(ending, /ERR_SKEIN_NO_RELAY.*ended/)
    assert.is(world.service.figures.channels, 0)
    assert.is(members.a.gone.length, who === 'b' && afterMs === 7 ? 1 : 0)
    assert.is(members.b.gone.length, members.b.incoming.length)
  }
})

test('a session that ends on the very frame that tells of a channel', async () => {
  for (const who of ['a', 'b'] as const) {
    const world = new RelayWorld()
    const members = { a: world.join(), b: world.join() }
    members[who].isClogged = true
    const asked = rejection(members.a.client.ask(members.a.relay, members.b.id))
    world.settle()
    if (who === 'a') assert.match(await asked, /ERR_SKEIN_NO_RELAY.*ended/)
    assert.is(world.service.figures.channels, 0)
    assert.is(members.a.gone.length, who === 'a' ? 0 : 1)
    assert.is(members.b.incoming.length, 0, 'nobody hears of a channel that is gone')
    assert.not(members[who].isUp)
  }
})

test.run()
