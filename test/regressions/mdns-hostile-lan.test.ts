/**
 * Somebody on the link who names services that do not exist made every node ask aloud for each of them, as often as he
 * liked; plain resolvers beyond the limit cost an answer that was not sent; and one host that asked all the time had the
 * places of all that was to be answered.
 */
import * as assert from 'uvu/assert'
import { Browser } from '../../discovery/mdns/browser.ts'
import { Echoes } from '../../discovery/mdns/echoes.ts'
import type { Packet, PointerRecord, ResourceRecord } from '../../discovery/mdns/packet.ts'
import { packetBytes } from '../../discovery/mdns/packet.ts'
import { Replies } from '../../discovery/mdns/replies.ts'
import { Responder } from '../../discovery/mdns/responder.ts'
import { SERVICE_TYPE, serviceOf } from '../../discovery/mdns/service.ts'
import { seededRandom } from '../../transport/random.ts'
import { nodeRecord } from '../discovery/support.ts'
import { suite } from '../support/suite.ts'

const test = suite('a hostile LAN')

const lan = { interfaceName: 'eth0', loopback: false }
const self = nodeRecord(1)

const packet = (kind: Packet['kind'], parts: Partial<Packet>): Packet => ({
  kind,
  id: 0,
  questions: [],
  answers: [],
  authorities: [],
  additionals: [],
  truncated: false,
  ...parts,
})

const pointer = (number: number): PointerRecord => ({
  type: 'PTR',
  name: SERVICE_TYPE,
  ttlSeconds: 4500,
  flush: false,
  target: `${'x'.repeat(50)}-${number}.${SERVICE_TYPE}`,
})

test('services that do not exist are asked for at a bounded rate, whoever is to be found among them', () => {
  const browser = new Browser(0, self, lan, seededRandom(1))
  let questions = 0
  let bytes = 0
  let number = 0
  for (let ms = 0; ms < 10_000; ms += 10) {
    browser.handle(ms, packet('response', { answers: Array.from({ length: 20 }, () => pointer(number++)) }))
    for (const sent of browser.poll(ms)) {
      questions += sent.questions.length
      bytes += packetBytes(sent)
    }
  }
  assert.ok(questions <= 2 * (128 + 10 * 64) + 10, `${questions} questions for ${number} names`)
  // Each query also has what is known already, so that nobody says it again.
  assert.ok(bytes < 600_000, `${bytes} bytes within ten seconds`)
  assert.ok(browser.size.instances <= 1024)
  assert.ok(Number.isFinite(browser.deadlineMs()))
})

const answering = (): { responder: Responder; nowMs: number } => {
  const responder = new Responder(seededRandom(1), new Echoes())
  responder.publish(0, (numbers) => serviceOf(self, lan, numbers)!)
  let nowMs = 0
  for (; nowMs < 5000; nowMs += 50) responder.poll(nowMs)
  assert.ok(responder.service)
  return { responder, nowMs }
}

test('floods of questions, probes and denials: a few packets a second, each no longer than allowed', () => {
  const { responder, nowMs } = answering()
  const service = responder.service!
  const questions = Array.from({ length: 100 }, (_, i) => ({
    name: i % 2 === 0 ? SERVICE_TYPE : service.pointer.target,
    type: 'ANY' as const,
  }))
  const proposal: ResourceRecord = { ...service.service, flush: false }
  const denial: ResourceRecord = { ...service.pointer, ttlSeconds: 0 }
  let sent = 0
  for (let ms = nowMs; ms < nowMs + 10_000; ms += 5) {
    responder.handle(ms, packet('query', { questions }), `192.0.2.${ms % 250}`)
    responder.handle(ms, packet('query', { questions, authorities: [proposal] }), `192.0.2.${ms % 250}`)
    responder.handle(ms, packet('response', { answers: [denial] }), '192.0.2.9')
    for (const one of responder.poll(ms)) {
      sent++
      assert.ok(packetBytes(one) <= 1400)
    }
  }
  assert.ok(sent <= 60, `${sent} packets within ten seconds for 6000`)
})

test('of plain resolvers no more are served than allowed, and the others cost next to nothing', () => {
  const { responder, nowMs } = answering()
  let looked = 0
  const questions = [
    {
      type: 'PTR' as const,
      get name(): string {
        looked++
        return SERVICE_TYPE
      },
    },
  ]
  let answered = 0
  for (let i = 0; i < 1000; i++) if (responder.answerLegacy(nowMs, packet('query', { questions }))) answered++
  assert.is(answered, 32)
  const before = looked
  responder.answerLegacy(nowMs, packet('query', { questions }))
  assert.is(looked, before, 'not even looked at')
})

test('one who asks without end has not the places of the others', () => {
  const replies = new Replies()
  for (let i = 0; i < 1000; i++) replies.add({ atMs: 100, asker: 'loud', records: [pointer(1)] })
  replies.add({ atMs: 100, asker: 'quiet', records: [pointer(2)] })
  const said = replies.due(100).map((record) => (record as PointerRecord).target)
  assert.equal(said.sort(), [pointer(1).target, pointer(2).target])
})

test.run()
