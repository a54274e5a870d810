/**
 * Whoever stole the old cookie and was connected before the rotation stayed a member for as long as it kept its
 * connection: only new connections were judged by the new cookie. Now its session ends with the window.
 */
import * as assert from 'uvu/assert'
import { deriveKeys } from '../../certs/keys.ts'
import {
  type HandshakeState,
  handshakeKeys,
  type Introduction,
  next,
  PROTOCOL_VERSIONS,
  start,
} from '../../src/cluster/handshake.ts'
import type { SkeinNode } from '../../src/node.ts'
import { simulatedHost } from '../../src/testing/index.ts'
import type { LanesHandler } from '../../transport/lane.ts'
import { Lanes } from '../../transport/lanes.ts'
import type { CloseReason } from '../../transport/transport.ts'
import { meshed, ofType, pass, startCluster, until, watch } from '../src/node-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('a stolen cookie')

const HOST = '10.9.0.1'
const NEXT = 'the next cookie for tests'
const CHALLENGE = 24
const ANSWER = 25
const TICK = 4

/** Keeps its connection alive by ticks, and to challenges says what the test wants. */
class Thief implements LanesHandler {
  readonly lanes: Lanes
  closed: CloseReason | undefined
  isUp = false
  challenges = 0
  #state: HandshakeState
  readonly #reply: (challenge: Uint8Array) => Uint8Array | undefined

  constructor(
    own: Introduction,
    lanes: (thief: Thief) => Lanes,
    reply: (challenge: Uint8Array) => Uint8Array | undefined,
  ) {
    this.#state = start(own)
    this.#reply = reply
    this.lanes = lanes(this)
  }

  onOpen(): void {
    const { peer } = this.lanes.connection
    if (peer !== undefined) this.#advance({ type: 'open', peer })
  }

  onControl(type: number, buffer: Uint8Array, from: number, to: number): void {
    const body = buffer.slice(from, to)
    if (!this.isUp) this.#advance({ type: 'frame', frame: type, body })
    else if (type === TICK) this.lanes.control(TICK, Uint8Array.of(0, 0, 0, 0))
    else if (type === CHALLENGE) {
      this.challenges++
      const answer = this.#reply(body)
      if (answer !== undefined) this.lanes.control(ANSWER, answer)
    }
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

const silent = (): undefined => undefined
/** The challenge itself, as if it were the answer. */
const mirror = (challenge: Uint8Array): Uint8Array => challenge

for (const [what, capabilities, reply, code] of [
  ['knows no challenges', [], silent, 'ERR_SKEIN_WRONG_COOKIE'],
  ['does not answer them', ['reproof'], silent, 'ERR_SKEIN_WRONG_COOKIE'],
  ['answers nonsense', ['reproof'], mirror, 'ERR_SKEIN_PROTOCOL'],
] as const) {
  test(`the session of a thief that ${what} ends with the window at the latest`, async (t) => {
    const cluster = await startCluster(t, 2)
    await meshed(cluster)
    const identity = await cluster.identity()
    const keys = deriveKeys(Buffer.from('a cookie for tests'), 'test')
    const own: Introduction = {
      role: 'initiator',
      name: `thief@${HOST}`,
      incarnation: 'ffffffffffffffff',
      publicKey: identity.publicKey,
      versions: PROTOCOL_VERSIONS,
      capabilities,
      addresses: [],
      hidden: true,
      replace: false,
      nonce: new Uint8Array(32).fill(7),
      keys: handshakeKeys(keys),
    }
    const transport = cluster.network.transport({ host: HOST, port: 1000, identity, gate: keys.gate })
    t.defer(() => transport.close())
    const thief = new Thief(own, (it) => new Lanes(it, { clock: cluster.network.clockOf(HOST) }), reply)
    thief.lanes.attach(transport.connect({ host: simulatedHost(0), port: 4433 }, thief.lanes))
    const [victim, other] = cluster.nodes as [SkeinNode, SkeinNode]
    const isIn = (): boolean => victim.connectedNodes().some(({ name }) => name === own.name)
    await until(cluster, 'the thief is in', isIn)
    const events = watch(victim)
    // It stays for as long as nothing changes.
    await pass(cluster, 10_000)
    assert.ok(isIn())
    for (const node of [victim, other]) node.cookies.accept(NEXT)
    for (const node of [victim, other]) node.cookies.use(NEXT, { acceptOldMs: 1000 })
    const fromMs = cluster.clock.now()
    await until(cluster, 'the thief is out', () => thief.closed !== undefined)
    assert.ok(cluster.clock.now() - fromMs <= 1100, `${cluster.clock.now() - fromMs} ms`)
    assert.is(thief.closed?.code, code)
    assert.is(thief.closed?.byPeer, true)
    assert.is(thief.challenges, capabilities.length)
    assert.equal(
      ofType(events, 'nodedown').map(({ node }) => node),
      [own.name],
    )
  })
}

test.run()
