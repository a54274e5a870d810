/** Packed bodies: what pays is packed and comes back whole, what does not is left alone, and no bomb goes off. */
import { brotliCompressSync, constants } from 'node:zlib'
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import type { Signal } from '../../../src/signals.ts'
import { writeVarint } from '../../../src/wire/codec-varint.ts'
import { MAX_PACKED_BODY_BYTES, PACKED, Packer } from '../../../src/wire/packing.ts'
import { type FrameParts, Wire } from '../../../src/wire/wire.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'
import { ALICE, BOB, codecOf, codeOf } from './codec-support.ts'

const test = suite('packing')
const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)
console.log(`seed ${seed}`)

const ABOVE_BYTES = 2000
const MAX_MESSAGE_BYTES = 1 << 20
const MIB = 1 << 20

const alice = (): Wire => new Wire(codecOf(ALICE, BOB), new Packer({ aboveBytes: ABOVE_BYTES }))
const bob = (): Wire => new Wire(codecOf(BOB, ALICE, { maxMessageBytes: MAX_MESSAGE_BYTES }))

const frameOf = ({ head, headLength, body }: FrameParts): Buffer =>
  Buffer.concat([head.subarray(0, headLength), body ?? Buffer.alloc(0)])

const send = (message: unknown, from = 1): Signal => ({ type: 'send', from, to: 2, message })

const rows = (count: number): unknown =>
  Array.from({ length: count }, (_, row) => ({ row, name: `user-${row % 50}`, state: 'waiting', price: row / 4 }))

const random = seededRandom(seed)

/** A frame whose head is `from` 1, `to` 2, with this in place of what a Packer makes. */
const forged = (sizeBytes: number, stream: Uint8Array): Buffer => {
  const start = Buffer.alloc(16)
  start.set([1, 2, PACKED])
  return Buffer.concat([start.subarray(0, writeVarint(start, 3, sizeBytes)), stream])
}

const windowed = (bytes: Uint8Array, bits: number): Buffer =>
  brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 5, [constants.BROTLI_PARAM_LGWIN]: bits },
  })

const refusal = (frame: Buffer): string => codeOf(() => bob().decode(0x01, frame, 0, frame.length, ALICE))

test('every kind of signal with a body: smaller on the wire, equal when it arrives', () => {
  const [sender, receiver] = [alice(), bob()]
  const content = rows(400)
  const signals: Signal[] = [
    send(content),
    { type: 'send', from: 1, to: 'a name', message: content },
    { type: 'sendMany', from: 1, to: [3, 9], message: content },
    { type: 'cast', from: 1, to: 2, message: content, trace: `00-${'ab'.repeat(16)}-${'cd'.repeat(8)}-01` },
    { type: 'call', from: 1, to: 2, call: 3, request: content },
    { type: 'reply', from: 1, call: 3, value: content },
    { type: 'down', from: 1, ref: 3, reason: content },
    {
      type: 'spawn',
      from: 1,
      request: 2,
      behaviour: 'b',
      version: '',
      link: true,
      start: true,
      ref: 3,
      name: 'n',
      args: [content],
    },
  ]
  for (const signal of signals) {
    const plain = frameOf(alice().encode(signal, BOB))
    const { type } = sender.encode(signal, BOB, true)
    const packed = frameOf(sender.encode(signal, BOB, true))
    assert.ok(packed.length < plain.length / 4, `${signal.type}: ${plain.length} to ${packed.length}`)
    assert.equal(receiver.decode(type, packed, 0, packed.length, ALICE), signal)
    assert.is(receiver.unpackedBytes, plain.length - packed.length)
    receiver.decode(type, plain, 0, plain.length, ALICE)
    assert.is(receiver.unpackedBytes, 0)
  }
})

test('only above the size, only for whom it is meant, and never without being told to', () => {
  const sender = alice()
  const long = JSON.stringify(rows(80_000))
  // A header of three bytes up to 21845 characters, of five beyond.
  const text = (bytes: number): Signal => send(long.slice(0, bytes - (bytes < 10_000 ? 3 : 5)))
  const isPacked = (wire: Wire, signal: Signal, packs: boolean): boolean =>
    frameOf(wire.encode(signal, BOB, packs))[2] === PACKED
  assert.not.ok(isPacked(sender, text(ABOVE_BYTES), true))
  assert.ok(isPacked(sender, text(ABOVE_BYTES + 1), true))
  assert.not.ok(isPacked(sender, text(ABOVE_BYTES + 1), false))
  assert.not.ok(isPacked(new Wire(codecOf(ALICE, BOB)), text(ABOVE_BYTES + 1), true))
  assert.ok(isPacked(sender, text(MAX_PACKED_BODY_BYTES / 2), true))
  assert.not.ok(isPacked(sender, text(MAX_PACKED_BODY_BYTES + 100), true))
})

