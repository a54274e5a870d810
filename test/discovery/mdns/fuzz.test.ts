/** Hostile bytes: whatever arrives, nothing is thrown, everything stays bounded, and honest nodes stay seen. */
import * as assert from 'uvu/assert'
import { Browser, MAX_SERVICES } from '../../../discovery/mdns/browser.ts'
import { Echoes } from '../../../discovery/mdns/echoes.ts'
import { MAX_PACKET_BYTES, type Packet, packetBytes, queries, responses } from '../../../discovery/mdns/packet.ts'
import { Responder } from '../../../discovery/mdns/responder.ts'
import { recordsOf, SERVICE_TYPE, serviceOf } from '../../../discovery/mdns/service.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'
import { nodeRecord } from '../support.ts'
import { decode, encode } from './coding.ts'

const test = suite('mdns fuzz')
const lan = { interfaceName: 'eth0', loopback: false }
const MUTATIONS = 6_000

test('truncated, flipped and random packets are dropped or read, never thrown, and never sent on malformed', async () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  console.log(`seed ${seed}`)
  const random = seededRandom(seed)
  const pick = (below: number): number => Math.floor(random.float() * below)
  const own = nodeRecord(1)
  const browser = new Browser(0, own, lan, random)
  const responder = new Responder(random, new Echoes())
  responder.publish(0, (numbers) => serviceOf(own, lan, numbers)!)

  const records = recordsOf(serviceOf(nodeRecord(2), lan)!)
  const samples = [
    await encode(responses(records)[0]!),
    await encode(queries([{ name: SERVICE_TYPE, type: 'PTR' }], records.slice(0, 1))[0]!),
    await encode(queries(recordsOf(serviceOf(own, lan)!).map(({ name, type }) => ({ name, type })))[0]!),
  ]
  const mutate = (): Buffer => {
    const bytes = Buffer.from(samples[pick(samples.length)]!)
    const kind = pick(4)
    if (kind === 0) return bytes.subarray(0, pick(bytes.length))
    if (kind === 1) return Buffer.from(random.bytes(pick(300)))
    const flips = kind === 2 ? 1 : 1 + pick(20)
    for (let i = 0; i < flips; i++) bytes[pick(bytes.length)] = pick(256)
    return bytes
  }

  let malformed = 0
  const sent: Packet[] = []
  for (let i = 0; i < MUTATIONS; i++) {
    const nowMs = i * 10
    const packet = decode(mutate())
    if (packet === undefined) malformed++
    else {
      responder.handle(nowMs, packet, 'fuzz')
      browser.handle(nowMs, packet)
    }
    sent.push(...responder.poll(nowMs), ...browser.poll(nowMs))
    for (const { seen } of browser.takeChanges()) if (seen) assert.ok(seen.addresses.length > 0)
  }
  assert.ok(malformed > MUTATIONS / 10, 'some are malformed')
  assert.ok(malformed < MUTATIONS, 'some are not')
  assert.ok(browser.size.instances <= MAX_SERVICES)
  assert.ok(sent.length > 100)
  for (const packet of sent.slice(-2000)) {
    const bytes = await encode(packet)
    assert.ok(bytes.length <= MAX_PACKET_BYTES)
    assert.is(bytes.length, packetBytes(packet))
    assert.ok(decode(bytes), 'what is sent can be read')
  }

  const endMs = MUTATIONS * 10
  browser.handle(endMs, responses(recordsOf(serviceOf(nodeRecord(3), lan)!))[0]!)
  assert.ok(browser.takeChanges().some(({ seen }) => seen?.name === 'node3@host'))
})

test('names that cannot be written again are left out', async () => {
  const bytes = await encode(responses(recordsOf(serviceOf(nodeRecord(2), lan)!))[0]!)
  const label = bytes.indexOf('node2')
  // Every byte that is no UTF-8 becomes a character of three bytes: the label would not fit any more.
  bytes.fill(0xff, label, label + 16)
  assert.equal(
    decode(bytes)?.answers.filter(({ type }) => type === 'PTR'),
    [],
  )
})

test.run()
