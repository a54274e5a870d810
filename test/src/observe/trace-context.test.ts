/** traceparent: W3C Trace Context in the program, 25 bytes on the wire, and what a peer may do to them. */
import * as fc from 'fast-check'
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import type { Signal } from '../../../src/signals.ts'
import { readTrace, TRACE_BYTES, traceparentOf, writeTrace } from '../../../src/wire/trace-context.ts'
import { FRAME_TYPES, NAMED, TRACED, Wire } from '../../../src/wire/wire.ts'
import { FIRST_LANE_FRAME_TYPE } from '../../../transport/lane.ts'
import { suite } from '../../support/suite.ts'
import { ALICE, BOB, codecOf } from '../wire/codec-support.ts'

const test = suite('trace context')

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

const alice = (): Wire => new Wire(codecOf(ALICE, BOB))
const bob = (): Wire => new Wire(codecOf(BOB, ALICE))

const bytesOf = (wire: Wire, signal: Signal): { type: number; bytes: Buffer } => {
  const { type, head, headLength, body } = wire.encode(signal, BOB)
  return { type, bytes: Buffer.concat([head.subarray(0, headLength), body ?? Buffer.alloc(0)]) }
}

test('what is a traceparent and what is not', () => {
  assert.is(traceparentOf(TRACE), TRACE)
  assert.is(traceparentOf(`01${TRACE.slice(2)}-later-fields`), TRACE, 'a later version, as far as version 00 goes')
  const malformed: unknown[] = [
    undefined,
    7,
    '',
    TRACE.toUpperCase(),
    `ff${TRACE.slice(2)}`,
    `${TRACE}-more`,
    TRACE.slice(1),
    TRACE.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)),
    TRACE.replace('b7ad6b7169203331', '0'.repeat(16)),
    TRACE.replace('-01', '-0g'),
    `01${TRACE.slice(2)}-${'x'.repeat(1000)}`,
  ]
  for (const value of malformed) assert.is(traceparentOf(value), undefined, String(value))
})

test('property: there and back', () => {
  const hex = (bytes: number) => fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((b) => Buffer.from(b))
  fc.assert(
    fc.property(hex(16), hex(8), fc.nat(255), (trace, span, flags) => {
      const written = Buffer.concat([trace, span, Buffer.of(flags)])
      const text = readTrace(written, 0)
      const isNone = trace.every((byte) => byte === 0) || span.every((byte) => byte === 0)
      if (text === undefined) return isNone
      const again = Buffer.alloc(TRACE_BYTES + 3)
      writeTrace(again, 3, text)
      return !isNone && again.subarray(3).equals(written)
    }),
    { numRuns: 1000 },
  )
})

const MESSAGES: readonly Signal[] = [
  { type: 'send', from: 1, to: 2, message: { a: 1 }, trace: TRACE },
  { type: 'send', from: 1, to: 'name', message: 'x'.repeat(100_000), trace: TRACE },
  { type: 'cast', from: 300, to: 2, message: [], trace: TRACE },
  { type: 'call', from: 1, to: 'name', call: 5, request: undefined, trace: TRACE },
]

test('sends, casts and calls carry it, in 25 bytes; without one there is none', () => {
  const [sender, receiver] = [alice(), bob()]
  for (const signal of MESSAGES) {
    const { type, bytes } = bytesOf(sender, signal)
    assert.ok((type & TRACED) !== 0 && type < FIRST_LANE_FRAME_TYPE)
    assert.equal(receiver.decode(type, bytes, 0, bytes.length, ALICE), signal)
    const { trace: _, ...bare } = signal as Extract<Signal, { type: 'send' }>
    const without = bytesOf(sender, bare)
    assert.is(bytes.length - without.bytes.length, TRACE_BYTES)
    assert.is(without.type, type & ~TRACED)
    // What a node of protocol version 1 is given.
    assert.equal(bytes.subarray(TRACE_BYTES), without.bytes)
  }
})

test('ids that are all zero are none; the message arrives', () => {
  const { type, bytes } = bytesOf(alice(), MESSAGES[0]!)
  bytes.fill(0, 0, TRACE_BYTES)
  assert.equal(bob().decode(type, bytes, 0, bytes.length, ALICE), { type: 'send', from: 1, to: 2, message: { a: 1 } })
})

test('a trace that is cut off, or where none is allowed, breaks the protocol', () => {
  const { type, bytes } = bytesOf(alice(), MESSAGES[0]!)
  const codeOf = (frame: number, length: number): string => {
    try {
      bob().decode(frame, bytes, 0, length, ALICE)
    } catch (error) {
      return isSkeinError(error) ? error.code : String(error)
    }
    return 'none'
  }
  for (let length = 0; length <= TRACE_BYTES; length++) assert.is(codeOf(type, length), 'ERR_SKEIN_PROTOCOL')
  const traceable: readonly string[] = ['send', 'sendMany', 'cast', 'call']
  const others = Object.entries(FRAME_TYPES).flatMap(([name, other]) => (traceable.includes(name) ? [] : [other]))
  for (const other of others) {
    for (const flags of [TRACED, TRACED | NAMED]) {
      const head = Buffer.concat([bytes.subarray(0, TRACE_BYTES), Buffer.of(1, 2, 3, 4, 0x01, 0x61, 0x01, 0x61, 0x90)])
      for (let length = TRACE_BYTES + 1; length <= head.length; length++) {
        assert.throws(() => bob().decode(other | flags, head, 0, length, ALICE), isSkeinError)
      }
    }
  }
})

test.run()
