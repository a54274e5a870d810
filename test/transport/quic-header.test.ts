/** Long headers of QUIC as the endpoint reads them: right for what quiche writes, harmless for anything else. */
import * as assert from 'uvu/assert'
import { type LongHeader, parseLongHeader, supportedVersion } from '../../transport/quic-header.ts'
import { seededRandom } from '../../transport/random.ts'
import { suite } from '../support/suite.ts'

const test = suite('quic header')

const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)
console.log(`seed ${seed}`)

const FIRST = { initial: 0xc0, zeroRtt: 0xd0, handshake: 0xe0, retry: 0xf0 }
const V1 = [0, 0, 0, 1]
const id = (length: number, fill: number): number[] => new Array<number>(length).fill(fill)
const packet = (
  first: number,
  version: number[],
  destination: number[],
  source: number[],
  rest: number[],
): Uint8Array => Uint8Array.of(first, ...version, destination.length, ...destination, source.length, ...source, ...rest)

const parsed = (bytes: Uint8Array): LongHeader => {
  const header = parseLongHeader(bytes)
  assert.ok(header !== undefined)
  return header
}

test('an Initial of RFC 9001 appendix A.2', () => {
  // Its unprotected header: destination id 8394c8f03e515708, no source id, no token, length 1182.
  const bytes = new Uint8Array(1200)
  bytes.set(Buffer.from('c300000001088394c8f03e5157080000449e00000002', 'hex'))
  const header = parsed(bytes)
  assert.is(header.version, supportedVersion)
  assert.is(header.type, 'initial')
  assert.is(Buffer.from(header.destinationId).toString('hex'), '8394c8f03e515708')
  assert.is(header.sourceId.length, 0)
  assert.is(header.token, undefined)
})

test('a Retry of RFC 9001 appendix A.4', () => {
  const header = parsed(Buffer.from('ff000000010008f067a5502a4262b5746f6b656e04a265ba2eff4d829058fb3f0f2496ba', 'hex'))
  assert.is(header.type, 'retry')
  assert.is(header.destinationId.length, 0)
  assert.is(Buffer.from(header.sourceId).toString('hex'), 'f067a5502a4262b5')
  assert.is(Buffer.from(header.token ?? []).toString(), 'token')
})

test('each type with its ids and token', () => {
  const initial = parsed(packet(FIRST.initial, V1, id(20, 1), id(20, 2), [3, 7, 8, 9, 2, 0, 0]))
  assert.equal([...(initial.token ?? [])], [7, 8, 9])
  assert.equal([...initial.destinationId], id(20, 1))
  assert.equal([...initial.sourceId], id(20, 2))
  const longToken = parsed(packet(FIRST.initial, V1, [], [], [0x40, 100, ...id(100, 5), 1, 0]))
  assert.is(longToken.token?.length, 100)
  assert.is(parsed(packet(FIRST.handshake, V1, id(16, 1), id(16, 2), [4, 1, 2, 3, 4])).type, 'handshake')
  assert.is(parsed(packet(FIRST.zeroRtt, V1, id(16, 1), id(16, 2), [4, 1, 2, 3, 4, 0xc0])).type, 'zeroRtt')
  assert.is(parsed(packet(0x80, [0, 0, 0, 0], id(4, 1), id(4, 2), V1)).type, 'negotiation')
  assert.is(parsed(packet(0xff, [0, 0, 0, 0], id(4, 1), id(4, 2), [...V1, ...V1])).type, 'negotiation')
  const other = parsed(packet(0xca, [0xfa, 0xce, 0xb0, 0x0c], id(9, 1), id(3, 2), []))
  assert.is(other.type, 'unsupported')
  assert.is(other.version, 0xfaceb00c)
})

test('ids and tokens are views, not copies', () => {
  const bytes = packet(FIRST.initial, V1, id(8, 1), id(8, 2), [1, 7, 1, 0])
  const header = parsed(bytes)
  for (const view of [header.destinationId, header.sourceId, header.token]) assert.is(view?.buffer, bytes.buffer)
})

