/** The ends of relayed channels: requests that end in every way, and relays that do as they please. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import { nodeIdOf } from '../../../../certs/node-id.ts'
import { CONTROL } from '../../../../src/cluster/control.ts'
import type { ReachPeer } from '../../../../src/cluster/reach/reach-peer.ts'
import { RelayClient, type RelayedWay } from '../../../../src/cluster/reach/relay-client.ts'
import {
  decodeRelayAsk,
  decodeRelayClose,
  encodeRelayClose,
  encodeRelayIncoming,
  encodeRelayOpened,
  encodeRelayRefused,
  isForRelay,
  RELAY_HEAD_BYTES,
  RELAY_TOKEN_BYTES,
  writeHead,
} from '../../../../src/cluster/reach/relay-frames.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import { suite } from '../../../support/suite.ts'
import { RelayWorld, rejection, sendText } from './relay-world.ts'

const test = suite('relay client')

const idOf = (text: string): string => nodeIdOf(Buffer.alloc(32, text))
const observed = { host: '192.0.2.1', port: 4433 }
const token = new Uint8Array(RELAY_TOKEN_BYTES).fill(7)

/** A client with relays that are played by hand. */
class Stage {
  readonly clock = new VirtualClock()
  readonly incoming: RelayedWay[] = []
  readonly gone: RelayedWay[] = []
  readonly retired: string[] = []
  readonly received: string[] = []
  readonly frames: { to: string; type: number; body: Uint8Array }[] = []
  readonly datagrams: { to: string; bytes: Uint8Array }[] = []
  readonly client = new RelayClient({
    clock: this.clock,
    ways: {
      direct: () => undefined,
      receive: (way, bytes) => this.received.push(`${way.key}: ${Buffer.from(bytes).toString('latin1')}`),
      gone: ({ key }) => this.retired.push(key),
    },
    incoming: (relayed) => this.incoming.push(relayed),
    gone: (relayed) => this.gone.push(relayed),
  })

  relay(name: string): ReachPeer {
    return {
      id: idOf(name),
      name: `${name}@test`,
      address: observed,
      sendFrame: (type, body) => this.frames.push({ to: name, type, body: Uint8Array.from(body) }),
      sendDatagram: (bytes) => this.datagrams.push({ to: name, bytes: Uint8Array.from(bytes) }) > 0,
    }
  }

  opened(relay: ReachPeer, request: number, channel: number): void {
    this.client.frame(relay, CONTROL.relayOpened, encodeRelayOpened({ request, channel, token, observed }))
  }

  announce(relay: ReachPeer, channel: number, id = idOf('somebody')): void {
    const body = encodeRelayIncoming({ channel, id, name: 'somebody@test', token, observed })
    this.client.frame(relay, CONTROL.relayIncoming, body)
  }

  close(relay: ReachPeer, channel: number): void {
    this.client.frame(relay, CONTROL.relayClose, encodeRelayClose({ direction: 'fromRelay', channel }))
  }

  /** The number of the last request that went out. */
  get request(): number {
    const ask = this.frames.filter(({ type }) => type === CONTROL.relayAsk).at(-1)
    return decodeRelayAsk(ask?.body ?? new Uint8Array(0)).request
  }

  /** The channels that the client has closed, in order. */
  get closed(): number[] {
    return this.frames
      .filter(({ type }) => type === CONTROL.relayClose)
      .map(({ body }) => decodeRelayClose(body).channel)
  }
}

const isRefused = (work: () => unknown): boolean => {
  try {
    work()
    return false
  } catch (error) {
    return isSkeinError(error, 'ERR_SKEIN_PROTOCOL')
  }
}

