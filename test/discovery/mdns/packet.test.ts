import * as assert from 'uvu/assert'
import {
  MAX_PACKET_BYTES,
  type Packet,
  packetBytes,
  probes,
  queries,
  responses,
} from '../../../discovery/mdns/packet.ts'
import { readText, recordsOf, SERVICE_TYPE, serviceOf, uniqueRecordsOf } from '../../../discovery/mdns/service.ts'
import { suite } from '../../support/suite.ts'
import { addressesOf, nodeRecord } from '../support.ts'
import { decode, encode } from './coding.ts'

const test = suite('mdns packets')
const lan = { interfaceName: 'eth0', loopback: false }
const loopback = { interfaceName: 'lo', loopback: true }

const announcement = (): Packet =>
  responses(
    recordsOf(serviceOf(nodeRecord(1, { addresses: addressesOf('10.77.0.1:4433', '[fd77::1]:4433') }), lan)!),
  )[0]!

test('an announcement comes back from the wire as it was, in exactly the bytes computed', async () => {
  const packet = announcement()
  const bytes = await encode(packet)
  assert.is(bytes.length, packetBytes(packet))
  assert.equal(decode(bytes), packet)
})

test('a query with known answers and the TC bit comes back from the wire as it was', async () => {
  const [pointer] = announcement().answers
  const known = Array.from({ length: 60 }, (_, n) => ({ ...pointer!, target: `node${n}-abcdefghijkl.${SERVICE_TYPE}` }))
  const packets = queries([{ name: SERVICE_TYPE, type: 'PTR' }], known as never)
  assert.is(packets.length, 3)
  assert.equal(
    packets.map((packet) => packet.truncated),
    [true, true, false],
  )
  assert.equal(
    packets.map((packet) => packet.questions.length),
    [1, 0, 0],
  )
  for (const packet of packets) {
    const bytes = await encode(packet)
    assert.is(bytes.length, packetBytes(packet))
    assert.ok(bytes.length <= MAX_PACKET_BYTES)
    assert.equal(decode(bytes), packet)
  }
})

test('the cache-flush bit is on SRV, TXT, A and AAAA and never on PTR; host records live 120 s, others 75 min', async () => {
  const records = decode(await encode(announcement()))!.answers
  const table = records.map(({ type, flush, ttlSeconds }) => `${type} ${flush} ${ttlSeconds}`)
  assert.equal(table, ['PTR false 4500', 'SRV true 120', 'TXT true 4500', 'A true 120', 'AAAA true 120'])
})

test('a question that asks for a unicast answer is a question all the same', async () => {
  const bytes = await encode(queries([{ name: SERVICE_TYPE, type: 'PTR' }])[0]!)
  bytes.writeUInt16BE(0x8001, bytes.length - 2)
  assert.equal(decode(bytes)?.questions, [{ name: SERVICE_TYPE, type: 'PTR' }])
})

test('loopback addresses stay on the loopback, link-local ones on their link', () => {
  const record = nodeRecord(1, {
    addresses: addressesOf('127.0.0.1:4433', '10.77.0.1:4433', '[fe80::1%eth0]:4433', '[fe80::2%eth1]:4433'),
  })
  const hosts = (scope: typeof lan): string[] => serviceOf(record, scope)!.hosts.map(({ host }) => host)
  assert.equal(hosts(lan), ['10.77.0.1', 'fe80::1'])
  assert.equal(hosts(loopback), ['127.0.0.1', '10.77.0.1'])
  assert.is(serviceOf(nodeRecord(1, { addresses: addressesOf('127.0.0.1:4433') }), lan), undefined)
})

test('labels fit whatever the name, and tell apart nodes of one name', async () => {
  for (const name of ['a', 'app.1@my.host.example', 'é'.repeat(60), `${'x'.repeat(64)}@${'y'.repeat(180)}`]) {
    const one = serviceOf(nodeRecord(1, { name }), lan)!
    const two = serviceOf(nodeRecord(2, { name }), lan)!
    assert.is.not(one.pointer.target, two.pointer.target)
    assert.ok(Buffer.byteLength(one.pointer.target.slice(0, -SERVICE_TYPE.length - 1)) <= 63)
    const packet = responses(recordsOf(one))[0]!
    assert.equal(decode(await encode(packet)), packet)
    assert.is(readText(one.text.strings)?.name, name)
  }
})

test('the longest name, as many registrations and addresses as there may be: every record of the node fits a packet', async () => {
  const registrations = Array.from({ length: 8 }, (_, n) => ({
    name: `service${n}`,
    metadata: { text: 'x'.repeat(200) },
  }))
  const addresses = addressesOf(...Array.from({ length: 16 }, (_, n) => `[fd77::${n + 1}]:4433`))
  const name = `${'x'.repeat(64)}@${'y'.repeat(180)}`
  const service = serviceOf(nodeRecord(1, { name, registrations, addresses }), lan)!
  const proposed = uniqueRecordsOf(service)
  const packets = probes([service.pointer.target, service.service.target], proposed)
  assert.is(packets.flatMap(({ authorities }) => authorities).length, proposed.length)
  const announced = responses(recordsOf(service))
  assert.is(announced.flatMap(({ answers }) => answers).length, recordsOf(service).length)
  for (const packet of [...packets, ...announced]) {
    const bytes = await encode(packet)
    assert.is(bytes.length, packetBytes(packet))
    assert.ok(bytes.length <= MAX_PACKET_BYTES, String(bytes.length))
    assert.equal(decode(bytes), packet)
  }
})

test('registrations come back as they were, and what cannot be written is left out', () => {
  const registrations = [
    { name: 'db', metadata: { zone: 'eu;1=ö' } },
    { name: 'broken', metadata: { half: '\ud800' } },
    { name: 'cache', metadata: {} },
  ]
  const text = readText(serviceOf(nodeRecord(1, { registrations }), lan)!.text.strings)
  assert.equal(text?.registrations, [registrations[0], registrations[2]])
})

test('denials and proposals come back from the wire as they were', async () => {
  const service = serviceOf(nodeRecord(1), lan)!
  const [probe] = probes([service.pointer.target], uniqueRecordsOf(service))
  for (const packet of [probe!, ...responses(service.denials)]) {
    const bytes = await encode(packet)
    assert.is(bytes.length, packetBytes(packet))
    assert.equal(decode(bytes), packet)
  }
})

test('TXT records of other versions, with missing or malformed values, say nothing', () => {
  const good = serviceOf(nodeRecord(1), lan)!.text.strings
  assert.ok(readText(good))
  assert.ok(readText([...good, 'future=1', 'flag', '=x']), 'unknown keys are ignored')
  for (const key of ['v', 'id', 'name', 'inc', 'tag']) {
    assert.is(readText(good.filter((text) => !text.startsWith(`${key}=`))), undefined, `without ${key}`)
  }
  for (const bad of ['v=2', 'id=short', 'name=a b', 'name=a\u0007', 'name=', 'inc=xyz']) {
    const key = bad.split('=')[0]
    assert.is(readText(good.map((text) => (text.startsWith(`${key}=`) ? bad : text))), undefined, bad)
  }
})

test.run()
