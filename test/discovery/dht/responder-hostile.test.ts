/**
 * A responder among enemies: attempts to make it attack others, to make it work, to fill its memory, to roll back what it
 * stores. Amounts are counted in bytes, entries and signatures, never in time.
 */
import * as assert from 'uvu/assert'
import { type Encodable, encode } from '../../../discovery/dht/bencode.ts'
import { MAX_ITEMS } from '../../../discovery/dht/item-store.ts'
import { decodeMessage, encodeMessage, MAX_AMPLIFICATION, MAX_REPLY_BYTES } from '../../../discovery/dht/krpc.ts'
import { FAULT, type ItemBody } from '../../../discovery/dht/message.ts'
import { MAX_PEERS } from '../../../discovery/dht/peer-store.ts'
import { SIGNATURE_LIMITS } from '../../../discovery/dht/responder.ts'
import { makeImmutable, targetOf } from '../../../discovery/dht/signed-item.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'
import {
  ASKER_ID,
  alice,
  contactsOf,
  Desk,
  hostOf,
  keyOf,
  mutableItem,
  OWN_ID,
  type Question,
  signerOf,
  TRANSACTION,
  tableOf,
  unsignedItem,
} from './storage-support.ts'

const test = suite('responder among enemies', { watchdogMs: 120_000 })
const DEADLINE_MS = 60_000
/** So many in no time at all: nothing is limited that a test does not mean to be. */
const UNLIMITED = { source: { perSecond: 1e9, burst: 1e9 }, network: { perSecond: 1e9, burst: 1e9 } }
const signer = signerOf(1)

const chance = () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  console.log(`seed ${seed}`)
  const random = seededRandom(seed)
  const below = (limit: number): number => Math.floor(random.float() * limit)
  return { below, pick: <T>(items: readonly T[]): T => items[below(items.length)]!, bytes: random.bytes }
}

/** A responder whose tables and stores are so full that every reply could be a large one. */
const richDesk = () => {
  const desk = new Desk({
    limits: UNLIMITED,
    signatureLimits: UNLIMITED,
    tables: new Map([
      [
        'ip4',
        tableOf(
          OWN_ID,
          contactsOf(16, (i) => `192.0.2.${i + 1}`),
        ),
      ],
      [
        'ip6',
        tableOf(
          OWN_ID,
          contactsOf(16, (i) => `2001:db8:${i + 1}::1`),
        ),
      ],
    ]),
  })
  const targets = Array.from({ length: 5 }, (_, i) => keyOf(500 + i))
  for (const target of targets) {
    for (let i = 0; i < 200; i++) desk.responder.peers.announce(target, { host: hostOf(i), port: 1 + i }, hostOf(i), 0)
  }
  for (const [i, length] of [0, 100, 200, 500, 996].entries()) {
    const item =
      i % 2 === 0 ? mutableItem(signerOf(i), 5, 'x'.repeat(length)) : makeImmutable(encode('x'.repeat(length)))
    targets.push(targetOf(item))
    desk.responder.items.store({ target: targetOf(item), item, source: 'x' }, 0)
  }
  return { desk, targets }
}

test(
  'whoever has not proven where he is gets at most four times what he sent, whatever he sends',
  () => {
    const { below, pick, bytes } = chance()
    const { desk, targets } = richDesk()
    let largest = 0
    const anyArguments = (): { [key: string]: Encodable | undefined } => ({
      id: pick([ASKER_ID, ASKER_ID, ASKER_ID, bytes(19), 7]),
      target: pick([undefined, ...targets]),
      info_hash: pick([undefined, ...targets]),
      want: pick([undefined, ['n4'], ['n6'], ['n4', 'n6'], ['n6', 'n6', 'x'], 'n4']),
      seq: pick([undefined, undefined, 0, 5, -1]),
      token: pick([undefined, bytes(8), bytes(1), bytes(65)]),
      port: pick([undefined, 0, 1]),
      v: pick([undefined, 'x', 5, bytes(997)]),
      k: pick([undefined, signer.publicKey]),
      sig: pick([undefined, bytes(64)]),
      pad: pick([undefined, undefined, bytes(below(300))]),
    })
    for (let i = 0; i < 10_000; i++) {
      const datagram = encode({
        a: pick([anyArguments(), anyArguments(), anyArguments(), undefined, []]),
        q: pick(['ping', 'find_node', 'get_peers', 'get', 'get', 'announce_peer', 'put', 'vote', 'x'.repeat(33), 5]),
        ro: pick([undefined, 1]),
        t: bytes(1 + below(16)),
        y: 'q',
      })
      const from = { host: pick(['203.0.113.9', '2001:db8::9']), port: 53 }
      const answer = desk.receive(datagram, from)
      if (answer === undefined) continue
      largest = Math.max(largest, answer.length / datagram.length)
      assert.ok(answer.length <= MAX_AMPLIFICATION * datagram.length, `${answer.length} for ${datagram.length} bytes`)
      assert.ok(answer.length <= MAX_REPLY_BYTES)
      assert.ok(decodeMessage(answer), 'and what he gets is a message')
    }
    const { in: received, out: sent } = desk.bytes
    console.log(
      `${received} bytes received, ${sent} sent: ${(sent / received).toFixed(2)} times, at most ${largest.toFixed(2)}`,
    )
    assert.ok(largest > 3, 'the bound was put to the test')
    assert.is(desk.responder.peers.size.peers, 1000)
    assert.is(desk.responder.items.size, 5)
  },
  { deadlineMs: DEADLINE_MS },
)