test('a request that is refused, not answered, or cut off rejects with the reason', async () => {
  const stage = new Stage()
  const relay = stage.relay('r')
  const ask = (timeoutMs?: number): Promise<string> => rejection(stage.client.ask(relay, idOf('b'), timeoutMs))
  for (const [reason, text] of [
    ['unknown', /not connected/],
    ['forbidden', /does not relay/],
    ['full', /no room/],
    ['rate', /too often/],
  ] as const) {
    const refused = ask()
    const body = encodeRelayRefused({ request: stage.request, reason })
    stage.client.frame(relay, CONTROL.relayRefused, body)
    stage.client.frame(relay, CONTROL.relayRefused, body)
    assert.match(await refused, text)
  }
  const silent = ask(200)
  stage.clock.advance(200)
  assert.match(await silent, /ERR_SKEIN_NO_RELAY.*within 200 ms/)
  const cut = ask()
  stage.client.gone(relay.id)
  assert.match(await cut, /ERR_SKEIN_NO_RELAY.*ended/)
  const stopped = ask()
  stage.client.stop()
  assert.match(await stopped, /ERR_SKEIN_STOPPED/)
  assert.match(await ask(), /ERR_SKEIN_STOPPED/)
  stage.clock.advance(10_000)
  assert.is(stage.clock.pending, 0)
})

test('an answer that comes too late is closed, unless the channel is of use to somebody', async () => {
  const stage = new Stage()
  const relay = stage.relay('r')
  const late = rejection(stage.client.ask(relay, idOf('b'), 100))
  const lateRequest = stage.request
  stage.clock.advance(100)
  assert.match(await late, /within/)
  const second = stage.client.ask(relay, idOf('b'), 100)
  const secondRequest = stage.request
  stage.opened(relay, lateRequest, 5)
  assert.equal(stage.closed, [], 'the second request gets the same channel')
  stage.opened(relay, secondRequest, 5)
  const { way } = await second
  assert.ok(way.key.endsWith(' 5'))

  const third = rejection(stage.client.ask(relay, idOf('c'), 100))
  stage.clock.advance(100)
  await third
  stage.opened(relay, stage.request, 6)
  assert.equal(stage.closed, [6])
  // Answered once, a request is forgotten.
  stage.opened(relay, stage.request, 7)
  assert.equal(stage.closed, [6])
  assert.is(stage.retired.length, 0)
})

test('a relay that answers nothing is not asked without end, others are', async () => {
  const stage = new Stage()
  const [mute, other] = [stage.relay('mute'), stage.relay('other')]
  const asked = Array.from({ length: 100 }, () => rejection(stage.client.ask(mute, idOf('b'), 100)))
  assert.is(stage.frames.length, 64)
  stage.clock.advance(100)
  const endings = await Promise.all(asked)
  assert.is(endings.filter((text) => text.includes('too many')).length, 36)
  // Those that came to nothing make room.
  const later = Array.from({ length: 65 }, () => rejection(stage.client.ask(mute, idOf('b'), 100)))
  assert.is(stage.frames.length, 128)
  stage.clock.advance(100)
  assert.is((await Promise.all(later)).filter((text) => text.includes('too many')).length, 1)
  const answered = stage.client.ask(other, idOf('b'))
  stage.opened(other, stage.request, 1)
  assert.is((await answered).relayId, other.id)
})

test('each relay knows its own channels only', () => {
  const stage = new Stage()
  const [one, two] = [stage.relay('one'), stage.relay('two')]
  stage.announce(one, 1)
  stage.announce(two, 2)
  const datagram = (channel: number): Uint8Array => {
    const bytes = Buffer.alloc(RELAY_HEAD_BYTES + 1, 'x')
    writeHead(bytes, 'fromRelay', channel)
    return bytes
  }
  stage.client.datagram(two, datagram(1))
  stage.close(two, 1)
  assert.equal(stage.received, [])
  assert.equal(stage.gone, [])
  stage.client.datagram(one, datagram(1))
  assert.equal(stage.received, [`relay ${one.id} 1: x`])
  stage.client.gone(two.id)
  assert.equal(stage.gone, [stage.incoming[1]])
  assert.equal(stage.retired, [`relay ${two.id} 2`])
  stage.close(one, 1)
  assert.is(stage.gone.length, 2)
  stage.client.datagram(one, datagram(1))
  assert.is(stage.received.length, 1)
})

