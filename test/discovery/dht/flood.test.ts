/** Floods of junk: a source beyond its rate is not even read, others are still heard, and nothing grows with what comes in. */
import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as assert from 'uvu/assert'
import { Dht } from '../../../discovery/dht/dht.ts'
import { decodeMessage, encodeMessage } from '../../../discovery/dht/krpc.ts'
import type { Address } from '../../../transport/address.ts'
import { seededRandom } from '../../../transport/random.ts'
import { VirtualClock } from '../../../transport/virtual-clock.ts'
import { suite } from '../../support/suite.ts'

const test = suite('DHT floods')
const FLOODER: Address = { host: '45.71.0.1', port: 6881 }
const OTHER: Address = { host: '45.72.0.1', port: 6881 }
const ping = (transaction: number): Uint8Array =>
  encodeMessage({
    kind: 'query',
    method: 'ping',
    transaction: Uint8Array.of(transaction),
    id: randomBytes(20),
    readOnly: false,
  })
const unasked = (): Uint8Array =>
  encodeMessage({ kind: 'reply', transaction: randomBytes(4), id: randomBytes(20), nodes: [] })
const broken = (): Uint8Array => Buffer.from(`d1:a${'l'.repeat(100)}${'e'.repeat(100)}e`)

const open = () => {
  const clock = new VirtualClock()
  const sent: { bytes: Uint8Array; to: Address }[] = []
  const send = (bytes: Uint8Array, to: Address): void => {
    sent.push({ bytes, to })
  }
  return { clock, sent, dht: new Dht({ clock, random: seededRandom(1), send }) }
}

for (const [what, junk] of [
  ['queries', () => ping(1)],
  ['answers nobody asked for', unasked],
  ['broken bencode', broken],
] as const) {
  test(`a flood of ${what} is dropped unread, and others are answered`, () => {
    const { dht, sent } = open()
    for (let i = 0; i < 10_000; i++) dht.receive(junk(), FLOODER)
    assert.ok(dht.counters().dropped! >= 9_900, JSON.stringify(dht.counters()))
    sent.length = 0
    dht.receive(ping(7), OTHER)
    const answers = sent.filter(({ to }) => to.host === OTHER.host).map(({ bytes }) => decodeMessage(bytes)?.kind)
    assert.ok(answers.includes('reply'))
    dht.stop()
  })
}

test('a flooder whom we ask is still heard', async () => {
  const { dht, sent, clock } = open()
  for (let i = 0; i < 1000; i++) dht.receive(broken(), FLOODER)
  const joined = dht.bootstrap([FLOODER])
  const question = sent.map(({ bytes }) => decodeMessage(bytes)).find((message) => message?.kind === 'query')
  assert.ok(question)
  const { transaction } = question!
  dht.receive(encodeMessage({ kind: 'reply', transaction, id: randomBytes(20), nodes: [] }), FLOODER)
  clock.advance(20_000)
  assert.is(await joined, 1)
  dht.stop()
})

test(
  'memory stays flat under junk from everywhere',
  () => {
    setFlagsFromString('--expose-gc')
    const collect = runInNewContext('gc') as () => void
    const { dht, sent, clock } = open()
    const flood = (count: number): number => {
      for (let i = 0; i < count; i++) {
        const [a, b, c] = randomBytes(3) as unknown as [number, number, number]
        const from = { host: `45.${a}.${b}.${c}`, port: 6881 }
        dht.receive([ping(1), unasked(), broken()][i % 3]!, from)
        sent.length = 0
        if (i % 100 === 0) clock.advance(10)
      }
      collect()
      return process.memoryUsage().heapUsed
    }
    const full = flood(60_000)
    const later = flood(60_000)
    assert.ok(later - full < 2 << 20, `${later - full} bytes more`)
    dht.stop()
  },
  { deadlineMs: 60_000 },
)

test.run()
