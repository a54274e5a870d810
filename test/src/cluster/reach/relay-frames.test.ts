/** Frames of relays and heads of relayed datagrams: what is written is read again, and noise is refused with a code. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import { nodeIdOf } from '../../../../certs/node-id.ts'
import {
  channelOfDatagram,
  decodeRelayAsk,
  decodeRelayClose,
  decodeRelayIncoming,
  decodeRelayOpened,
  decodeRelayRefused,
  encodeRelayAsk,
  encodeRelayClose,
  encodeRelayIncoming,
  encodeRelayOpened,
  encodeRelayRefused,
  isForRelay,
  MAX_RELAYED_BYTES,
  RELAY_HEAD_BYTES,
  RELAY_TOKEN_BYTES,
  writeHead,
} from '../../../../src/cluster/reach/relay-frames.ts'
import { seededRandom } from '../../../../transport/random.ts'
import { MAX_DATAGRAM_BYTES } from '../../../../transport/transport.ts'
import { suite } from '../../../support/suite.ts'

const test = suite('relay frames')

const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)

const id = nodeIdOf(Buffer.alloc(32, 'somebody'))
const token = seededRandom(1).bytes(RELAY_TOKEN_BYTES)
const channel = 2 ** 32 - 1
const observed = { host: '2001:db8::17', port: 65_535 }
const name = `${'n'.repeat(64)}@${'h'.repeat(190)}`

/** Every kind of frame with its reader. */
const KINDS: readonly { readonly sample: object; readonly bytes: Uint8Array; decode(bytes: Uint8Array): object }[] = [
  sampleOf({ request: 7, target: id }, encodeRelayAsk, decodeRelayAsk),
  sampleOf({ request: 0, channel, token, observed }, encodeRelayOpened, decodeRelayOpened),
  sampleOf({ request: 2 ** 31, reason: 'rate' } as const, encodeRelayRefused, decodeRelayRefused),
  sampleOf({ channel, id, name, token, observed }, encodeRelayIncoming, decodeRelayIncoming),
  sampleOf({ direction: 'fromRelay', channel } as const, encodeRelayClose, decodeRelayClose),
]

function sampleOf<T extends object>(sample: T, encode: (value: T) => Uint8Array, decode: (bytes: Uint8Array) => T) {
  return { sample, bytes: Uint8Array.from(encode(sample)), decode }
}

const isRefused = (work: () => unknown): boolean => {
  try {
    work()
    return false
  } catch (error) {
    if (isSkeinError(error, 'ERR_SKEIN_PROTOCOL')) return true
    throw error
  }
}

test('what is written is read again, and shares no memory with the frame', () => {
  for (const { sample, bytes, decode } of KINDS) {
    const copy = Uint8Array.from(bytes)
    const read = decode(copy)
    copy.fill(0)
    assert.equal(read, sample)
  }
})

test('a frame that is too short or too long is refused', () => {
  for (const { bytes, decode } of KINDS) {
    for (let length = 0; length < bytes.length; length++) assert.ok(isRefused(() => decode(bytes.subarray(0, length))))
    assert.ok(isRefused(() => decode(Buffer.concat([bytes, Buffer.of(0)]))))
  }
})

test('malformed ids, names, addresses, reasons and directions are refused', () => {
  const incoming = { channel, id, name, token, observed }
  const opened = { request: 1, channel, token, observed }
  assert.ok(isRefused(() => decodeRelayAsk(encodeRelayAsk({ request: 1, target: id.toUpperCase() }))))
  assert.ok(isRefused(() => decodeRelayIncoming(encodeRelayIncoming({ ...incoming, id: '' }))))
  assert.ok(isRefused(() => decodeRelayIncoming(encodeRelayIncoming({ ...incoming, name: 'no host' }))))
  assert.ok(isRefused(() => decodeRelayIncoming(encodeRelayIncoming({ ...incoming, name: `${name}${name}@x` }))))
  for (const address of [
    { host: 'example.org', port: 1 },
    { host: '10.0.0.1', port: 0 },
    { host: '', port: 1 },
  ]) {
    assert.ok(isRefused(() => decodeRelayOpened(encodeRelayOpened({ ...opened, observed: address }))))
    assert.ok(isRefused(() => decodeRelayIncoming(encodeRelayIncoming({ ...incoming, observed: address }))))
  }
  assert.ok(isRefused(() => decodeRelayRefused(Buffer.from('0000000104', 'hex'))))
  assert.ok(isRefused(() => decodeRelayClose(Buffer.from('0000000001', 'hex'))))
  assert.ok(isRefused(() => decodeRelayClose(Buffer.from('0300000001', 'hex'))))
})

test(`noise, and frames with flipped bits, are read or refused, with nothing else coming of them (seed ${seed})`, () => {
  const random = seededRandom(seed)
  const pick = (count: number): number => Math.floor(random.float() * count)
  let refused = 0
  for (let i = 0; i < 20_000; i++) {
    const { bytes, decode } = KINDS[pick(KINDS.length)]!
    const changed = i % 4 === 0 ? random.bytes(pick(120)) : Uint8Array.from(bytes)
    for (let flips = pick(4); flips > 0 && changed.length > 0; flips--) changed[pick(changed.length)]! ^= 1 << pick(8)
    if (isRefused(() => decode(changed))) refused++
  }
  assert.ok(refused > 5000 && refused < 19_000, `${refused} refused`)
})

test('the head of a datagram tells the direction and the channel', () => {
  for (const direction of ['toRelay', 'fromRelay'] as const) {
    for (const number of [0, 1, 0x80000000, 0x01020304, channel]) {
      const bytes = new Uint8Array(RELAY_HEAD_BYTES + 1)
      writeHead(bytes, direction, number)
      assert.is(isForRelay(bytes), direction === 'toRelay')
      assert.is(channelOfDatagram(bytes, direction), number)
      assert.is(channelOfDatagram(bytes, direction === 'toRelay' ? 'fromRelay' : 'toRelay'), undefined)
      assert.is(channelOfDatagram(bytes.subarray(0, RELAY_HEAD_BYTES), direction), undefined, 'empty')
      const long = new Uint8Array(RELAY_HEAD_BYTES + MAX_RELAYED_BYTES + 1)
      writeHead(long, direction, number)
      assert.is(channelOfDatagram(long, direction), undefined, 'too long')
      assert.is(channelOfDatagram(long.subarray(0, -1), direction), number)
    }
  }
  assert.not(isForRelay(new Uint8Array(0)))
  assert.not(isForRelay(Uint8Array.of(0, 0, 0, 0, 1, 1)))
  assert.is(channelOfDatagram(Uint8Array.of(0, 0, 0, 0, 1, 1), 'toRelay'), undefined)
})

test('the longest relayed datagram is a message that sessions carry', () => {
  assert.ok(RELAY_HEAD_BYTES + MAX_RELAYED_BYTES <= MAX_DATAGRAM_BYTES)
})

test.run()