test('a way sends to the relay while it is open, and nothing that is too long', () => {
  const stage = new Stage()
  const relay = stage.relay('r')
  stage.announce(relay, 258)
  const relayed = stage.incoming[0]!
  sendText(relayed, 'hello')
  const { bytes } = stage.datagrams[0]!
  assert.ok(isForRelay(bytes))
  assert.is(Buffer.from(bytes).toString('latin1'), '\x01\x00\x00\x01\x02hello')
  // Of a longer buffer only so many bytes.
  relayed.way.send(Buffer.from('hello'), 2)
  assert.is(stage.datagrams[1]?.bytes.length, RELAY_HEAD_BYTES + 2)
  relayed.way.send(new Uint8Array(4000), 4000)
  assert.is(stage.datagrams.length, 2)
  relayed.close()
  relayed.close()
  sendText(relayed, 'late')
  assert.is(stage.datagrams.length, 2)
  assert.equal(stage.closed, [258])
  assert.equal(stage.retired, [relayed.way.key])
  stage.close(relay, 258)
  assert.is(stage.gone.length, 0, 'the confirmation is no news')
})

test('what a relay makes a node remember is bounded', () => {
  const stage = new Stage()
  const relay = stage.relay('r')
  for (let channel = 0; channel < 100; channel++) stage.announce(relay, channel)
  assert.is(stage.incoming.length, 64)
  assert.is(stage.closed.length, 36)
  // Many relays together are bounded too.
  for (let i = 0; i < 40; i++) {
    const other = stage.relay(`other ${i}`)
    for (let channel = 0; channel < 64; channel++) stage.announce(other, channel)
  }
  assert.is(stage.incoming.length, 1024)
  // What ends makes room.
  stage.client.gone(relay.id)
  assert.is(stage.gone.length, 64)
  stage.announce(stage.relay('last'), 1)
  assert.is(stage.incoming.length, 1025)
  const { client } = stage
  client.stop()
  assert.is(stage.retired.length, 1025)
})

test('a relay that announces without end is not listened to without end', () => {
  const stage = new Stage()
  const relay = stage.relay('r')
  for (let i = 0; i < 10_000; i++) stage.announce(relay, 1)
  const burst = stage.incoming.length
  assert.is(burst, 128)
  assert.equal(stage.closed, [], 'a channel that is known stays')
  for (let i = 0; i < 1000; i++) stage.announce(relay, 2)
  assert.is(stage.incoming.length, burst)
  assert.is(stage.closed.length, 1000, 'one small frame for each')
  stage.clock.advance(10_000)
  for (let i = 0; i < 10_000; i++) stage.announce(relay, 1)
  assert.is(stage.incoming.length, 2 * burst)
})

test('one number for two channels, or itself as the other end, ends the session', async () => {
  const stage = new Stage()
  const relay = stage.relay('r')
  stage.announce(relay, 1)
  assert.ok(isRefused(() => stage.announce(relay, 1, idOf('another'))))
  assert.ok(isRefused(() => stage.announce(relay, 2, relay.id)))
  const asked = rejection(stage.client.ask(relay, idOf('another')))
  assert.ok(isRefused(() => stage.opened(relay, stage.request, 1)))
  assert.ok(isRefused(() => stage.client.frame(relay, CONTROL.tick, new Uint8Array(0))))
  // Whoever carries the session ends it, and the request hears of that.
  stage.client.gone(relay.id)
  assert.match(await asked, /ended/)
})

test('close, called while a way is told of, is heeded', () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  b.incoming.push = (relayed) => {
    relayed.close()
    return 0
  }
  void rejection(a.client.ask(a.relay, b.id))
  world.settle()
  world.settle()
  assert.is(world.service.figures.channels, 0)
  assert.is(a.gone.length, 1)
})

test.run()
