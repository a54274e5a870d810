import * as assert from 'uvu/assert'
import { MAX_NETWORKS, MAX_SOURCES, RATE_LIMITS, RateLimit } from '../../../discovery/dht/rate-limit.ts'
import { suite } from '../../support/suite.ts'

const test = suite('rate limit')

/** How many of `count` queries at this moment are admitted. */
const admitted = (limit: RateLimit, host: string, count: number, nowMs: number, port = 6881): number => {
  let total = 0
  for (let i = 0; i < count; i++) if (limit.admit({ host, port }, nowMs)) total++
  return total
}

test('a source has a burst of 50 and 20 a second', () => {
  const limit = new RateLimit()
  assert.is(admitted(limit, '192.0.2.1', 1000, 0), 50)
  assert.is(admitted(limit, '192.0.2.1', 1000, 1000), 20)
  assert.is(admitted(limit, '192.0.2.1', 1000, 1500), 10)
  assert.is(admitted(limit, '192.0.2.1', 1000, 60_000), 50, 'no more than the burst is saved up')
  assert.is(admitted(limit, '192.0.2.1', 10, 60_000, 7000), 0, 'another port is the same source')
  assert.is(admitted(limit, '::ffff:192.0.2.1', 10, 60_000), 0, 'so is the mapped address')
})

test('over time a source gets its rate and no more', () => {
  const limit = new RateLimit()
  let total = 0
  for (let ms = 0; ms < 100_000; ms += 7) if (limit.admit({ host: '192.0.2.1', port: 1 }, ms)) total++
  assert.ok(total > 2000 && total <= 50 + 2000, `${total}`)
})

test('a /24 has 100 a second, and a flooding source does not eat it', () => {
  const limit = new RateLimit()
  const hosts = Array.from({ length: 100 }, (_, i) => `192.0.2.${i}`)
  const round = (nowMs: number, count: number): number =>
    hosts.reduce((sum, host) => sum + admitted(limit, host, count, nowMs), 0)
  assert.is(round(0, 50), RATE_LIMITS.network.burst)
  assert.is(round(1000, 50), 100)
  assert.is(admitted(limit, '192.0.3.1', 50, 1000), 50, 'the next network is not concerned')

  const other = new RateLimit()
  assert.is(admitted(other, '192.0.2.1', 100_000, 0), 50)
  assert.is(admitted(other, '192.0.2.2', 50, 0), 50)
})

test('all sources together can be limited too, and who is refused for that pays nothing', () => {
  const rate = { perSecond: 10, burst: 30 }
  const limit = new RateLimit({
    source: { perSecond: 1, burst: 20 },
    network: { perSecond: 1e6, burst: 1e6 },
    total: rate,
  })
  assert.is(admitted(limit, '192.0.2.1', 100, 0), 20)
  assert.is(admitted(limit, '198.51.100.1', 100, 0), 10)
  assert.is(admitted(limit, '203.0.113.1', 100, 0), 0)
  assert.is(admitted(limit, '203.0.113.1', 100, 2000), 20)
})

test('who is known is not counted among all sources together', () => {
  const limit = new RateLimit()
  for (let i = 0; i < 10_000; i++) limit.admit({ host: `45.${i >> 8}.${i & 255}.1`, port: 1 }, 0)
  assert.ok(limit.isTotalUsedUp(0))
  assert.is(limit.admit({ host: '192.0.2.1', port: 1 }, 0), false)
  assert.is(limit.admit({ host: '192.0.2.1', port: 1 }, 0, true), true)
  assert.ok(!limit.isTotalUsedUp(1000))
})

test('an IPv6 source is a /64, its network a /48', () => {
  const limit = new RateLimit()
  assert.is(admitted(limit, '2001:db8:1:1::1', 100, 0), 50)
  assert.is(admitted(limit, '2001:db8:1:1:ffff::2', 100, 0), 0)
  for (let i = 2; i < 6; i++) assert.is(admitted(limit, `2001:db8:1:${i}::1`, 100, 0), 50)
  assert.is(admitted(limit, '2001:db8:1:9::1', 100, 0), 0, 'the burst of the /48 is spent')
  assert.is(admitted(limit, '2001:db8:2:1::1', 100, 0), 50)
})

test('on loopback every port is a source of its own', () => {
  const limit = new RateLimit()
  for (let port = 1; port <= 20; port++) assert.is(admitted(limit, '127.0.0.1', 100, 0, port), 50)
  for (let port = 1; port <= 20; port++) assert.is(admitted(limit, '::1', 100, 0, port), 50)
})

test('forged sources leave the tables bounded and free nobody who is held back', () => {
  const { source, network } = RATE_LIMITS
  const limit = new RateLimit({ source, network })
  assert.is(admitted(limit, '203.0.113.1', 1000, 0), 50)
  for (let i = 0; i < 100_000; i++) {
    limit.admit({ host: `${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.1`, port: 1 }, 0)
  }
  assert.is(limit.size.sources, MAX_SOURCES)
  assert.is(limit.size.networks, MAX_NETWORKS)
  assert.is(admitted(limit, '203.0.113.1', 1000, 0), 0, 'its empty bucket was kept')
  assert.is(admitted(limit, '198.51.100.1', 10, 0), 10, 'newcomers are served')
})

test.run()
