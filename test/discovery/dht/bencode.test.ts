import * as assert from 'uvu/assert'
import {
  encode,
  judge,
  MAX_BENCODE_BYTES,
  MAX_BENCODE_COUNT,
  MAX_BENCODE_DEPTH,
  Verbatim,
} from '../../../discovery/dht/bencode.ts'
import { suite } from '../../support/suite.ts'

const test = suite('bencode')
const bytes = (text: string): Buffer => Buffer.from(text, 'latin1')
const text = (value: Uint8Array | undefined): string | undefined => value && Buffer.from(value).toString('latin1')

test('canonical texts are read', () => {
  const message = judge(bytes('d1:ad2:id3:abce4:listli0ei-7e0:e1:t2:\xff\x00e'))!
  assert.is(text(message.get('a')?.get('id')?.bytes()), 'abc')
  assert.equal(
    message
      .get('list')
      ?.items()
      ?.map((item) => item.integer()),
    [0, -7, undefined],
  )
  assert.is(text(message.get('t')?.bytes()), '\xff\x00')
  assert.is(message.get('missing'), undefined)
  assert.is(text(message.get('list')?.raw()), 'li0ei-7e0:e')
  assert.is(message.get('list')?.sizeBytes, 11)
  assert.is(text(judge(bytes('0:'))?.bytes()), '')
  assert.equal(judge(bytes('le'))?.items(), [])
  assert.ok(judge(bytes('de'))?.isDictionary)
})

test('a value read as something else is undefined', () => {
  const [string, integer, list, dictionary] = ['1:a', 'i1e', 'le', 'de'].map((one) => judge(bytes(one))!)
  for (const value of [integer, list, dictionary]) {
    assert.is(value!.bytes(), undefined)
    assert.is(value!.stringBytes, undefined)
    assert.not(value!.is(''))
  }
  for (const value of [string, list, dictionary]) assert.is(value!.integer(), undefined)
  for (const value of [string, integer, dictionary]) assert.is(value!.items(), undefined)
  for (const value of [string, integer, list]) {
    assert.is(value!.get('a'), undefined)
    assert.not(value!.isDictionary)
  }
})

test('what is read is a copy', () => {
  const source = bytes('d1:v3:abce')
  const value = judge(source)!.get('v')!
  const contents = value.bytes()
  const raw = value.raw()
  source.fill(0)
  assert.is(text(contents), 'abc')
  assert.is(text(raw), '3:abc')
})

test('anything that is not canonical is refused', () => {
  // biome-ignore format: one kind a line
  const refused = [
    '', 'e', 'x', '-', ':', 'i', 'l', 'd', // nothing
    'ie', 'i-e', 'i-0e', 'i007e', 'i00e', 'i-07e', 'i+1e', 'i1.5e', 'i 1e', 'i1', 'i1x', 'i0x1e', 'i1-e',
    'i12345678901234567890e', // over 64 bits
    '01:a', '00:', '-1:a', '+1:a', '1', '1:', '2:a', ':a', '1;a', '1 :a', '99999999999999999999:a', '9007199254740993:a',
    '1:aa', 'i1ei1e', 'lee', 'dee', 'i1e\n', ' i1e', // something before or behind
    'l', 'li1e', 'd1:a', 'd1:ai1e', 'd1:ae', 'd', // unfinished
    'di1ei1ee', 'dlei1ee', 'd1:a1:b1:ce', // keys that are no strings, a key without a value
    'd1:bi1e1:ai1ee', 'd1:ai1e1:ai2ee', 'd2:aai1e1:ai1ee', 'd1:\xffi1e1:ai1ee', 'd1:ad1:bi1e1:bi1eee', 'd1:ai1e0:i1ee',
  ]
  for (const one of refused) assert.is(judge(bytes(one)), undefined, JSON.stringify(one))
})

test('keys are in the order of their bytes, the shorter first', () => {
  for (const one of ['d0:i1e1:ai1e2:aai1e1:bi1ee', 'd1:zi1e1:\x80i1e1:\xffi1ee', 'd1:Bi1e1:ai1ee']) {
    assert.ok(judge(bytes(one)), one)
  }
})

