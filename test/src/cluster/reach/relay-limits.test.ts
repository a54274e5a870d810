/** What a relay does for one member is bounded, and what one member takes is not taken from the others. */
import * as assert from 'uvu/assert'
import { CONTROL } from '../../../../src/cluster/control.ts'
import { Share, SharedRate } from '../../../../src/cluster/reach/quota.ts'
import { encodeRelayAsk, MAX_RELAYED_BYTES, RELAY_HEAD_BYTES } from '../../../../src/cluster/reach/relay-frames.ts'
import { seededRandom } from '../../../../transport/random.ts'
import { suite } from '../../../support/suite.ts'
import { type Member, RelayWorld, rejection, sendText } from './relay-world.ts'

const test = suite('relay limits')

/** The size of what `sendLong` sends, as the relay counts it. */
const LONG_BYTES = RELAY_HEAD_BYTES + MAX_RELAYED_BYTES
const long = new Uint8Array(MAX_RELAYED_BYTES)

const framesOf = ({ frames }: Member, type: number): number => frames.filter((frame) => frame.type === type).length

test('channels of one member, and in all', async () => {
  const world = new RelayWorld({ limits: { channelsPerMember: 3, channels: 4, askBurst: 100 } })
  const members = Array.from({ length: 8 }, () => world.join())
  const [a, b, c, d, e, f, g, h] = members as [Member, Member, Member, Member, Member, Member, Member, Member]
  for (const target of [b, c, d]) await world.open(a, target)
  const refusal = async (from: Member, to: Member): Promise<string> => {
    const asked = rejection(from.client.ask(from.relay, to.id))
    world.settle()
    return asked
  }
  assert.match(await refusal(a, e), /ERR_SKEIN_NO_RELAY.*no room/)
  assert.match(await refusal(e, a), /ERR_SKEIN_NO_RELAY.*no room/, 'a channel counts for both of its ends')
  await world.open(a, b)
  await world.open(e, f)
  assert.match(await refusal(g, h), /ERR_SKEIN_NO_RELAY.*no room/)
  assert.is(world.service.figures.channels, 4)
  world.end(a)
  world.settle()
  await world.open(g, h)
  assert.is(world.service.figures.channels, 2)
})

test('a flood of asks is answered within its allowance, and the rest with silence', async () => {
  const world = new RelayWorld()
  const [a, b, c] = [world.join(), world.join(), world.join()]
  a.isHonest = false
  const askBurst = 32
  const flood = (): void => {
    for (let request = 0; request < 5000; request++)
      a.relay.sendFrame(CONTROL.relayAsk, encodeRelayAsk({ request, target: b.id }))
    world.settle()
  }
  flood()
  assert.is(framesOf(a, CONTROL.relayOpened), askBurst)
  assert.is(framesOf(a, CONTROL.relayRefused), askBurst)
  assert.is(framesOf(b, CONTROL.relayIncoming), askBurst)
  assert.is(world.service.figures.channels, 1)
  assert.is(world.service.figures.refused, 5000 - askBurst)
  // Others are served meanwhile.
  await world.open(c, b)

  const seconds = 10
  for (let i = 0; i < seconds; i++) {
    world.clock.advance(1000)
    flood()
  }
  assert.ok(framesOf(a, CONTROL.relayOpened) <= askBurst + 8 * (seconds + 1))
  assert.ok(a.frames.length <= 2 * (askBurst + 8 * (seconds + 1)))
})

test('one member that asks for everybody does not use up what there is', async () => {
  const world = new RelayWorld({ limits: { channelsPerMember: 8, channels: 16, askBurst: 1000 } })
  const abuser = world.join()
  const others = Array.from({ length: 20 }, () => world.join())
  abuser.isHonest = false
  let request = 0
  for (const { id } of others)
    for (let times = 0; times < 10; times++)
      abuser.relay.sendFrame(CONTROL.relayAsk, encodeRelayAsk({ request: request++, target: id }))
  world.settle()
  assert.is(world.service.figures.channels, 8)
  for (let i = 0; i < 8; i++) await world.open(others[i] as Member, others[i + 8] as Member)
})

test('of each datagram at most one goes out, of the same length', async () => {
  const world = new RelayWorld()
  const [a, b] = [world.join(), world.join()]
  const { own, other } = await world.open(a, b)
  const random = seededRandom(7)
  let sent = 0
  for (let i = 0; i < 500; i++) {
    const bytes = random.bytes(1 + Math.floor(random.float() * 1300))
    own.way.send(bytes, bytes.length)
    if (bytes.length <= own.way.maxBytes) sent++
  }
  world.settle()
  assert.is(own.way.maxBytes, MAX_RELAYED_BYTES)
  assert.is(b.datagrams.length, sent, 'none of those that are too long')
  assert.is(b.received.length, sent)
  assert.is(a.datagrams.length, 0)
  assert.ok(b.datagrams.every(({ length }) => length <= LONG_BYTES))
  assert.is(
    world.service.figures.forwardedBytes,
    b.datagrams.reduce((sum, { length }) => sum + length, 0),
  )
  b.room = 0
  sendText(own, 'no room')
  sendText(other, 'room')
  world.settle()
  assert.equal(a.texts, ['room'])
  assert.is(world.service.figures.dropped, 1)
})

