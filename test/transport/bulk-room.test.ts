/** How much bulk may be under way beside light senders. */
import * as assert from 'uvu/assert'
import { BulkRoom, type PathFigures } from '../../transport/bulk-room.ts'
import { suite } from '../support/suite.ts'

const GAUGE_BYTES = 4 << 20
const PACKET_BYTES = 1350
const LEAST_BYTES = 16 * 1024

const figures =
  (windowBytes: number, bytesPerSecond = 0, rttMs = 0): (() => PathFigures) =>
  () => ({ windowBytes, bytesPerSecond, rttMs })

const test = suite('bulk room')

test('on a path that holds nothing there is room for the least, less what is under way', () => {
  const room = new BulkRoom('loopback')
  const path = figures(500_000)
  assert.is(room.bytes(0, 500_000, GAUGE_BYTES, PACKET_BYTES, path), LEAST_BYTES)
  assert.is(room.bytes(1, 490_000, GAUGE_BYTES, PACKET_BYTES, path), LEAST_BYTES - 10_000)
  assert.ok(room.bytes(2, 400_000, GAUGE_BYTES, PACKET_BYTES, path) <= 0)
})

test('a long path is filled', () => {
  const room = new BulkRoom('loopback')
  // 50 MB/s and 20 ms hold a megabyte.
  const path = figures(3_000_000, 50_000_000, 20)
  assert.is(room.bytes(0, 3_000_000, GAUGE_BYTES, PACKET_BYTES, path), 1_500_000)
})

test('queues of our own making do not count as length of the path, until the old figure has faded', () => {
  const room = new BulkRoom('loopback')
  room.bytes(0, 1_000_000, GAUGE_BYTES, PACKET_BYTES, figures(1_000_000, 50_000_000, 2))
  const queued = figures(1_000_000, 50_000_000, 40)
  const soon = room.bytes(10, 1_000_000, GAUGE_BYTES, PACKET_BYTES, queued)
  assert.ok(soon < 160_000, String(soon))
  let late = soon
  for (let now = 20; now < 30_000; now += 10) late = room.bytes(now, 1_000_000, GAUGE_BYTES, PACKET_BYTES, queued)
  assert.is(late, 3_000_000)
})

test('a window beyond what the gauge tells does not pass for bytes under way', () => {
  // It once did, and bulk stood still for as long as light senders were active.
  const room = new BulkRoom('loopback')
  assert.is(room.bytes(0, GAUGE_BYTES, GAUGE_BYTES, PACKET_BYTES, figures(GAUGE_BYTES + 100_000)), LEAST_BYTES)
})

test('there is always room for one packet', () => {
  assert.is(new BulkRoom('loopback').bytes(0, 500_000, GAUGE_BYTES, 20_000, figures(500_000)), 20_000)
})

test('a LAN whose round trip is rounded down to nothing is filled all the same', () => {
  const room = new BulkRoom('lan')
  // A gigabit holds 125 kB in the millisecond that may have been cut off.
  assert.is(room.bytes(0, 500_000, GAUGE_BYTES, PACKET_BYTES, figures(500_000, 125_000_000, 0)), 187_500)
})

test('a window that shrank since the last look does not hold bulk back', () => {
  // It once did; with nothing under way no acknowledgement came to let it go on.
  const room = new BulkRoom('loopback')
  let windowBytes = 500_000
  const path = (): PathFigures => figures(windowBytes)()
  room.bytes(0, windowBytes, GAUGE_BYTES, PACKET_BYTES, path)
  windowBytes = 60_000
  assert.is(room.bytes(1, windowBytes, GAUGE_BYTES, PACKET_BYTES, path), LEAST_BYTES)
})

test('the figures are asked for now and then only', () => {
  const room = new BulkRoom('loopback')
  let asked = 0
  const path = (): PathFigures => {
    asked++
    return { windowBytes: 1, bytesPerSecond: 0, rttMs: 0 }
  }
  for (let now = 0; now < 100; now++) room.bytes(now, 1, GAUGE_BYTES, PACKET_BYTES, path)
  assert.is(asked, 10)
})

test.run()
