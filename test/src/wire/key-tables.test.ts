/** Keys and names by number: announced, acknowledged, used, bounded; and what a peer may do to them. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import * as assert from 'uvu/assert'
import type { Signal } from '../../../src/signals.ts'
import { encodeKeys, learnKeys, MAX_KNOWN_TEXTS, SentKeys } from '../../../src/wire/key-tables.ts'
import { NameBytes } from '../../../src/wire/name-bytes.ts'
import { type FrameParts, Wire } from '../../../src/wire/wire.ts'
import { suite } from '../../support/suite.ts'
import { ALICE, BOB, codecOf, codeOf } from './codec-support.ts'

const test = suite('key tables')

const frameOf = ({ head, headLength, body }: FrameParts): Buffer =>
  Buffer.concat([head.subarray(0, headLength), body ?? Buffer.alloc(0)])

/** Both ends of a connection, and the control lane between them, which carries only when told to. */
class Link {
  readonly known: string[] = []
  readonly #wire = new Wire(codecOf(ALICE, BOB))
  readonly #other = new Wire(codecOf(BOB, ALICE))
  readonly #way: Uint8Array[] = []
  readonly keys = new SentKeys((texts) => this.#way.push(Uint8Array.from(encodeKeys(texts))))

  carry(): void {
    for (const body of this.#way.splice(0)) learnKeys(this.known, body)
    this.keys.acknowledge(this.known.length)
  }

  /** Sends it, and gives the bytes it took. */
  send(message: unknown, to: number | string = 2): number {
    const signal: Signal = { type: 'send', from: 1, to, message }
    const parts = this.#wire.encode(signal, BOB, false, this.keys)
    const { type } = parts
    const bytes = frameOf(parts)
    this.keys.tellNews()
    assert.equal(this.#other.decode(type, bytes, 0, bytes.length, ALICE, this.known), signal)
    return bytes.length
  }
}

const record = (sequence: number): unknown => ({ type: 'tick', sequence, inner: [{ sequence, empty: {} }] })

test('a key that comes again is two bytes, once the other side knows it', () => {
  const link = new Link()
  const plain = link.send(record(1), 'some name')
  assert.is(link.send(record(1), 'some name'), plain, 'announced, not used yet')
  assert.is(link.send(record(1), 'some name'), plain)
  link.carry()
  assert.equal([...link.known].sort(), ['empty', 'inner', 'sequence', 'some name', 'type'])
  const saved = 3 + 2 * 7 + 4 + 4 + 8
  assert.is(link.send(record(1), 'some name'), plain - saved)
  assert.is(link.send({ tx: 1 }), link.send({ tx: 1 }), 'short keys stay')
})

test('values, and the keys of large tables, stay as they are', () => {
  const link = new Link()
  const table = Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`user-${i}`, 'type']))
  for (let i = 0; i < 3; i++) {
    link.send(table)
    link.send({ type: 'type' })
    link.carry()
  }
  assert.equal(link.known, ['type'])
})

test('the table is bounded, and what no longer fits still arrives', () => {
  const link = new Link()
  for (let round = 0; round < 4; round++) {
    for (let i = 0; i < 1000; i++)
      for (let times = 0; times < 2; times++) link.send({ [`key-${i}`]: i, [`${i}-clé`]: 1 }, `name-${i}`)
    link.carry()
  }
  assert.ok(link.known.length > MAX_KNOWN_TEXTS / 2 && link.known.length <= MAX_KNOWN_TEXTS, String(link.known.length))
  assert.is(new Set(link.known).size, link.known.length)
})

test('a broken surrogate as a key, and __proto__ as a name', () => {
  const link = new Link()
  const cut = `cut ${'😀'.slice(0, 1)}`
  const wire = new Wire(codecOf(ALICE, BOB))
  const other = new Wire(codecOf(BOB, ALICE))
  for (let i = 0; i < 4; i++) {
    link.send(i, '__proto__')
    const parts = wire.encode({ type: 'send', from: 1, to: 2, message: { [cut]: 1 } }, BOB, false, link.keys)
    const bytes = frameOf(parts)
    link.keys.tellNews()
    const got = other.decode(parts.type, bytes, 0, bytes.length, ALICE, link.known)
    assert.equal(got, { type: 'send', from: 1, to: 2, message: { 'cut \ufffd': 1 } })
    link.carry()
  }
  const number = link.known.indexOf('__proto__')
  assert.ok(number >= 0)
  const frame = Buffer.of(1, 2, 0x81, 0xc1, number, 1)
  assert.is(
    codeOf(() => other.decode(0x01, frame, 0, frame.length, ALICE, link.known)),
    'ERR_SKEIN_BAD_MESSAGE',
  )
})

