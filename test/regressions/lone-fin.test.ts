/**
 * A lane was ended, or a stream of bytes, when all of it had left and the connection was full. quiche takes such a stream for
 * complete as soon as the bytes are acknowledged, and never sends the end (issue 2525): heavy senders that spoke again waited
 * for ever, and who read a stream never met its end. Neither ends by a FIN alone any more.
 */
import * as assert from 'uvu/assert'
import { createIdentity } from '../../certs/identity.ts'
import { Writer } from '../../transport/byte-writer.ts'
import { ChunkPool } from '../../transport/lane-out.ts'
import { Lanes } from '../../transport/lanes.ts'
import { loadQuicEngine, type QuicSession } from '../../transport/quiche.ts'
import { systemRandom } from '../../transport/random.ts'
import type { StreamCarrier } from '../../transport/stream-carrier.ts'
import type { Connection } from '../../transport/transport.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'

const MAX_PACKET_BYTES = 1350
const STREAM = 2
const FILLER = 6
const BYTES = 100

const test = suite('the end of a stream')

/** Two ends of a connection without a network: what one sends is handed over packet by packet. */
const connect = async (): Promise<{ a: QuicSession; b: QuicSession }> => {
  const engine = await loadQuicEngine()
  const { privateKeyPem, certificatePem } = await createIdentity({ wallNowMs: Date.now() })
  const config = engine.config({
    privateKeyPem,
    certificatePem,
    maxPacketBytes: MAX_PACKET_BYTES,
    idleTimeoutMs: 60_000,
    streamWindowBytes: 1 << 20,
    connectionWindowBytes: 1 << 24,
    maxStreams: 16,
    ticketKey: systemRandom.bytes(48),
  })
  const a = engine.connect(systemRandom.bytes(16), config)
  const b = engine.accept(systemRandom.bytes(16), undefined, config)
  for (let round = 0; round < 8; round++) {
    for (const packet of packetsOf(a)) b.receive(packet, 0)
    for (const packet of packetsOf(b)) a.receive(packet, 0)
  }
  return { a, b }
}

const packetsOf = (session: QuicSession): Buffer[] => {
  const packets: Buffer[] = []
  for (;;) {
    const out = Buffer.alloc(MAX_PACKET_BYTES)
    const bytes = session.nextPacket(out)
    if (bytes === 0) return packets
    packets.push(out.subarray(0, bytes))
  }
}

/** Ends a stream while the connection is full, its bytes under way; what the other side reads when all has been delivered. */
const endWhileFull = async (endBytes: number): Promise<{ bytes: number; finished: boolean }> => {
  const { a, b } = await connect()
  a.openStream(STREAM, 1)
  a.openStream(FILLER, 2)
  assert.is(a.writeStream(STREAM, Buffer.alloc(BYTES), false), BYTES)
  const first = packetsOf(a)
  while (a.writeStream(FILLER, Buffer.alloc(4096), false) > 0);
  const rest = packetsOf(a)
  assert.is(a.writeStream(STREAM, Buffer.alloc(endBytes), true), 0, 'the connection is full')
  for (const packet of [...first, ...rest.slice(0, 1)]) b.receive(packet, 0)
  for (const packet of packetsOf(b)) a.receive(packet, 0)
  if (endBytes > 0) assert.is(a.writeStream(STREAM, Buffer.alloc(endBytes), true), endBytes)
  for (const packet of rest.slice(1)) b.receive(packet, 0)
  for (let round = 0; round < 8; round++) {
    for (const packet of packetsOf(a)) b.receive(packet, 0)
    for (const packet of packetsOf(b)) a.receive(packet, 0)
  }
  const { bytes, finished } = b.readStream(STREAM, Buffer.alloc(4 * BYTES))
  return { bytes, finished }
}

test('arrives with a byte, and not alone (should this fail, quiche has been cured)', async () => {
  assert.equal(await endWhileFull(1), { bytes: BYTES + 1, finished: true })
  assert.equal(await endWhileFull(0), { bytes: BYTES, finished: false })
})

/** A connection that notes how much it was asked to write together with each end. */
const recording = () => {
  const ends: number[] = []
  let streams = 0
  const connection: Partial<Connection> = {
    openStream: () => 4 * streams++ + 2,
    write: (_stream, bytes, finish) => {
      if (finish) ends.push(bytes.length)
      return bytes.length
    },
    blocked: () => false,
    bulkRoomBytes: () => Number.POSITIVE_INFINITY,
    requestFlush: () => {},
  }
  return { ends, connection: connection as Connection }
}

test('of a lane that was idle goes with a frame', () => {
  const { ends, connection } = recording()
  const clock = new VirtualClock()
  const nothing = (): void => {}
  const handler = { onOpen: nothing, onControl: nothing, onFrame: () => undefined, onClosed: nothing }
  const lanes = new Lanes(handler, { clock }).attach(connection)
  lanes.onOpen()
  lanes.acceptLanes()
  const lane = lanes.dedicate(0)
  lanes.append(lane, 1, new Uint8Array(0), 0, Buffer.alloc(BYTES))
  lanes.onFlush()
  assert.is(lane.queuedBytes, 0)
  lanes.finish(lane)
  lanes.onFlush()
  assert.equal([lane.finished, ends], [true, [5]])
})

test('of a stream of bytes goes with a byte', () => {
  const { ends, connection } = recording()
  let listed: Parameters<StreamCarrier['list']>[0] | undefined
  const carrier: Partial<StreamCarrier> = {
    connection,
    closed: false,
    pool: new ChunkPool(),
    list: (lane) => {
      listed = lane
    },
  }
  const nothing = (): void => {}
  const handler = { onRoom: nothing, onDelivered: nothing, onStopped: nothing }
  const writer = new Writer(carrier as StreamCarrier, 1, 'normal', handler, nothing)
  writer.write(Buffer.alloc(BYTES))
  listed?.writeTo(connection, BYTES)
  writer.finish()
  listed?.writeTo(connection, BYTES)
  assert.equal(ends, [1])
})

test.run()
