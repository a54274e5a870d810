/** Who is silent for too long is down, who is only unheard because we slept is not. */
import * as assert from 'uvu/assert'
import { LAN_LIVENESS, LIVENESS_PRESETS, Liveness, Pulse } from '../../../src/cluster/liveness.ts'
import { suite } from '../../support/suite.ts'

const test = suite('liveness')

const { tickIntervalMs, downAfterMs } = LAN_LIVENESS

/** Beats on time, from `fromMs` on, until the peer is down; gives the moment, or undefined after a minute. */
const downAt = (
  liveness: Liveness,
  pulse: Pulse,
  fromMs: number,
  lastHeardMs: (nowMs: number) => number,
): number | undefined => {
  for (let nowMs = fromMs + pulse.checkIntervalMs; nowMs < fromMs + 60_000; nowMs += pulse.checkIntervalMs) {
    if (liveness.check(nowMs, lastHeardMs(nowMs), pulse.beat(nowMs)) === 'down') return nowMs
  }
  return undefined
}

test('a peer that ticks is never down', () => {
  const tick = (nowMs: number): number => nowMs - (nowMs % tickIntervalMs)
  assert.is(downAt(new Liveness(LAN_LIVENESS, 0), new Pulse(LAN_LIVENESS, 0), 0, tick), undefined)
})

test('whenever the last byte came, the verdict falls after 3.6 s and within 4 s', () => {
  for (let lastMs = 0; lastMs < 3000; lastMs += 7) {
    const down = downAt(new Liveness(LAN_LIVENESS, 0), new Pulse(LAN_LIVENESS, 0), 0, (nowMs) =>
      Math.min(nowMs, lastMs),
    )
    assert.ok(down !== undefined && down - lastMs >= downAfterMs && down - lastMs <= 4000, `${lastMs}: ${down}`)
  }
})

test('a tick is due once per interval', () => {
  const pulse = new Pulse(LAN_LIVENESS, 0)
  let ticks = 0
  for (let i = 1; i <= 20; i++) if (pulse.beat(i * pulse.checkIntervalMs).tick) ticks++
  assert.is(ticks, (20 * pulse.checkIntervalMs) / tickIntervalMs)
})

test('a pause of our own accuses nobody, and the clock goes on from there', () => {
  const pulse = new Pulse(LAN_LIVENESS, 0)
  const liveness = new Liveness(LAN_LIVENESS, 0)
  // A minute in a debugger: nothing was read meanwhile.
  assert.is(liveness.check(60_400, 400, pulse.beat(60_400)), 'alive')
  const down = downAt(liveness, pulse, 60_400, () => 400)
  assert.is(
    down,
    60_400 + downAfterMs - pulse.checkIntervalMs + pulse.checkIntervalMs,
    'silence before the pause counts',
  )
})

test('what was heard after the pause wipes the excuse', () => {
  const pulse = new Pulse(LAN_LIVENESS, 0)
  const liveness = new Liveness(LAN_LIVENESS, 0)
  liveness.check(60_400, 400, pulse.beat(60_400))
  const down = downAt(liveness, pulse, 60_400, (nowMs) => Math.min(nowMs, 61_200))
  assert.is(down, 61_200 + downAfterMs)
})

for (const { lateMs, latestMs } of [
  { lateMs: 300, latestMs: 8000 },
  // So late that each beat is a pause of its own.
  { lateMs: 2 * tickIntervalMs, latestMs: 60_000 },
]) {
  test(`a loop that is always ${lateMs} ms late still finds out`, () => {
    const pulse = new Pulse(LAN_LIVENESS, 0)
    const liveness = new Liveness(LAN_LIVENESS, 0)
    const intervalMs = pulse.checkIntervalMs + lateMs
    let down: number | undefined
    for (let nowMs = intervalMs; nowMs < 120_000 && down === undefined; nowMs += intervalMs) {
      if (liveness.check(nowMs, 0, pulse.beat(nowMs)) === 'down') down = nowMs
    }
    assert.ok(down !== undefined && down >= downAfterMs && down < latestMs, String(down))
  })
}

test('a node that is late itself gives others more time and starts no accusations, until it has been on time for a while', () => {
  const pulse = new Pulse(LAN_LIVENESS, 0)
  let nowMs = 0
  const beat = (lateMs: number) => {
    nowMs += pulse.checkIntervalMs + lateMs
    return pulse.beat(nowMs)
  }
  assert.is(beat(60_000).patience, 1, 'one pause is no habit')
  assert.not(pulse.isSlow)
  for (let i = 0; i < 30; i++) beat(pulse.checkIntervalMs)
  assert.ok(pulse.isSlow)
  const { patience } = beat(pulse.checkIntervalMs)
  assert.ok(patience > 1.1 && patience < 2, String(patience))
  for (let i = 0; i < 20; i++) beat(0)
  assert.not(pulse.isSlow)
  assert.is(beat(0).patience, 1)
})

test('presets: a tick is lost more than once before anybody is down', () => {
  for (const preset of Object.values(LIVENESS_PRESETS)) assert.ok(preset.downAfterMs >= 4 * preset.tickIntervalMs)
})

test('the noise of timers is no lag', () => {
  const pulse = new Pulse(LAN_LIVENESS, 0)
  assert.is(pulse.beat(pulse.checkIntervalMs + 50).lagMs, 0)
  assert.is(pulse.beat(2 * pulse.checkIntervalMs + 50 + 250).lagMs, 250)
})

test.run()
