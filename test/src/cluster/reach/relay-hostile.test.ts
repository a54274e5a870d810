/**
 * Members that send whatever they like to a relay and to its clients: nothing crashes, nothing grows without bound, for
 * each datagram at most one goes out, and two honest members beside them do not notice.
 */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import { nodeIdOf } from '../../../../certs/node-id.ts'
import { CONTROL } from '../../../../src/cluster/control.ts'
import { RelayClient, type RelayedWay } from '../../../../src/cluster/reach/relay-client.ts'
import {
  decodeRelayOpened,
  encodeRelayAsk,
  encodeRelayClose,
  encodeRelayIncoming,
  encodeRelayOpened,
  encodeRelayRefused,
  RELAY_TOKEN_BYTES,
  writeHead,
} from '../../../../src/cluster/reach/relay-frames.ts'
import { type Random, seededRandom } from '../../../../transport/random.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import { suite } from '../../../support/suite.ts'
import { type Member, RelayWorld, sendText } from './relay-world.ts'

const test = suite('hostile relay traffic')

const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)
const ROUNDS = 300
const STEPS_IN_ROUND = 60
const MAX_LEARNT = 40

/** Makes up what a hostile member sends: sound frames with made-up values, damaged ones, and noise. */
class Mischief {
  readonly random: Random
  readonly #ids: readonly string[]
  /** Channels that are worth a try. */
  readonly channels: number[] = [0, 1, 2 ** 32 - 1]

  constructor(random: Random, ids: readonly string[]) {
    this.random = random
    this.#ids = ids
  }

  pick(count: number): number {
    return Math.floor(this.random.float() * count)
  }

  /** A channel that it was really given. */
  learn(channel: number): void {
    this.channels.push(channel)
    if (this.channels.length > MAX_LEARNT) this.channels.splice(this.pick(MAX_LEARNT), 1)
  }

  oneOf<T>(values: readonly T[]): T {
    return values[this.pick(values.length)] as T
  }

  get channel(): number {
    return this.pick(4) === 0 ? this.pick(2 ** 32) : this.oneOf(this.channels)
  }

