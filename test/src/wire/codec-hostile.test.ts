/** Bytes from a peer that means harm: a coded error each, bounded in memory and time, and no other trace. */
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../certs/errors.ts'
import { Pid, Ref } from '../../../src/pid.ts'
import { MAX_VALUES } from '../../../src/wire/codec-types.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'
import { ALICE, BOB, CAROL, codecOf, codeOf, errorOf } from './codec-support.ts'

const test = suite('codec hostile')
const seed = Number(process.env.SKEIN_TEST_SEED ?? Date.now() % 2 ** 32)
console.log(`seed ${seed}`)

const bytesOf = (hex: string): Buffer => Buffer.from(hex.replaceAll(' ', ''), 'hex')

const decode = (bytes: Uint8Array): unknown => codecOf(BOB, ALICE).decode(bytes, 0, bytes.length)

const badly = (hex: string): void => {
  const bytes = bytesOf(hex)
  assert.is(
    codeOf(() => decode(bytes)),
    'ERR_SKEIN_BAD_MESSAGE',
    hex,
  )
}

test('nothing, too little and too much', () => {
  for (const hex of ['', 'a3 6162', 'd9', 'd9 05 61', 'da 00', 'db 000000', 'db ffffffff', '92 01', '81 a161', '01 02'])
    badly(hex)
  for (const hex of ['cb 00', 'cd 00', 'ce 000000', 'd3 00', 'cf 00', 'c4 05 00', 'c6 ffffffff', 'ca 00', 'c0 c0'])
    badly(hex)
})

test('every cut of a rich message', () => {
  const message = richMessage()
  for (let end = 0; end < message.length; end++) {
    // The rest of the message still lies behind the end: it must not be looked at.
    assert.is(
      codeOf(() => codecOf(BOB, ALICE).decode(message, 0, end)),
      'ERR_SKEIN_BAD_MESSAGE',
      `cut at ${end}`,
    )
  }
})

test('an end beyond the buffer', () => {
  assert.is(
    codeOf(() => codecOf(BOB, ALICE).decode(Buffer.of(0x93, 1, 2), 0, 9)),
    'ERR_SKEIN_BAD_MESSAGE',
  )
})

test('counts and lengths that the bytes cannot hold, before memory is taken', () => {
  const heads = [
    'dd ffffffff',
    'dc ffff',
    'df 7fffffff',
    'de ffff',
    'db 7fffffff',
    'c6 7fffffff',
    'c9 7fffffff 04',
    'c9 ffffffff 09',
  ]
  for (const hex of heads) {
    badly(hex)
    badly(`${hex} 00 00 00`)
    badly(`91 ${hex} 00 00 00`)
  }
})

test('too deep, with every kind of container', () => {
  badly(`${'91'.repeat(65)} 01`)
  badly(`${'81a161'.repeat(65)} 01`)
  badly('91'.repeat(100_000))
  const layers = 65
  for (const [type, prefix] of [
    ['05', ''],
    ['04', '00'],
    ['0a', 'a3612f62'],
  ]) {
    let body = '01'
    for (let i = 0; i < layers; i++) {
      const inner = prefix + body
      body = `c9${(inner.length / 2).toString(16).padStart(8, '0')}${type}${inner}`
    }
    badly(body)
  }
  assert.equal(decode(bytesOf(`${'91'.repeat(64)} 01`)), JSON.parse(`${'['.repeat(64)}1${']'.repeat(64)}`))
})

test('more values than allowed', () => {
  const header = Buffer.alloc(5)
  header[0] = 0xdd
  header.writeUInt32BE(MAX_VALUES + 1, 1)
  const bytes = Buffer.concat([header, Buffer.alloc(MAX_VALUES + 1, 0x80)])
  assert.is(
    codeOf(() => decode(bytes)),
    'ERR_SKEIN_BAD_MESSAGE',
  )
  header.writeUInt32BE(MAX_VALUES, 1)
  bytes.set(header)
  assert.is((decode(bytes.subarray(0, -1)) as unknown[]).length, MAX_VALUES)
  // Errors, Maps, Sets and buffers cost more than they weigh.
  const dear = ['c70103 80', 'c70004', 'c70005', 'c400', 'c7010901', 'c70208a0a0']
  for (const hex of dear) {
    const one = bytesOf(hex)
    const count = 2 ** 18
    const head = Buffer.alloc(5)
    head[0] = 0xdd
    head.writeUInt32BE(count, 1)
    assert.is(
      codeOf(() => decode(Buffer.concat([head, Buffer.alloc(count * one.length, one)]))),
      'ERR_SKEIN_BAD_MESSAGE',
      hex,
    )
  }
})

