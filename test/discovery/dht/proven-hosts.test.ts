import * as assert from 'uvu/assert'
import { MAX_PROVEN_HOSTS, ProvenHosts } from '../../../discovery/dht/proven-hosts.ts'
import { suite } from '../../support/suite.ts'
import { hostOf } from './storage-support.ts'

const test = suite('proven hosts')
const MINUTE_MS = 60_000

test('a proof is worth ten minutes, and a new one ten more', () => {
  const proven = new ProvenHosts()
  assert.not(proven.has('192.0.2.1', 0))
  proven.add('192.0.2.1', 0)
  assert.ok(proven.has('192.0.2.1', 0))
  assert.ok(proven.has('::ffff:192.0.2.1', 1), 'the same host')
  assert.not(proven.has('192.0.2.2', 0))
  assert.ok(proven.has('192.0.2.1', 10 * MINUTE_MS - 1))
  assert.not(proven.has('192.0.2.1', 10 * MINUTE_MS))
  proven.add('192.0.2.1', 9 * MINUTE_MS)
  assert.ok(proven.has('192.0.2.1', 18 * MINUTE_MS))
})

test('an IPv6 address proves nothing about its neighbours', () => {
  const proven = new ProvenHosts()
  proven.add('2001:db8::1', 0)
  assert.ok(proven.has('2001:db8::1', 0))
  assert.not(proven.has('2001:db8::2', 0))
})

test('memory is bounded and what has expired is forgotten', () => {
  const proven = new ProvenHosts()
  for (let i = 0; i < 3 * MAX_PROVEN_HOSTS; i++) proven.add(hostOf(i), i)
  assert.is(proven.size, MAX_PROVEN_HOSTS)
  assert.not(proven.has(hostOf(0), 3 * MAX_PROVEN_HOSTS), 'the oldest went first')
  assert.ok(proven.has(hostOf(3 * MAX_PROVEN_HOSTS - 1), 3 * MAX_PROVEN_HOSTS))
  proven.add(hostOf(1), 60 * MINUTE_MS)
  assert.is(proven.size, 1)
})

test.run()
