/** The port's demultiplexer: no datagram reaches the wrong handler (docs/port.md). */
import * as assert from 'uvu/assert'
import { CONNECTION_ID_BYTES, ConnectionIds } from '../../transport/connection-id.ts'
import { classify, type DatagramClass } from '../../transport/demux.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'

const test = suite('demux')

const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)
console.log(`seed ${seed}`)

const LETTER_D = 0x64
const LETTER_E = 0x65

const tally = (): Record<DatagramClass, number> => ({ long: 0, short: 0, krpc: 0, probe: 0, unknown: 0 })

test(
  '10^7 random short headers with ids of ours are all QUIC',
  () => {
    const COUNT = 10_000_000
    const MIN_BYTES = 21
    const MAX_BYTES = 64
    const random = seededRandom(seed)
    // Ids from the real maker, many enough that every first byte occurs often; everything else is fresh each time.
    const maker = new ConnectionIds(random.bytes(32), random)
    const ids = Array.from({ length: 8192 }, () => maker.random())
    const views = Array.from({ length: MAX_BYTES + 1 }, (_, length) => new Uint8Array(length))
    const counts = tally()
    let likeKrpcByFirstAndLast = 0
    for (let i = 0; i < COUNT; i++) {
      const bits = random.float() * 2 ** 32
      const datagram = views[MIN_BYTES + ((bits % (MAX_BYTES - MIN_BYTES + 1)) | 0)]!
      datagram.set(ids[(bits >>> 7) % ids.length]!, 1)
      const more = (random.float() * 2 ** 32) >>> 0
      // Every fourth header has the very first and last bytes of KRPC: the corner that needs the rule about ids.
      const corner = i % 4 === 0
      datagram[0] = corner ? LETTER_D : 0x40 | (more & 0x3f)
      for (let at = 1 + CONNECTION_ID_BYTES; at < datagram.length; at++) datagram[at] = (more >>> (at & 7)) ^ at
      datagram[datagram.length - 1] = corner ? LETTER_E : more >>> 24
      if (datagram[0] === LETTER_D && datagram[datagram.length - 1] === LETTER_E) likeKrpcByFirstAndLast++
      counts[classify(datagram)]++
    }
    console.log(`short headers: ${JSON.stringify(counts)}, of them "d...e": ${likeKrpcByFirstAndLast}`)
    assert.equal(counts, { ...tally(), short: COUNT })
    assert.ok(likeKrpcByFirstAndLast >= COUNT / 4)
  },
  { deadlineMs: 60_000 },
)

test('a first id byte below 0x80 would be mistaken: the rule about ids is needed', () => {
  const random = seededRandom(seed)
  const counts = tally()
  for (let i = 0; i < 100_000; i++) {
    const datagram = random.bytes(40)
    datagram[0] = LETTER_D
    datagram[39] = LETTER_E
    counts[classify(datagram)]++
  }
  assert.ok(counts.krpc > 0, 'digits as second byte occur')
  assert.ok(counts.short > 0)
  assert.is(counts.krpc + counts.short + counts.unknown, 100_000)
})

type Value = number | string | Uint8Array | readonly Value[] | { readonly [key: string]: Value }

/** Bencode of BEP 3, keys sorted. */
const bencode = (value: Value): Buffer => {
  if (typeof value === 'number') return Buffer.from(`i${value}e`)
  if (typeof value === 'string') return Buffer.from(`${Buffer.byteLength(value)}:${value}`)
  if (value instanceof Uint8Array) return Buffer.concat([Buffer.from(`${value.length}:`), value])
  if (isList(value)) return Buffer.concat([Buffer.from('l'), ...value.map(bencode), Buffer.from('e')])
  const keys = Object.keys(value).sort()
  return Buffer.concat([
    Buffer.from('d'),
    ...keys.flatMap((key) => [bencode(key), bencode(value[key]!)]),
    Buffer.from('e'),
  ])
}

const isList = (value: Value): value is readonly Value[] => Array.isArray(value)

const id20 = (fill: number): Uint8Array => new Uint8Array(20).fill(fill)

