/** How much may be under way on a TCP connection: a simulated path, fast or slow, and answers that are none. */
import * as assert from 'uvu/assert'
import { TcpPace } from '../../transport/tcp-pace.ts'
import { suite } from '../support/suite.ts'

const MIB = 1 << 20

const test = suite('TCP pace')

/** Writes as much as the window allows, all the time, over a path with this rate and round trip. */
const fill = (pace: TcpPace, bytesPerMs: number, rttMs: number, forMs: number): { arrivedBytes: number } => {
  const answers: { number: number; atMs: number }[] = []
  let freeMs = 0
  let arrivedBytes = 0
  for (let now = 1; now <= forMs; now++) {
    while (answers[0] !== undefined && answers[0].atMs <= now) {
      assert.ok(pace.answered(answers.shift()!.number, now))
    }
    while (pace.underWayBytes < pace.windowBytes) {
      pace.writtenBytes += 16_384
      freeMs = Math.max(freeMs, now) + 16_384 / bytesPerMs
      if (freeMs + rttMs / 2 <= forMs) arrivedBytes += 16_384
      const number = pace.pingIsDue(false) ? pace.ping(now) : undefined
      if (number !== undefined) answers.push({ number, atMs: freeMs + rttMs })
    }
  }
  return { arrivedBytes }
}

test('a long and fast path is filled, though the window begins small', () => {
  const pace = new TcpPace()
  // 100 MB/s and 80 ms: 8 MB under way.
  const { arrivedBytes } = fill(pace, 100_000, 80, 4000)
  assert.ok(pace.windowBytes > 8 * MIB && pace.windowBytes <= 16 * MIB, `${pace.windowBytes}`)
  assert.ok(arrivedBytes > 0.8 * 4000 * 100_000, `${arrivedBytes}`)
})

test('a slow path keeps the least window, which bounds what waits', () => {
  const pace = new TcpPace()
  fill(pace, 1000, 20, 10_000)
  assert.is(pace.windowBytes, MIB)
  assert.ok(pace.underWayBytes <= MIB + 16_384)
})

test('an answer speaks for all pings before it, and for none that was not sent', () => {
  const pace = new TcpPace()
  const numbers: number[] = []
  for (let i = 0; i < 4; i++) {
    pace.writtenBytes += 100_000
    numbers.push(pace.ping(i)!)
  }
  assert.not(pace.answered(99, 10))
  assert.is(pace.underWayBytes, 400_000)
  assert.ok(pace.answered(numbers[2]!, 10))
  assert.is(pace.underWayBytes, 100_000)
  assert.not(pace.answered(numbers[0]!, 11), 'it was answered with the third')
  assert.not(pace.answered(numbers[2]!, 11), 'nor twice')
  assert.ok(pace.answered(numbers[3]!, 12))
  assert.is(pace.underWayBytes, 0)
})

test('pings that nobody answers are bounded', () => {
  const pace = new TcpPace()
  let sent = 0
  for (let i = 0; i < 5000; i++) if (pace.ping(i) !== undefined) sent++
  assert.ok(sent <= 1024, `${sent}`)
})

test.run()
