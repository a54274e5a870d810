/**
 * Mailboxes counted what messages were on the wire. An empty object is one byte there and about 64 in memory, so a mailbox
 * that was to hold 16 MiB held a gigabyte. The decoder tells what it has built, and that counts.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as assert from 'uvu/assert'
import { Peer } from '../../src/cluster/peer.ts'
import { Packer } from '../../src/wire/packing.ts'
import { Wire } from '../../src/wire/wire.ts'
import type { LaneConnection } from '../../transport/lane.ts'
import { InLane } from '../../transport/lane-in.ts'
import { LaneRest } from '../../transport/lane-rest.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { ALICE, BOB, codecOf } from '../src/wire/codec-support.ts'
import { suite } from '../support/suite.ts'

const test = suite('the heap of messages')

const COUNT = 100_000

const array = (item: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(5 + item.length * COUNT)
  bytes[0] = 0xdd
  bytes.writeUInt32BE(COUNT, 1)
  for (let i = 0; i < COUNT; i++) bytes.set(item, 5 + i * item.length)
  return bytes
}

/** Little on the wire, much in memory. */
const DENSE: Readonly<Record<string, readonly number[]>> = {
  'empty objects': [0x80],
  'empty arrays': [0x90],
  'small objects': [0x81, 0xa1, 65, 1],
  dates: [0xc7, 8, 6, 1, 2, 3, 4, 5, 6, 7, 8],
  bigints: [0xc7, 2, 7, 0, 5],
  references: [0xc7, 2, 2, 1, 5],
  numbers: [1],
}

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

test('the estimate is right to a factor of three, for whatever is dense', () => {
  const codec = codecOf(BOB, ALICE)
  let value: unknown
  for (const [what, item] of Object.entries(DENSE)) {
    const body = array(item)
    value = undefined
    collect()
    const before = process.memoryUsage().heapUsed
    value = codec.decode(body, 0, body.length)
    collect()
    const taken = process.memoryUsage().heapUsed - before
    const counted = codec.heapBytes + body.length
    assert.ok(counted > taken / 3 && counted < taken * 3, `${what}: ${counted} counted, ${taken} taken`)
    assert.is((value as unknown[]).length, COUNT)
  }
})

test('what a message takes is what its mailbox hears, and dense ones make the lanes rest for long', () => {
  const heard: number[] = []
  const rests: unknown[] = []
  const peer = new Peer('alice@test', {
    wire: new Wire(codecOf(BOB, ALICE)),
    sink: {
      deliver: (_route, _signal, sizeBytes) => {
        heard.push(sizeBytes)
        return undefined
      },
      routeDown: () => {},
      uses: () => false,
    },
    traffic: { sent: 0, received: 0 },
  })
  const rest = { begin: (kind = 'short') => rests.push(kind) }
  peer.attach({ rest } as Partial<LaneConnection> as LaneConnection, ALICE, 2)
  const frame = (body: Uint8Array): Buffer => Buffer.concat([Buffer.of(1, 2), body])
  const dense = frame(array([0x80]))
  peer.receive(0x01, dense, 0, dense.length)
  assert.ok(heard[0]! >= 60 * COUNT)
  assert.equal(rests, ['long'])
  const plain = frame(
    codecOf(ALICE, BOB).encode(Array.from({ length: 10_000 }, (_, i) => ({ id: i, name: `user-${i}` }))),
  )
  for (let i = 0; i < 100; i++) peer.receive(0x01, plain, 0, plain.length)
  assert.equal(rests, ['long'], 'what people send does not')
  const packer = new Wire(codecOf(ALICE, BOB), new Packer({ aboveBytes: 1024 }))
  const people = Array.from({ length: 3000 }, (_, i) => ({ id: i, name: `user-${i}`, role: 'member', isActive: true }))
  const signal = { type: 'send', from: 1, to: 2, message: people } as const
  const { type, head, headLength, body } = packer.encode(signal, BOB, true)
  const packed = Buffer.concat([head.subarray(0, headLength), body ?? Buffer.alloc(0)])
  for (let i = 0; i < 50; i++) peer.receive(type, packed, 0, packed.length)
  assert.ok(rests.length > 10)
  assert.not(rests.slice(1).includes('long'), 'nor does it packed')
})

test('a long rest is longer than the work was, and bounded', () => {
  const clock = new VirtualClock()
  const resumed: number[] = []
  const rest = new LaneRest(clock, (lane) => resumed.push(lane.stream))
  const lane = new InLane(6)
  const restAfter = (workMs: number, becameBytes?: number): number => {
    assert.ok(rest.admits(lane))
    clock.advance(workMs)
    rest.begin('long', becameBytes)
    assert.ok(rest.takes(lane))
    const beganMs = clock.now()
    resumed.length = 0
    for (let ms = 0; ms <= 10_000 && resumed.length === 0; ms++) clock.advance(ms === 0 ? 0 : 1)
    lane.paused = false
    return clock.now() - beganMs
  }
  assert.equal([restAfter(100), restAfter(100)], [0, 0], 'large messages that pack well, now and then, are free')
  const [little, more, most] = [5, 50, 500].map((workMs) => restAfter(workMs)) as [number, number, number]
  assert.ok(little >= 15 && little <= 25, `${little}`)
  assert.ok(more >= 2400 && more <= 2500, `${more}`)
  assert.is(most, 10_000)
  clock.advance(20_000)
  assert.equal([restAfter(200), restAfter(2)], [0, 8], 'after a while it is free again')
})

test('a machine that is busy with something else does not make a rest longer', () => {
  const clock = new VirtualClock()
  const lane = new InLane(6)
  const rest = new LaneRest(clock, () => {
    lane.paused = false
  })
  let restedMs = 0
  for (let i = 0; i < 100; i++) {
    assert.ok(rest.admits(lane))
    // Two milliseconds of work, and the process does not run for the rest.
    clock.advance(200)
    rest.begin('long', 512 * 1024)
    assert.ok(rest.takes(lane))
    const beganMs = clock.now()
    for (clock.advance(0); lane.paused; ) clock.advance(1)
    restedMs = Math.max(restedMs, clock.now() - beganMs)
  }
  assert.ok(restedMs <= 64, `${restedMs} ms`)
})

test.run()
