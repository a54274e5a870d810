/** The search for the path's size, in virtual time against paths that pass only so much. */
import * as assert from 'uvu/assert'
import { candidatesFor, kindOfDestination, PathSize } from '../../transport/path-size.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'

const test = suite('path size')

const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)
console.log(`seed ${seed}`)

const ROUND_TRIP_MS = 40
const MINUTE_MS = 60_000
const lanSizes = [1452, 8952]

interface Walk {
  readonly probes: { readonly size: number; readonly atMs: number }[]
  nowMs: number
}

/** Runs until `untilMs`, jumping from event to event; `passes` decides for each probe. */
const walk = (path: PathSize, run: Walk, untilMs: number, passes: (size: number) => boolean): void => {
  let answer: { size: number; atMs: number } | undefined
  for (let steps = 0; steps < 10_000; steps++) {
    const size = path.nextProbe(run.nowMs)
    if (size !== undefined) {
      run.probes.push({ size, atMs: run.nowMs })
      path.onProbeSent(size, run.nowMs)
      answer = passes(size) ? { size, atMs: run.nowMs + ROUND_TRIP_MS } : undefined
    }
    const nextMs = Math.min(answer?.atMs ?? Number.POSITIVE_INFINITY, path.deadlineMs ?? Number.POSITIVE_INFINITY)
    if (nextMs > untilMs) {
      run.nowMs = untilMs
      return
    }
    run.nowMs = nextMs
    if (answer?.atMs === nextMs) {
      path.onProbeAcked(answer.size)
      answer = undefined
    } else path.onTimeout(nextMs)
  }
  assert.unreachable('the search never rests')
}

const start = (): Walk => ({ probes: [], nowMs: 0 })

test('a wide path: every candidate once, smallest first, then rest for good', () => {
  const path = new PathSize({ baseBytes: 1200, maximumBytes: 16_383, candidates: [8952, 1452] })
  const run = start()
  assert.is(path.currentBytes, 1200)
  walk(path, run, 30 * MINUTE_MS, () => true)
  assert.equal(run.probes, [
    { size: 1452, atMs: 0 },
    { size: 8952, atMs: ROUND_TRIP_MS },
  ])
  assert.is(path.currentBytes, 8952)
  assert.is(path.state, 'top')
  assert.is(path.deadlineMs, undefined)
})

test('by default the one candidate is the maximum', () => {
  const path = new PathSize({ baseBytes: 1200, maximumBytes: 16_000 })
  const run = start()
  walk(path, run, MINUTE_MS, () => true)
  assert.is(run.probes.length, 1)
  assert.is(path.currentBytes, 16_000)
})

test('candidates are cut to the maximum, and those that gain nothing are left out', () => {
  const path = new PathSize({ baseBytes: 1200, maximumBytes: 1350, candidates: [1100, 1200, 1452, 8952] })
  const run = start()
  walk(path, run, MINUTE_MS, () => true)
  assert.equal(
    run.probes.map((probe) => probe.size),
    [1350],
  )
  const fixed = new PathSize({ baseBytes: 1200, maximumBytes: 1200 })
  assert.is(fixed.nextProbe(0), undefined)
  assert.is(fixed.state, 'top')
})

test('a narrow path: three tries a second apart, rest for ten minutes, then the same again', () => {
  const path = new PathSize({ baseBytes: 1200, maximumBytes: 16_383, candidates: lanSizes })
  const run = start()
  walk(path, run, 15 * MINUTE_MS, (size) => size <= 1472)
  assert.is(path.currentBytes, 1452)
  assert.equal(run.probes, [
    { size: 1452, atMs: 0 },
    ...[40, 1040, 2040, 603_040, 604_040, 605_040].map((atMs) => ({ size: 8952, atMs })),
  ])
  assert.is(path.state, 'complete')
})

test('a path that grew is found after ten minutes', () => {
  const path = new PathSize({ baseBytes: 1200, maximumBytes: 16_383, candidates: lanSizes })
  const run = start()
  walk(path, run, MINUTE_MS, (size) => size <= 1472)
  assert.is(path.currentBytes, 1452)
  walk(path, run, 11 * MINUTE_MS, () => true)
  assert.is(path.currentBytes, 8952)
})

test('one or two lost probes decide nothing', () => {
  const path = new PathSize({ baseBytes: 1200, maximumBytes: 1452 })
  const run = start()
  let sent = 0
  walk(path, run, MINUTE_MS, () => ++sent === 3)
  assert.is(path.currentBytes, 1452)
})

test('only one probe is on its way at a time', () => {
  const path = new PathSize({ baseBytes: 1200, maximumBytes: 1452 })
  assert.is(path.nextProbe(0), 1452)
  assert.is(path.nextProbe(0), 1452, 'asking does not send')
  path.onProbeSent(1452, 0)
  assert.is(path.nextProbe(999), undefined)
  assert.is(path.deadlineMs, 1000)
  path.onTimeout(999)
  assert.is(path.state, 'waiting', 'nothing happens before the deadline')
  assert.is(path.nextProbe(1000), 1452, 'a late caller needs no onTimeout')
})

