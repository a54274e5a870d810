import * as assert from 'uvu/assert'
import { encode } from '../../../discovery/dht/bencode.ts'
import { decodeMessage, encodeMessage } from '../../../discovery/dht/krpc.ts'
import { type Contact, FAULT, type ItemBody, type Query } from '../../../discovery/dht/message.ts'
import { makeImmutable, targetOf } from '../../../discovery/dht/signed-item.ts'
import { SECRET_LIFETIME_MS } from '../../../discovery/dht/tokens.ts'
import { suite } from '../../support/suite.ts'
import {
  ASKER_ID,
  alice,
  bob,
  contactsOf,
  Desk,
  hostOf,
  keyOf,
  mutableItem,
  OWN_ID,
  signerOf,
  TRANSACTION,
  tableOf,
} from './storage-support.ts'

const test = suite('responder')
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'))
const TARGET = keyOf(3)
const signer = signerOf(1)

const put = (item: ItemBody, token: Uint8Array, more: { salt?: Uint8Array; compareAndSwap?: number } = {}) =>
  ({ method: 'put', token, item, ...more }) as const

/** Puts with a token for the item's place; the code of the fault, 'stored' or 'silence'. */
const store = (desk: Desk, item: ItemBody, from = alice, more: { salt?: Uint8Array; compareAndSwap?: number } = {}) =>
  desk.outcome(put(item, desk.token(targetOf(item, more.salt), from), more), from)

test('the examples of BEP 5 are answered as there', () => {
  const desk = new Desk({ tables: new Map([['ip4', tableOf(bytes('mnopqrstuvwxyz123456'))]]) })
  const ping = bytes('d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe')
  const answer = Buffer.from(desk.receive(ping, { host: '97.120.106.101', port: 11893 })!).toString('latin1')
  assert.is(answer, 'd2:ip6:axje.u1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re')
})

test('a reply names the transaction, the own id and the address seen', () => {
  const desk = new Desk()
  for (const from of [alice, { host: '2001:db8::1', port: 9 }]) {
    for (const question of [
      { method: 'ping' },
      { method: 'find_node', target: TARGET, want: [] },
      { method: 'get_peers', target: TARGET, want: [] },
      { method: 'get', target: TARGET, want: [] },
      { method: 'unknown', name: 'vote', target: TARGET },
    ] as const) {
      const reply = desk.reply(question, from)
      assert.equal(reply.transaction, TRANSACTION)
      assert.equal(reply.id, OWN_ID)
      assert.equal(reply.observed, from)
    }
  }
  assert.equal(desk.reply({ method: 'ping' }, { host: '::ffff:192.0.2.1', port: 5 }).observed, {
    host: '192.0.2.1',
    port: 5,
  })
})

test('the nearest contacts are named, of the families wanted', () => {
  const four = contactsOf(20, (i) => `192.0.2.${i + 1}`)
  const six = contactsOf(20, (i) => `2001:db8:${i + 1}::1`)
  const sixId = keyOf(77)
  const tables = new Map([
    ['ip4', tableOf(OWN_ID, four)],
    ['ip6', tableOf(sixId, six)],
  ] as const)
  const desk = new Desk({ tables })
  desk.responder.prove(alice.host)
  const nearest = (contacts: Contact[]): readonly Contact[] => tableOf(OWN_ID, contacts).closest(TARGET, 8)
  const ask = (want: readonly ('n4' | 'n6')[], from = alice) =>
    desk.reply({ method: 'find_node', target: TARGET, want }, from)
  assert.equal(ask([]).nodes, nearest(four))
  assert.equal(ask(['n4']).nodes, nearest(four))
  assert.equal(ask(['n6']).nodes, nearest(six))
  assert.equal(ask(['n4', 'n6']).nodes, [...nearest(four), ...nearest(six)])
  assert.equal(ask(['n4', 'n6']).id, OWN_ID)
  const six1 = { host: '2001:db8::1', port: 9 }
  assert.equal(ask([], six1).nodes, nearest(six).slice(0, ask([], six1).nodes.length))
  assert.equal(ask([], six1).id, sixId)
  assert.ok(ask([], six1).nodes.length >= 7, 'with four times the query')
  for (const method of ['get_peers', 'get'] as const) {
    assert.equal(desk.reply({ method, target: TARGET, want: ['n6'] }).nodes, nearest(six))
  }
  assert.equal(desk.reply({ method: 'unknown', name: 'vote', target: TARGET }).nodes, nearest(four))
  // Where there is room for some only, both families are named.
  const few = ask(['n4', 'n6'], bob).nodes
  const fewSix = few.filter(({ address }) => address.host.includes(':')).length
  assert.ok(few.length < 16 && fewSix >= 3 && few.length - fewSix >= 3, `${fewSix} of ${few.length}`)
  assert.equal(new Desk().reply({ method: 'find_node', target: TARGET, want: ['n6'] }).nodes, [], 'no such network')
})