test('the shortest queries there are get no more than that either', () => {
  const { desk } = richDesk()
  for (const text of [
    'd1:t1:a1:y1:qe',
    'd1:q1:x1:t1:a1:y1:qe',
    'd1:ade1:q4:ping1:t1:a1:y1:qe',
    `d1:ad2:id20:${'x'.repeat(20)}e1:q1:x1:t1:a1:y1:qe`,
    `d1:ad2:id20:${'x'.repeat(20)}e1:q4:ping1:t1:a1:y1:qe`,
    `d1:ad2:id20:${'x'.repeat(20)}6:target20:${'x'.repeat(20)}e1:q1:x1:t1:a1:y1:qe`,
  ]) {
    const answer = desk.receive(Buffer.from(text, 'latin1'), { host: '203.0.113.9', port: 53 })!
    assert.ok(answer.length <= MAX_AMPLIFICATION * text.length, `${answer.length} for ${text.length}`)
  }
})

test('a victim whose address is forged hears little', () => {
  const { targets } = richDesk()
  const desk = new Desk({
    tables: new Map([
      [
        'ip4',
        tableOf(
          OWN_ID,
          contactsOf(16, (i) => `192.0.2.${i + 1}`),
        ),
      ],
    ]),
  })
  const query = encodeMessage({
    kind: 'query',
    method: 'get_peers',
    transaction: TRANSACTION,
    id: ASKER_ID,
    readOnly: false,
    target: targets[0]!,
    want: [],
  })
  let answered = 0
  // 1000 a second for ten seconds, from all ports and names of the host.
  for (let i = 0; i < 10_000; i++) {
    desk.clock.advance(1)
    const host = i % 2 === 0 ? '203.0.113.9' : '::ffff:203.0.113.9'
    if (desk.receive(query, { host, port: 1 + i }) !== undefined) answered++
  }
  assert.ok(answered <= 50 + 10 * 20, `${answered} answers`)
  assert.ok(desk.bytes.out <= MAX_AMPLIFICATION * query.length * answered)
  assert.is(desk.responder.counters().limited, 10_000 - answered)
  assert.ok(desk.reply({ method: 'ping' }, alice), 'others are served')
})

test('a proof does not pass to the neighbours', () => {
  const { desk, targets } = richDesk()
  const target = targets.at(-1)!
  const sizeFor = (host: string): number => {
    const short = encode({ a: { id: ASKER_ID, target }, q: 'get', t: 'aa', y: 'q' })
    return desk.receive(short, { host, port: 1 })!.length
  }
  const prove = (host: string): void => {
    const item = unsignedItem(signer.publicKey, 1, host)
    const token = desk.token(targetOf(item), { host, port: 1 })
    assert.is(desk.outcome({ method: 'put', token, item }, { host, port: 1 }), FAULT.badSignature)
  }
  prove('203.0.113.9')
  prove('2001:db8::9')
  assert.ok(sizeFor('203.0.113.9') > 1000, 'a token of ours is proof, whatever else is wrong')
  assert.ok(sizeFor('2001:db8::9') > 1000)
  assert.ok(sizeFor('203.0.113.8') < 400)
  assert.ok(sizeFor('2001:db8::8') < 400)
  const foreign = { method: 'announce_peer', target, token: new Uint8Array(8), port: 1 } as const
  assert.is(desk.outcome(foreign, { host: '203.0.113.8', port: 1 }), FAULT.protocol)
  assert.ok(sizeFor('203.0.113.8') < 400, 'a token of others is none')
  desk.clock.advance(10 * 60_000)
  assert.ok(sizeFor('203.0.113.9') < 400, 'it grows old')
})

