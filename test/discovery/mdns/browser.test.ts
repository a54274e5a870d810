import * as assert from 'uvu/assert'
import { Browser, MAX_SERVICES } from '../../../discovery/mdns/browser.ts'
import { type Packet, probes, queries, type ResourceRecord, responses } from '../../../discovery/mdns/packet.ts'
import { recordsOf, SERVICE_TYPE, serviceOf } from '../../../discovery/mdns/service.ts'
import type { NodeRecord } from '../../../discovery/source.ts'
import { formatAddress } from '../../../transport/address.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'
import { addressesOf, nodeRecord } from '../support.ts'

const test = suite('mdns browser')
const lan = { interfaceName: 'eth0', loopback: false }
const self = nodeRecord(1)

const browser = (): Browser => new Browser(0, self, lan, seededRandom(1))

const recordsFor = (node: NodeRecord): ResourceRecord[] => recordsOf(serviceOf(node, lan)!)
const announcementOf = (node: NodeRecord): Packet => responses(recordsFor(node))[0]!
const goodbyeOf = (node: NodeRecord): Packet =>
  responses(recordsFor(node).map((record) => ({ ...record, ttlSeconds: 0 })))[0]!

/** "name incarnation addresses" or "gone", for each change. */
const changesOf = (one: Browser): string[] =>
  one
    .takeChanges()
    .map(({ seen }) =>
      seen === undefined
        ? 'gone'
        : `${seen.name} ${seen.incarnation.slice(-1)} ${seen.addresses.map(formatAddress).join(' ')}`,
    )

/** Polls at every deadline up to this time and gives each packet with its time. */
const runUntil = (one: Browser, untilMs: number): { atMs: number; packet: Packet }[] => {
  const sent: { atMs: number; packet: Packet }[] = []
  for (let steps = 0; one.deadlineMs() <= untilMs; steps++) {
    assert.ok(steps < 10_000, 'polling comes to an end')
    const atMs = one.deadlineMs()
    for (const packet of one.poll(atMs)) sent.push({ atMs, packet })
  }
  return sent
}

const questionsOf = (sent: readonly { packet: Packet }[]): string[] =>
  sent.flatMap(({ packet }) => packet.questions.map(({ type, name }) => `${type} ${name}`))

test('asks at once, then with pauses that double up to an hour', () => {
  const times = runUntil(browser(), 20_000_000).map(({ atMs }) => atMs)
  assert.is(times[0], 0)
  const pauses = times.slice(1).map((atMs, index) => Math.round(atMs - times[index]!) / 1000)
  assert.equal(pauses.slice(0, 14), [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 3600, 3600])
})

test('after an event that many share the first question waits 20 to 120 ms', () => {
  const [first] = runUntil(new Browser(0, self, lan, seededRandom(1), 'spread'), 1000)
  assert.ok(first!.atMs >= 20 && first!.atMs <= 120)
})

test('refresh asks again soon, but not more than once a second', () => {
  const one = browser()
  runUntil(one, 100_000)
  let asked = 0
  for (let nowMs = 100_000; nowMs < 105_000; nowMs += 50) {
    one.refresh(nowMs)
    asked += one.poll(nowMs).length
  }
  assert.ok(asked >= 4 && asked <= 6, String(asked))
})

test('an announcement is a sighting, and the same one again is nothing new', () => {
  const one = browser()
  one.handle(0, announcementOf(nodeRecord(2)))
  assert.equal(changesOf(one), ['node2@host 2 10.77.0.2:4433'])
  one.handle(1000, announcementOf(nodeRecord(2)))
  assert.equal(changesOf(one), [])
})

const probeOf = (node: NodeRecord): Packet => {
  const [pointer, ...proposed] = recordsFor(node)
  assert.ok(pointer?.type === 'PTR')
  return probes([pointer.target, proposed.at(-1)!.name], proposed)[0]!
}

test('who probes is seen already, for a few seconds if no announcement follows', () => {
  const one = browser()
  one.handle(0, probeOf(nodeRecord(2)))
  assert.equal(changesOf(one), ['node2@host 2 10.77.0.2:4433'])
  runUntil(one, 5000)
  assert.equal(changesOf(one), ['gone'])
  assert.equal(one.size, { records: 0, instances: 0 })
  one.handle(6000, probeOf(nodeRecord(2)))
  one.handle(6900, announcementOf(nodeRecord(2)))
  runUntil(one, 60_000)
  assert.equal(changesOf(one), ['node2@host 2 10.77.0.2:4433'])
})

test('a probe takes nothing away from those who are there', () => {
  const one = browser()
  one.handle(0, announcementOf(nodeRecord(2)))
  one.takeChanges()
  one.handle(3000, probeOf(nodeRecord(2, { incarnation: '00000000000000ff', addresses: addressesOf('10.66.0.6:1') })))
  runUntil(one, 60_000)
  assert.equal(changesOf(one), [])
})