test('an unknown method without a target is 204', () => {
  assert.is(new Desk().outcome({ method: 'unknown', name: 'vote' }), FAULT.unknownMethod)
})

test('a malformed query is answered with its fault', () => {
  const desk = new Desk()
  const answer = decodeMessage(desk.receive(bytes('d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe'), alice)!)
  assert.ok(answer?.kind === 'fault' && answer.code === FAULT.protocol)
  assert.equal(desk.responder.counters().faults, 1)
})

test('a read-only node is answered, and may store', () => {
  const desk = new Desk()
  desk.reply({ method: 'ping', readOnly: true })
  const { token } = desk.reply({ method: 'get_peers', target: TARGET, want: [], readOnly: true })
  assert.is(desk.outcome({ method: 'announce_peer', target: TARGET, token: token!, port: 5, readOnly: true }), 'stored')
})

test('peers are announced and found', () => {
  const desk = new Desk()
  const announce = (from: typeof alice, port: number | undefined) => {
    const token = desk.reply({ method: 'get_peers', target: TARGET, want: [] }, from).token!
    return desk.outcome({ method: 'announce_peer', target: TARGET, token, port }, from)
  }
  const found = (from = alice) => desk.reply({ method: 'get_peers', target: TARGET, want: [] }, from).peers
  assert.is(found(), undefined)
  assert.is(announce(alice, 1234), 'stored')
  assert.equal(found(bob), [{ host: alice.host, port: 1234 }])
  assert.is(announce(bob, undefined), 'stored')
  assert.equal(
    new Set(found()!.map(({ port }) => port)),
    new Set([1234, bob.port]),
    'the port of the datagram where it is implied',
  )
  const six = { host: '2001:db8::7', port: 99 }
  assert.is(found(six), undefined, 'of the own family only')
  assert.is(announce(six, undefined), 'stored')
  assert.equal(found(six), [six])
  assert.is(announce({ host: 'fe80::1%eth0', port: 5 }, 5), FAULT.server, 'nobody could be told of it')
})

test('a reply tells of as many peers as fit, by chance which', () => {
  const desk = new Desk()
  for (let i = 0; i < 300; i++) desk.responder.peers.announce(TARGET, { host: hostOf(i), port: 1 }, hostOf(i), 0)
  const ask = () => desk.reply({ method: 'get_peers', target: TARGET, want: [] }).peers!.map(({ host }) => host)
  assert.is(ask().length, 16)
  desk.responder.prove(alice.host)
  assert.is(ask().length, 100)
  assert.is(new Set(Array.from({ length: 15 }, ask).flat()).size > 250, true)
})