/** Messages of BEP 5, 32, 33, 42, 43, 44, 45 and 51, all that differ in their top-level keys or bodies. */
const messages = (t: Uint8Array, fill: number): Value[] => {
  const id = id20(fill)
  const token = t
  const key = new Uint8Array(32).fill(fill)
  const sig = new Uint8Array(64).fill(fill)
  const nodes = new Uint8Array(26 * (fill % 9)).fill(fill)
  const nodes6 = new Uint8Array(38 * (fill % 9)).fill(fill)
  const values = [new Uint8Array(6).fill(fill), new Uint8Array(18).fill(fill)]
  const query = (q: string, a: { readonly [key: string]: Value }): Value[] => [
    { t, y: 'q', q, a: { id, ...a } },
    { t, y: 'q', q, a: { id, ...a }, v: new Uint8Array([0x4c, 0x54, 0, fill]), ro: 1 },
  ]
  const response = (r: { readonly [key: string]: Value }): Value[] => [
    { t, y: 'r', r: { id, ...r } },
    { t, y: 'r', r: { id, ...r }, ip: new Uint8Array(6).fill(fill), v: new Uint8Array([0x4c, 0x54, 0, fill]) },
    { t, y: 'r', r: { id, ...r }, ip: new Uint8Array(18).fill(fill) },
  ]
  return [
    ...query('ping', {}),
    ...query('find_node', { target: id, want: ['n4', 'n6'] }),
    ...query('get_peers', { info_hash: id, noseed: 1, scrape: 1 }),
    ...query('announce_peer', { implied_port: fill & 1, info_hash: id, port: fill, token }),
    ...query('get', { target: id, seq: fill }),
    ...query('put', { token, v: 'x'.repeat(fill) }),
    ...query('put', { cas: fill, k: key, salt: id, seq: fill, sig, token, v: { nested: [1, [2, { e: 'e' }]] } }),
    ...query('sample_infohashes', { target: id }),
    ...query('vote', { target: id, vote: fill }),
    ...response({}),
    ...response({ nodes }),
    ...response({ nodes, nodes6 }),
    ...response({ token, values, nodes, BFsd: new Uint8Array(256).fill(fill), BFpe: new Uint8Array(256).fill(fill) }),
    ...response({ token, k: key, seq: fill, sig, v: 'x'.repeat(fill), nodes }),
    ...response({ interval: fill, num: fill, samples: new Uint8Array(20 * (fill % 7)).fill(fill) }),
    ...[201, 202, 203, 204, 205, 206, 207, 301, 302].map((code) => ({ t, y: 'e', e: [code, 'Some Error'] })),
    { t, y: 'e', e: [203, ''], ip: new Uint8Array(6).fill(fill) },
    // What real clients also send: an id that moved, no type at all, unknown keys that sort first.
    { t, y: 'q', q: 'ping', a: { id }, '0': fill },
    { t },
  ]
}

test(
  'the whole KRPC corpus is KRPC',
  () => {
    const counts = tally()
    let corpus = 0
    for (let first = 0; first < 256; first++) {
      for (const tBytes of [1, 2, 4, 8, 20]) {
        const t = new Uint8Array(tBytes).fill(first)
        for (const message of messages(t, first)) {
          counts[classify(bencode(message))]++
          corpus++
        }
      }
    }
    console.log(`KRPC corpus: ${corpus} messages, ${JSON.stringify(counts)}`)
    assert.ok(corpus > 50_000)
    assert.equal(counts, { ...tally(), krpc: corpus })
  },
  { deadlineMs: 30_000 },
)

test('keys in wrong order and keys of two-digit length are KRPC still', () => {
  for (const text of ['d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:aaaaaaaaaaaaaaaaaaaaee', `d10:0123456789i1ee`, 'd0:i1ee']) {
    assert.is(classify(Buffer.from(text)), 'krpc', text)
  }
})

test('a cut or bent KRPC message never becomes QUIC', () => {
  const random = seededRandom(seed)
  const whole = bencode(messages(Uint8Array.of(0x64, 0xff), 200)[2]!)
  for (let length = 2; length <= whole.length; length++) {
    const kind = classify(whole.subarray(0, length))
    assert.ok(kind === 'krpc' || kind === 'unknown', `${length}: ${kind}`)
  }
  for (let i = 0; i < 20_000; i++) {
    const bent = Uint8Array.from(whole)
    bent[2 + Math.floor(random.float() * (bent.length - 2))] = Math.floor(random.float() * 256)
    const kind = classify(bent)
    assert.ok(kind === 'krpc' || kind === 'unknown', kind)
  }
})

test('long headers, and the one that may lack the fixed bit', () => {
  const long = (first: number, version: number[]): Uint8Array =>
    Uint8Array.of(first, ...version, 0, 0, ...new Uint8Array(40))
  for (let first = 0x80; first <= 0xff; first++) {
    assert.is(classify(long(first, [0, 0, 0, 1])), first >= 0xc0 ? 'long' : 'unknown')
    assert.is(classify(long(first, [0x1a, 0x2a, 0x3a, 0x4a])), first >= 0xc0 ? 'long' : 'unknown')
    assert.is(classify(long(first, [1, 0, 0, 0])), first >= 0xc0 ? 'long' : 'unknown')
    assert.is(classify(long(first, [0, 0, 0, 0])), 'long')
    assert.is(classify(long(first, [0, 0, 0, 0]).subarray(0, 6)), 'unknown')
  }
})

test('probes have the range that QUIC leaves free', () => {
  for (let first = 0; first < 0x40; first++) {
    assert.is(classify(Uint8Array.of(first)), 'probe')
    assert.is(classify(Uint8Array.of(first, 0x31, LETTER_E)), 'probe')
  }
})

test('what belongs to nobody is unknown', () => {
  const random = seededRandom(seed)
  const unknown: Uint8Array[] = [
    new Uint8Array(0),
    Uint8Array.of(LETTER_D),
    Uint8Array.of(LETTER_D, 0x31),
    Buffer.from('de'),
    Buffer.from('d1:a'),
    Buffer.from('d1:ai1ee\n'),
    Buffer.from(`d/:ai1e${'x'.repeat(30)}e`),
    Buffer.from(`d::ai1e${'x'.repeat(30)}e`),
    Uint8Array.of(LETTER_D, 0x80, ...random.bytes(18)),
    Uint8Array.of(0x40, ...random.bytes(19)),
    Uint8Array.of(0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(0x80),
  ]
  for (const bytes of unknown) assert.is(classify(bytes), 'unknown', Buffer.from(bytes).toString('hex'))
  assert.is(classify(Uint8Array.of(0x40, ...random.bytes(20))), 'short')
  assert.is(classify(Uint8Array.of(LETTER_D, 0x80, ...random.bytes(19))), 'short')
})

test.run()