test('prototypes stay what they are', () => {
  badly('81 a9 5f5f70726f746f5f5f 81 a1 78 01')
  badly('81 d909 5f5f70726f746f5f5f 01')
  badly('91 81 db00000009 5f5f70726f746f5f5f 01')
  // Also when the text is known already, as a value.
  const codec = codecOf(BOB, ALICE)
  const value = bytesOf('a9 5f5f70726f746f5f5f')
  assert.is(codec.decode(value, 0, value.length), '__proto__')
  const key = bytesOf('81 a9 5f5f70726f746f5f5f 01')
  assert.is(
    codeOf(() => codec.decode(key, 0, key.length)),
    'ERR_SKEIN_BAD_MESSAGE',
  )
  const nested = decode(bytesOf('81 ab 636f6e7374727563746f72 81 a9 70726f746f74797065 81 a1 78 01'))
  assert.equal(Object.keys(nested as object), ['constructor'])
  assert.is(({} as { x?: number }).x, undefined)
})

test('keys that are no strings', () => {
  for (const key of ['01', 'c0', 'c401 61', '90', '80', 'cb 0000000000000000', 'd40000']) badly(`81 ${key} 01`)
})

test('reserved, unknown and malformed', () => {
  for (const hex of [
    'c1',
    '91 c1',
    'd4 72 40',
    'd5 72 4000',
    'd6 70 00000001',
    'c7 00 7f',
    'd6 ff 00000000',
    'd4 00 01',
  ])
    badly(hex)
  badly('c7 00 00') // undefined without a body
  badly('c7 00 01') // pids and references
  badly('c7 01 01 00')
  badly('c7 02 01 03 01')
  badly('c7 03 01 00 01 00')
  badly('c7 03 01 00 81 00') // a varint longer than needed
  badly('c7 09 01 00 ffffffffffffff7f') // beyond 2^53
  badly('c7 0a 01 00 ffffffffffffffff01')
  badly('c7 03 01 02 01 00')
  badly('c7 01 03 01') // errors
  badly('c7 02 03 80 00')
  badly('c7 01 04 01') // a Map with half an entry
  badly('c7 02 05 92 01') // a Set whose last member is cut
  badly('d4 06 00') // dates
  badly('c7 09 06 000000000000000000')
  badly('d4 07 00') // bigints
  badly('d5 07 02 01')
  badly('c7 03 08 a1 28 a0') // a pattern that does not compile
  badly('c7 04 08 a1 61 a1 7a')
  badly('d4 09 0d') // views
  badly('c7 00 09')
  badly('d6 09 04 000000')
  badly('c7 02 0a a1 61') // registered types
  badly('cf ffffffffffffffff') // integers that no number holds
  badly('d3 8000000000000000')
})

test('a pattern longer than allowed', () => {
  const bytes = Buffer.concat([bytesOf('c9 00001388 08 da 1384'), Buffer.alloc(4996, 0x61), bytesOf('a0')])
  assert.match(errorOf(() => decode(bytes)).message, /pattern is too long/)
})

test('third nodes that cannot be', () => {
  const good = Buffer.from(codecOf(ALICE, BOB).encode(new Pid(CAROL, 1)))
  assert.ok(decode(good) instanceof Pid)
  const at = good.indexOf('c'.repeat(32))
  for (const byte of [0x00, 0x41, 0x31, 0xff]) {
    const bad = Buffer.from(good)
    bad[at] = byte
    assert.is(
      codeOf(() => decode(bad)),
      'ERR_SKEIN_BAD_MESSAGE',
    )
  }
})

test('a process of a sender that is not known yet', () => {
  const codec = codecOf(BOB, ALICE)
  const bytes = Buffer.from(codecOf(ALICE, BOB).encode(new Pid(ALICE, 1)))
  codec.peer = undefined
  assert.is(
    codeOf(() => codec.decode(bytes, 0, bytes.length)),
    'ERR_SKEIN_BAD_MESSAGE',
  )
})

