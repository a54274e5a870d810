/** A peer that does not keep to the rules, before and after the handshake: it loses its connection and nobody else notices. */
import fc from 'fast-check'
import * as assert from 'uvu/assert'
import { deriveKeys } from '../../../certs/keys.ts'
import { CONTROL, encodeNumber } from '../../../src/cluster/control.ts'
import {
  type HandshakeState,
  handshakeKeys,
  type Introduction,
  next,
  PROTOCOL_VERSIONS,
  start,
} from '../../../src/cluster/handshake.ts'
import type { SkeinNode } from '../../../src/node.ts'
import { type SimulatedCluster, simulatedHost } from '../../../src/testing/index.ts'
import type { LanesHandler } from '../../../transport/lane.ts'
import { Lanes } from '../../../transport/lanes.ts'
import type { CloseReason } from '../../../transport/transport.ts'
import { suite } from '../../support/suite.ts'
import { meshed, ofType, pass, settled, startCluster, until, watch } from '../node-support.ts'

const test = suite('session')

const HOST = '10.9.0.1'
const EMPTY = new Uint8Array()

/** Speaks the handshake, or not, and then whatever the test wants. */
class Rogue implements LanesHandler {
  readonly lanes: Lanes
  readonly heard: number[] = []
  closed: CloseReason | undefined
  isOpen = false
  isUp = false
  readonly #honest: boolean
  #state: HandshakeState

  constructor(cluster: SimulatedCluster, own: Introduction, honest: boolean) {
    this.#state = start(own)
    this.#honest = honest
    this.lanes = new Lanes(this, { clock: cluster.network.clockOf(HOST) })
  }