test('items are stored and found, byte for byte', () => {
  const desk = new Desk()
  desk.responder.prove(bob.host)
  const salt = bytes('foobar')
  const immutable = makeImmutable(encode({ a: [1, 'two', { b: '' }] }))
  const mutable = mutableItem(signer, 1, 'x'.repeat(800))
  const salted = mutableItem(signer, 7, 'y', salt)
  assert.is(store(desk, immutable), 'stored')
  assert.is(store(desk, mutable), 'stored')
  assert.is(store(desk, salted, alice, { salt }), 'stored')
  const get = (item: ItemBody, of?: Uint8Array) =>
    desk.reply({ method: 'get', target: targetOf(item, of), want: [] }, bob)
  assert.equal(get(immutable).item, structuredClone(immutable))
  assert.equal(get(mutable).item, mutable)
  assert.equal(get(salted, salt).item, salted)
  assert.is(get(mutableItem(signer, 1, 'x', bytes('other')), bytes('other')).item, undefined)
})

test('the value is left out for whoever has it', () => {
  const desk = new Desk()
  const item = mutableItem(signer, 5, 'value')
  store(desk, item)
  const get = (sequence?: number) =>
    desk.reply({ method: 'get', target: targetOf(item), want: [], ...(sequence === undefined ? {} : { sequence }) })
  for (const sequence of [undefined, 0, 4]) {
    assert.equal(get(sequence).item, item)
    assert.is(get(sequence).sequence, undefined)
  }
  for (const sequence of [5, 6, Number.MAX_SAFE_INTEGER]) {
    assert.is(get(sequence).item, undefined)
    assert.is(get(sequence).sequence, 5)
    assert.ok(get(sequence).token)
  }
  const immutable = makeImmutable(encode('value'))
  store(desk, immutable)
  assert.equal(
    desk.reply({ method: 'get', target: targetOf(immutable), want: [], sequence: 9 }).item?.value,
    immutable.value,
  )
})

test('puts are refused with the codes of BEP 44', () => {
  const desk = new Desk()
  assert.is(store(desk, mutableItem(signer, 5, 'five')), 'stored')
  assert.is(store(desk, mutableItem(signer, 4, 'four')), FAULT.sequenceTooSmall)
  assert.is(store(desk, mutableItem(signer, 5, 'other')), FAULT.sequenceTooSmall)
  assert.is(store(desk, mutableItem(signer, 5, 'five')), 'stored', 'the same again')
  assert.is(store(desk, mutableItem(signer, 6, 'six'), alice, { compareAndSwap: 4 }), FAULT.compareAndSwapMismatch)
  assert.is(store(desk, mutableItem(signer, 6, 'six'), alice, { compareAndSwap: 5 }), 'stored')
  const forged = mutableItem(signer, 7, 'seven')
  forged.mutable!.signature[0]! ^= 1
  assert.is(store(desk, forged), FAULT.badSignature)
  const salted = mutableItem(signer, 8, 'eight', bytes('salt'))
  assert.is(store(desk, salted), FAULT.badSignature, 'signed with a salt, sent without')
  assert.equal(desk.reply({ method: 'get', target: targetOf(forged), want: [] }).item, mutableItem(signer, 6, 'six'))

  // What the codec refuses: a value too large, a salt too long.
  const token = desk.token(TARGET)
  const raw = (args: object) =>
    encode({
      a: { id: ASKER_ID, token, k: signer.publicKey, seq: 1, sig: new Uint8Array(64), ...args },
      q: 'put',
      t: 'aa',
      y: 'q',
    })
  const code = (datagram: Uint8Array): number | undefined => {
    const answer = decodeMessage(desk.receive(datagram, alice)!)
    return answer?.kind === 'fault' ? answer.code : undefined
  }
  assert.is(code(raw({ v: new Uint8Array(997) })), FAULT.tooBig)
  assert.is(code(raw({ v: 'x', salt: new Uint8Array(65) })), FAULT.saltTooBig)
  assert.is(code(raw({ v: 'x', sig: 'short' })), FAULT.protocol)
})

