import * as assert from 'uvu/assert'
import { Echoes } from '../../../discovery/mdns/echoes.ts'
import {
  type Packet,
  type QuestionType,
  queries,
  type ResourceRecord,
  recordKey,
  responses,
} from '../../../discovery/mdns/packet.ts'
import { Responder, type ServiceBuilder } from '../../../discovery/mdns/responder.ts'
import { type NodeService, recordsOf, SERVICE_TYPE, serviceOf } from '../../../discovery/mdns/service.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'
import { addressesOf, nodeRecord } from '../support.ts'

const test = suite('mdns responder')
const lan = { interfaceName: 'eth0', loopback: false }
const asker = '10.77.0.9 5353'

const service = (): NodeService => serviceOf(nodeRecord(1), lan)!
const build: ServiceBuilder = (numbers) => serviceOf(nodeRecord(1), lan, numbers)!
const newResponder = (seed = 1): Responder => new Responder(seededRandom(seed), new Echoes())

/** A responder whose announcements are over by 3 s; time stands at 10 s. */
const announced = (): Responder => {
  const responder = newResponder()
  responder.publish(0, build)
  runUntil(responder, 10_000)
  return responder
}

/** Polls at every deadline up to this time and gives each packet with its time. */
const runUntil = (responder: Responder, untilMs: number): { atMs: number; packet: Packet }[] => {
  const sent: { atMs: number; packet: Packet }[] = []
  for (let steps = 0; responder.deadlineMs() <= untilMs; steps++) {
    assert.ok(steps < 10_000, 'polling comes to an end')
    const atMs = responder.deadlineMs()
    for (const packet of responder.poll(atMs)) sent.push({ atMs, packet })
  }
  return sent
}

const ask = (name: string, type: QuestionType, known: ResourceRecord[] = []): Packet =>
  queries([{ name, type }], known)[0]!

const typesOf = (packets: readonly Packet[]): string[] =>
  packets.flatMap((packet) => packet.answers.map((record) => record.type))

test('probes three times, 250 ms apart, after up to 250 ms, then announces twice, a second apart', () => {
  const responder = newResponder()
  responder.publish(5000, build)
  const sent = runUntil(responder, 60_000)
  assert.equal(
    sent.map(({ packet }) => packet.kind),
    ['query', 'query', 'query', 'response', 'response'],
  )
  const firstMs = sent[0]!.atMs
  assert.ok(firstMs >= 5000 && firstMs <= 5250, String(firstMs))
  assert.equal(
    sent.map(({ atMs }) => Math.round(atMs - firstMs)),
    [0, 250, 500, 750, 1750],
  )
  const [probe] = sent
  assert.equal(
    probe!.packet.questions.map(({ type, name }) => `${type} ${name}`),
    [`ANY ${service().pointer.target}`, `ANY ${service().service.target}`],
  )
  assert.equal(
    probe!.packet.authorities.map(({ type, flush }) => `${type} ${flush}`),
    ['SRV false', 'TXT false', 'A false'],
    'what it proposes, without the cache-flush bit',
  )
  const announcement = sent[3]!.packet
  assert.equal(
    announcement.answers.map(({ type, flush }) => `${type} ${flush}`),
    ['PTR false', 'SRV true', 'TXT true', 'A true', 'PTR false'],
  )
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
    ['SRV', 'TXT', 'A', 'NSEC', 'NSEC'],
  )
})

test('answers questions for records that only it can hold without delay', () => {
  const responder = announced()
  responder.handle(10_000, ask(service().service.name, 'SRV'), asker)
  assert.is(responder.deadlineMs(), 10_000)
  assert.equal(typesOf(responder.poll(10_000)), ['SRV'])
})

test('answers for the service at once where nobody else has one', () => {
  const responder = announced()
  responder.handle(10_000, ask(SERVICE_TYPE, 'PTR'), asker, true)
  assert.equal(typesOf(responder.poll(10_000)), ['PTR'])
  // A part of the question is for others to answer.
  const mixed = {
    ...ask(SERVICE_TYPE, 'PTR'),
    questions: [SERVICE_TYPE, '_http._tcp.local'].map((name) => ({ name, type: 'PTR' as const })),
  }
  responder.handle(20_000, mixed, asker, true)
  assert.ok(responder.deadlineMs() >= 20_020)
})