test('forged errors are errors', () => {
  const codec = codecOf(ALICE, BOB)
  const forge = (fields: unknown): Error => {
    const body = Buffer.from(codec.encode(fields))
    const head = bytesOf('c9 00000000 03')
    head.writeUInt32BE(body.length, 1)
    return decode(Buffer.concat([head, body])) as Error
  }
  assert.is(forge({}).message, '')
  assert.is(forge({ name: 1, message: [], stack: {}, code: {}, errors: 1 }).name, 'Error')
  const unknown = forge({ name: 'SkeinError', code: 'toString', attempts: 1, hint: 2 })
  assert.is(unknown.name, 'SkeinError')
  assert.not(isSkeinError(unknown))
  const odd = forge({ name: 'SkeinError', code: 'ERR_SKEIN_NOPROC', attempts: [1, null, { what: 'a' }], hint: 2 })
  assert.ok(isSkeinError(odd, 'ERR_SKEIN_NOPROC'))
  assert.equal(odd.attempts, [])
  assert.is(typeof odd.hint, 'string')
})

test('broken UTF-8 becomes U+FFFD and does not stick', () => {
  const codec = codecOf(BOB, ALICE)
  for (const hex of ['a1 ff', 'a2 c3 28', 'a1 e9', 'a9 e0 80 af 61 61 61 61 61 61']) {
    const bytes = bytesOf(hex)
    assert.match(codec.decode(bytes, 0, bytes.length) as string, /\ufffd/)
    assert.match(codec.decode(bytes, 0, bytes.length) as string, /\ufffd/)
  }
})

test(
  '100 000 damaged messages end in a value or a code, and the codec stays whole',
  () => {
    const random = seededRandom(seed)
    const below = (limit: number): number => Math.floor(random.float() * limit)
    const codec = codecOf(BOB, ALICE)
    const original = richMessage()
    const expected = codecOf(ALICE, BOB).encode(codec.decode(original, 0, original.length)).length
    const ends = { decoded: 0, refused: 0 }
    const damaged = Buffer.alloc(original.length + 16)
    for (let run = 0; run < 100_000; run++) {
      original.copy(damaged)
      let end = original.length
      const kind = below(5)
      if (kind === 0) end = below(end)
      else if (kind === 1) damaged.set(random.bytes(1 + below(16)), below(end))
      else if (kind === 2) damaged.copyWithin(below(end), below(end), end)
      else if (kind === 3) {
        end = 1 + below(64)
        damaged.set(random.bytes(end))
      } else {
        for (let flips = 1 + below(4); flips > 0; flips--) damaged[below(end)]! ^= 1 << below(8)
      }
      try {
        codec.decode(damaged, 0, end)
        ends.decoded++
      } catch (error) {
        assert.ok(isSkeinError(error), `run ${run}: ${error}`)
        assert.ok(error.code === 'ERR_SKEIN_BAD_MESSAGE' || error.code === 'ERR_SKEIN_UNKNOWN_TYPE', error.code)
        ends.refused++
      }
    }
    assert.ok(ends.decoded > 100 && ends.refused > 10_000, JSON.stringify(ends))
    assert.is(codecOf(ALICE, BOB).encode(codec.decode(original, 0, original.length)).length, expected)
    assert.is(({} as { x?: number }).x, undefined)
  },
  { deadlineMs: 60_000 },
)

/** One of everything, sent by alice to bob. */
function richMessage(): Buffer {
  return Buffer.from(
    codecOf(ALICE, BOB).encode({
      numbers: [0, -1, 200, 70_000, 2 ** 40, -0.5, NaN],
      texts: ['', 'short', 'é', 'long '.repeat(20)],
      pids: [new Pid(ALICE, 300), new Pid(BOB, 2), new Ref(CAROL, 3)],
      bytes: [Buffer.from('abc'), new Float64Array([1, 2]), new Uint8Array(3), new ArrayBuffer(2)],
      map: new Map<unknown, unknown>([
        ['k', { v: 1 }],
        [1, new Set([1, 2])],
      ]),
      others: [new Date(5), 123456789012345678901234567890n, -1n, /a+/g, undefined, null, true],
      error: Object.assign(new TypeError('broken', { cause: new Error('inner') }), { code: 'E1', stack: 'at x' }),
    }),
  )
}

test.run()
