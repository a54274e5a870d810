/** The failure detector of one node by itself: questions to third parties, answers, hard limits, and its own slowness. */
import * as assert from 'uvu/assert'
import { LAN_LIVENESS } from '../../../../src/cluster/liveness.ts'
import { type Carrier, Detector } from '../../../../src/cluster/membership/detector.ts'
import {
  decodeProbe,
  decodeProbed,
  encodeProbe,
  encodeProbed,
  MEMBERSHIP_FRAMES,
} from '../../../../src/cluster/membership/frames.ts'
import type { Clock } from '../../../../transport/clock.ts'
import { seededRandom } from '../../../../transport/random.ts'
import { VirtualClock } from '../../../../transport/virtual-clock.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('detector')

const { tickIntervalMs, downAfterMs } = LAN_LIVENESS
const HARD_LIMIT_MS = 3 * downAfterMs
/** A verdict falls with a check. */
const CHECK_MS = tickIntervalMs / 2

const idOf = (index: number): string => 'a'.repeat(31) + 'abcdefghij'.charAt(index)

interface FakePeer extends Carrier {
  lastHeardMs: number
  rtt: number
  readonly sent: {
    readonly atMs: number
    readonly what: string
    readonly body?: Uint8Array
    readonly number?: number
  }[]
  downAtMs: number | undefined
}

interface Bench {
  readonly clock: VirtualClock
  readonly detector: Detector
  readonly peers: readonly FakePeer[]
  isFull: boolean
  readonly silent: string[]
  /** The process does not run for so long. */
  pause(ms: number): void
}

const NAMES: Readonly<Record<number, string>> = { 10: 'probe', 11: 'probed' }

/** A detector with so many peers, all of which are heard all the time but for those that `mute` names. */
const bench = (count: number, { versions = [] }: { versions?: readonly number[] } = {}): Bench => {
  const clock = new VirtualClock()
  const silent: string[] = []
  const state = { isFull: true, isPaused: false }
  const overdue: (() => void)[] = []
  const own: Clock = {
    now: () => clock.now(),
    wallNow: () => clock.wallNow(),
    after: (ms, fn) => clock.after(ms, () => (state.isPaused ? overdue.push(fn) : fn())),
    endOfTurn: (fn) => clock.endOfTurn(fn),
    afterInput: (fn) => clock.afterInput(fn),
  }
  const detector = new Detector({
    clock: own,
    random: seededRandom(1),
    preset: LAN_LIVENESS,
    checksum: () => 7,
    isFull: () => state.isFull,
    mayHear: () => true,
    silent: (id) => silent.push(id),
    beat: () => {},
  })
  const peers = Array.from({ length: count }, (_, index): FakePeer => {
    const peer: FakePeer = {
      id: idOf(index),
      version: versions[index] ?? 2,
      isHidden: false,
      lastHeardMs: 0,
      rtt: 0,
      sent: [],
      downAtMs: undefined,
      rttMs: () => peer.rtt,
      tick: () => peer.sent.push({ atMs: clock.now(), what: 'tick' }),
      probe: (number) => peer.sent.push({ atMs: clock.now(), what: 'ping', number }),
      tell: (frame, body) => peer.sent.push({ atMs: clock.now(), what: NAMES[frame] ?? String(frame), body }),
      giveUp: () => {
        peer.downAtMs = clock.now()
        detector.down(peer.id)
      },
    }
    return peer
  })
  for (const peer of peers) detector.up(peer)
  detector.start()
  return {
    clock,
    detector,
    peers,
    silent,
    get isFull() {
      return state.isFull
    },
    set isFull(value) {
      state.isFull = value
    },
    pause(ms) {
      state.isPaused = true
      clock.advance(ms)
      state.isPaused = false
      for (const fn of overdue.splice(0)) fn()
    },
  }
}

/** Time passes; all but the mute ones are heard, and those who are asked answer by `answer`. */
const pass = (
  { clock, peers, detector }: Bench,
  ms: number,
  mute: readonly FakePeer[],
  answer: (nonce: number, subject: string, helper: FakePeer) => boolean | undefined = () => undefined,
): void => {
  const seen = new Map(peers.map((peer) => [peer, peer.sent.length]))
  for (let passed = 0; passed < ms; passed += 50) {
    clock.advance(50)
    for (const peer of peers) {
      if (!mute.includes(peer)) peer.lastHeardMs = clock.now()
      for (const { what, body } of peer.sent.slice(seen.get(peer))) {
        if (what !== 'probe' || body === undefined) continue
        const { nonce, subject } = decodeProbe(body)
        const isAlive = answer(nonce, subject, peer)
        if (isAlive === undefined) continue
        detector.received(peer.id, MEMBERSHIP_FRAMES.probed, encodeProbed({ nonce, isAlive }))
      }
      seen.set(peer, peer.sent.length)
    }
  }
}