  onOpen(): void {
    this.isOpen = true
    const peer = this.lanes.connection.peer
    if (this.#honest && peer !== undefined) this.#advance({ type: 'open', peer })
  }

  onControl(type: number, buffer: Uint8Array, from: number, to: number): void {
    this.heard.push(type)
    if (this.#honest && !this.isUp) this.#advance({ type: 'frame', frame: type, body: buffer.slice(from, to) })
  }

  onFrame(): undefined {}

  onClosed(reason: CloseReason): void {
    this.closed = reason
  }

  #advance(input: Parameters<typeof next>[1]): void {
    const { state, outputs } = next(this.#state, input)
    this.#state = state
    for (const output of outputs) {
      if (output.type === 'send') this.lanes.control(output.frame, output.body)
      if (output.type === 'judge') this.#advance({ type: 'verdict', refusal: undefined })
      if (output.type === 'established') {
        this.isUp = true
        this.lanes.acceptLanes()
      }
    }
  }
}

const ports = { next: 1000 }

/** A rogue that dials node 0. */
const rogueAt = async (cluster: SimulatedCluster, honest: boolean): Promise<Rogue> => {
  const identity = await cluster.identity()
  const keys = deriveKeys(Buffer.from('a cookie for tests'), 'test')
  const port = ports.next++
  const own: Introduction = {
    role: 'initiator',
    name: `rogue${port}@${HOST}`,
    incarnation: 'ffffffffffffffff',
    publicKey: identity.publicKey,
    versions: PROTOCOL_VERSIONS,
    capabilities: [],
    addresses: [],
    hidden: true,
    replace: false,
    nonce: new Uint8Array(32).fill(7),
    keys: handshakeKeys(keys),
  }
  const verified = { nodeId: identity.nodeId, publicKey: identity.publicKey, certificate: identity.certificate }
  const transport = cluster.network.transport({ host: HOST, port, identity: verified, gate: keys.gate })
  const rogue = new Rogue(cluster, own, honest)
  rogue.lanes.attach(transport.connect({ host: simulatedHost(0), port: 4433 }, rogue.lanes))
  await until(cluster, 'the rogue is in', () => (honest ? rogue.isUp : rogue.isOpen))
  return rogue
}

const startPair = async (t: Parameters<typeof startCluster>[0]): Promise<SimulatedCluster> => {
  const cluster = await startCluster(t, 2)
  await meshed(cluster)
  return cluster
}

test('who says nothing is thrown out after 3 s', async (t) => {
  const cluster = await startPair(t)
  const rogue = await rogueAt(cluster, false)
  const fromMs = cluster.clock.now()
  await until(cluster, 'out', () => rogue.closed !== undefined)
  assert.is(rogue.closed?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
  assert.ok(cluster.clock.now() - fromMs <= 3100, `${cluster.clock.now() - fromMs} ms`)
  assert.equal(rogue.heard, [], 'and it was told nothing')
})

test('garbage before the handshake: ERR_SKEIN_HANDSHAKE, whatever it is', async (t) => {
  const cluster = await startPair(t)
  const bodies = [EMPTY, Uint8Array.of(255, 255, 255, 255), new Uint8Array(60_000)]
  for (const type of [0, ...Object.values(CONTROL), 0xef]) {
    for (const body of bodies) {
      const rogue = await rogueAt(cluster, false)
      rogue.lanes.control(type, body)
      await until(cluster, 'out', () => rogue.closed !== undefined)
      assert.is(rogue.closed?.code, 'ERR_SKEIN_HANDSHAKE', `type ${type}`)
      assert.is(rogue.closed?.byPeer, true)
    }
  }
  assert.is(cluster.nodes[0]!.nodes().length, 1)
})

test('lanes of a stranger are not read', async (t) => {
  const cluster = await startPair(t)
  const events = watch(cluster.nodes[0]!)
  const rogue = await rogueAt(cluster, false)
  rogue.lanes.acceptLanes()
  const sender = rogue.lanes.sender()
  for (let i = 0; i < 100; i++) sender.send(0x21, EMPTY, 0, Uint8Array.of(1, 5, 115, 107, 101, 105, 110, 192))
  await pass(cluster, 1000)
  assert.is(ofType(events, 'deadLetter').length, 0)
})

const hostileControl: [string, number, Uint8Array][] = [
  ['a second hello', CONTROL.hello, EMPTY],
  ['a second proof', CONTROL.proof, new Uint8Array(32)],
  ['a second ready', CONTROL.ready, EMPTY],
  ['a short tick', CONTROL.tick, Uint8Array.of(1)],
  ['a long ping', CONTROL.ping, new Uint8Array(5)],
  ['a goodbye without a text', CONTROL.goodbye, EMPTY],
  ['a goodbye that is no text', CONTROL.goodbye, Uint8Array.of(0, 2, 0xff, 0xff)],
  ['peers that claim more than there are', CONTROL.peers, Uint8Array.of(0, 9)],
  ['peers beyond the limit', CONTROL.peers, Uint8Array.of(255, 255)],
  ['an unknown frame', 77, EMPTY],
]

for (const [what, type, body] of hostileControl) {
  test(`${what} from a member costs it the connection: ERR_SKEIN_PROTOCOL`, async (t) => {
    const cluster = await startPair(t)
    const events = watch(cluster.nodes[0]!)
    const rogue = await rogueAt(cluster, true)
    await until(cluster, 'up', () => cluster.nodes[0]!.nodes({ hidden: true }).length === 2)
    rogue.lanes.control(type, body)
    await until(cluster, 'out', () => rogue.closed !== undefined)
    assert.is(rogue.closed?.code, 'ERR_SKEIN_PROTOCOL')
    assert.is(ofType(events, 'nodedown').length, 1)
    assert.equal(cluster.nodes[0]!.nodes(), [cluster.nodes[1]!.name])
  })
}

test('frames that do not decode cost a member its connection: ERR_SKEIN_BAD_MESSAGE', async (t) => {
  const cluster = await startPair(t)
  for (const [type, body] of [
    [0, EMPTY],
    [0x01, EMPTY],
    [0x01, Uint8Array.of(1, 1, 0xc1)],
    [0x21, Uint8Array.of(1, 255, 255)],
    [0xef, new Uint8Array(1000)],
  ] as const) {
    const rogue = await rogueAt(cluster, true)
    rogue.lanes.sender().send(type, EMPTY, 0, body)
    await until(cluster, 'out', () => rogue.closed !== undefined)
    assert.is(rogue.closed?.code, 'ERR_SKEIN_BAD_MESSAGE', `type ${type}`)
  }
})

test('a flood of pings is answered up to a bound, and ends nothing', async (t) => {
  const cluster = await startPair(t)
  const rogue = await rogueAt(cluster, true)
  for (let i = 0; i < 5000; i++) rogue.lanes.control(CONTROL.ping, encodeNumber(i))
  await pass(cluster, 400)
  const pongs = rogue.heard.filter((type) => type === CONTROL.pong).length
  assert.ok(pongs >= 1000 && pongs <= 2000, String(pongs))
  assert.is(rogue.closed, undefined)
})

test('pongs nobody waits for, and lists asked for without end, do no harm', async (t) => {
  const cluster = await startPair(t)
  const rogue = await rogueAt(cluster, true)
  for (let i = 0; i < 200; i++) {
    rogue.lanes.control(CONTROL.pong, encodeNumber(i))
    rogue.lanes.control(CONTROL.askPeers, EMPTY)
  }
  await pass(cluster, 400)
  assert.is(rogue.heard.filter((type) => type === CONTROL.peers).length, 1)
  assert.is(rogue.closed, undefined)
})

test('whatever a member sends, the others keep working', async (t) => {
  const cluster = await startPair(t)
  const [a, b] = cluster.nodes as [SkeinNode, SkeinNode]
  const frames = fc.sample(fc.tuple(fc.boolean(), fc.nat(0xef), fc.uint8Array({ maxLength: 200 })), {
    seed: 20,
    numRuns: 60,
  })
  for (const [isControl, type, body] of frames) {
    const rogue = await rogueAt(cluster, true)
    if (isControl) rogue.lanes.control(type, body)
    else rogue.lanes.sender().send(type, EMPTY, 0, body)
    await pass(cluster, 20)
  }
  const reply = await settled(cluster, b.call({ name: 'skein', node: a.name }, { type: 'ping' }))
  assert.equal(reply, { type: 'pong', node: a.name })
  assert.equal(a.nodes(), [b.name])
})

test.run()