const LONG_BYTES = 1 << 19

const longText = (i: number): string =>
  Buffer.from(`${String.fromCharCode(97 + i)}${'x'.repeat(LONG_BYTES)}`).toString('latin1')

/** What the heap holds more after `fn` was called for 26 texts, bytes. */
const keptBytes = (fn: (text: string) => void): number => {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 26; i++) fn(longText(i))
  collect()
  return process.memoryUsage().heapUsed - before
}

test('no long text is kept, neither as a key nor for a name that was cut out of it', () => {
  const link = new Link()
  const asKeys = keptBytes((text) => assert.is(link.keys.numberOf(text), -1))
  assert.ok(asKeys < 4 * LONG_BYTES, `${asKeys} bytes`)
  const names = new NameBytes()
  const asNames = keptBytes((text) => assert.is(names.of(text.slice(0, 20), link.keys).length, 21))
  assert.ok(asNames < 4 * LONG_BYTES, `${asNames} bytes`)
  assert.is(link.keys.numberOf('a key'), -1)
})

test('a name that is none, by number', () => {
  const decode = (known: string[]): string => {
    const frame = Buffer.of(1, 0, 0, 5)
    return codeOf(() => new Wire(codecOf(BOB, ALICE)).decode(0x21, frame, 0, frame.length, ALICE, known))
  }
  assert.is(decode(['']), 'ERR_SKEIN_PROTOCOL')
})

test('a message that is refused half-way, or sends another while it is read, leaves tables sound', () => {
  const link = new Link()
  for (let i = 0; i < 3; i++) {
    assert.throws(() => link.send({ first: 1, second: () => 0 }))
    link.send({
      first: 1,
      get second() {
        link.send({ third: 1, second: 2 }, 'name')
        return 5
      },
      third: 3,
    })
    link.carry()
  }
  assert.equal([...link.known].sort(), ['first', 'name', 'second', 'third'])
})

test('numbers that were not announced, too many texts, and acknowledgements that cannot be', () => {
  const decode = (frame: Buffer, known?: string[], type = 0x01): string =>
    codeOf(() => new Wire(codecOf(BOB, ALICE)).decode(type, frame, 0, frame.length, ALICE, known))
  const keyed = Buffer.of(1, 2, 0x81, 0xc1, 1, 5)
  assert.is(decode(keyed, ['one']), 'ERR_SKEIN_BAD_MESSAGE')
  assert.is(decode(keyed), 'ERR_SKEIN_BAD_MESSAGE')
  assert.is(decode(Buffer.of(1, 2, 0x81, 0xc1), ['one']), 'ERR_SKEIN_BAD_MESSAGE')
  assert.is(decode(Buffer.of(1, 2, 0x91, 0xc1, 0), ['one']), 'ERR_SKEIN_BAD_MESSAGE', 'as a value')
  const named = Buffer.of(1, 0, 1, 5)
  assert.is(decode(named, ['one'], 0x21), 'ERR_SKEIN_PROTOCOL')
  assert.is(decode(named, undefined, 0x21), 'ERR_SKEIN_PROTOCOL')
  const learn = (known: string[], body: Uint8Array): string => codeOf(() => learnKeys(known, body))
  const many = Array.from({ length: MAX_KNOWN_TEXTS }, (_, i) => `key-${i}`)
  const full: string[] = []
  learnKeys(full, Uint8Array.from(encodeKeys(many)))
  assert.is(learn(full, encodeKeys(['more'])), 'ERR_SKEIN_PROTOCOL')
  assert.is(learn([], encodeKeys([])), 'ERR_SKEIN_PROTOCOL')
  assert.is(learn([], encodeKeys(['x'.repeat(200)])), 'ERR_SKEIN_PROTOCOL')
  assert.is(learn([], Buffer.of(0, 2, 0, 1, 0x61)), 'ERR_SKEIN_PROTOCOL')
  assert.is(learn([], Buffer.of(0, 1, 0, 1, 0x61, 0)), 'ERR_SKEIN_PROTOCOL')
  const link = new Link()
  for (let i = 0; i < 2; i++) link.send(record(1))
  link.carry()
  for (const count of [0, 99])
    assert.is(
      codeOf(() => link.keys.acknowledge(count)),
      'ERR_SKEIN_PROTOCOL',
    )
})

test.run()
