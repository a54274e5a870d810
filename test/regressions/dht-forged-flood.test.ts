/**
 * Floods whose source is forged, another one in each datagram: no source is ever over its rate, so all of it was read and
 * answered. And one source that we had asked something could have all its junk read by naming our question in it.
 */
import { randomBytes } from 'node:crypto'
import * as assert from 'uvu/assert'
import { Dht } from '../../discovery/dht/dht.ts'
import { decodeMessage, encodeMessage } from '../../discovery/dht/krpc.ts'
import type { Query } from '../../discovery/dht/message.ts'
import type { Address } from '../../transport/address.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('DHT flood from forged sources')
const FRIEND: Address = { host: '45.72.0.1', port: 6881 }
const ID = new Uint8Array(20).fill(7)
const ping = (): Uint8Array =>
  encodeMessage({ kind: 'query', method: 'ping', transaction: randomBytes(2), id: randomBytes(20), readOnly: true })

const open = () => {
  const clock = new VirtualClock()
  const sent: { bytes: Uint8Array; to: Address }[] = []
  const dht = new Dht({ clock, random: seededRandom(1), send: (bytes, to) => void sent.push({ bytes, to }) })
  const question = (): Query =>
    sent.map(({ bytes }) => decodeMessage(bytes)).findLast((message) => message?.kind === 'query') as Query
  const flood = (count: number): void => {
    for (let i = 0; i < count; i++) dht.receive(ping(), { host: `60.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, port: 1 })
  }
  return { clock, sent, dht, question, flood }
}

test('most of it is dropped unread; who has answered us is served, and who answers is heard', async () => {
  const { dht, sent, clock, question, flood } = open()
  const joined = dht.bootstrap([FRIEND])
  flood(60_000)
  assert.ok(dht.counters().dropped! > 55_000, JSON.stringify(dht.counters()))
  dht.receive(encodeMessage({ kind: 'reply', transaction: question().transaction, id: ID, nodes: [] }), FRIEND)
  sent.length = 0
  dht.receive(ping(), FRIEND)
  assert.is(sent.filter(({ to }) => to === FRIEND).length, 1)
  clock.advance(20_000)
  assert.is(await joined, 1)
  dht.stop()
})

test('who names our question in junk is read once', () => {
  const { dht, question } = open()
  for (let i = 0; i < 1000; i++) dht.receive(ping(), FRIEND)
  void dht.bootstrap([FRIEND])
  const junk = Buffer.concat([Buffer.from('d1:t4:'), question().transaction, Buffer.from('1:y1:xe')])
  const before = dht.counters().receivedBad!
  for (let i = 0; i < 1000; i++) dht.receive(junk, FRIEND)
  assert.is(dht.counters().receivedBad! - before, 1)
  dht.stop()
})

test.run()
