/**
 * Four kilobytes that are unpacked into a million values keep a node busy for a tenth of a second. Half a megabyte of them
 * was worked through in one go, twenty seconds in which the node answered nobody and was taken for dead.
 */
import { brotliCompressSync, constants } from 'node:zlib'
import * as assert from 'uvu/assert'
import { Peer } from '../../src/cluster/peer.ts'
import type { Signal } from '../../src/signals.ts'
import { writeVarint } from '../../src/wire/codec-varint.ts'
import { PACKED } from '../../src/wire/packing.ts'
import { Wire } from '../../src/wire/wire.ts'
import type { LaneConnection } from '../../transport/lane.ts'
import { Lanes } from '../../transport/lanes.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { ALICE, BOB, codecOf } from '../src/wire/codec-support.ts'
import { suite } from '../support/suite.ts'
import { HandConnection } from '../transport/lanes-by-hand.ts'
import { CONTROL, DATA, frame, KIND, Listener, NO_HEAD, openFrame } from '../transport/lanes-harness.ts'

const test = suite('a burst of packed bodies')

const TURN_BYTES = 512 * 1024
const [PEER_CONTROL, PEER_FIRST, PEER_SECOND] = [3, 7, 11]

const packedFrame = (sizeBytes: number): Buffer => {
  const body = Buffer.alloc(sizeBytes)
  body[0] = 0xc6
  body.writeUInt32BE(sizeBytes - 5, 1)
  const stream = brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_LGWIN]: 20 } })
  const head = Buffer.alloc(16)
  head.set([1, 2, PACKED])
  // Bytes behind the end of the stream bring it to what is allowed.
  return Buffer.concat([head.subarray(0, writeVarint(head, 3, sizeBytes)), stream, Buffer.alloc(sizeBytes / 256)])
}

test('what was unpacked counts in full: the lanes rest as often as for plain bodies', () => {
  let rests = 0
  const signals: Signal[] = []
  const peer = new Peer('alice@test', {
    wire: new Wire(codecOf(BOB, ALICE)),
    sink: {
      deliver: (_route, signal) => {
        signals.push(signal)
        return undefined
      },
      routeDown: () => {},
      uses: () => false,
    },
    traffic: { sent: 0, received: 0 },
  })
  peer.attach({ rest: { begin: () => rests++ } } as Partial<LaneConnection> as LaneConnection, ALICE, 2)
  const large = packedFrame(1 << 20)
  assert.ok(large.length < 8192)
  for (let i = 1; i <= 3; i++) {
    peer.receive(0x01, large, 0, large.length)
    assert.is(rests, i)
  }
  const small = packedFrame(4096)
  for (let i = 0; i < (1.5 * TURN_BYTES) / 4096; i++) peer.receive(0x01, small, 0, small.length)
  assert.is(rests, 4, 'many small ones too')
  const plain = Buffer.concat([Buffer.of(1, 2), codecOf(ALICE, BOB).encode(Buffer.alloc(4 * TURN_BYTES))])
  peer.receive(0x01, plain, 0, plain.length)
  assert.is(rests, 4)
  assert.is(signals.length, 4 + (1.5 * TURN_BYTES) / 4096)
})

test('lanes that rest let everybody else have a turn, lose nothing, and take turns', () => {
  const clock = new VirtualClock()
  const connection = new HandConnection()
  const listener = new Listener()
  const lanes = new Lanes(listener, { clock }).attach(connection)
  listener.whenOpen = () => lanes.acceptLanes()
  connection.open(lanes)
  clock.advance(0)
  const heard: number[] = []
  listener.take = (_type, bytes) => {
    heard.push(bytes[0]!)
    lanes.rest.begin()
    return undefined
  }
  connection.feed(PEER_CONTROL, openFrame(KIND.control))
  const numbers = [1, 2, 3, 4]
  for (const [stream, base] of [
    [PEER_FIRST, 0],
    [PEER_SECOND, 10],
  ] as const) {
    const frames = numbers.map((number) => frame(DATA, Buffer.of(base + number)))
    connection.feed(stream, Buffer.concat([openFrame(KIND.shared), ...frames]))
  }
  assert.equal(heard, [1])
  connection.feed(PEER_CONTROL, frame(CONTROL, NO_HEAD))
  assert.is(listener.controls.length, 1)
  clock.advance(0)
  assert.equal(heard, [1, 2, 11, 3, 12, 4, 13, 14])
  connection.feed(PEER_FIRST, frame(DATA, Buffer.of(5)))
  assert.is(heard.at(-1), 5)
  lanes.close(0, 'closed', '')
  clock.advance(0)
  assert.equal(listener.untimely, [])
})

test.run()
