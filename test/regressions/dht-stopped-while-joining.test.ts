/**
 * What waits for a DHT node to have joined hears of it however that ends. A node that was stopped meanwhile, or before,
 * left it waiting for ever; and where all lookups allowed at once were under way, the answer of the first node threw out
 * of `receive`, into the socket it came from.
 */
import * as assert from 'uvu/assert'
import { Dht } from '../../discovery/dht/dht.ts'
import { decodeMessage, encodeMessage } from '../../discovery/dht/krpc.ts'
import type { Address } from '../../transport/address.ts'
import { seededRandom } from '../../transport/random.ts'
import { VirtualClock } from '../../transport/virtual-clock.ts'
import { suite } from '../support/suite.ts'

const test = suite('DHT node that stops while it joins')
const GATE: Address = { host: '10.0.0.1', port: 6881 }
const KEY = new Uint8Array(20)

const open = () => {
  const clock = new VirtualClock()
  const sent: { bytes: Uint8Array; to: Address }[] = []
  const dht = new Dht({ clock, random: seededRandom(1), send: (bytes, to) => void sent.push({ bytes, to }) })
  return { clock, sent, dht }
}

test('who waits for it to join is told when it stops', async () => {
  const { dht } = open()
  const joined = dht.bootstrap([GATE])
  dht.stop()
  assert.is(await joined, 0)
})

test('a node that was stopped joins nothing, and says so', async () => {
  const { dht, sent } = open()
  dht.stop()
  assert.is(await dht.bootstrap([GATE]), 0)
  assert.is(sent.length, 0)
})

test('it has joined although no further lookup is allowed', async () => {
  const { dht, sent, clock } = open()
  const other = { host: '10.0.0.2', port: 6881 }
  const answer = (to: Address, id: number): void => {
    const query = sent.map(({ bytes, to }) => ({ query: decodeMessage(bytes)!, to })).findLast((one) => one.to === to)!
      .query as { transaction: Uint8Array }
    const reply = { kind: 'reply', transaction: query.transaction, id: new Uint8Array(20).fill(id), nodes: [] } as const
    dht.receive(encodeMessage(reply), to)
  }
  const first = dht.bootstrap([GATE])
  answer(GATE, 1)
  clock.advance(10_000)
  await first
  sent.length = 0
  const second = dht.bootstrap([other])
  const lookups = Array.from({ length: 300 }, () => dht.findNode(KEY).then(String, String))
  answer(other, 2)
  clock.advance(20_000)
  assert.is(await second, 1, 'the first one answered none of those lookups')
  await Promise.all(lookups)
  dht.stop()
})

test.run()
