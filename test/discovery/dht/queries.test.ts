import * as assert from 'uvu/assert'
import { decodeMessage } from '../../../discovery/dht/krpc.ts'
import type { Query, Reply } from '../../../discovery/dht/message.ts'
import { type Asker, MAX_QUERIES, Queries } from '../../../discovery/dht/queries.ts'
import { RoundTrip } from '../../../discovery/dht/round-trip.ts'
import { Timetable } from '../../../discovery/dht/timetable.ts'
import { type Address, formatAddress } from '../../../transport/address.ts'
import { seededRandom } from '../../../transport/random.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const test = suite('queries')
const to = { host: '192.0.2.1', port: 1000 }

const setUp = () => {
  const clock = new VirtualClock()
  const sent: { query: Query; to: Address; atMs: number }[] = []
  const queries = new Queries({
    clock,
    random: seededRandom(1),
    timetable: new Timetable(clock),
    send: (bytes, to) => sent.push({ query: decodeMessage(bytes) as Query, to, atMs: clock.now() }),
    self: () => ({ id: new Uint8Array(20), readOnly: false }),
  })
  const events: string[] = []
  const asker: Asker = {
    onAnswer: ({ kind }, tookMs) => events.push(`${kind} ${tookMs}`),
    onLate: () => events.push(`late ${clock.now()}`),
    onSilent: () => events.push(`silent ${clock.now()}`),
    onFailed: () => events.push(`failed ${clock.now()}`),
  }
  const reply = (index: number): Reply => ({
    kind: 'reply',
    transaction: sent[index]!.query.transaction,
    id: new Uint8Array(20).fill(1),
    nodes: [],
  })
  return { clock, sent, queries, events, asker, reply }
}

test('a silent node: asked twice, late, silent, failed', () => {
  const { clock, sent, queries, events, asker } = setUp()
  queries.ask(to, { method: 'ping' }, asker)
  clock.advance(10_000)
  assert.equal(events, ['late 400', 'silent 1200', 'failed 3000'])
  assert.equal(
    sent.map(({ atMs }) => atMs),
    [0, 400],
  )
  assert.equal(sent[0]!.query.transaction, sent[1]!.query.transaction)
  assert.is(queries.size, 0)
  assert.is(clock.pending, 0)
})

test('an answer is taken once, from the address asked, until the end', () => {
  const { clock, queries, events, asker, reply } = setUp()
  queries.ask(to, { method: 'ping' }, asker)
  assert.not(queries.receive(reply(0), { ...to, port: 1001 }), 'another port')
  assert.not(queries.receive(reply(0), { ...to, host: '192.0.2.2' }), 'another host')
  const other = Uint8Array.from(reply(0).transaction)
  other[3]! ^= 1
  assert.not(queries.receive({ ...reply(0), transaction: other }, to), 'another transaction')
  assert.not(queries.receive({ ...reply(0), transaction: other.subarray(0, 2) }, to), 'a transaction of two bytes')
  clock.advance(2900)
  assert.ok(queries.receive(reply(0), { host: '::ffff:192.0.2.1', port: 1000 }), 'the same address')
  assert.not(queries.receive(reply(0), to), 'a second time')
  assert.equal(events, ['late 400', 'silent 1200', 'reply 2900'])
  assert.is(queries.counters().answersUnmatched, 5)
})

test('timeouts follow round trips, within 50 and 1000 ms, and those of strangers the usual one up to 400', () => {
  const cases = [
    { sampleMs: 1, known: 50, stranger: 50 },
    { sampleMs: 100, known: 100, stranger: 100 },
    { sampleMs: 2000, known: 1000, stranger: 400 },
  ]
  for (const { sampleMs, known, stranger } of cases) {
    const { clock, queries, events, asker, reply, sent } = setUp()
    const roundTrip = new RoundTrip(sampleMs)
    for (let i = 0; i < 60; i++) {
      if (sampleMs > 3000) break
      queries.ask({ ...to, port: 2000 + i }, { method: 'ping' }, { onAnswer: () => {}, onFailed: () => {} }, roundTrip)
      clock.advance(Math.min(sampleMs, 999))
      const mine = sent.findIndex((one) => formatAddress(one.to) === formatAddress({ ...to, port: 2000 + i }))
      queries.receive(reply(mine), sent[mine]!.to)
    }
    const startMs = clock.now()
    const lateOf = (trip?: RoundTrip): number => {
      events.length = 0
      const from = clock.now()
      queries.ask(to, { method: 'ping' }, asker, trip)
      clock.advance(3000)
      return Number(events[0]!.split(' ')[1]) - from
    }
    assert.ok(startMs > 0)
    assert.ok(Math.abs(lateOf(roundTrip) - known) < 2, `known, ${sampleMs} ms`)
    assert.ok(Math.abs(lateOf() - stranger) < 2, `a stranger, ${sampleMs} ms`)
  }
})

test('transaction ids do not repeat while queries are under way, and their number is bounded', () => {
  const { queries, sent, asker, events } = setUp()
  for (let i = 0; i < MAX_QUERIES; i++) assert.ok(queries.ask(to, { method: 'ping' }, asker))
  assert.not(queries.ask(to, { method: 'ping' }, asker))
  const transactions = new Set(sent.map(({ query }) => Buffer.from(query.transaction).toString('hex')))
  assert.is(transactions.size, MAX_QUERIES)
  queries.stop()
  assert.is(queries.size, 0)
  assert.is(events.length, MAX_QUERIES)
  assert.ok(events.every((event) => event.startsWith('failed')))
})

test.run()