test('a silent peer is pinged and three others are asked before it is down, at the usual time', () => {
  const all = bench(8)
  const victim = all.peers[0]!
  pass(all, 5000, [victim])
  const asked = all.peers.filter(({ sent }) => sent.some(({ what }) => what === 'probe'))
  assert.ok(asked.length >= 3 && !asked.includes(victim))
  assert.ok(victim.sent.some(({ what }) => what === 'ping'))
  assert.ok(victim.downAtMs !== undefined)
  assert.ok(victim.downAtMs >= downAfterMs && victim.downAtMs <= downAfterMs + CHECK_MS, String(victim.downAtMs))
  assert.equal(
    all.peers.slice(1).map(({ downAtMs }) => downAtMs),
    Array(7).fill(undefined),
  )
})

test('while others hear it the verdict waits, up to the hard limit', () => {
  const all = bench(8)
  const victim = all.peers[0]!
  pass(all, 20_000, [victim], () => true)
  assert.ok(victim.downAtMs !== undefined)
  assert.ok(victim.downAtMs >= HARD_LIMIT_MS && victim.downAtMs <= HARD_LIMIT_MS + CHECK_MS, String(victim.downAtMs))
})

test('one that hears it is enough, and it comes back without harm', () => {
  const all = bench(8)
  const victim = all.peers[0]!
  const friend = all.peers[3]!
  pass(all, 8000, [victim], (_nonce, _subject, helper) => helper === friend)
  pass(all, 8000, [])
  assert.is(victim.downAtMs, undefined)
})

test('an answer counts from who was asked and with the nonce of the question only', () => {
  const all = bench(5)
  const victim = all.peers[0]!
  pass(all, 5000, [victim], (nonce) => {
    // Guesses of others, and answers to questions that nobody asked.
    all.detector.received(victim.id, MEMBERSHIP_FRAMES.probed, encodeProbed({ nonce, isAlive: true }))
    for (let guess = 0; guess < 100; guess++) {
      const body = encodeProbed({ nonce: (nonce + 1 + guess) >>> 0, isAlive: true })
      all.detector.received(all.peers[1]!.id, MEMBERSHIP_FRAMES.probed, body)
    }
    return undefined
  })
  assert.ok(victim.downAtMs !== undefined && victim.downAtMs <= downAfterMs + CHECK_MS)
})

test('ticks that are acknowledged and bring no news need none in return', () => {
  const all = bench(4)
  const [dialler, stranger, overTcp, silent] = all.peers as [FakePeer, FakePeer, FakePeer, FakePeer]
  for (const peer of [dialler, stranger, silent]) Object.assign(peer, { acknowledgesTicks: true })
  for (let passedMs = 0; passedMs < 20 * tickIntervalMs; passedMs += tickIntervalMs) {
    pass(all, tickIntervalMs, [])
    all.detector.ticked(dialler.id, 7)
    // It sees other members than this node does.
    all.detector.ticked(stranger.id, 8)
    all.detector.ticked(overTcp.id, 7)
  }
  const ticks = ({ sent }: FakePeer): number => sent.filter(({ what }) => what === 'tick').length
  assert.ok(ticks(dialler) <= 1, String(ticks(dialler)))
  for (const peer of [stranger, overTcp, silent]) assert.ok(ticks(peer) >= 19, String(ticks(peer)))
  const before = ticks(dialler)
  pass(all, 3 * tickIntervalMs, [])
  assert.ok(ticks(dialler) >= before + 2, 'where none come it sends its own')
})

test('peers of version 1 are not asked', () => {
  const all = bench(4, { versions: [2, 1, 1, 1] })
  pass(all, 5000, [all.peers[0]!])
  assert.ok(all.peers.slice(1).every(({ sent }) => sent.every(({ what }) => what === 'tick')))
})