test('keeps silent about other names and before it publishes', () => {
  const responder = announced()
  responder.handle(10_000, ask('_http._tcp.local', 'PTR'), asker)
  responder.handle(10_000, ask(SERVICE_TYPE, 'SRV'), asker)
  assert.is(responder.deadlineMs(), Number.POSITIVE_INFINITY)
  const silent = newResponder()
  silent.handle(0, ask(SERVICE_TYPE, 'PTR'), asker)
  assert.is(silent.deadlineMs(), Number.POSITIVE_INFINITY)
  silent.publish(0, build)
  silent.handle(0, ask(SERVICE_TYPE, 'PTR'), asker)
  silent.handle(0, ask(service().service.name, 'SRV'), asker)
  const early = runUntil(silent, 740)
  assert.ok(early.every(({ packet }) => packet.kind === 'query'))
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
  const rest: Packet = { ...ask(SERVICE_TYPE, 'PTR', [service().pointer]), questions: [] }
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
  assert.is(saidMs.size, 6)
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

test('a changed record is announced again without probing, not sooner than a second after the last announcement', () => {
  const responder = newResponder()
  responder.publish(0, build)
  const announcedMs = runUntil(responder, 1000).at(-1)!.atMs
  const moved = nodeRecord(1, { addresses: addressesOf('10.77.0.50:4433') })
  responder.publish(announcedMs + 300, (numbers) => serviceOf(moved, lan, numbers)!)
  assert.equal(responder.poll(announcedMs + 999), [])
  const [packet] = responder.poll(announcedMs + 1000)
  assert.ok(packet?.answers.some((record) => record.type === 'A' && record.host === '10.77.0.50'))
  assert.is(responder.deadlineMs(), announcedMs + 2000)
  responder.publish(announcedMs + 1100, (numbers) => serviceOf(moved, lan, numbers)!)
  assert.is(responder.deadlineMs(), announcedMs + 2000, 'the same once more is nothing new')
})

test('says which types of services it has, and never takes that back', () => {
  const responder = announced()
  responder.handle(10_000, ask('_services._dns-sd._udp.local', 'PTR'), asker)
  const [packet] = responder.poll(10_200)
  assert.equal(
    packet?.answers.map((record) => record.type === 'PTR' && record.target),
    [SERVICE_TYPE],
  )
  assert.equal(packet?.additionals, [])
  assert.ok(responder.goodbye()[0]!.answers.every(({ name }) => !name.startsWith('_services')))
})

test('denies what its names have not', () => {
  const { service: instance } = service()
  for (const [name, type, types] of [
    [instance.target, 'AAAA', ['A']],
    [instance.target, 'OTHER', ['A']],
    [instance.name, 'A', ['TXT', 'SRV']],
  ] as const) {
    const responder = announced()
    responder.handle(10_000, ask(name, type), asker)
    const [packet] = responder.poll(10_000)
    const [record] = packet?.answers ?? []
    assert.ok(record?.type === 'NSEC', `${type} ${name}`)
    assert.equal(record.types, types)
    assert.is(record.name, name)
  }
})

test('answers a plain resolver with its id and question, ten seconds to keep and no cache-flush bit', () => {
  const responder = announced()
  const query = { ...ask(service().service.target, 'A'), id: 4711 }
  const answer = responder.answerLegacy(10_000, query)
  assert.is(answer?.id, 4711)
  assert.equal(answer?.questions, query.questions)
  assert.equal(
    answer?.answers.map(({ type, ttlSeconds, flush }) => `${type} ${ttlSeconds} ${flush}`),
    ['A 10 false'],
  )
  assert.is(responder.answerLegacy(10_000, ask('other.local', 'A')), undefined)
  assert.is(responder.answerLegacy(10_000, ask(service().service.target, 'AAAA')), undefined)
  assert.is(responder.deadlineMs(), Number.POSITIVE_INFINITY, 'nothing is multicast')
  let answered = 0
  for (let n = 0; n < 1000; n++) if (responder.answerLegacy(10_500, query)) answered++
  assert.ok(answered < 40, String(answered))
  assert.ok(responder.answerLegacy(11_500, query))
})

/** What somebody else says of our instance. */
const rivalOf = ({ service: ours }: NodeService): ResourceRecord => ({ ...ours, port: 1234, target: 'other.local' })
const instanceOf = (responder: Responder): string | undefined => responder.service?.pointer.target.split('.')[0]

test('a taken instance label gets a number, the name of the node stays; so does a taken host label', () => {
  const responder = newResponder()
  responder.publish(0, build)
  runUntil(responder, 300)
  responder.handle(300, responses([rivalOf(service())])[0]!, asker)
  const host: ResourceRecord = { ...service().hosts[0]!, host: '10.77.0.99' }
  runUntil(responder, 600)
  responder.handle(600, responses([host])[0]!, asker)
  runUntil(responder, 5000)
  const label = service().pointer.target.split('.')[0]
  assert.is(instanceOf(responder), `${label}-2`)
  assert.is(responder.service?.service.target, service().service.target.replace('.local', '-2.local'))
  assert.equal(responder.service?.text.strings, service().text.strings)
})

test('what was said before the first probe, is said again by an echo, or taken back is no conflict', () => {
  const echoes = new Echoes()
  const responder = new Responder(seededRandom(1), echoes)
  responder.publish(0, build)
  responder.handle(0, responses([rivalOf(service())])[0]!, asker)
  runUntil(responder, 300)
  responder.handle(310, responses([{ ...rivalOf(service()), ttlSeconds: 0 }])[0]!, asker)
  responder.handle(310, responses(recordsOf(service()))[0]!, asker)
  const elsewhere: ResourceRecord = { ...service().hosts[0]!, host: '10.88.0.1' }
  echoes.say(300, [elsewhere])
  responder.handle(310, responses([elsewhere])[0]!, asker)
  runUntil(responder, 1000)
  assert.is(responder.service?.pointer.target, service().pointer.target)
})

test('of two that probe at once the later data wins: the loser waits a second and finds the name taken', () => {
  const [low, high] = ['aaaa', 'zzzz'].map((inc) => {
    const record = nodeRecord(1, { incarnation: inc, addresses: addressesOf('10.77.0.1:4433') })
    const responder = newResponder(inc === 'aaaa' ? 1 : 2)
    responder.publish(0, (numbers) => serviceOf(record, lan, numbers)!)
    return responder
  }) as [Responder, Responder]
  const said: string[] = []
  for (let nowMs = 0; nowMs < 6000; nowMs += 5) {
    for (const [who, other] of [
      [low, high],
      [high, low],
    ] as const) {
      for (const packet of who.poll(nowMs)) {
        other.handle(nowMs + 1, packet, asker)
        who.handle(nowMs + 1, packet, asker)
        if (packet.kind === 'response') said.push(`${who === low ? 'low' : 'high'} ${nowMs}`)
      }
    }
  }
  assert.match(said[0] ?? '', 'high')
  const label = service().pointer.target.split('.')[0]
  assert.is(instanceOf(high), label)
  assert.is(instanceOf(low), `${label}-2`)
})

test('the same proposal from somebody else is no tie to break', () => {
  const [one, two] = [newResponder(1), newResponder(2)]
  for (const responder of [one, two]) responder.publish(0, build)
  const probe = runUntil(one, 250)[0]!.packet
  two.handle(250, probe, asker)
  assert.ok(runUntil(two, 1010).some(({ packet }) => packet.kind === 'response'))
})

test('a conflict that shows later leads to probing again, and to a number only if the other insists', () => {
  const peaceful = announced()
  peaceful.handle(10_000, responses([rivalOf(service())])[0]!, asker)
  assert.is(peaceful.service, undefined, 'answers nothing while it probes')
  runUntil(peaceful, 12_000)
  assert.is(peaceful.service?.pointer.target, service().pointer.target)

  const yielding = announced()
  yielding.handle(10_000, responses([rivalOf(service())])[0]!, asker)
  const probe = runUntil(yielding, 10_250)[0]!
  yielding.handle(probe.atMs + 1, responses([rivalOf(service())])[0]!, asker)
  runUntil(yielding, 15_000)
  assert.match(instanceOf(yielding) ?? '', /-2$/)
})

test('a probe for a name of ours is answered at once, even a moment after the last time', () => {
  const responder = announced()
  const { service: ours } = service()
  const probe: Packet = { ...ask(ours.name, 'ANY'), authorities: [rivalOf(service())] }
  for (const nowMs of [10_000, 10_250, 10_500]) {
    responder.handle(nowMs, probe, asker)
    assert.equal(typesOf(responder.poll(nowMs)), ['SRV', 'TXT'])
  }
})

test('after fifteen conflicts within ten seconds it probes no more than every five seconds', () => {
  const responder = newResponder()
  responder.publish(0, build)
  const firstProbes: number[] = []
  let label = ''
  for (let steps = 0; steps < 200; steps++) {
    const atMs = responder.deadlineMs()
    for (const packet of responder.poll(atMs)) {
      assert.is(packet.kind, 'query')
      const name = packet.questions[0]!.name
      if (name !== label) firstProbes.push(atMs)
      label = name
      responder.handle(atMs, responses([{ ...rivalOf(service()), name }])[0]!, asker)
    }
  }
  assert.ok(firstProbes.length > 30)
  for (let i = 16; i < firstProbes.length; i++) {
    const within = firstProbes.filter((atMs) => atMs > firstProbes[i]! - 10_000 && atMs <= firstProbes[i]!)
    assert.ok(within.length <= 16, `${within}`)
  }
  const pauses = firstProbes.slice(16).map((atMs, index) => atMs - firstProbes[index + 15]!)
  assert.ok(pauses.some((ms) => ms >= 5000))
})

test.run()
