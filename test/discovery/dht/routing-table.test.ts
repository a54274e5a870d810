import * as assert from 'uvu/assert'
import { commonPrefixBits, compareDistance, sameKey } from '../../../discovery/dht/dht-id.ts'
import type { Contact } from '../../../discovery/dht/message.ts'
import { Networks } from '../../../discovery/dht/networks.ts'
import { RoundTrip } from '../../../discovery/dht/round-trip.ts'
import {
  BUCKET_PLACES,
  CLOSE_BUCKET_PLACES,
  NETWORK_PLACES,
  NETWORK_PLACES_PER_BUCKET,
  RoutingTable,
  STALE_MS,
} from '../../../discovery/dht/routing-table.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'

const test = suite('routing table')
const own = new Uint8Array(20)
const roundTrip = (): RoundTrip => new RoundTrip(10)
const newTable = (trusted: readonly string[] = [], seed = 1): RoutingTable =>
  new RoutingTable({ id: own, networks: new Networks(trusted), random: seededRandom(seed), nowMs: 0 })

/** An id that shares exactly so many bits with ours, and is told apart by a number. */
const idAt = (bits: number, number: number): Uint8Array => {
  const id = new Uint8Array(20)
  id[bits >> 3] = 0x80 >> (bits & 7)
  id[18] = number >> 8
  id[19] = number & 0xff
  return id
}
/** Hosts in networks of their own. */
const hostOf = (number: number): string => `${20 + (number >> 12)}.${(number >> 6) & 63}.${number & 63}.1`
const contactAt = (bits: number, number: number, host = hostOf(number), port = 4433): Contact => ({
  id: idAt(bits, number),
  address: { host, port },
})

test('a far bucket has 16 places, close ones 32, and it is the old who stay', () => {
  const table = newTable()
  let number = 0
  for (let bits = 7; bits >= 0; bits--)
    for (let i = 0; i < 100; i++) table.answered(contactAt(bits, ++number), roundTrip, 0)
  const counts = Array.from(
    { length: 8 },
    (_, bits) => table.contacts().filter(({ id }) => commonPrefixBits(own, id) === bits).length,
  )
  const [far, close] = [BUCKET_PLACES, CLOSE_BUCKET_PLACES]
  assert.equal(counts, [far, far, far, far, far, far, close, close])
  assert.not(table.wants(contactAt(0, 9000)))
  assert.ok(table.at(contactAt(7, 1).address), 'the first of all')
  assert.ok(table.wants(contactAt(9, 9001)), 'nearer than all others')
})

test('closest is right for any target, also beyond 53 bits', () => {
  const random = seededRandom(5)
  const table = newTable()
  const contacts: Contact[] = []
  for (let number = 1; number < 400; number++) {
    const id = Uint8Array.from(random.bytes(20))
    if (number % 20 === 0) id.fill(0, 0, 12)
    contacts.push({ id, address: { host: hostOf(number), port: 1 } })
    table.answered(contacts.at(-1)!, roundTrip, 0)
  }
  const known = table.contacts()
  for (let i = 0; i < 200; i++) {
    const target = Uint8Array.from(random.bytes(20))
    if (i % 2 === 0) target.fill(0, 0, 11)
    const expected = known.toSorted((a, b) => compareDistance(target, a.id, b.id)).slice(0, 8)
    assert.equal(
      table.closest(target, 8).map(({ address }) => address.host),
      expected.map(({ address }) => address.host),
    )
  }
})

test('never ourselves; one node of a host; two of a network in a bucket and ten in all', () => {
  const table = newTable()
  table.answered({ id: own, address: { host: '20.0.0.1', port: 1 } }, roundTrip, 0)
  assert.is(table.size, 0)
  table.answered(contactAt(0, 1, '20.0.0.1', 1), roundTrip, 0)
  table.answered(contactAt(1, 2, '20.0.0.1', 2), roundTrip, 0)
  assert.is(table.size, 1, 'one of a host')
  table.answered(contactAt(0, 3, '20.0.0.2'), roundTrip, 0)
  table.answered(contactAt(0, 4, '20.0.0.3'), roundTrip, 0)
  assert.is(table.size, NETWORK_PLACES_PER_BUCKET)
  // A table of many buckets: there the network has no more than ten.
  let number = 100
  for (let bits = 0; bits < 12; bits++)
    for (let i = 0; i < 20; i++) table.answered(contactAt(bits, ++number), roundTrip, 0)
  for (let bits = 0; bits < 12; bits++)
    for (let i = 4; i < 8; i++)
      table.answered(contactAt(bits, 1000 + bits * 8 + i, `20.0.0.${bits * 8 + i}`), roundTrip, 0)
  const ofNetwork = table.contacts().filter(({ address }) => address.host.startsWith('20.0.0.'))
  assert.ok(ofNetwork.length <= NETWORK_PLACES, `${ofNetwork.length}`)
  const six = newTable()
  for (let i = 1; i < 9; i++) six.answered(contactAt(0, i, `2001:db8:1:1::${i}`), roundTrip, 0)
  assert.is(six.size, NETWORK_PLACES_PER_BUCKET, 'of a /64')
})