test('known answers name what is seen, ourselves included, each once', () => {
  const one = browser()
  const own = recordsFor(self)[0]!
  one.handle(0, announcementOf(nodeRecord(2)))
  one.handle(0, announcementOf(self))
  const [packet] = one.poll(200, [own])
  assert.is(packet?.answers.length, 2)
  assert.ok(packet?.answers.every((record) => record.type === 'PTR' && record.ttlSeconds > 4400))
})

test('nodes of other clusters, ourselves and malformed ones are not seen', () => {
  const one = browser()
  one.handle(0, announcementOf(nodeRecord(2, { clusterTag: 'other' })))
  one.handle(0, announcementOf(self))
  const bad = recordsFor(nodeRecord(3)).map((record) =>
    record.type === 'TXT' ? { ...record, strings: ['v=1'] } : record,
  )
  one.handle(0, responses(bad)[0]!)
  assert.equal(changesOf(one), [])
  // Nor is anything asked about them while they last.
  assert.equal([...new Set(questionsOf(runUntil(one, 4_000_000)))], [`PTR ${SERVICE_TYPE}`])
})

test('a node that changes over to our cluster is found, and lost when it leaves', () => {
  const one = browser()
  one.handle(0, announcementOf(nodeRecord(2, { clusterTag: 'other' })))
  one.handle(5000, announcementOf(nodeRecord(2)))
  assert.is(changesOf(one).length, 1)
  one.handle(9000, announcementOf(nodeRecord(2, { clusterTag: 'other' })))
  assert.equal(changesOf(one), ['gone'])
})

test('while cookies change, nodes of all tags that count are found, and those of a dropped one are lost', () => {
  const one = browser()
  one.handle(0, announcementOf(nodeRecord(2, { clusterTag: 'next' })))
  one.handle(0, announcementOf(nodeRecord(3)))
  assert.equal(changesOf(one), ['node3@host 3 10.77.0.3:4433'])
  one.become(100, { ...self, acceptedTags: ['next'] })
  assert.equal(changesOf(one), ['node2@host 2 10.77.0.2:4433'])
  one.become(200, { ...self, clusterTag: 'next', acceptedTags: ['tag'] })
  assert.equal(changesOf(one), [])
  one.become(300, { ...self, clusterTag: 'next', acceptedTags: [] })
  assert.equal(changesOf(one), ['gone'])
})

test('what an answer left out is asked for, a few times with growing pauses', () => {
  const one = browser()
  const [pointer, service, text, address] = recordsFor(nodeRecord(2)) as [
    ResourceRecord,
    ResourceRecord,
    ResourceRecord,
    ResourceRecord,
  ]
  one.handle(0, responses([pointer])[0]!)
  const sent = runUntil(one, 20)
  assert.equal(questionsOf(sent).slice(1), [`TXT ${text.name}`, `SRV ${service.name}`])
  one.handle(30, responses([service, text])[0]!)
  const later = runUntil(one, 1020).filter(({ packet }) => packet.questions[0]?.type !== 'PTR')
  assert.equal(questionsOf(later), [`A ${address.name}`, `AAAA ${address.name}`])
  one.handle(1030, responses([address])[0]!)
  assert.equal(changesOf(one), ['node2@host 2 10.77.0.2:4433'])
})

test('an instance that never answers is forgotten', () => {
  const one = browser()
  one.handle(0, responses([recordsFor(nodeRecord(2))[0]!])[0]!)
  const asked = questionsOf(runUntil(one, 60_000)).filter((question) => question.startsWith('SRV'))
  assert.is(asked.length, 4)
  assert.equal(one.size, { records: 0, instances: 0 })
})

test('a goodbye counts as one second', () => {
  const one = browser()
  one.handle(0, announcementOf(nodeRecord(2)))
  one.takeChanges()
  one.handle(10_000, goodbyeOf(nodeRecord(2)))
  runUntil(one, 10_999)
  assert.equal(changesOf(one), [])
  runUntil(one, 11_000)
  assert.equal(changesOf(one), ['gone'])
  assert.equal(one.size, { records: 0, instances: 0 })
})

test('a goodbye that is contradicted within the second has no effect', () => {
  const one = browser()
  one.handle(0, announcementOf(nodeRecord(2)))
  one.takeChanges()
  one.handle(10_000, goodbyeOf(nodeRecord(2)))
  one.handle(10_100, announcementOf(nodeRecord(2)))
  runUntil(one, 60_000)
  assert.equal(changesOf(one), [])
})

