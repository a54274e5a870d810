/** Packets written by hand at a QUIC port: changes of keys, ends, acknowledgements of what was never sent, handshakes that crawl. */
import * as assert from 'uvu/assert'
import { GATE_TAG_BYTES, Gate } from '../../transport/gate.ts'
import * as frames from '../support/crafted-frames.ts'
import { CraftedPeer } from '../support/crafted-peer.ts'
import { initialKeys } from '../support/packet-protection.ts'
import { suite, type TestContext } from '../support/suite.ts'
import { addressOf, dial, type Party, pattern, serve } from './compliance.ts'
import { count, firstFlights, GATE_KEY, openPort, Stranger, until } from './quic-support.ts'

const KEY_UPDATE_ERROR = 0x0e
/** What goes out before an address is shown to be right, in bytes that came from there (RFC 9000 8.1). */
const MAX_AMPLIFICATION = 3
const ACCEPT_DEADLINE_PATIENCE_MS = 9000

interface Meeting {
  readonly peer: CraftedPeer
  readonly party: Party
  readonly port: Awaited<ReturnType<typeof openPort>>
}

const meet = async (t: TestContext): Promise<Meeting> => {
  const port = await openPort(t)
  const parties = serve(port)
  const peer = await CraftedPeer.takeOver(t, addressOf(port), async (relay) => {
    const real = dial(await openPort(t), relay)
    await until(() => real.isOpen && parties[0]?.isOpen === true, 'the connection opens')
  })
  return { peer, party: parties[0]!, port }
}

/** An Initial of version 1 with these frames, padded, with the gate's tag if there is a key. */
const initial = (id: Uint8Array, number: number, content: Uint8Array, gateKey?: Uint8Array): Buffer => {
  const payload = Buffer.alloc(1200)
  payload.set(content)
  const length = payload.length + 4 + 16
  const header = Buffer.concat([
    Buffer.from([0xc3, 0, 0, 0, 1, id.length]),
    id,
    Buffer.from([0, 0, 0x40 | (length >> 8), length & 0xff, 0, 0, number >> 8, number & 0xff]),
  ])
  const packet = initialKeys(id).client.seal(header, number, payload)
  if (gateKey === undefined) return packet
  const sealed = Buffer.concat([packet, Buffer.alloc(GATE_TAG_BYTES)])
  new Gate([gateKey]).seal(sealed, packet.length)
  return sealed
}

const test = suite('QUIC port: packets by hand')

test('the peer changes keys, and traffic goes on both ways', async (t) => {
  const { peer, party } = await meet(t)
  for (let update = 0; update < 3; update++) {
    const stream = 2 + 4 * update
    peer.updateKeys()
    const before = peer.packets.length
    await peer.send(frames.stream(stream, 0, Buffer.from(`under keys ${update}`), true))
    await until(() => party.finished.has(stream), 'the stream arrives')
    assert.is(Buffer.from(party.received(stream)).toString(), `under keys ${update}`)
    party.send(pattern(1000, update))
    await until(
      () => peer.packets.slice(before).some(({ frames: list }) => list.some(({ type }) => (type & 0xf8) === 8)),
      'an answer',
    )
    // Changes have to be acknowledged in turn before the next (RFC 9001 6.5).
    await peer.send(frames.ack(peer.largestHeard))
    assert.is(peer.unopened.length, 0)
  }
  assert.ok(party.isOpen)
})

test('keys changed twice without waiting: the connection ends with KEY_UPDATE_ERROR', async (t) => {
  const { peer, party } = await meet(t)
  peer.updateKeys()
  const first = peer.seal(frames.PING)
  peer.updateKeys()
  const second = peer.seal(frames.PING)
  await Promise.all([peer.relay.inject(first), peer.relay.inject(second)])
  await until(() => party.closes.length > 0, 'the end')
  const [end] = party.closes
  assert.is(end?.byPeer, false)
  assert.ok(end?.wireCode === KEY_UPDATE_ERROR, `wire code ${end?.wireCode}`)
})

test('ends with long reasons, of no text at all, or none are told in few words', async (t) => {
  const long = Buffer.alloc(8000, 0xff)
  for (const close of [
    frames.connectionClose(1, long),
    frames.applicationClose(2 ** 50, long),
    frames.applicationClose(48, Buffer.alloc(0)),
    frames.connectionClose(0x100 + 42, Buffer.from('bad certificate')),
  ]) {
    const { peer, party } = await meet(t)
    await peer.send(close)
    await until(() => party.closes.length > 0, 'the end')
    const [end] = party.closes
    assert.is(end?.byPeer, true)
    assert.ok(Buffer.byteLength(end!.message) <= 200, `${Buffer.byteLength(end!.message)} bytes`)
    assert.match(end!.code, /^(closed|ERR_SKEIN_[A-Z_]+)$/)
  }
})