test('what does not pack goes as it is, and its sender is left alone longer and longer; others are not', () => {
  const sender = alice()
  const noise = Buffer.from(random.bytes(8000))
  const content = rows(400)
  const isPacked = (message: unknown, from: number): boolean => {
    const frame = frameOf(sender.encode(send(message, from), BOB, true))
    return frame[frame.indexOf(2) + 1] === PACKED
  }
  const restOf = (from: number): number => {
    assert.not.ok(isPacked(noise, from))
    let passed = 0
    while (!isPacked(content, from)) passed++
    return passed
  }
  assert.is(restOf(1), 1)
  assert.is(restOf(1), 1, 'what packs again is forgiven')
  assert.not.ok(isPacked(noise, 1))
  assert.not.ok(isPacked(content, 1))
  assert.is(restOf(1), 2, 'a second failure rests twice as long')
  assert.not.ok(isPacked(noise, 1))
  assert.ok(isPacked(content, 3))
  // The bound of the longest rest.
  let tries = 0
  for (let i = 0; i < 5000; i++) if (!isPacked(noise, 5)) tries++
  assert.is(tries, 5000)
  let left = 0
  while (!isPacked(content, 5)) left++
  assert.ok(left <= 64, `${left} bodies were passed over`)
})

test('zeros by the megabyte go as they are: they would look like a bomb', () => {
  const frame = frameOf(alice().encode(send(Buffer.alloc(MIB / 2)), BOB, true))
  assert.ok(frame.length > MIB / 2)
})

test('bombs, lies and rubbish cost their sender the connection, before memory is taken', () => {
  const zeros = windowed(Buffer.alloc(16 * MIB), 20)
  assert.ok(zeros.length < 200)
  assert.is(refusal(forged(16 * MIB, zeros)), 'ERR_SKEIN_BAD_MESSAGE')
  assert.is(refusal(forged(MAX_MESSAGE_BYTES, zeros)), 'ERR_SKEIN_BAD_MESSAGE')
  assert.is(refusal(forged(1000, zeros)), 'ERR_SKEIN_BAD_MESSAGE', 'more than it claims')
  assert.is(refusal(forged(MAX_MESSAGE_BYTES, Buffer.concat([zeros, Buffer.alloc(8192)]))), 'ERR_SKEIN_BAD_MESSAGE')
  const body = codecOf(ALICE, BOB).encode(rows(100))
  const stream = windowed(body, 18)
  const good = forged(body.length, stream)
  assert.is(bob().decode(0x01, good, 0, good.length, ALICE).type, 'send')
  const cases: readonly [string, Buffer][] = [
    ['nothing', Buffer.of(1, 2, PACKED)],
    ['no stream', forged(body.length, Buffer.alloc(0))],
    ['a size of 0', forged(0, stream)],
    ['one byte more', forged(body.length + 1, stream)],
    ['one byte less', forged(body.length - 1, stream)],
    ['more than any message', forged(MAX_MESSAGE_BYTES + 1, stream)],
    ['2^53', forged(2 ** 53 - 1, stream)],
    ['a size longer than needed', Buffer.concat([Buffer.of(1, 2, PACKED, 0x81, 0x00), stream])],
    ['cut off', good.subarray(0, -1)],
    ['a window of 4 MiB', forged(body.length, windowed(body, 22))],
    ['rubbish', forged(1000, random.bytes(500))],
  ]
  for (const [what, frame] of cases) assert.is(refusal(frame), 'ERR_SKEIN_BAD_MESSAGE', what)
})

test('what was packed within is judged like any other message', () => {
  for (const content of [
    Buffer.of(0xc1),
    Buffer.concat([Buffer.of(0xdd, 0xff, 0xff, 0xff, 0xff), Buffer.alloc(60)]),
    Buffer.of(1, 1),
  ]) {
    assert.is(refusal(forged(content.length, windowed(content, 18))), 'ERR_SKEIN_BAD_MESSAGE')
  }
})

test(
  '4000 damaged frames end in a signal or a code',
  () => {
    const original = frameOf(alice().encode(send(rows(100)), BOB, true))
    assert.is(original[2], PACKED)
    const receiver = bob()
    let refused = 0
    for (let run = 0; run < 4000; run++) {
      const damaged = Buffer.from(original)
      for (let flips = 1 + Math.floor(random.float() * 3); flips > 0; flips--) {
        damaged[3 + Math.floor(random.float() * (damaged.length - 3))]! ^= 1 << Math.floor(random.float() * 8)
      }
      try {
        receiver.decode(0x01, damaged, 0, damaged.length, ALICE)
      } catch (error) {
        assert.ok(isSkeinError(error), String(error))
        assert.is(error.code, 'ERR_SKEIN_BAD_MESSAGE')
        refused++
      }
    }
    assert.ok(refused > 2000, String(refused))
  },
  { deadlineMs: 60_000 },
)

test.run()
