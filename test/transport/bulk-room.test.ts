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
  assert.is(room.bytes(0, 0, 500_000, GAUGE_BYTES, PACKET_BYTES, path), LEAST_BYTES)
  assert.is(room.bytes(1, 0, 490_000, GAUGE_BYTES, PACKET_BYTES, path), LEAST_BYTES - 10_000)
  assert.ok(room.bytes(2, 0, 400_000, GAUGE_BYTES, PACKET_BYTES, path) <= 0)
})

test('queues of our own making do not count as length of the path, until the old figure has faded', () => {
  const room = new BulkRoom('loopback')
  room.bytes(0, 0, 1_000_000, GAUGE_BYTES, PACKET_BYTES, figures(1_000_000, 50_000_000, 2))
  const queued = figures(1_000_000, 50_000_000, 40)
  const soon = room.bytes(10, 0, 1_000_000, GAUGE_BYTES, PACKET_BYTES, queued)
  assert.ok(soon < 180_000, String(soon))
  let late = soon
  for (let now = 20; now < 30_000; now += 10) late = room.bytes(now, 0, 1_000_000, GAUGE_BYTES, PACKET_BYTES, queued)
  // 50 MB/s and 40 ms hold two megabytes; half as much again may be under way, and half of that goes at once.
  assert.is(Math.round(late), 1_500_000)
})

test('a window beyond what the gauge tells does not pass for bytes under way', () => {
  // It once did, and bulk stood still for as long as light senders were active.
  const room = new BulkRoom('loopback')
  assert.is(room.bytes(0, 0, GAUGE_BYTES, GAUGE_BYTES, PACKET_BYTES, figures(GAUGE_BYTES + 100_000)), LEAST_BYTES)
})

test('there is always room for one packet', () => {
  assert.is(new BulkRoom('loopback').bytes(0, 0, 500_000, GAUGE_BYTES, 20_000, figures(500_000)), 20_000)
})

test('a LAN whose round trip is rounded down to nothing is filled all the same', () => {
  const room = new BulkRoom('lan')
  // A gigabit holds 125 kB in the millisecond that may have been cut off.
  assert.is(room.bytes(0, 0, 500_000, GAUGE_BYTES, PACKET_BYTES, figures(500_000, 125_000_000, 0)), 187_500)
})

test('a window that shrank since the last look does not hold bulk back', () => {
  // It once did; with nothing under way no acknowledgement came to let it go on.
  const room = new BulkRoom('loopback')
  let windowBytes = 500_000
  const path = (): PathFigures => figures(windowBytes)()
  room.bytes(0, 0, windowBytes, GAUGE_BYTES, PACKET_BYTES, path)
  windowBytes = 60_000
  assert.is(room.bytes(1, 0, windowBytes, GAUGE_BYTES, PACKET_BYTES, path), LEAST_BYTES)
})

/** What goes beside light senders in so many milliseconds that each ask once, when nothing is ever under way. */
const sentIn = (room: BulkRoom, fromMs: number, ms: number, path: () => PathFigures): number => {
  let sent = 0
  let written = 0
  for (let now = fromMs; now < fromMs + ms; now++) {
    written = Math.max(0, room.bytes(now, written, 3_000_000, GAUGE_BYTES, PACKET_BYTES, path))
    sent += written
  }
  return sent
}

test('a long path is filled in the course of a round trip, not at once', () => {
  const room = new BulkRoom('loopback')
  const path = figures(3_000_000, 50_000_000, 20)
  const first = room.bytes(0, 0, 3_000_000, GAUGE_BYTES, PACKET_BYTES, path)
  assert.is(first, 750_000)
  assert.is(room.bytes(0, first, 3_000_000, GAUGE_BYTES, PACKET_BYTES, path), 0)
  // 50 MB/s and half as much again: 75 kB a millisecond.
  assert.is(Math.round(room.bytes(1, 0, 3_000_000, GAUGE_BYTES, PACKET_BYTES, path)), 75_000)
  assert.is(Math.round(sentIn(room, 1, 100, path) / 1e5), 75)
})

test('a figure of next to nothing, for bulk was held back, does not hold it back', () => {
  const room = new BulkRoom('loopback')
  sentIn(room, 0, 100, figures(3_000_000, 50_000_000, 20))
  const low = figures(3_000_000, 100_000, 20)
  assert.ok(sentIn(room, 100, 100, low) > 7_000_000)
  // But a path that is slow now is believed in the end.
  sentIn(room, 200, 1000, low)
  assert.ok(sentIn(room, 1200, 100, low) < 500_000)
})

test('bulk that waits for its time goes in bursts of full packets', () => {
  const room = new BulkRoom('wan')
  const path = figures(3_000_000, 1_000_000, 20)
  let written = room.bytes(0, 0, 3_000_000, GAUGE_BYTES, PACKET_BYTES, path)
  for (let now = 1; now < 100; now++) {
    written = room.bytes(now, written, 3_000_000, GAUGE_BYTES, PACKET_BYTES, path)
    assert.ok(written === 0 || written >= 8 * PACKET_BYTES, `${written} bytes at ${now} ms`)
  }
})

test('what went while nobody limited bulk does not hold it back later', () => {
  // It once did: a quarter of a megabyte at 16 KiB a round trip was seconds.
  const room = new BulkRoom('wan')
  const path = figures(3_000_000, 0, 200)
  const first = room.bytes(0, 0, 3_000_000, GAUGE_BYTES, PACKET_BYTES, path)
  assert.is(room.bytes(1, first + 256 * 1024, 3_000_000, GAUGE_BYTES, PACKET_BYTES, path), 0)
  const sent = sentIn(room, 2, 300, path)
  assert.ok(sent >= 8 * PACKET_BYTES, `${sent} bytes in one and a half round trips`)
})

test('the figures are asked for now and then only', () => {
  const room = new BulkRoom('loopback')
  let asked = 0
  const path = (): PathFigures => {
    asked++
    return { windowBytes: 1, bytesPerSecond: 0, rttMs: 0 }
  }
  for (let now = 0; now < 100; now++) room.bytes(now, 0, 1, GAUGE_BYTES, PACKET_BYTES, path)
  assert.is(asked, 10)
})

test.run()