test('malformed headers are refused', () => {
  const bad: [string, Uint8Array][] = [
    ['empty', new Uint8Array(0)],
    ['six bytes', packet(FIRST.initial, V1, [], [], []).subarray(0, 6)],
    ['short header', Uint8Array.of(0x40, ...id(40, 1))],
    ['no fixed bit in version 1', packet(0x80, V1, id(8, 1), id(8, 1), [0, 1, 0])],
    ['destination id of 21', packet(FIRST.initial, V1, id(21, 1), id(8, 1), [0, 1, 0])],
    ['source id of 21', packet(FIRST.initial, V1, id(8, 1), id(21, 1), [0, 1, 0])],
    ['source id of 255 in an unknown version', packet(FIRST.initial, [9, 9, 9, 9], id(8, 1), id(255, 1), [])],
    ['source id cut', Uint8Array.of(FIRST.initial, 9, 9, 9, 9, 0, 8, 1, 2)],
    ['source id cut in a negotiation', Uint8Array.of(FIRST.initial, 0, 0, 0, 0, 0, 8, 1, 2, 3, 4)],
    ['token longer than the datagram', packet(FIRST.initial, V1, id(8, 1), id(8, 1), [5, 1, 2, 3])],
    ['token length of 2^62 - 1', packet(FIRST.initial, V1, id(8, 1), id(8, 1), id(8, 0xff))],
    ['cut token length', packet(FIRST.initial, V1, id(8, 1), id(8, 1), [0x80, 0])],
    ['no packet length', packet(FIRST.initial, V1, id(8, 1), id(8, 1), [0])],
    ['packet longer than the datagram', packet(FIRST.handshake, V1, id(8, 1), id(8, 1), [3, 1, 2])],
    ['retry without token', packet(FIRST.retry, V1, id(8, 1), id(8, 1), id(16, 0))],
    ['negotiation of nothing', packet(0xc0, [0, 0, 0, 0], id(8, 1), id(8, 1), [])],
    ['negotiation cut', packet(0xc0, [0, 0, 0, 0], id(8, 1), id(8, 1), [0, 0, 0, 1, 0])],
  ]
  for (const [what, bytes] of bad) assert.is(parseLongHeader(bytes), undefined, what)
})

test('every prefix of a good header is refused or read within its bytes', () => {
  const whole = packet(FIRST.initial, V1, id(20, 1), id(20, 2), [0x40, 30, ...id(30, 7), 0x40, 2, 0, 0])
  assert.ok(parseLongHeader(whole) !== undefined)
  for (let length = 0; length < whole.length; length++)
    assert.is(parseLongHeader(whole.subarray(0, length)), undefined, `${length}`)
})

test('random and bent bytes never throw and never leave their bounds', () => {
  const random = seededRandom(seed)
  const good = packet(FIRST.initial, V1, id(16, 1), id(16, 2), [20, ...id(20, 7), 4, 0, 0, 0, 0])
  const seen = new Map<string, number>()
  for (let i = 0; i < 300_000; i++) {
    // Half are good headers with a few bytes bent, half are noise behind a first byte that lets them in.
    let bytes: Uint8Array
    if (i % 2 === 0) {
      bytes = Uint8Array.from(good)
      for (let bends = 1 + Math.floor(random.float() * 3); bends > 0; bends--) {
        bytes[Math.floor(random.float() * bytes.length)] = Math.floor(random.float() * 256)
      }
    } else {
      bytes = random.bytes(Math.floor(random.float() * 64))
      if (bytes.length > 0) bytes[0] = bytes[0]! | 0x80
      if (i % 3 === 0)
        bytes.set(
          [0, 0, 0, random.float() < 0.5 ? 0 : 1].slice(0, Math.max(0, bytes.length - 1)),
          Math.min(1, bytes.length),
        )
      if (bytes.length > 5) bytes[5] = bytes[5]! & 0x0f
      if (bytes.length > 21) bytes[6 + bytes[5]!] = bytes[6 + bytes[5]!]! & 0x0f
    }
    const header = parseLongHeader(bytes)
    const kind = header?.type ?? 'refused'
    seen.set(kind, (seen.get(kind) ?? 0) + 1)
    if (header === undefined) continue
    const start = bytes.byteOffset
    const end = start + bytes.byteLength
    for (const view of [header.destinationId, header.sourceId, header.token ?? header.sourceId]) {
      if (view.buffer !== bytes.buffer || view.byteOffset < start || view.byteOffset + view.byteLength > end)
        assert.unreachable()
    }
    if (header.destinationId.length > 20 || header.sourceId.length > 20) assert.unreachable()
  }
  console.log(`fuzzed headers: ${JSON.stringify(Object.fromEntries(seen))}`)
  assert.is(seen.size, 7, 'every type and the refusal were reached')
})

test.run()
