/** Admission: every limit holds, every place is given back, the table never outgrows the connections. */
import * as assert from 'uvu/assert'
import type { Address } from '../../transport/address.ts'
import { ADMISSION_LIMITS, Admission, type Admitted } from '../../transport/admission.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'

const test = suite('admission')

const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)
console.log(`seed ${seed}`)

/** The n-th IPv4 address; ports differ, which must not matter. */
const host = (n: number): Address => ({ host: `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, port: 1024 + (n % 60_000) })

const fill = (admission: Admission, count: number, address: (n: number) => Address = host): Admitted[] =>
  Array.from({ length: count }, (_, n) => admission.opened(address(n)))

test('64 may be half-open before retry is asked for, and 1024 before all are refused', () => {
  const admission = new Admission()
  fill(admission, 63)
  assert.is(admission.decide(host(5000), 0), 'accept')
  fill(admission, 1, () => host(63))
  assert.is(admission.decide(host(5000), 0), 'retry')
  fill(admission, 1023 - 64, (n) => host(64 + n))
  assert.is(admission.decide(host(5000), 0), 'retry')
  const last = admission.opened(host(4000))
  assert.is(admission.decide(host(5000), 0), 'refuse')
  last.established()
  assert.is(admission.decide(host(5000), 0), 'retry')
})

test('retry stays on for 5 s after the last sign of pressure', () => {
  const admission = new Admission()
  const places = fill(admission, 64)
  assert.is(admission.decide(host(5000), 1000), 'retry')
  for (const place of places) place.closed()
  assert.is(admission.decide(host(5000), 5999), 'retry')
  assert.is(admission.decide(host(5000), 6000), 'accept')
})

test('one address: retry from 16 half-open ones, refused from 32; others notice nothing', () => {
  const admission = new Admission()
  const same = (port: number): Address => ({ host: '192.0.2.1', port })
  fill(admission, 15, same)
  assert.is(admission.decide(same(9), 0), 'accept')
  admission.opened(same(15))
  assert.is(admission.decide(same(9), 0), 'retry')
  fill(admission, 16, same)
  assert.is(admission.decide(same(9), 0), 'refuse')
  assert.is(admission.decide({ host: '192.0.2.2', port: 9 }, 0), 'accept')
})

test('one address holds at most its share of connections', () => {
  const admission = new Admission({ connectionsPerAddress: 3 })
  const places = fill(admission, 3, () => host(1))
  for (const place of places) place.established()
  assert.is(admission.decide(host(1), 0), 'refuse')
  assert.is(admission.decide(host(2), 0), 'accept')
  places[0]!.closed()
  assert.is(admission.decide(host(1), 0), 'accept')
})

test('16 384 connections in all', () => {
  const admission = new Admission()
  const places = fill(admission, ADMISSION_LIMITS.connections)
  for (const place of places) place.established()
  assert.is(ADMISSION_LIMITS.connections, 16_384)
  assert.is(admission.decide(host(70_000), 0), 'refuse')
  places[0]!.closed()
  assert.is(admission.decide(host(70_000), 0), 'accept')
})

test('an IPv6 address is its /64, a mapped IPv4 address is itself, link-local ones differ by zone', () => {
  const sameAddress = (a: string, b: string): boolean => {
    const admission = new Admission({ connectionsPerAddress: 1 })
    admission.opened({ host: a, port: 1 })
    return admission.decide({ host: b, port: 2 }, 0) === 'refuse'
  }
  assert.ok(sameAddress('2001:db8:1:2::1', '2001:db8:1:2:ffff:ffff:ffff:ffff'))
  assert.ok(sameAddress('2001:db8::1', '2001:0db8:0:0:8::'))
  assert.not.ok(sameAddress('2001:db8:1:2::1', '2001:db8:1:3::1'))
  assert.ok(sameAddress('::ffff:192.0.2.1', '192.0.2.1'))
  assert.not.ok(sameAddress('::ffff:192.0.2.1', '::ffff:192.0.2.2'))
  assert.ok(sameAddress('fe80::1%eth0', 'fe80::2%eth0'))
  assert.not.ok(sameAddress('fe80::1%eth0', 'fe80::1%eth1'))
  assert.ok(sameAddress('not an address', 'not an address'))
})

test('a place is given back once, established or not', () => {
  const admission = new Admission()
  const [a, b] = fill(admission, 2, () => host(1))
  assert.equal(admission.counts, { halfOpen: 2, connections: 2, addresses: 1 })
  a!.established()
  a!.established()
  assert.equal(admission.counts, { halfOpen: 1, connections: 2, addresses: 1 })
  b!.closed()
  b!.closed()
  b!.established()
  assert.equal(admission.counts, { halfOpen: 0, connections: 1, addresses: 1 })
  a!.closed()
  a!.established()
  assert.equal(admission.counts, { halfOpen: 0, connections: 0, addresses: 0 })
})

test('a place outlived by a newer one of the same address does not touch it', () => {
  const admission = new Admission()
  const old = admission.opened(host(1))
  old.closed()
  admission.opened(host(1))
  old.closed()
  assert.equal(admission.counts, { halfOpen: 1, connections: 1, addresses: 1 })
})

test('random lives: counts agree with a plain recount, and the table empties', () => {
  const random = seededRandom(seed)
  const limits = {
    halfOpen: 40,
    halfOpenBeforeRetry: 20,
    halfOpenPerAddress: 8,
    connectionsPerAddress: 12,
    connections: 60,
  }
  const admission = new Admission(limits)
  interface Life {
    place: Admitted
    address: Address
    halfOpen: boolean
  }
  const lives: Life[] = []
  const decisions = new Map<string, number>()
  for (let step = 0; step < 20_000; step++) {
    const pick = lives[Math.floor(random.float() * lives.length)]
    const dice = random.float()
    if (dice < 0.5) {
      const address = host(Math.floor(random.float() * 10))
      const decision = admission.decide(address, step)
      decisions.set(decision, (decisions.get(decision) ?? 0) + 1)
      if (decision !== 'refuse') lives.push({ place: admission.opened(address), address, halfOpen: true })
    } else if (dice < 0.75) {
      pick?.place.established()
      if (pick) pick.halfOpen = false
    } else if (pick) {
      pick.place.closed()
      lives.splice(lives.indexOf(pick), 1)
    }
    const own = new Map<string, number>()
    for (const { address } of lives) own.set(address.host, (own.get(address.host) ?? 0) + 1)
    const halfOpen = lives.filter((life) => life.halfOpen).length
    const { counts } = admission
    if (counts.halfOpen !== halfOpen || counts.connections !== lives.length || counts.addresses !== own.size)
      assert.unreachable()
    if (halfOpen > limits.halfOpen || lives.length > limits.connections) assert.unreachable()
    for (const count of own.values()) if (count > limits.connectionsPerAddress) assert.unreachable()
  }
  assert.is(decisions.size, 3, 'every decision was taken')
  for (const { place } of lives) place.closed()
  assert.equal(admission.counts, { halfOpen: 0, connections: 0, addresses: 0 })
})

test.run()
