/** Sending by a relay that has not answered yet, and datagrams that overtake the frames they belong to. */
import * as assert from 'uvu/assert'
import { CONTROL } from '../../../../src/cluster/control.ts'
import { EarlyDatagrams } from '../../../../src/cluster/reach/early-datagrams.ts'
import {
  encodeRelayAsk,
  encodeRelayIncoming,
  FIRST_GIVEN_NUMBER,
  RELAY_HEAD_BYTES,
  writeHead,
} from '../../../../src/cluster/reach/relay-frames.ts'
import type { Way } from '../../../../transport/way.ts'
import { suite } from '../../../support/suite.ts'
import { type Member, RelayWorld, rejection } from './relay-world.ts'

const test = suite('early relay')

const say = (way: Way, text: string): void => {
  const bytes = Buffer.from(text, 'latin1')
  way.send(bytes, bytes.length)
}

const datagram = (direction: 'toRelay' | 'fromRelay', channel: number, text: string): Uint8Array => {
  const bytes = Buffer.concat([Buffer.alloc(RELAY_HEAD_BYTES), Buffer.from(text, 'latin1')])
  writeHead(bytes, direction, channel)
  return bytes
}

const dialled = (from: Member, to: string) => {
  const dial = from.client.dial(from.relay, to)
  if (dial === undefined) throw new Error('there was no room')
  return dial
}

test('what is sent by a way at once arrives with the request', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  const { way, opened } = dialled(a, b.id)
  say(way, 'first')
  // Half a round trip to the relay, and as much again to the other end: nobody has waited for an answer.
  world.clock.advance(10)
  assert.equal(b.texts, ['first'])
  world.settle()
  const relayed = await opened
  assert.is(relayed.way, way)
  assert.is(b.incoming.length, 1)
  b.incoming[0]?.way.send(Buffer.from('back'), 4)
  world.settle()
  assert.equal(a.texts, ['back'])
})

test('a datagram that overtakes its request waits for it at the relay', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  a.relay.sendDatagram(datagram('toRelay', 1, 'overtook'))
  a.relay.sendDatagram(datagram('toRelay', 2, 'of another'))
  const { opened } = dialled(a, b.id)
  world.settle()
  await opened
  assert.equal(b.texts, ['overtook'])
})

test('a datagram that overtakes the announcement waits for it at the other end', () => {
  const world = new RelayWorld()
  const b = world.join()
  const number = FIRST_GIVEN_NUMBER + 7
  b.client.datagram(b.relay, datagram('fromRelay', number, 'overtook'))
  assert.equal(b.texts, [])
  const incoming = { channel: number, id: world.join().id, name: 'a@test', token: new Uint8Array(16) }
  const body = encodeRelayIncoming({ ...incoming, observed: { host: '10.0.0.9', port: 1 } })
  b.client.frame(b.relay, CONTROL.relayIncoming, body)
  assert.equal(b.texts, ['overtook'])
})

test('a relay that refuses takes the way with it', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  world.end(b)
  const { way, opened } = dialled(a, b.id)
  const refused = rejection(opened)
  say(way, 'to nobody')
  world.settle()
  assert.match(await refused, 'ERR_SKEIN_NO_RELAY')
  assert.equal(a.retired, [way.key])
  assert.is(a.client.uses(world.id), false)
})

test('who is asked by the other end at the same time goes by the channel of that', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  const asked = b.client.ask(b.relay, a.id)
  const { way, opened } = dialled(a, b.id)
  world.settle()
  await asked
  const relayed = await opened
  assert.is(a.incoming[0]?.way, relayed.way)
  assert.is.not(relayed.way, way)
  assert.equal(a.retired, [way.key])
  assert.is(world.service.figures.channels, 1)
})

test('a channel that is there already is dialled by, and gets a fresh token', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  const { own } = await world.open(a, b)
  const { way, opened } = dialled(a, b.id)
  assert.is(way, own.way)
  world.settle()
  assert.not.equal((await opened).token, own.token)
  assert.is(world.service.figures.channels, 1)
})

test('a number in use, or one that only relays give, ends the session of who asks with it', () => {
  for (const request of [5, FIRST_GIVEN_NUMBER]) {
    const world = new RelayWorld()
    const [a, b, c] = [world.join(), world.join(), world.join()]
    a.relay.sendFrame(CONTROL.relayAsk, encodeRelayAsk({ request: 5, target: b.id }))
    a.relay.sendFrame(CONTROL.relayAsk, encodeRelayAsk({ request, target: c.id }))
    world.settle()
    assert.is(a.isUp, false)
    assert.is(world.service.figures.channels, 0)
  }
})

test('few are kept, and not for long', () => {
  const early = new EarlyDatagrams()
  for (let number = 0; number < 10; number++) early.keep(1, Uint8Array.of(number), 0)
  assert.equal(
    early.take(1, 500).map(([first]) => first),
    [6, 7, 8, 9],
  )
  assert.equal(early.take(1, 500), [])
  early.keep(2, Uint8Array.of(1), 0)
  assert.equal(early.take(2, 1000), [])
})

test.run()
