/**
 * Who only sees a handshake go by, and has neither cookie nor keys, could end it. Its datagrams sent again and again used
 * up what the other side reads of a handshake. And what looks like a packet with a short header was taken for plain frames
 * before there were keys to open it, and could keep the id that a connection uses from ever being changed.
 */
import * as assert from 'uvu/assert'
import { loadQuicEngine, type QuicEngine, type QuicSession, TICKET_KEY_BYTES } from '../../transport/quiche.ts'
import * as frames from '../support/crafted-frames.ts'
import { suite } from '../support/suite.ts'
import { addressOf, dial, type Party, pattern, serve } from '../transport/compliance.ts'
import { count, newIdentity, openPort, Relay, until } from '../transport/quic-support.ts'

const test = suite('a handshake that somebody sees')

const REPETITIONS = 60

test('its datagrams come again and again', async (t) => {
  const port = await openPort(t)
  const acceptors = serve(port)
  const relay = await Relay.open(t, addressOf(port))
  const held: Buffer[] = []
  let first: Buffer | undefined
  let isAnswered = false
  let isHolding = true
  relay.passes = (bytes, direction) => {
    if (direction === 'toClient') isAnswered = true
    else first ??= Buffer.from(bytes)
    if (direction === 'toClient' || !isAnswered || !isHolding) return true
    held.push(Buffer.from(bytes))
    return false
  }
  const initiator = dial(await openPort(t), relay.address)
  await until(() => held.length > 0, 'the second flight')
  const before = count(port, 'received')
  for (let i = 0; i < REPETITIONS; i++) await relay.inject(first!)
  await until(() => count(port, 'received') >= before + REPETITIONS, 'all of it came')
  isHolding = false
  for (const bytes of held) await relay.inject(bytes)
  const acceptor = (): Party => acceptors[0]!
  await until(() => acceptor().isOpen, 'the connection opens')
  for (let i = 0; i < 20; i++) {
    const bytes = pattern(1000, i)
    const stream = 2 + 4 * i
    initiator.send(bytes)
    await until(() => acceptor().finished.has(stream) || acceptor().closes.length > 0, 'the stream arrives')
    assert.equal(acceptor().closes, [])
    assert.equal(Buffer.from(acceptor().received(stream)), Buffer.from(bytes))
  }
})

test('what looks like packets comes before the keys', async () => {
  const engine = await loadQuicEngine()
  const config = async (): Promise<ReturnType<QuicEngine['config']>> => {
    const { privateKeyPem, certificatePem } = await newIdentity()
    return engine.config({
      privateKeyPem,
      certificatePem,
      ticketKey: Buffer.alloc(TICKET_KEY_BYTES, 1),
      maxPacketBytes: 1350,
      idleTimeoutMs: 10_000,
      connectionWindowBytes: 1 << 20,
      streamWindowBytes: 1 << 20,
      maxStreams: 10,
    })
  }
  const [clientId, serverId] = [Buffer.alloc(16, 1), Buffer.alloc(16, 2)]
  const client = engine.connect(clientId, await config())
  const server = engine.accept(serverId, undefined, await config())
  const out = new Uint8Array(1350)
  const pass = (from: QuicSession, to: QuicSession): boolean => {
    const length = from.nextPacket(out)
    if (length > 0) assert.is(to.receive(Uint8Array.from(out.subarray(0, length)), 0), undefined)
    return length > 0
  }
  const exchange = (): void => {
    while ([pass(client, server), pass(server, client)].includes(true));
  }
  pass(client, server)
  const forged = [frames.newConnectionId(2 ** 60, 0, clientId, clientId), Buffer.alloc(16)]
  server.receive(Buffer.concat([Buffer.of(0x41), serverId, Buffer.of(0, 1), ...forged]), 0)
  exchange()
  assert.ok(server.established && client.established)
  for (const byte of [3, 4]) assert.ok(client.addSourceId(Buffer.alloc(16, byte), BigInt(byte)))
  exchange()
  assert.ok(server.changeId())
  exchange()
  assert.equal(Buffer.from(client.nextRetiredId() ?? []), clientId, 'the id is another one as if nothing had come')
})

test.run()
