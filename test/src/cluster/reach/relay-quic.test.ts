/** The whole of it over UDP: three ports, two of which speak QUIC with each other through the third. */
import * as assert from 'uvu/assert'
import { CONTROL } from '../../../../src/cluster/control.ts'
import type { ReachPeer } from '../../../../src/cluster/reach/reach-peer.ts'
import { RelayClient, type RelayedWay } from '../../../../src/cluster/reach/relay-client.ts'
import { MAX_RELAYED_BYTES, RELAY_HEAD_BYTES } from '../../../../src/cluster/reach/relay-frames.ts'
import { RelayService } from '../../../../src/cluster/reach/relay-service.ts'
import { systemClock } from '../../../../transport/clock.ts'
import type { QuicTransport } from '../../../../transport/quic-transport.ts'
import { systemRandom } from '../../../../transport/random.ts'
import { suite, type TestContext } from '../../../support/suite.ts'
import { addressOf, Party, serve } from '../../../transport/compliance.ts'
import { exchange, openPort, until } from '../../../transport/quic-support.ts'

const test = suite('relay over QUIC')

/** A connection with a frame on each stream, and datagrams. */
class FrameParty extends Party {
  onFrame: (type: number, body: Uint8Array) => void = () => {}
  onMessage: (bytes: Uint8Array) => void = () => {}

  override onReadable(stream: number): void {
    super.onReadable(stream)
    if (!this.finished.delete(stream)) return
    const frame = this.received(stream)
    this.onFrame(frame[0] as number, frame.subarray(1))
  }

  onDatagram(bytes: Uint8Array): void {
    this.onMessage(bytes)
  }

  /** The other side, as relays and their users see it. */
  peer(name: string): ReachPeer {
    const { connection } = this
    return {
      id: connection.peer?.nodeId ?? '',
      name,
      address: connection.remote,
      sendFrame: (type, body) => {
        this.send(Buffer.concat([Buffer.of(type), body]))
      },
      sendDatagram: (bytes) => connection.sendDatagram(bytes),
    }
  }
}

interface End {
  readonly port: QuicTransport
  readonly client: RelayClient
  readonly relay: ReachPeer
  readonly session: FrameParty
  readonly incoming: RelayedWay[]
  /** Connections that came in, over whatever way. */
  readonly accepted: Party[]
}

interface Scene {
  readonly a: End
  readonly b: End
  readonly idOfB: string
  readonly service: RelayService
  /** What the relay was given to forward, without the heads. */
  readonly seen: Buffer[]
}

const setUp = async (t: TestContext): Promise<Scene> => {
  const relayPort = await openPort(t)
  const sessions = new Map<string, FrameParty>()
  const seen: Buffer[] = []
  const service = new RelayService({
    clock: systemClock,
    random: systemRandom,
    isEnabled: true,
    peer: (id) => sessions.get(id)?.peer(`member ${id}`),
  })
  t.defer(() => service.stop())
  relayPort.listen((connection) => {
    const party = new FrameParty()
    party.connection = connection
    const from = (): ReachPeer => {
      sessions.set(connection.peer?.nodeId ?? '', party)
      return party.peer('member@test')
    }
    party.onFrame = (type, body) =>
      type === CONTROL.relayAsk ? service.ask(from(), body) : service.close(from(), body)
    party.onMessage = (bytes) => {
      seen.push(Buffer.from(bytes.subarray(RELAY_HEAD_BYTES)))
      service.datagram(from(), bytes)
    }
    party.onOpen = () => {
      party.opened++
      from()
    }
    return party
  })
  const join = async (): Promise<End> => {
    const port = await openPort(t)
    const incoming: RelayedWay[] = []
    const client = new RelayClient({
      clock: systemClock,
      ways: port.ways,
      incoming: (relayed) => incoming.push(relayed),
      gone: () => {},
    })
    t.defer(() => client.stop())
    const session = new FrameParty()
    session.connection = port.connect(addressOf(relayPort), session)
    await until(() => session.isOpen, 'the session to the relay opens')
    const relay = session.peer('relay@test')
    session.onFrame = (type, body) => client.frame(relay, type, body)
    session.onMessage = (bytes) => client.datagram(relay, bytes)
    return { port, client, relay, session, incoming, accepted: serve(port) }
  }
  const a = await join()
  const b = await join()
  await until(() => sessions.size === 2, 'both sessions are up at the relay')
  const idOfB = [...sessions.keys()].find((_, index) => index === 1) ?? ''
  return { a, b, idOfB, service, seen }
}

const dialThrough = async ({ a, b, idOfB }: Scene): Promise<{ relayed: RelayedWay; own: Party; other: Party }> => {
  const relayed = await a.client.ask(a.relay, idOfB)
  const own = new Party()
  own.connection = a.port.connect(relayed.way.address, own, { way: relayed.way, expectedId: idOfB })
  await until(() => own.isOpen && b.accepted.at(-1)?.isOpen === true, 'the connection through the relay opens')
  return { relayed, own, other: b.accepted.at(-1) as Party }
}

test('two ports connect and exchange bytes through a third, which sees nothing but ciphertext', async (t) => {
  const scene = await setUp(t)
  const { a, b, idOfB, seen, service } = scene
  const { relayed, own, other } = await dialThrough(scene)
  assert.is(own.connection.peer?.nodeId, idOfB, 'the certificate tells who it is')
  assert.is(own.connection.way, relayed.way)
  assert.is(other.connection.way, b.incoming[0]?.way)
  assert.equal(b.incoming[0]?.token, relayed.token)
  assert.equal(relayed.observed, addressOf(b.port))
  assert.equal(b.incoming[0]?.observed, addressOf(a.port))

  const secret = 'alice@example.test says to bob@example.test: the plain text of this message. '
  const there = Buffer.from(secret.repeat(4000))
  const back = Buffer.from(secret.repeat(1000))
  const [didGo, didReturn] = await Promise.all([exchange(own, other, there), exchange(other, own, back)])
  assert.ok(didGo && didReturn, 'unchanged')

  const capture = Buffer.concat(seen)
  assert.ok(capture.length > there.length + back.length, 'all of it went through the relay')
  for (const text of ['alice', 'example', 'plain text', secret]) assert.not(capture.includes(text), text)
  assert.ok(seen.every(({ length }) => length <= MAX_RELAYED_BYTES))
  const { forwardedBytes, dropped } = service.figures
  assert.ok(forwardedBytes + dropped * (RELAY_HEAD_BYTES + MAX_RELAYED_BYTES) >= capture.length, 'nothing but that')
  assert.ok(forwardedBytes <= capture.length + seen.length * RELAY_HEAD_BYTES, 'and no more than came in')
})

test('after a channel was closed another one carries a new connection', async (t) => {
  const scene = await setUp(t)
  const first = await dialThrough(scene)
  first.relayed.close()
  await until(() => scene.service.figures.channels === 0, 'the relay closes the channel')
  const second = await dialThrough(scene)
  assert.not(second.relayed.way.key === first.relayed.way.key)
  assert.ok(await exchange(second.own, second.other, Buffer.from('by the second channel')))
})

test.run()
