/** What may not be sent is refused at the sender, by name, and the codec goes on as if nothing had been. */
import { runInNewContext } from 'node:vm'
import * as assert from 'uvu/assert'
import { SkeinError } from '../../../certs/errors.ts'
import { Origin, Pid } from '../../../src/pid.ts'
import { MAX_DEPTH, MAX_VALUES } from '../../../src/wire/codec-types.ts'
import { suite } from '../../support/suite.ts'
import { ALICE, BOB, codecOf, codeOf, errorOf, transfer } from './codec-support.ts'

const test = suite('codec refusals')

const MESSAGE = { type: 'tick', items: [1, 2, { deep: 'x'.repeat(100) }], ok: true }

/** Is refused so, and the same codec serves the next message. */
const refused = (value: unknown, pattern: RegExp, code = 'ERR_SKEIN_UNSERIALISABLE'): void => {
  const codec = codecOf(ALICE, BOB)
  const error = errorOf(() => codec.encode(value))
  assert.is(error.code, code)
  assert.match(error.message, pattern)
  assert.equal(transfer(MESSAGE, codec), MESSAGE)
}

test('functions, symbols, promises and their like, with the path to them', () => {
  refused(() => 1, /^message is a function/)
  refused(Symbol('s'), /^message is a symbol/)
  refused({ items: [0, 1, 2, { callback: () => 1 }] }, /^message\.items\[3\]\.callback is a function/)
  refused({ 'odd key': { s: Symbol.iterator } }, /^message\["odd key"\]\.s is a symbol/)
  refused([Promise.resolve()], /^message\[0\] is an instance of Promise/)
  refused(new WeakMap(), /an instance of WeakMap/)
  refused(new WeakSet(), /an instance of WeakSet/)
  refused(new WeakRef({}), /an instance of WeakRef/)
  refused({ proxy: new Proxy(() => 1, {}) }, /^message\.proxy is a function/)
  refused(new Map([['a', () => 1]]), /^message\[0\] is a function/)
  refused([new Set([1, () => 1])], /^message\[0\]\[1\] is a function/)
  refused(new Error('x', { cause: () => 1 }), /^message\.cause is a function/)
  refused([1].values(), /is an instance of/)
  refused(new Number(1), /an instance of Number/)
  refused(new URL('http://localhost'), /an instance of URL/)
})

test('a proxy that has more keys when they are read than when they were counted', () => {
  let asked = 0
  const names = Array.from({ length: 20 }, (_, i) => `key-${i}`)
  const growing = new Proxy(Object.fromEntries(names.map((name) => [name, 1])), {
    ownKeys: () => names.slice(0, asked++ % 2 === 0 ? 1 : 20),
  })
  refused([growing], /got more keys while it was read/)
})

test('instances of classes that are not registered', () => {
  class Money {
    amount = 1
  }
  refused({ price: new Money() }, /^message\.price is an instance of Money, which is not a registered type/)
  refused(new (class extends Map {})(), /is an instance of/)
  refused(new (class Basket extends Array {})(), /an instance of Basket/)
  refused(new (class Day extends Date {})(), /an instance of Day/)
  refused(Object.create({ inherited: 1 }), /is an instance of/)
  refused(new (class {})(), /an instance of a nameless class/)
  refused(runInNewContext('new (class Foreign {})()'), /an instance of Foreign/)
})

test('cycles are named', () => {
  const ring: Record<string, unknown> = { name: 'ring' }
  ring.self = ring
  refused(ring, /^message\.self is message again: a cycle/)
  const list: unknown[] = [1]
  list.push({ list })
  refused({ a: list }, /^message\.a\[1\]\.list is message\.a again: a cycle/)
  const map = new Map<string, unknown>()
  map.set('self', map)
  refused({ map }, /or contains itself/)
  const error = new Error('x')
  error.cause = error
  refused(error, /^message\.cause is message again/)
})

test('one level too many', () => {
  let nested: unknown = 1
  for (let depth = 0; depth < MAX_DEPTH; depth++) nested = { nested }
  assert.equal(transfer(nested), nested)
  refused([nested], /nested deeper than 64 levels/)
})

test('keys that change prototypes', () => {
  refused({ a: JSON.parse('{"__proto__": {"x": 1}}') }, /^message\.a\.__proto__ is a key/)
})

test('objects that throw when read', () => {
  const trap = {
    get value(): number {
      throw new TypeError('no')
    },
  }
  refused({ trap }, /^message\.trap\.value cannot be read/)
  assert.is((errorOf(() => codecOf(ALICE, BOB).encode(trap)).cause as Error).message, 'no')
})

test('pids of nodes that cannot be', () => {
  refused(new Pid(new Origin('x', 'short', '00'), 1), /names a node that cannot be/)
  refused(new Pid(ALICE, 1.5), /has the number 1\.5/)
  refused(new Pid(ALICE, -1), /has the number -1/)
  refused(new Pid(new Origin('x'.repeat(256), 'z'.repeat(32), '0'.repeat(16)), 1), /too long a name/)
})

