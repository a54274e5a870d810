/** Frames and the streams they carry, without sockets: any cut of the bytes, and how much memory what waits may take. */
import * as assert from 'uvu/assert'
import { STREAM_WINDOW_BYTES } from '../../transport/path-settings.ts'
import { seededRandom } from '../../transport/random.ts'
import { FRAME, FrameReader, FrameWriter, MAX_DATA_BYTES } from '../../transport/tcp-frames.ts'
import { TcpIncomingStreams } from '../../transport/tcp-streams.ts'
import { MAX_DATAGRAM_BYTES } from '../../transport/transport.ts'
import { suite } from '../support/suite.ts'

const SEED = 20261121
const ROUNDS = 200
const TARGET_BYTES = 5000

const test = suite('TCP frames')

test(`frames cut anywhere are the same frames, and streams the same bytes (seed ${SEED})`, () => {
  const random = seededRandom(SEED)
  const upTo = (most: number): number => random.bytes(4).reduce((sum, byte) => 256 * sum + byte, 0) % (most + 1)
  const target = Buffer.alloc(TARGET_BYTES)
  for (let round = 0; round < ROUNDS; round++) {
    const writer = new FrameWriter()
    const sent: Buffer[] = [Buffer.alloc(0), Buffer.alloc(0)]
    const others: string[] = []
    for (let i = 0; i < 30; i++) {
      const stream = upTo(1)
      const bytes = Buffer.from(random.bytes(1 + upTo(upTo(1) === 0 ? 20 : MAX_DATA_BYTES - 1)))
      writer.data(4 * stream + 2, bytes, false)
      sent[stream] = Buffer.concat([sent[stream] as Buffer, bytes])
      const message = random.bytes(upTo(1) === 0 ? 0 : upTo(MAX_DATAGRAM_BYTES))
      writer.body(FRAME.datagram, message)
      others.push(`${FRAME.datagram} ${Buffer.from(message).toString('hex')}`)
    }
    writer.data(2, new Uint8Array(0), true)
    writer.data(6, Uint8Array.of(7), true)
    sent[1] = Buffer.concat([sent[1] as Buffer, Buffer.of(7)])
    const wire = Buffer.concat(writer.take())
    const streams = new TcpIncomingStreams('initiator')
    const heard: string[] = []
    const got: Buffer[] = [Buffer.alloc(0), Buffer.alloc(0)]
    const ended = new Set<number>()
    const reader = new FrameReader({
      data: (stream, bytes, ends) => streams.receive(stream, bytes, ends),
      frame: (type, body) => heard.push(`${type} ${body.toString('hex')}`),
    })
    const read = (stream: number): void => {
      const { bytes, finished } = streams.read(4 * stream + 2, target.subarray(0, 1 + upTo(TARGET_BYTES - 1)))
      got[stream] = Buffer.concat([got[stream] as Buffer, target.subarray(0, bytes)])
      if (finished) ended.add(stream)
    }
    for (let at = 0; at < wire.length; ) {
      const piece = wire.subarray(at, at + 1 + upTo(upTo(2) === 0 ? 8 : 40_000))
      at += piece.length
      // What is handed on is only lent.
      const lent = Buffer.from(piece)
      reader.take(lent)
      lent.fill(0)
      read(upTo(1))
    }
    while (ended.size < 2) for (const stream of [0, 1]) if (!ended.has(stream)) read(stream)
    assert.equal(heard, others)
    for (const stream of [0, 1]) assert.ok(got[stream]?.equals(sent[stream] as Buffer), `stream ${stream} of ${round}`)
  }
})

test('what waits in a stream takes no more memory than its window, however it was cut', () => {
  const streams = new TcpIncomingStreams('initiator')
  const cuts = [1, 4096]
  const before = process.memoryUsage().arrayBuffers
  const bytes = new Uint8Array(4096)
  let sentBytes = 0
  for (let i = 0; sentBytes + 4097 <= STREAM_WINDOW_BYTES; i++) {
    const piece = bytes.subarray(0, cuts[i % 2])
    streams.receive(2, piece, false)
    sentBytes += piece.length
  }
  const takenBytes = process.memoryUsage().arrayBuffers - before
  assert.ok(takenBytes < 1.1 * STREAM_WINDOW_BYTES, `${takenBytes} bytes`)
  assert.is(streams.read(2, new Uint8Array(STREAM_WINDOW_BYTES)).bytes, sentBytes)
})

test.run()