  frame(): { type: number; body: Uint8Array } {
    const { channel } = this
    const id = this.oneOf(this.#ids)
    const token = this.random.bytes(RELAY_TOKEN_BYTES)
    const observed = { host: this.oneOf(['192.0.2.7', '2001:db8::1', '127.0.0.1']), port: 1 + this.pick(65_535) }
    const request = this.pick(12)
    const direction = this.oneOf(['toRelay', 'fromRelay'] as const)
    const frames = [
      { type: CONTROL.relayAsk, body: encodeRelayAsk({ request, target: id }) },
      { type: CONTROL.relayOpened, body: encodeRelayOpened({ request, channel, token, observed }) },
      { type: CONTROL.relayRefused, body: encodeRelayRefused({ request, reason: 'full' }) },
      { type: CONTROL.relayIncoming, body: encodeRelayIncoming({ channel, id, name: 'x@y', token, observed }) },
      { type: CONTROL.relayClose, body: encodeRelayClose({ direction, channel }) },
    ]
    const { type, body } = this.oneOf(frames)
    return { type, body: this.pick(100) === 0 ? this.damaged(body) : Uint8Array.from(body) }
  }

  datagram(): Uint8Array {
    const bytes = this.random.bytes(this.pick(60) === 0 ? this.pick(4000) : this.pick(64))
    if (bytes.length >= 5 && this.pick(8) > 0)
      writeHead(bytes, this.oneOf(['toRelay', 'fromRelay'] as const), this.channel)
    return bytes
  }

  damaged(bytes: Uint8Array): Uint8Array {
    if (this.pick(3) === 0) return this.random.bytes(this.pick(100))
    const changed = Uint8Array.from(bytes.subarray(0, this.pick(2) === 0 ? this.pick(bytes.length + 1) : bytes.length))
    if (changed.length > 0) changed[this.pick(changed.length)]! ^= 1 << this.pick(8)
    return changed
  }
}

test(`hostile members leave a relay and the others as they were (seed ${seed})`, async () => {
  const world = new RelayWorld({ seed })
  const [a, b, victim] = [world.join(), world.join(), world.join()]
  const hostile = [world.join(), world.join(), world.join()]
  const mischief = new Mischief(seededRandom(seed), [world.id, ...world.members.map(({ id }) => id)])
  for (const member of hostile) member.isHonest = false
  const { own, other } = await world.open(a, b)
  for (const { way } of [own, other]) mischief.channels.push(Number(way.key.split(' ').at(-1)))

  const heard = new Map<Member, number>()
  let datagramsIn = 0
  let ended = 0
  for (let round = 0; round < ROUNDS; round++) {
    for (const member of hostile) {
      if (!member.isUp) {
        ended++
        world.again(member)
      }
      for (let step = 0; step < STEPS_IN_ROUND; step++) {
        if (mischief.pick(2) === 0) {
          member.relay.sendDatagram(mischief.datagram())
          datagramsIn++
        } else {
          const { type, body } = mischief.frame()
          member.relay.sendFrame(type, body)
        }
      }
      // Some learn the numbers of their own channels.
      const frames = member.frames.slice(heard.get(member) ?? 0)
      heard.set(member, member.frames.length)
      for (const { type, body } of frames)
        if (type === CONTROL.relayOpened) mischief.learn(decodeRelayOpened(body).channel)
    }
    sendText(own, `there ${round}`)
    sendText(other, `back ${round}`)
    world.settle()
    const { channels } = world.service.figures
    assert.ok(channels <= 15, `${channels} channels among six members`)
  }
  assert.ok(ended > 0, 'some of it ended sessions')
  const ownOf = (member: Member, key: string): string[] =>
    member.received.filter((one) => one.key === key).map(({ bytes }) => Buffer.from(bytes).toString('latin1'))
  assert.equal(
    ownOf(b, other.way.key),
    Array.from({ length: ROUNDS }, (_, round) => `there ${round}`),
  )
  assert.equal(
    ownOf(a, own.way.key),
    Array.from({ length: ROUNDS }, (_, round) => `back ${round}`),
  )
  assert.ok(
    [a, b, victim].every(({ isUp }) => isUp),
    'no honest session ended',
  )
  assert.not(a.gone.includes(own))
  assert.not(b.gone.includes(other))
  const datagramsOut = world.members.reduce((sum, { datagrams }) => sum + datagrams.length, 0)
  assert.ok(datagramsOut <= datagramsIn + 2 * ROUNDS)
  assert.ok(datagramsOut > 2 * ROUNDS, 'some of theirs passed too')

  for (const member of hostile) world.end(member)
  world.settle()
  assert.is(world.service.figures.channels, 1)
})

test(`a hostile relay makes a client remember and send little (seed ${seed})`, async () => {
  const clock = new VirtualClock()
  const self = nodeIdOf(Buffer.alloc(32, 'self'))
  const relayId = nodeIdOf(Buffer.alloc(32, 'relay'))
  const ids = [self, ...Array.from({ length: 5 }, (_, i) => nodeIdOf(Buffer.alloc(32, `member ${i}`)))]
  const mischief = new Mischief(seededRandom(seed), ids)
  for (let channel = 2; channel < 120; channel++) mischief.channels.push(channel)
  const live = new Set<RelayedWay['way']>()
  let announced = 0
  let datagramsOut = 0
  let framesOut = 0
  let received = 0
  let settled = 0
  const client = new RelayClient({
    clock,
    ways: {
      direct: () => undefined,
      receive: (way) => {
        assert.ok(live.has(way), 'only what was told of and is not gone receives')
        received++
      },
      gone: (way) => assert.ok(live.delete(way), 'gone once, and told of before'),
    },
    incoming: ({ way }) => {
      live.add(way)
      announced++
    },
    gone: ({ way }) => assert.not(live.has(way)),
  })
  const relay = {
    id: relayId,
    name: 'relay@test',
    address: { host: '192.0.2.1', port: 4433 },
    sendFrame: () => {
      framesOut++
    },
    sendDatagram: () => {
      datagramsOut++
      return true
    },
  }
  const opened = (relayed: RelayedWay): void => {
    live.add(relayed.way)
  }
  let sessions = 1
  let asked = 0
  let framesIn = 0
  const seconds = 20
  for (let step = 0; step < seconds * 1000; step++) {
    if (step % 50 === 0) {
      asked++
      client.ask(relay, mischief.oneOf(ids), 500).then(opened, (error: unknown) => {
        assert.ok(isSkeinError(error))
        settled++
      })
    }
    try {
      if (mischief.pick(2) === 0) client.datagram(relay, mischief.datagram())
      else {
        const { type, body } = mischief.frame()
        if (type === CONTROL.relayAsk) continue
        framesIn++
        client.frame(relay, type, body)
      }
    } catch (error) {
      if (!isSkeinError(error, 'ERR_SKEIN_PROTOCOL')) throw error
      sessions++
      client.gone(relayId)
      assert.is(live.size, 0, 'with the session all its ways went')
    }
    // Who asked hears of it.
    await undefined
    assert.ok(live.size <= 64)
    clock.advance(1)
  }
  assert.ok(sessions > 10)
  assert.ok(announced > 20)
  assert.ok(announced <= (128 + 32) * sessions + 32 * seconds)
  assert.ok(received > 0)
  assert.is(datagramsOut, 0, 'nothing is sent by a way that nobody uses')
  assert.ok(framesOut <= framesIn + asked, 'at most one frame for each')
  client.stop()
  assert.is(live.size, 0)
  clock.advance(10_000)
  assert.is(clock.pending, 0)
  assert.ok(settled <= asked)
})

test.run()