test('a source has only so many signatures verified, and all together have', () => {
  const desk = new Desk({ limits: UNLIMITED })
  const forged = (i: number): Question => {
    const item: ItemBody = unsignedItem(signer.publicKey, i, 'forged')
    return { method: 'put', token: new Uint8Array(0), item }
  }
  const attack = (host: string, count: number): { bad: number; silent: number } => {
    const from = { host, port: 1 }
    const token = desk.token(targetOf(unsignedItem(signer.publicKey, 0, '')), from)
    const seen = { bad: 0, silent: 0 }
    for (let i = 0; i < count; i++) {
      const outcome = desk.outcome({ ...forged(i), token } as Question, from)
      if (outcome === FAULT.badSignature) seen.bad++
      else if (outcome === 'silence') seen.silent++
    }
    return seen
  }
  const { source, total } = SIGNATURE_LIMITS
  assert.equal(attack('203.0.113.9', 100), { bad: source.burst, silent: 100 - source.burst })
  desk.clock.advance(1000)
  assert.is(attack('203.0.113.9', 100).bad, source.perSecond)
  let all = 0
  for (let i = 0; i < 60; i++) all += attack(hostOf(i), source.burst).bad
  assert.ok(all <= total!.burst && all > total!.burst - 2 * source.burst, `${all}`)
  assert.is(desk.responder.counters().signatures, source.burst + source.perSecond + all)
  assert.ok(desk.responder.counters().deferred! > 0)
  assert.is(desk.responder.items.size, 0)
  // What needs no signature is not held up by this.
  const item = makeImmutable(encode('x'))
  assert.is(desk.outcome({ method: 'put', token: desk.token(targetOf(item)), item }), 'stored')
  desk.clock.advance(1000)
  const honest = mutableItem(signer, 1, 'honest')
  assert.is(desk.outcome({ method: 'put', token: desk.token(targetOf(honest)), item: honest }), 'stored')
})

test('an item cannot be rolled back or forked by whoever holds its old versions', () => {
  const desk = new Desk({ limits: UNLIMITED, signatureLimits: UNLIMITED })
  const versions = [1, 2, 3, 4, 5].flatMap((sequence) => [
    mutableItem(signer, sequence, 'a'.repeat(sequence)),
    mutableItem(signer, sequence, 'b'.repeat(sequence)),
  ])
  const { pick, below } = chance()
  const target = targetOf(versions[0]!)
  const stored = (): ItemBody | undefined => desk.reply({ method: 'get', target, want: [] }).item
  for (let round = 0; round < 300; round++) {
    const before = stored()
    const item = pick(versions)
    const from = { host: hostOf(below(20)), port: 1 }
    const more = below(3) === 0 ? { compareAndSwap: below(6) } : {}
    desk.ask({ method: 'put', token: desk.token(target, from), item, ...more }, from)
    const after = stored()
    if (before === undefined) continue
    const grew = after!.mutable!.sequence > before.mutable!.sequence
    assert.ok(grew || Buffer.compare(after!.value, before.value) === 0)
  }
  assert.is(stored()?.mutable?.sequence, 5)
})

test(
  'a flood of puts, announcements and junk leaves memory bounded and the nearest items in place',
  () => {
    const { below, bytes } = chance()
    const desk = new Desk({ limits: UNLIMITED })
    const near = Array.from({ length: 50 }, (_, i) => {
      const target = Uint8Array.from(OWN_ID)
      target[19]! ^= i + 1
      return target
    })
    for (const [i, target] of near.entries()) {
      desk.responder.items.store({ target, item: { value: encode(i) }, source: `own ${i}` }, 0)
      desk.responder.peers.announce(target, { host: '192.0.2.1', port: 1 }, 'own', 0)
    }
    for (let i = 0; i < 12_000; i++) {
      const from = { host: hostOf(below(5000)), port: 1 + below(65_535) }
      const item = makeImmutable(encode(bytes(20)))
      const target = targetOf(item)
      const token = desk.token(target, from)
      desk.ask({ method: 'put', token, item }, from)
      desk.ask({ method: 'announce_peer', target, token, port: 1 + below(65_535) }, from)
      desk.receive(bytes(below(100)), from)
    }
    const { items, peers } = desk.responder
    assert.is(items.size, MAX_ITEMS)
    assert.ok(peers.size.peers <= MAX_PEERS && peers.size.keys <= 2000)
    assert.ok(items.sources <= 5000 + near.length && peers.size.sources <= 5001)
    for (const target of near) {
      assert.ok(items.get(target, 0))
      assert.is(peers.sample(target, 'ip4', 10, 0).length, 1)
    }
  },
  { deadlineMs: DEADLINE_MS },
)

test('one host fills no more than its share', () => {
  const desk = new Desk({ limits: UNLIMITED })
  let refused = 0
  for (let i = 0; i < 500; i++) {
    // All of one /64.
    const from = { host: `2001:db8:0:1::${(i + 1).toString(16)}`, port: 1 + i }
    const item = makeImmutable(encode(i))
    const token = desk.token(targetOf(item), from)
    if (desk.outcome({ method: 'put', token, item }, from) === FAULT.server) refused++
  }
  assert.is(desk.responder.items.size, 64)
  assert.is(refused, 500 - 64)
})

test.run()