test('names of JavaScript are keys like others', () => {
  const names = ['__proto__', 'constructor', 'toString']
  const message = judge(bytes('d9:__proto__d1:xi1ee11:constructori2e8:toStringi3ee'))!
  assert.is(message.get('__proto__')?.get('x')?.integer(), 1)
  assert.is(message.get('constructor')?.integer(), 2)
  for (const name of names) assert.is(judge(bytes('de'))!.get(name), undefined)
  assert.is(({} as { x?: unknown }).x, undefined)
})

test('integers that a number cannot hold exactly are kept as they came, and not read', () => {
  for (const digits of ['9007199254740992', '9007199254740993', '-9007199254740993', '9223372036854775807']) {
    const value = judge(bytes(`i${digits}e`))!
    assert.is(value.integer(), undefined)
    assert.is(text(value.raw()), `i${digits}e`)
  }
  assert.is(judge(bytes('i9007199254740991e'))?.integer(), Number.MAX_SAFE_INTEGER)
  assert.is(judge(bytes('i-9007199254740991e'))?.integer(), Number.MIN_SAFE_INTEGER)
})

test('size, depth and count have their bounds', () => {
  const string = (length: number): Buffer => bytes(`${length}:${'a'.repeat(length)}`)
  assert.ok(judge(string(MAX_BENCODE_BYTES - 5)))
  assert.is(judge(string(MAX_BENCODE_BYTES - 4)), undefined)
  const lists = (depth: number): Buffer => bytes('l'.repeat(depth) + 'e'.repeat(depth))
  assert.ok(judge(lists(MAX_BENCODE_DEPTH)))
  assert.is(judge(lists(MAX_BENCODE_DEPTH + 1)), undefined)
  const dictionaries = (depth: number): Buffer => bytes(`${'d1:a'.repeat(depth)}de${'e'.repeat(depth)}`)
  assert.ok(judge(dictionaries(MAX_BENCODE_DEPTH - 1)))
  assert.is(judge(dictionaries(MAX_BENCODE_DEPTH)), undefined)
  const items = (count: number): Buffer => bytes(`l${'0:'.repeat(count)}e`)
  assert.ok(judge(items(MAX_BENCODE_COUNT - 1)))
  assert.is(judge(items(MAX_BENCODE_COUNT)), undefined)
})

test('bombs are refused', () => {
  for (const bomb of [
    'l'.repeat(MAX_BENCODE_BYTES),
    'd1:a'.repeat(MAX_BENCODE_BYTES / 4),
    'd0:'.repeat(1000),
    `l${'le'.repeat(2000)}e`,
    '4000000000:',
    `i${'9'.repeat(4000)}e`,
    '9'.repeat(4000),
  ])
    assert.is(judge(bytes(bomb)), undefined)
})

test('encoding is canonical', () => {
  assert.is(
    text(encode({ b: [1, 'x', bytes('\xff')], a: { z: -5, 10: 0, 9: '' }, none: undefined })),
    'd1:ad2:10i0e1:90:1:zi-5ee1:bli1e1:x1:\xffee',
  )
  assert.is(text(encode([])), 'le')
  assert.is(text(encode({})), 'de')
  assert.is(text(encode(-0)), 'i0e')
  assert.is(text(encode(Number.MAX_SAFE_INTEGER)), 'i9007199254740991e')
  assert.is(text(encode('\u00e9')), '2:\xc3\xa9')
})

test('keys are sorted by their bytes, not by their UTF-16 units', () => {
  const encoded = encode({ '\u{1f600}': 1, '\uffee': 2, a: 3 })
  assert.ok(judge(encoded))
  assert.is(Buffer.from(encoded).toString(), 'd1:ai3e3:\uffeei2e4:\u{1f600}i1ee')
})

test('bencoded bytes go out as they are', () => {
  const value = bytes('d9:__proto__i9223372036854775807e1:\xffi1ee')
  const encoded = encode({ v: new Verbatim(value), list: [new Verbatim(value)] })
  assert.equal(judge(encoded)?.get('v')?.raw(), Uint8Array.from(value))
  assert.is(judge(encoded)?.get('list')?.items()?.length, 1)
})

test('numbers that are no safe integers are refused', () => {
  for (const value of [1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    assert.throws(
      () => encode({ value }),
      (error: unknown) => error instanceof RangeError,
    )
  }
})

test.run()