test('a late answer counts, even after the search had given up', () => {
  const path = new PathSize({ baseBytes: 1200, maximumBytes: 16_383, candidates: lanSizes })
  const run = start()
  walk(path, run, 10_000, () => false)
  assert.is(path.state, 'complete')
  path.onProbeAcked(1452)
  assert.is(path.currentBytes, 1452)
  assert.is(path.nextProbe(10_000), 8952)
})

test('answers to what was never probed are ignored', () => {
  const path = new PathSize({ baseBytes: 1200, maximumBytes: 16_383, candidates: lanSizes })
  for (const size of [1200, 1452, 8952, 1300, 65_535, 0, -1, Number.NaN]) path.onProbeAcked(size)
  assert.is(path.currentBytes, 1200)
  path.onProbeSent(8952, 0)
  path.onProbeAcked(8952)
  assert.is(path.currentBytes, 1200, 'a probe that was not asked for is none')
  path.onProbeSent(1452, 0)
  for (const size of [1300, 8952]) path.onProbeAcked(size)
  assert.is(path.currentBytes, 1200)
  path.onProbeAcked(1452)
  assert.is(path.currentBytes, 1452)
  path.onProbeAcked(1200)
  assert.is(path.currentBytes, 1452, 'an older answer takes nothing back')
})

test('a black hole: base size at once, a pause that doubles up to ten minutes, answers of the old path ignored', () => {
  const path = new PathSize({ baseBytes: 1200, maximumBytes: 1452 })
  const run = start()
  const pauses: number[] = []
  for (let fall = 0; fall < 9; fall++) {
    walk(path, run, run.nowMs + 11 * MINUTE_MS, () => true)
    assert.is(path.currentBytes, 1452)
    path.onBlackHole(run.nowMs)
    assert.is(path.currentBytes, 1200)
    assert.is(path.state, 'fallback')
    pauses.push((path.deadlineMs ?? 0) - run.nowMs)
    path.onProbeAcked(1452)
    assert.is(path.currentBytes, 1200)
    assert.is(path.nextProbe(run.nowMs), undefined)
  }
  assert.equal(
    pauses,
    [10, 20, 40, 80, 160, 320, 600, 600, 600].map((seconds) => seconds * 1000),
  )
})

test('a black hole at the base size changes nothing', () => {
  const path = new PathSize({ baseBytes: 1200, maximumBytes: 1452 })
  path.onBlackHole(5)
  assert.is(path.nextProbe(5), 1452)
})

test('on any lossy path the size passes the path and is a candidate or the base', () => {
  const random = seededRandom(seed)
  for (let round = 0; round < 500; round++) {
    const width = 1200 + Math.floor(random.float() * 9000)
    const candidates = candidatesFor(random.float() < 0.5 ? 'lan' : 'wan', random.float() < 0.5 ? 4 : 6, 9000)
    const path = new PathSize({ baseBytes: 1200, maximumBytes: 16_383, candidates })
    const run = start()
    walk(path, run, 60 * MINUTE_MS, (size) => size <= width && random.float() > 0.2)
    const fitting = candidates.filter((size) => size <= width)
    assert.ok([1200, ...fitting].includes(path.currentBytes))
    assert.ok(run.probes.length <= candidates.length * 3 + 6 * 3)
  }
})

test('candidates by kind, family and link', () => {
  assert.equal(candidatesFor('loopback', 4), [16_383])
  assert.equal(candidatesFor('loopback', 6), [16_383])
  assert.equal(candidatesFor('lan', 4), [1422, 1472])
  assert.equal(candidatesFor('lan', 6, 9000), [1402, 1452, 8952])
  assert.equal(candidatesFor('lan', 4, 9001), [1422, 1472, 8972])
  assert.equal(candidatesFor('wan', 6), [1232, 1372, 1444, 1452])
  assert.equal(candidatesFor('wan', 4, 1420), [1252, 1392])
})

test('where addresses lead', () => {
  const own = ['192.168.1.7', 'fe80::7%eth0', '2001:db8::7', '203.0.113.7']
  const kinds: [string, string][] = [
    ['127.0.0.1', 'loopback'],
    ['127.9.9.9', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['192.168.1.7', 'loopback'],
    ['::ffff:192.168.1.7', 'loopback'],
    ['203.0.113.7', 'loopback'],
    ['2001:0db8:0::7', 'loopback'],
    ['fe80::7%eth0', 'loopback'],
    ['192.168.1.8', 'lan'],
    ['10.1.2.3', 'lan'],
    ['172.16.0.1', 'lan'],
    ['172.32.0.1', 'wan'],
    ['169.254.1.1', 'lan'],
    ['fe80::8%eth0', 'lan'],
    ['fd00::1', 'lan'],
    ['100.64.0.1', 'wan'],
    ['8.8.8.8', 'wan'],
    ['2606:4700::1', 'wan'],
    ['not an address', 'wan'],
    ['', 'wan'],
  ]
  for (const [host, kind] of kinds) assert.is(kindOfDestination(host, own), kind, host)
  assert.is(kindOfDestination('192.168.1.7', ['not an address']), 'lan')
})

test.run()