test('a channel carries its rate and no more', async () => {
  const channelBytesPerSecond = 100_000
  const channelBurstBytes = 20_000
  const world = new RelayWorld({ limits: { channelBytesPerSecond, channelBurstBytes } })
  const [a, b] = [world.join(), world.join()]
  const { own, other } = await world.open(a, b)
  const seconds = 10
  for (let ms = 0; ms < seconds * 1000; ms += 2) {
    own.way.send(long, long.length)
    other.way.send(long, long.length)
    world.clock.advance(2)
  }
  const { forwardedBytes, dropped } = world.service.figures
  assert.ok(forwardedBytes <= channelBurstBytes + channelBytesPerSecond * (seconds + 1))
  assert.ok(forwardedBytes >= channelBytesPerSecond * seconds * 0.95, `${forwardedBytes} bytes in ${seconds} s`)
  assert.ok(dropped > 0)
})

test('an abuser with many channels does not slow another pair', async () => {
  const bytesPerSecond = 1_000_000
  const world = new RelayWorld({ limits: { bytesPerSecond, askBurst: 100 } })
  const [a, b, abuser] = [world.join(), world.join(), world.join()]
  const ways = []
  for (let i = 0; i < 20; i++) ways.push((await world.open(abuser, world.join())).own.way)
  const { own, other } = await world.open(a, b)
  world.clock.advance(1000)
  const before = world.service.figures
  let honestBytes = 0
  const seconds = 10
  for (let ms = 0; ms < seconds * 1000; ms += 10) {
    for (const way of ways) for (let i = 0; i < 2; i++) way.send(long, long.length)
    // A fifth of what there is, both directions together, behind the flood each time.
    own.way.send(long, long.length)
    if (ms % 20 === 0) other.way.send(long, long.length)
    honestBytes += ms % 20 === 0 ? 2 * LONG_BYTES : LONG_BYTES
    world.clock.advance(10)
  }
  world.settle()
  assert.is((a.received.length + b.received.length) * LONG_BYTES, honestBytes, 'all of it arrived')
  const bytes = world.service.figures.forwardedBytes - before.forwardedBytes
  assert.ok(bytes <= bytesPerSecond * (seconds + 0.5), `${bytes} bytes`)
  assert.ok(bytes >= bytesPerSecond * seconds * 0.95, 'what the pair leaves, the other may have')
  assert.ok(world.service.figures.dropped > 1000)
})

test('a shared rate: equal parts for those who want them, never more than the rate and two bursts', () => {
  const bytesPerSecond = 1_000_000
  const burstBytes = 400_000
  const count = 1000
  for (const [greedy, modest] of [
    [1, 0],
    [4, 0],
    [3, 5],
    [50, 10],
  ] as const) {
    const rate = new SharedRate(bytesPerSecond, burstBytes, 0)
    const users = Array.from({ length: greedy + modest }, () => ({ share: new Share(0), tookBytes: 0, refused: 0 }))
    const seconds = 20
    for (let ms = 0; ms < seconds * 1000; ms++) {
      for (const [index, user] of users.entries()) {
        // The modest want four fifths of their part.
        const isGreedy = index < greedy
        if (!isGreedy && (ms * 0.8) % users.length >= 0.8) continue
        for (let i = 0; i < (isGreedy ? 3 : 1); i++) {
          if (rate.take(user.share, ms, count)) user.tookBytes += count
          else user.refused++
        }
      }
    }
    const allBytes = users.reduce((sum, { tookBytes }) => sum + tookBytes, 0)
    const title = `${greedy} greedy, ${modest} modest`
    assert.ok(allBytes <= bytesPerSecond * seconds + 2 * burstBytes, title)
    assert.ok(allBytes >= bytesPerSecond * seconds * 0.99, `${title}: ${allBytes}`)
    for (const user of users.slice(greedy)) assert.is(user.refused, 0, title)
    const part = (bytesPerSecond * seconds) / users.length
    for (const { tookBytes } of users.slice(0, greedy)) assert.ok(tookBytes >= part * 0.95, `${title}: ${tookBytes}`)
  }
})

test('whoever used nothing for long has saved up no more than the burst', () => {
  const rate = new SharedRate(1_000_000, 100_000, 0)
  const share = new Share(0)
  const take = (nowMs: number): number => {
    let count = 0
    while (rate.take(share, nowMs, 1000)) count++
    return count
  }
  assert.ok(take(0) <= 200)
  assert.ok(take(3_600_000) <= 200)
})

test.run()