test('before records expire they are asked for at 80, 85, 90 and 95 % of their time, then the node is gone', () => {
  const one = browser()
  one.handle(0, announcementOf(nodeRecord(2)))
  one.takeChanges()
  const sent = runUntil(one, 119_999)
  const refreshes = sent.filter(({ packet }) => packet.questions.some(({ type }) => type === 'SRV'))
  assert.is(refreshes.length, 4)
  refreshes.forEach(({ atMs }, index) => {
    const mark = 120_000 * (0.8 + index * 0.05)
    assert.ok(atMs >= mark && atMs <= mark + 2400, `${atMs} after ${mark}`)
  })
  assert.equal(changesOf(one), [])
  runUntil(one, 120_000)
  assert.equal(changesOf(one), ['gone'])
  assert.equal(one.size, { records: 0, instances: 0 })
})

test('an answer to a refresh keeps the node, and a question that another host just asked is not repeated', () => {
  const one = browser()
  one.handle(0, announcementOf(nodeRecord(2)))
  one.takeChanges()
  const [, service, , address] = recordsFor(nodeRecord(2))
  one.handle(
    96_000,
    queries([
      { name: service!.name, type: 'SRV' },
      { name: address!.name, type: 'A' },
    ])[0]!,
  )
  const asked = questionsOf(runUntil(one, 101_000)).filter((question) => !question.startsWith('PTR'))
  assert.equal(asked, [])
  one.handle(101_000, responses([service!], [address!])[0]!)
  runUntil(one, 190_000)
  assert.equal(changesOf(one), [])
})

test('a restarted node replaces its predecessor at once, a moved one its old address within a second', () => {
  const one = browser()
  one.handle(0, announcementOf(nodeRecord(2)))
  one.takeChanges()
  const restarted = nodeRecord(2, { incarnation: '00000000000000ff', addresses: addressesOf('10.77.0.22:5544') })
  one.handle(5000, announcementOf(restarted))
  assert.equal(changesOf(one), ['node2@host f 10.77.0.2:5544 10.77.0.22:5544'])
  runUntil(one, 6000)
  assert.equal(changesOf(one), ['node2@host f 10.77.0.22:5544'])
})

test('the goodbye of the predecessor does not take the successor away', () => {
  const one = browser()
  one.handle(0, announcementOf(nodeRecord(2)))
  const restarted = nodeRecord(2, { incarnation: '00000000000000ff', addresses: addressesOf('10.77.0.2:5544') })
  one.handle(3000, announcementOf(restarted))
  one.handle(3100, goodbyeOf(nodeRecord(2)))
  // Its responder sees its PTR and A taken back, and says them again.
  one.handle(3200, announcementOf(restarted))
  runUntil(one, 60_000)
  assert.ok(!changesOf(one).includes('gone'))
})

test('link-local addresses get the zone of the interface, loopback ones from elsewhere are dropped', () => {
  const one = browser()
  const records = recordsFor(nodeRecord(2))
  const host = records.at(-1)!.name
  const extra = ['fe80::2', '::1'].map(
    (text): ResourceRecord => ({ type: 'AAAA', name: host, ttlSeconds: 120, flush: true, host: text }),
  )
  const local: ResourceRecord = { type: 'A', name: host, ttlSeconds: 120, flush: true, host: '127.0.0.1' }
  one.handle(0, responses([...records, ...extra, local])[0]!)
  assert.equal(changesOf(one), ['node2@host 2 10.77.0.2:4433 [fe80::2%eth0]:4433'])
})

test('strangers are bounded and push out only strangers', () => {
  const one = browser()
  const many = (from: number, count: number, change: Partial<NodeRecord>): void => {
    for (let n = from; n < from + count; n++)
      one.handle(n, announcementOf(nodeRecord(n, { ...change, addresses: addressesOf('10.77.0.9:4433') })))
  }
  many(2, 20, {})
  assert.is(one.takeChanges().length, 20)
  many(10_000, 2 * MAX_SERVICES, { clusterTag: 'other' })
  assert.is(one.size.instances, MAX_SERVICES)
  assert.ok(one.size.records <= 4 * MAX_SERVICES)
  assert.equal(one.takeChanges(), [], 'no node of ours was lost')
  many(22, MAX_SERVICES - 20, {})
  assert.is(one.takeChanges().length, MAX_SERVICES - 20)
  assert.is(one.refused, 0)
  many(5000, 10, {})
  assert.is(one.refused, 10)
})

test('addresses of one host are bounded', () => {
  const one = browser()
  const records = recordsFor(nodeRecord(2))
  const host = records.at(-1)!.name
  for (let n = 0; n < 200; n++) {
    const address: ResourceRecord = { type: 'A', name: host, ttlSeconds: 120, flush: false, host: `10.1.2.${n}` }
    one.handle(0, responses([...records, address])[0]!)
  }
  assert.ok(one.size.records <= 20, String(one.size.records))
})

test.run()