test('patterns without end', () => {
  refused(new RegExp('x'.repeat(4097)), /more than 4096 characters/)
})

test('the limit of bytes is exact', () => {
  const sender = codecOf(ALICE, BOB, { maxMessageBytes: 100_000 })
  const receiver = codecOf(BOB, ALICE, { maxMessageBytes: 100_000 })
  const fits = 'x'.repeat(100_000 - 5)
  assert.is(transfer(fits, sender, receiver), fits)
  assert.is(
    codeOf(() => sender.encode(`${fits}x`)),
    'ERR_SKEIN_MESSAGE_TOO_LARGE',
  )
  assert.is(transfer(fits, sender, receiver), fits)
})

test('what is far too large is refused before memory is taken for it', () => {
  const codec = codecOf(ALICE, BOB, { maxMessageBytes: 1 << 20 })
  const chunk = 'x'.repeat(1000)
  const shared = Array.from({ length: 1000 }, () => chunk)
  const bomb = Array.from({ length: 1000 }, () => shared)
  const buffers = process.memoryUsage().arrayBuffers
  const values: unknown[] = [
    'x'.repeat(2 ** 28),
    new Array(2 ** 32 - 1),
    new Array(2 ** 21),
    Buffer.alloc(2 ** 21),
    new Float64Array(2 ** 18),
    1n << (2n ** 24n),
    bomb,
    [...bomb, { text: 'é'.repeat(2 ** 20) }],
  ]
  for (const value of values) {
    assert.is(
      codeOf(() => codec.encode(value)),
      'ERR_SKEIN_MESSAGE_TOO_LARGE',
    )
    assert.ok(codec.encoded.length <= (1 << 20) + 64, 'the buffer grew beyond the limit')
  }
  const grown = process.memoryUsage().arrayBuffers - buffers
  assert.ok(grown < 24 * 2 ** 20, `${grown} bytes were taken`)
  assert.equal(transfer(MESSAGE, codec), MESSAGE)
})

test('as many values as the receiver takes, and not one more', () => {
  const kinds: readonly ((count: number) => unknown)[] = [
    (count) => Array.from({ length: count }, () => 0),
    (count) => [Array.from({ length: count - 1 }, () => ({}))],
    (count) => new Set(Array.from({ length: count - 8 }, (_, i) => i)),
    (count) => Array.from({ length: count / 65 }, () => 0).map(() => Object.assign(new Error(''), { name: '' })),
    (count) => Array.from({ length: count / 9 }, () => Buffer.alloc(0)),
  ]
  for (const [i, kind] of kinds.entries()) {
    if (i < 3) transfer(kind(MAX_VALUES))
    assert.is(
      codeOf(() => codecOf(ALICE, BOB).encode(kind(MAX_VALUES + 128))),
      'ERR_SKEIN_MESSAGE_TOO_LARGE',
      `kind ${i}`,
    )
  }
})

test('shared objects that unfold without end hit the limit, not the clock', () => {
  let bomb: unknown = [0]
  for (let depth = 0; depth < 50; depth++) bomb = [bomb, bomb]
  refused(bomb, /more than/, 'ERR_SKEIN_MESSAGE_TOO_LARGE')
})

test('a getter may send a message of its own, and may fail in it', () => {
  const codec = codecOf(ALICE, BOB)
  const inner: string[] = []
  const message = {
    before: 'x'.repeat(5000),
    get during(): string {
      inner.push(Buffer.from(codec.encode({ inner: 'y'.repeat(9000) })).toString('latin1'))
      inner.push(codeOf(() => codec.encode(() => 1)))
      return 'done'
    },
    after: [1, 2, 3],
  }
  const got = transfer(message, codec)
  assert.equal(got, { before: 'x'.repeat(5000), during: 'done', after: [1, 2, 3] })
  const bytes = Buffer.from(inner[0]!, 'latin1')
  assert.equal(codecOf(BOB, ALICE).decode(bytes, 0, bytes.length), { inner: 'y'.repeat(9000) })
  assert.is(inner[1], 'ERR_SKEIN_UNSERIALISABLE')
})

test('a call stack that is all but used up fails in a coded way', () => {
  const codec = codecOf(ALICE, BOB)
  let nested: unknown = 1
  for (let depth = 0; depth < 60; depth++) nested = { nested }
  const dig = (): unknown => {
    try {
      return dig()
    } catch {
      return codeOf(() => codec.encode(nested))
    }
  }
  try {
    dig()
  } catch (error) {
    assert.ok(error instanceof RangeError || error instanceof SkeinError || /nothing was thrown/.test(String(error)))
  }
  assert.equal(transfer(MESSAGE, codec), MESSAGE)
})

test.run()