test('who is asked pings with a number of its own, and answers only with the pong to it', () => {
  const all = bench(2)
  const [asker, subject] = [all.peers[0]!, all.peers[1]!]
  all.detector.received(asker.id, MEMBERSHIP_FRAMES.probe, encodeProbe({ nonce: 42, subject: subject.id }))
  const ping = subject.sent.find(({ what }) => what === 'ping')!
  all.detector.ponged(subject.id, (ping.number! + 1) % 2 ** 31)
  all.detector.ponged(asker.id, ping.number!)
  assert.is(asker.sent.filter(({ what }) => what === 'probed').length, 0)
  all.detector.ponged(subject.id, ping.number!)
  const answers = asker.sent.filter(({ what }) => what === 'probed').map(({ body }) => decodeProbed(body!))
  assert.equal(answers, [{ nonce: 42, isAlive: true }])
  all.detector.received(asker.id, MEMBERSHIP_FRAMES.probe, encodeProbe({ nonce: 43, subject: idOf(9) }))
  assert.equal(decodeProbed(asker.sent.at(-1)!.body!), { nonce: 43, isAlive: false }, 'not connected')
})

test('a flood of questions costs a bounded number of pings', () => {
  const all = bench(2)
  const [asker, subject] = [all.peers[0]!, all.peers[1]!]
  for (let nonce = 0; nonce < 10_000; nonce++) {
    all.detector.received(asker.id, MEMBERSHIP_FRAMES.probe, encodeProbe({ nonce, subject: subject.id }))
  }
  assert.ok(subject.sent.filter(({ what }) => what === 'ping').length <= 64)
})

test('a long way is given time: the limit follows the round trip', () => {
  const all = bench(1)
  const far = all.peers[0]!
  far.rtt = 600
  pass(all, 12_000, [far])
  assert.ok(far.downAtMs !== undefined && far.downAtMs >= 2 * tickIntervalMs + 8 * 600, String(far.downAtMs))
})

test('after a pause of its own it reads first, and accuses nobody that answers then', () => {
  const all = bench(4)
  pass(all, 2000, [])
  // A minute in which nothing ran. Timers run first, then what waits is read: some of it only a second later.
  all.pause(60_000)
  pass(all, 1000, all.peers)
  pass(all, 20_000, [])
  assert.ok(all.peers.every(({ downAtMs }) => downAtMs === undefined))
  assert.equal(all.silent, [])
})

test('who does not answer after the pause either is down in the end', () => {
  const all = bench(4)
  const victim = all.peers[0]!
  pass(all, 2000, [])
  all.pause(60_000)
  const startMs = all.clock.now()
  pass(all, 10_000, [victim])
  assert.ok(victim.downAtMs !== undefined && victim.downAtMs - startMs <= downAfterMs + CHECK_MS)
})

test('beyond a full mesh there is one ping with each beat, and no tick but with it', () => {
  const all = bench(10)
  all.isFull = false
  pass(all, 40_000, all.peers, () => undefined)
  // Mute peers are not pinged again: they are silent, and down in the end.
  assert.ok(all.peers.every(({ downAtMs }) => downAtMs !== undefined))

  const quiet = bench(10)
  quiet.isFull = false
  for (let i = 0; i < 400; i++) {
    quiet.clock.advance(50)
    for (const peer of quiet.peers) {
      if (peer.sent.at(-1)?.atMs === quiet.clock.now()) peer.lastHeardMs = quiet.clock.now()
    }
  }
  const pings = quiet.peers.map(({ sent }) => sent.filter(({ what }) => what === 'ping').length)
  const total = pings.reduce((sum, count) => sum + count, 0)
  assert.ok(total <= 20_000 / CHECK_MS, `${total} pings in 20 s`)
  assert.ok(Math.max(...pings) - Math.min(...pings) <= 1, 'all in turn')
  assert.ok(quiet.peers.every(({ downAtMs }) => downAtMs === undefined))
})

test('a change over to ticks gives everybody the time of a first one', () => {
  const all = bench(24)
  all.isFull = false
  for (let i = 0; i < 400; i++) {
    all.clock.advance(50)
    for (const peer of all.peers) {
      if (peer.sent.at(-1)?.atMs === all.clock.now()) peer.lastHeardMs = all.clock.now()
    }
  }
  const longest = Math.max(...all.peers.map(({ lastHeardMs }) => all.clock.now() - lastHeardMs))
  assert.ok(longest > downAfterMs, 'some were not asked for long')
  all.isFull = true
  pass(all, 1000, all.peers)
  assert.ok(all.peers.every(({ downAtMs }) => downAtMs === undefined))
})

test.run()