test('private and configured networks need not be spread', () => {
  const loopback = newTable()
  for (let i = 1; i < 9; i++) loopback.answered(contactAt(0, i, '127.0.0.1', 1000 + i), roundTrip, 0)
  assert.is(loopback.size, 8)
  const trusted = newTable(['20.0.0.0/24', '2001:db8::/32'])
  for (let i = 1; i < 5; i++) trusted.answered(contactAt(0, i, '20.0.0.1', 1000 + i), roundTrip, 0)
  for (let i = 5; i < 9; i++) trusted.answered(contactAt(0, i, '20.0.1.1', 1000 + i), roundTrip, 0)
  assert.is(trusted.size, 5)
  assert.throws(() => new Networks(['20.0.0.0']), 'not a network')
})

test('two failures and a contact goes; one if a replacement waits; an answer forgives', () => {
  const table = newTable()
  const lone = contactAt(0, 1)
  table.answered(lone, roundTrip, 0)
  table.failed(table.at(lone.address)!)
  assert.equal(table.closestGood(own, 8), [], 'named to nobody meanwhile')
  assert.is(table.closest(own, 8).length, 1)
  table.answered(lone, roundTrip, 1)
  table.failed(table.at(lone.address)!)
  assert.is(table.size, 1)
  table.failed(table.at(lone.address)!)
  assert.is(table.size, 0)
  for (let bits = 0; bits < 8; bits++)
    for (let i = 1; i <= 40; i++) table.answered(contactAt(bits, bits * 64 + i), roundTrip, 0)
  const before = table.size
  const victim = table.contacts().find(({ id }) => commonPrefixBits(own, id) === 7)!
  table.failed(victim)
  assert.is(table.size, before, 'a replacement took its place')
  assert.is(table.at(victim.address), undefined)
  table.failed(victim)
  assert.is(table.size, before, 'one that is gone cannot fail')
})

test('the id of a live contact is not taken over, nor its address; those of a failed one are', () => {
  const table = newTable()
  const honest = contactAt(0, 1)
  table.answered(honest, roundTrip, 0)
  table.answered({ id: honest.id, address: { host: '99.1.1.1', port: 5 } }, roundTrip, 0)
  assert.ok(table.at(honest.address))
  assert.is(table.size, 1)
  table.failed(table.at(honest.address)!)
  table.answered({ id: honest.id, address: { host: '99.1.1.1', port: 5 } }, roundTrip, 0)
  assert.is(table.at(honest.address), undefined)
  assert.ok(table.at({ host: '99.1.1.1', port: 5 }))
  table.answered({ id: idAt(3, 7), address: { host: '99.1.1.1', port: 5 } }, roundTrip, 0)
  assert.ok(sameKey(table.at({ host: '99.1.1.1', port: 5 })!.id, idAt(3, 7)), 'a node that started anew')
  assert.is(table.size, 1)
})

test('stale after ten minutes; buckets are due after 15 minutes, a quarter more or less', () => {
  const table = newTable()
  for (let i = 1; i <= 20; i++) table.answered(contactAt(i % 4, i), roundTrip, i)
  assert.equal(table.stale(STALE_MS, 100), [])
  assert.is(table.stale(STALE_MS + 10, 100).length, 10)
  assert.is(table.stale(STALE_MS + 10, 4).length, 4)
  const dueAt = (nowMs: number): number => {
    let count = 0
    while (table.dueTarget(nowMs) !== undefined) count++
    return count
  }
  const minute = 60_000
  const buckets = dueAt(0)
  assert.ok(buckets >= 1, 'buckets that are new are due')
  assert.is(dueAt(11 * minute), 0)
  assert.is(dueAt(19 * minute), buckets + 1, 'with our own')
})

test('a target to refresh lies in its bucket', () => {
  for (let seed = 1; seed < 20; seed++) {
    const table = newTable([], seed)
    for (let i = 1; i <= 60; i++) table.answered(contactAt(i % 5, i), roundTrip, 0)
    const bits = new Set<number>()
    for (let target = table.dueTarget(1e9); target !== undefined; target = table.dueTarget(1e9))
      bits.add(commonPrefixBits(own, target))
    assert.ok(bits.has(0) && bits.has(1) && bits.has(160), [...bits].join(' '))
  }
})

test('another own id: the same contacts in other buckets', () => {
  const table = newTable()
  for (let i = 1; i <= 30; i++) table.answered(contactAt(i % 6, i), roundTrip, 0)
  const before = table.size
  const id = idAt(0, 3)
  table.changeId(id, 0)
  assert.ok(table.size >= before - 14 && table.size <= before)
  assert.not(table.contacts().some((contact) => sameKey(contact.id, id)))
  assert.equal(
    table.closest(own, 1)[0]!.address,
    table.contacts().toSorted((a, b) => compareDistance(own, a.id, b.id))[0]!.address,
  )
})

test.run()
