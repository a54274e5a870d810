import * as assert from 'uvu/assert'
import { AddressVotes, MAX_VOTES } from '../../../discovery/dht/votes.ts'
import { suite } from '../../support/suite.ts'

const test = suite('votes')
const OWN = '203.0.113.5'
const LIE = '198.51.100.66'
const HOUR_MS = 3_600_000
/** An observer in network number n. */
const observer = (n: number, last = 1) => ({ host: `${20 + (n >> 8)}.${n & 255}.0.${last}`, port: 6881 })
const seen = (host: string, port = 4433) => ({ host, port })

const agreed = (voters: number, from = 0): AddressVotes => {
  const votes = new AddressVotes()
  for (let i = 0; i < voters; i++) votes.add(seen(OWN), observer(from + i), 0)
  return votes
}

test('four networks that agree decide', () => {
  const votes = new AddressVotes()
  for (let i = 0; i < 3; i++) {
    assert.not(votes.add(seen(OWN), observer(i), i))
    assert.is(votes.host, undefined)
  }
  assert.ok(votes.add(seen(OWN), observer(3), 3))
  assert.is(votes.host, OWN)
  assert.equal(votes.address, seen(OWN))
  assert.not(votes.add(seen(OWN), observer(4), 4), 'nothing new')
})

test('a network has one vote, however many live in it', () => {
  const votes = new AddressVotes()
  for (let i = 0; i < 250; i++) assert.not(votes.add(seen(OWN), observer(7, i), 0))
  assert.is(votes.size, 1)
  const votes6 = new AddressVotes()
  for (let i = 0; i < 250; i++) {
    assert.not(votes6.add(seen('2001:db8::5'), { host: `2400:1:${i.toString(16)}::1`, port: 1 }, 0))
  }
  for (let i = 2; i < 5; i++) votes6.add(seen('2001:db8::5'), { host: `2400:${i}::1`, port: 1 }, 0)
  assert.is(votes6.host, '2001:db8::5')
})

test('in a private network hosts may vote one by one', () => {
  const votes = new AddressVotes({ voter: 'host' })
  for (let i = 1; i <= 4; i++) votes.add(seen('10.0.0.9'), { host: `10.0.0.${i}`, port: 1 }, 0)
  assert.is(votes.host, '10.0.0.9')
})

test('poisoned votes do nothing', () => {
  const votes = agreed(6)
  for (let i = 0; i < 6; i++) assert.not(votes.add(seen(LIE), observer(100 + i), 1), 'no more than the honest')
  for (let i = 0; i < 200; i++) assert.not(votes.add(seen(`198.51.99.${i}`), observer(200 + (i % 3)), 1))
  assert.is(votes.host, OWN)
  // Each lie of its own: none gets four.
  for (let i = 0; i < 40; i++) assert.not(votes.add(seen(`198.51.${i}.1`), observer(300 + i), 2))
  assert.is(votes.host, OWN)
})

test('addresses that cannot be right are no votes', () => {
  const votes = agreed(4)
  for (let i = 0; i < 20; i++) {
    assert.not(votes.add(seen('10.0.0.1'), observer(100 + i), 1))
    assert.not(votes.add(seen('127.0.0.1'), observer(120 + i), 1))
    assert.not(votes.add(seen('2001:db8::1'), observer(140 + i), 1))
  }
  assert.is(votes.size, 4)
})

test('a new address is believed once more networks see it than the old one', () => {
  const votes = agreed(6)
  const changes: number[] = []
  // The same observers as before: each takes its old vote back.
  for (let i = 0; i < 6; i++) if (votes.add(seen(LIE), observer(i), 1)) changes.push(i)
  assert.equal(changes, [3])
  assert.is(votes.host, LIE)
})

test('votes grow old', () => {
  const votes = agreed(10)
  for (let i = 0; i < 4; i++) votes.add(seen(LIE), observer(100 + i), HOUR_MS)
  assert.is(votes.host, LIE)
  assert.is(votes.size, 4)
  const slow = new AddressVotes()
  for (let i = 0; i < 20; i++) assert.not(slow.add(seen(OWN), observer(i), i * HOUR_MS))
  assert.is(slow.host, undefined)
})

test('the table is bounded and the oldest vote goes first', () => {
  const votes = agreed(MAX_VOTES + 50)
  assert.is(votes.size, MAX_VOTES)
  assert.is(votes.host, OWN)
})

test('ports tell how the NAT maps', () => {
  const stable = agreed(4)
  assert.is(stable.portMapping, 'stable')
  stable.add(seen(OWN, 1), observer(50), 1)
  assert.equal(stable.address, seen(OWN), 'one other port does not matter')
  assert.is(stable.portMapping, 'stable')

  const varying = new AddressVotes()
  assert.is(varying.portMapping, 'unknown')
  for (let i = 0; i < 4; i++) varying.add(seen(OWN, 5000 + i), observer(i), 0)
  assert.is(varying.host, OWN)
  assert.is(varying.portMapping, 'varying')
  assert.is(varying.address, undefined)

  const moved = agreed(4)
  for (let i = 0; i < 3; i++) assert.not(moved.add(seen(OWN, 9999), observer(i), 1), 'a port alone changes no host')
  assert.equal(moved.address, seen(OWN, 9999))
})

test('where fewer are enough, one is believed, and more than half of all is more than that', () => {
  const votes = new AddressVotes({ voter: 'host', agreeing: 1, lifetimeMs: Number.POSITIVE_INFINITY })
  assert.ok(votes.add(seen(OWN), observer(1, 1), 0))
  assert.ok(votes.isUndisputed)
  assert.is(votes.portMapping, 'unknown')
  assert.not(votes.add(seen(LIE), observer(1, 2), HOUR_MS))
  assert.not(votes.isUndisputed)
  votes.add(seen(OWN, 9), observer(1, 3), HOUR_MS)
  assert.ok(votes.isUndisputed)
  assert.is(votes.portMapping, 'varying')
  assert.is(votes.portMappingSince(1), 'unknown', 'of the two who see it only one is that young')
})

test('a vote that is taken back counts no more', () => {
  const votes = new AddressVotes({ voter: 'host', agreeing: 1 })
  for (const last of [1, 2]) votes.add(seen(OWN), observer(1, last), 0)
  votes.add(seen(LIE), observer(1, 3), 0)
  assert.not(votes.remove(observer(1, 1).host), 'as many as before say another')
  assert.ok(votes.remove(observer(1, 2).host))
  assert.is(votes.host, LIE)
  assert.not(votes.remove(observer(1, 2).host), 'it is gone')
  assert.ok(votes.remove(observer(1, 3).host))
  assert.is(votes.host, undefined)
})

test.run()
