import * as assert from 'uvu/assert'
import {
  type Packet,
  type QuestionType,
  queries,
  type ResourceRecord,
  recordKey,
  responses,
} from '../../../discovery/mdns/packet.ts'
import { Responder } from '../../../discovery/mdns/responder.ts'
import { type NodeService, recordsOf, SERVICE_TYPE, serviceOf } from '../../../discovery/mdns/service.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'
import { addressesOf, nodeRecord } from '../support.ts'

const test = suite('mdns responder')
const lan = { interfaceName: 'eth0', loopback: false }
const asker = '10.77.0.9 5353'

const service = (): NodeService => serviceOf(nodeRecord(1), lan)!

/** A responder whose announcements are over; time stands at 10 s. */
const announced = (): Responder => {
  const responder = new Responder(seededRandom(1))
  responder.publish(0, service())
  responder.poll(0)
  responder.poll(1000)
  return responder
}

const ask = (name: string, type: QuestionType, known: ResourceRecord[] = []): Packet =>
  queries([{ name, type }], known)[0]!

const typesOf = (packets: readonly Packet[]): string[] =>
  packets.flatMap((packet) => packet.answers.map((record) => record.type))

test('announces at once and a second later, then no more', () => {
  const responder = new Responder(seededRandom(1))
  responder.publish(5000, service())
  assert.is(responder.deadlineMs(), 5000)
  assert.equal(typesOf(responder.poll(5000)), ['PTR', 'SRV', 'TXT', 'A'])
  assert.is(responder.deadlineMs(), 6000)
  assert.equal(responder.poll(5999), [])
  assert.equal(typesOf(responder.poll(6000)), ['PTR', 'SRV', 'TXT', 'A'])
  assert.is(responder.deadlineMs(), Number.POSITIVE_INFINITY)
})

test('answers a question for the service after 20 to 120 ms, with all that the asker will want next', () => {
  const responder = announced()
  responder.handle(10_000, ask(SERVICE_TYPE.toUpperCase(), 'PTR'), asker)
  const dueMs = responder.deadlineMs()
  assert.ok(dueMs >= 10_020 && dueMs <= 10_120, String(dueMs))
  assert.equal(responder.poll(10_019), [])
  const [packet] = responder.poll(dueMs)
  assert.equal(typesOf([packet!]), ['PTR'])
  assert.equal(
    packet?.additionals.map((record) => record.type),
    ['SRV', 'TXT', 'A'],
  )
})

test('answers questions for records that only it can hold without delay', () => {
  const responder = announced()
  responder.handle(10_000, ask(service().service.name, 'SRV'), asker)
  assert.is(responder.deadlineMs(), 10_000)
  assert.equal(typesOf(responder.poll(10_000)), ['SRV'])
})

test('keeps silent about other names and before it publishes', () => {
  const responder = announced()
  responder.handle(10_000, ask('_http._tcp.local', 'PTR'), asker)
  responder.handle(10_000, ask(SERVICE_TYPE, 'SRV'), asker)
  assert.is(responder.deadlineMs(), Number.POSITIVE_INFINITY)
  const silent = new Responder(seededRandom(1))
  silent.handle(0, ask(SERVICE_TYPE, 'PTR'), asker)
  assert.is(silent.deadlineMs(), Number.POSITIVE_INFINITY)
})

test('does not repeat an answer the asker knows, unless it is about to forget it', () => {
  const { pointer } = service()
  const responder = announced()
  responder.handle(10_000, ask(SERVICE_TYPE, 'PTR', [{ ...pointer, ttlSeconds: 2250 }]), asker)
  assert.is(responder.deadlineMs(), Number.POSITIVE_INFINITY)
  responder.handle(10_000, ask(SERVICE_TYPE, 'PTR', [{ ...pointer, ttlSeconds: 2249 }]), asker)
  assert.equal(typesOf(responder.poll(10_200)), ['PTR'])
})

test('waits for the known answers that follow a truncated query, and only from the same asker', () => {
  const truncated = { ...ask(SERVICE_TYPE, 'PTR'), truncated: true }
  const rest: Packet = { kind: 'query', questions: [], answers: [service().pointer], additionals: [], truncated: false }
  const responder = announced()
  responder.handle(10_000, truncated, asker)
  responder.handle(10_010, rest, asker)
  assert.equal(responder.poll(10_500), [])
  responder.handle(20_000, truncated, asker)
  responder.handle(20_010, rest, 'somebody else')
  assert.equal(responder.poll(20_399), [])
  assert.equal(typesOf(responder.poll(20_500)), ['PTR'])
})

test('says each record at most once a second however often it is asked', () => {
  const responder = announced()
  const saidMs = new Map<string, number[]>()
  for (let nowMs = 10_000; nowMs < 14_000; nowMs += 5) {
    responder.handle(nowMs, ask(SERVICE_TYPE, 'PTR'), asker)
    responder.handle(nowMs, ask(service().service.name, 'ANY'), asker)
    for (const { answers, additionals } of responder.poll(nowMs)) {
      for (const record of [...answers, ...additionals]) {
        const key = recordKey(record)
        saidMs.set(key, [...(saidMs.get(key) ?? []), nowMs])
      }
    }
  }
  assert.is(saidMs.size, 4)
  for (const [key, times] of saidMs) {
    assert.ok(times.length >= 3, `${key} was said`)
    for (let i = 1; i < times.length; i++) assert.ok(times[i]! - times[i - 1]! >= 1000, `${key} at ${times}`)
  }
})

test('says goodbye with a time to live of zero and is silent afterwards', () => {
  const responder = announced()
  responder.handle(10_000, ask(SERVICE_TYPE, 'PTR'), asker)
  const goodbye = responder.goodbye()
  assert.equal(typesOf(goodbye), ['PTR', 'SRV', 'TXT', 'A'])
  assert.ok(goodbye[0]!.answers.every((record) => record.ttlSeconds === 0))
  assert.equal(responder.poll(20_000), [])
  assert.equal(responder.goodbye(), [])
})

test('speaks up when somebody takes back what still holds, and not when they agree', () => {
  const responder = announced()
  responder.handle(10_000, responses(recordsOf(service()))[0]!, asker)
  assert.is(responder.deadlineMs(), Number.POSITIVE_INFINITY)
  responder.handle(10_000, responses([{ ...service().pointer, ttlSeconds: 0 }])[0]!, asker)
  assert.equal(typesOf(responder.poll(10_200)), ['PTR'])
})

test('a changed record is announced again, not sooner than a second after the last announcement', () => {
  const responder = new Responder(seededRandom(1))
  responder.publish(0, service())
  responder.poll(0)
  responder.publish(300, serviceOf(nodeRecord(1, { addresses: addressesOf('10.77.0.50:4433') }), lan)!)
  assert.equal(responder.poll(999), [])
  const [packet] = responder.poll(1000)
  assert.ok(packet?.answers.some((record) => record.type === 'A' && record.host === '10.77.0.50'))
  assert.is(responder.deadlineMs(), 2000)
})

test.run()
