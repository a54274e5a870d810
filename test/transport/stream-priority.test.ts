/** How streams of bytes share a connection among themselves and with heavy lanes, on one that the test holds in its hands. */
import * as assert from 'uvu/assert'
import type { ByteWriter, StreamPriority } from '../../transport/byte-stream.ts'
import { Lanes } from '../../transport/lanes.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'
import { HandConnection } from './lanes-by-hand.ts'
import { Listener, Speaker } from './lanes-harness.ts'

const KIB = 1024

const setUp = () => {
  const clock = new VirtualClock()
  const connection = new HandConnection()
  const listener = new Listener()
  const lanes = new Lanes(listener, { clock }).attach(connection)
  listener.whenOpen = () => lanes.acceptLanes()
  connection.open(lanes)
  connection.flush(Number.POSITIVE_INFINITY)
  clock.advance(0)
  return { connection, lanes }
}

/** A writer that always has more. */
const endless = (lanes: Lanes, number: number, priority: StreamPriority): ByteWriter => {
  const bytes = new Uint8Array(256 * KIB)
  const more = (): void => {
    while (writer.write(bytes) > 0);
  }
  const writer = lanes.streams.open(number, priority, { onRoom: more, onDelivered: () => {}, onStopped: () => {} })
  more()
  return writer
}

const test = suite('priority of streams')

test('streams share 4 : 2 : 1, and one of normal priority has as much as a heavy lane', () => {
  const { connection, lanes } = setUp()
  const priorities: StreamPriority[] = ['low', 'normal', 'high']
  priorities.forEach((priority, i) => void endless(lanes, i + 1, priority))
  const speaker = new Speaker(1, lanes)
  for (let i = 0; i < 700; i++) speaker.say(3000)
  for (let flush = 0; flush < 80; flush++) connection.flush(64 * KIB)
  const written = new Map<number, number>()
  for (const { stream } of connection.writes) written.set(stream, connection.writtenBytes(stream))
  // The order in which streams were opened for the first time: low, normal, high, and the lane of the speaker.
  const [low, normal, high, lane] = [...written]
    .sort(([a], [b]) => a - b)
    .map(([, bytes]) => bytes)
    .slice(-4) as [number, number, number, number]
  const near = (ratio: number, expected: number): boolean => Math.abs(ratio / expected - 1) < 0.1
  assert.ok(near(normal / low, 2) && near(high / low, 4), `${low} : ${normal} : ${high}`)
  assert.ok(near(lane / normal, 1), `${lane} : ${normal}`)
})

test('a writer goes on at half its buffer, however much waits on lanes', () => {
  const { connection, lanes } = setUp()
  const speaker = new Speaker(1, lanes)
  for (let i = 0; i < 700; i++) speaker.say(3000)
  let rooms = 0
  const onRoom = (): void => void rooms++
  const writer = lanes.streams.open(1, 'normal', { onRoom, onDelivered: () => {}, onStopped: () => {} })
  while (writer.write(new Uint8Array(256 * KIB)) > 0);
  connection.flush(320 * KIB)
  assert.ok(lanes.queuedBytes > 1024 * KIB)
  assert.is(rooms, 1)
})

test('what is left of a stream is not mistaken for a light sender, and light ones come first', () => {
  const { connection, lanes } = setUp()
  connection.bulkRoom = 10 * KIB
  const writer = lanes.streams.open(1, 'high', { onRoom: () => {}, onDelivered: () => {}, onStopped: () => {} })
  writer.write(new Uint8Array(1000))
  connection.flush(Number.POSITIVE_INFINITY)
  writer.write(new Uint8Array(100 * KIB))
  connection.writes.length = 0
  connection.flush(Number.POSITIVE_INFINITY)
  const sum = (): number => connection.writes.reduce((bytes, write) => bytes + write.bytes.length, 0)
  assert.is(sum(), 100 * KIB, 'the room for bulk beside light senders does not matter')
  const light = new Speaker(1, lanes)
  light.say(100)
  connection.flush(Number.POSITIVE_INFINITY)
  writer.write(new Uint8Array(100 * KIB))
  light.say(100)
  connection.writes.length = 0
  connection.flush(Number.POSITIVE_INFINITY)
  assert.ok(connection.writes[0]!.bytes.length < KIB, 'the light sender first')
  assert.ok(sum() < 12 * KIB, `${sum()} bytes beside a light sender`)
})

test.run()