test('who acknowledges what it never got is sent no more than was written for it', async (t) => {
  const { peer, party } = await meet(t)
  const bytes = 3 << 20
  party.send(pattern(bytes, 1))
  let heardBytes = 0
  peer.onPacket = () => {
    heardBytes = peer.packets.reduce((sum, packet) => sum + packet.bytes, 0)
  }
  const finished = (): boolean => peer.frames.some(({ type }) => (type & 0xf9) === 9)
  for (let round = 0; round < 2000 && !finished(); round++) {
    await peer.send(frames.ack(peer.largestHeard + 1000, peer.largestHeard + 1000))
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
  assert.ok(party.isOpen)
  await peer.send(frames.ack(peer.largestHeard + 1000, peer.largestHeard + 1000))
  await peer.send(frames.PING)
  assert.ok(heardBytes > 0 && heardBytes < 1.2 * bytes, `${heardBytes} bytes`)
})

test('no gate tag, no Initial: one made by hand is read with the tag and dropped unread without', async (t) => {
  const port = await openPort(t)
  const parties = serve(port)
  const stranger = await Stranger.open(t)
  const hello = frames.crypto(0, Buffer.from('no hello of TLS'))
  for (let i = 0; i < 50; i++) await stranger.send(initial(Buffer.alloc(8, i), 0, hello), addressOf(port))
  await until(() => count(port, 'received') === 50, 'all of them')
  assert.is(count(port, 'gated'), 50)
  assert.is(count(port, 'accepted'), 0)
  assert.is(count(port, 'sent'), 0)
  await stranger.send(initial(Buffer.alloc(8, 99), 0, hello, GATE_KEY), addressOf(port))
  await until(() => count(port, 'accepted') === 1, 'the one with a tag')
  await until(() => parties[0]?.closes.length === 1, 'TLS says no')
})

test('short headers of strangers reach nobody, whatever frames are in them', async (t) => {
  const { peer, party, port } = await meet(t)
  const stranger = await Stranger.open(t)
  const packet = peer.seal(Buffer.concat(Array.from({ length: 100 }, () => frames.pathChallenge(Buffer.alloc(8)))))
  const invented = Buffer.from(packet)
  for (let i = 1; i < 17; i++) invented[i] = invented[i]! ^ 0x55
  invented[1] = invented[1]! | 0x80
  const before = count(port, 'unconnected')
  // With the right id, which only the path shows, they do not open.
  const bent = Buffer.from(packet)
  bent[40] = bent[40]! ^ 1
  const sent = count(port, 'sent')
  for (let i = 0; i < 500; i++) {
    await stranger.send(invented, addressOf(port))
    await stranger.send(bent, addressOf(port))
  }
  await until(() => count(port, 'unconnected') === before + 500 && count(port, 'invalid') >= 500, 'all of them')
  assert.is(count(port, 'sent'), sent)
  assert.is(stranger.heard.length, 0)
  assert.ok(party.isOpen)
})

test(
  'a handshake that crawls is over at the deadline, its place is free, and what went out is three times what came in at most',
  async (t) => {
    const port = await openPort(t)
    const parties = serve(port)
    const [flight] = await firstFlights(t, 1)
    const stranger = await Stranger.open(t)
    let bytesIn = 0
    const send = async (bytes: Uint8Array): Promise<void> => {
      bytesIn += bytes.length
      await stranger.send(bytes, addressOf(port))
    }
    const bytesOut = (): number => stranger.heard.reduce((sum, { length }) => sum + length, 0)
    await send(flight as Buffer)
    await until(() => stranger.heard.length > 0, 'the first answer')
    const id = (flight as Buffer).subarray(6, 6 + (flight as Buffer)[5]!)
    // A byte of TLS now and then, and the flight once more: none of it makes the deadline later.
    for (let i = 0; count(port, 'connections') > 0 && i < 200; i++) {
      if (i % 10 === 9) await send(flight as Buffer)
      else if (i < 20) await send(initial(id, 100 + i, frames.crypto(5000 + i, Buffer.of(i)), GATE_KEY))
      assert.ok(bytesOut() <= MAX_AMPLIFICATION * bytesIn, `${bytesOut()} bytes for ${bytesIn}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await until(() => count(port, 'connections') === 0, 'its place is free', ACCEPT_DEADLINE_PATIENCE_MS)
    assert.is(parties[0]?.closes[0]?.code, 'ERR_SKEIN_CONNECT_TIMEOUT')
    assert.ok(bytesOut() > 0 && bytesOut() <= MAX_AMPLIFICATION * bytesIn, `${bytesOut()} bytes for ${bytesIn}`)
    console.log(`${bytesOut()} bytes for ${bytesIn}`)
  },
  { deadlineMs: 30_000 },
)

test(
  'Initials from forged addresses, small, cut, many: never more than three times as much comes back',
  async (t) => {
    const port = await openPort(t)
    serve(port)
    const flights = await firstFlights(t, 30)
    const victim = await Stranger.open(t)
    let bytesIn = 0
    for (const [i, flight] of flights.entries()) {
      // Two thirds are whole; the others are shorter than what may open a connection, with a tag that fits.
      const cut = Buffer.from(flight.subarray(0, 300 + GATE_TAG_BYTES))
      new Gate([GATE_KEY]).seal(cut, 300)
      const bytes = i % 3 === 2 ? cut : flight
      bytesIn += bytes.length
      await victim.send(bytes, addressOf(port))
    }
    await until(() => count(port, 'received') === flights.length, 'all of them')
    // Until the engine has repeated its answers and given up.
    await until(() => count(port, 'connections') === 0, 'the half-open ones end', ACCEPT_DEADLINE_PATIENCE_MS)
    const bytesOut = victim.heard.reduce((sum, { length }) => sum + length, 0)
    console.log(`${bytesOut} bytes for ${bytesIn}, ${count(port, 'retries')} retries`)
    assert.ok(bytesOut > 0 && bytesOut <= MAX_AMPLIFICATION * bytesIn)
    assert.ok(count(port, 'retries') > 0)
  },
  { deadlineMs: 30_000 },
)

test.run()