test('nothing is stored without a token for this host and target that is not too old', () => {
  const desk = new Desk()
  const item = mutableItem(signer, 1, 'value')
  const target = targetOf(item)
  const other = new Desk({ random: { bytes: (count) => new Uint8Array(count), float: () => 0 } })
  const fromBob = desk.token(target, bob)
  const bad = [
    desk.token(TARGET),
    fromBob,
    other.token(target),
    bytes('aoeusnth'),
    bytes('x'),
    new Uint8Array(64),
    desk.token(target).subarray(0, 7),
  ]
  for (const token of bad) {
    assert.is(desk.outcome(put(item, token)), FAULT.protocol)
    assert.is(desk.outcome({ method: 'announce_peer', target, token, port: 5 }), FAULT.protocol)
  }
  assert.is(desk.outcome(put(makeImmutable(encode('x')), desk.token(target))), FAULT.protocol)
  const early = desk.token(target)
  desk.clock.advance(2 * SECRET_LIFETIME_MS)
  assert.is(desk.outcome(put(item, early)), FAULT.protocol, 'too old')
  assert.equal([desk.responder.items.size, desk.responder.peers.size.peers], [0, 0])
  assert.is(desk.responder.counters().signatures, 0, 'and no signature was looked at')
  const token = desk.token(target)
  assert.is(desk.outcome(put(item, token), { host: alice.host, port: 9 }), 'stored', 'the port may change')
  assert.is(desk.outcome({ method: 'announce_peer', target, token, port: 5 }), 'stored', 'one token for both kinds')
})

test('a signature is verified only when nothing cheaper decides', () => {
  const desk = new Desk()
  const verified = (): number => desk.responder.counters().signatures!
  store(desk, mutableItem(signer, 5, 'five'))
  assert.is(verified(), 1)
  for (let i = 0; i < 5; i++) assert.is(store(desk, mutableItem(signer, 5, 'five')), 'stored')
  store(desk, mutableItem(signer, 4, 'four'))
  store(desk, mutableItem(signer, 5, 'other'))
  store(desk, mutableItem(signer, 6, 'six'), alice, { compareAndSwap: 3 })
  store(desk, makeImmutable(encode('five')))
  assert.is(verified(), 1)
  const twin = mutableItem(signer, 5, 'five')
  twin.mutable!.signature[5]! ^= 1
  assert.is(store(desk, twin), FAULT.badSignature, 'the same again, but for the signature')
  assert.is(verified(), 2)
})

test('with a new id, distances are counted from there', () => {
  const tables = new Map([['ip4', tableOf(OWN_ID)]] as const)
  const desk = new Desk({ tables })
  tables.set('ip4', tableOf(keyOf(50)))
  desk.responder.idsChanged()
  assert.equal(desk.reply({ method: 'ping' }).id, keyOf(50))
})

test('the largest item reaches a stranger who asks as we do, and one who has proven himself', () => {
  const desk = new Desk()
  const sequence = 1_893_456_000_000
  const item = mutableItem(signer, sequence, 'x'.repeat(996))
  assert.is(store(desk, item), 'stored')
  const get: Query = {
    kind: 'query',
    method: 'get',
    transaction: TRANSACTION,
    id: ASKER_ID,
    readOnly: false,
    target: targetOf(item),
    want: [],
  }
  const stranger = { host: '203.0.113.7', port: 1 }
  const padded = encodeMessage(get)
  const short = encode({ a: { id: ASKER_ID, target: get.target }, q: 'get', t: TRANSACTION, y: 'q' })
  const answerTo = (datagram: Uint8Array) => {
    const answer = decodeMessage(desk.receive(datagram, stranger)!)
    assert.ok(answer?.kind === 'reply')
    return answer
  }
  assert.equal(answerTo(padded).item, item)
  assert.ok(answerTo(padded).token)
  assert.is(answerTo(short).item, undefined)
  assert.is(answerTo(short).sequence, sequence, 'who asks with less is told that there is something')
  assert.ok(answerTo(short).token)
  desk.responder.prove(stranger.host)
  assert.equal(answerTo(short).item, item)
})

test.run()
