/** Types of the user's: registered per node under a namespaced id. */
import * as assert from 'uvu/assert'
import { suite } from '../../support/suite.ts'
import { ALICE, BOB, codecOf, codeOf, errorOf, transfer } from './codec-support.ts'

const test = suite('codec types')

class Money {
  readonly amount: number
  readonly currency: string
  constructor(amount: number, currency: string) {
    this.amount = amount
    this.currency = currency
  }
}

const isPair = (value: unknown): value is [number, string] =>
  Array.isArray(value) && typeof value[0] === 'number' && typeof value[1] === 'string'

const MONEY = {
  id: 'shop/Money',
  class: Money,
  encode: (money: Money) => [money.amount, money.currency],
  decode: (value: unknown) => {
    if (!isPair(value)) throw new TypeError('not an amount')
    return new Money(...value)
  },
}

test('an instance arrives as an instance, wherever it stands', () => {
  const sender = codecOf(ALICE, BOB)
  const receiver = codecOf(BOB, ALICE)
  sender.registerType(MONEY)
  receiver.registerType(MONEY)
  const got = transfer({ price: new Money(5, 'EUR'), all: new Map([[1, [new Money(6, 'CHF')]]]) }, sender, receiver)
  const { price, all } = got as { price: Money; all: Map<number, Money[]> }
  assert.ok(price instanceof Money && price.amount === 5 && price.currency === 'EUR')
  assert.ok(all.get(1)![0] instanceof Money)
})

test('several codecs in one process do not know of each other', () => {
  const knowing = codecOf(ALICE, BOB)
  const other = codecOf(ALICE, BOB)
  knowing.registerType(MONEY)
  other.registerType({ ...MONEY, id: 'bank/Sum', encode: (money) => [money.amount * 100, money.currency] })
  const bytes = Buffer.from(knowing.encode(new Money(1, 'EUR')))
  const otherBytes = Buffer.from(other.encode(new Money(1, 'EUR')))
  assert.ok(bytes.includes('shop/Money') && otherBytes.includes('bank/Sum'))
  assert.is(
    codeOf(() => codecOf(ALICE, BOB).encode(new Money(1, 'EUR'))),
    'ERR_SKEIN_UNSERIALISABLE',
  )
  assert.is(
    codeOf(() => other.decode(bytes, 0, bytes.length)),
    'ERR_SKEIN_UNKNOWN_TYPE',
  )
  assert.is((knowing.decode(bytes, 0, bytes.length) as Money).amount, 1)
})

test('a receiver that does not know the type says so, and goes on', () => {
  const sender = codecOf(ALICE, BOB)
  const receiver = codecOf(BOB, ALICE)
  sender.registerType(MONEY)
  const error = errorOf(() => transfer([1, new Money(1, 'EUR')], sender, receiver))
  assert.is(error.code, 'ERR_SKEIN_UNKNOWN_TYPE')
  assert.match(error.message, /shop\/Money/)
  assert.equal(transfer([1], sender, receiver), [1])
})

test('functions of a type that throw', () => {
  const sender = codecOf(ALICE, BOB)
  const receiver = codecOf(BOB, ALICE)
  sender.registerType({ ...MONEY, encode: (money) => (money.amount < 0 ? assert.unreachable() : 'nonsense') })
  receiver.registerType(MONEY)
  const refusal = errorOf(() => sender.encode({ debt: new Money(-1, 'EUR') }))
  assert.is(refusal.code, 'ERR_SKEIN_UNSERIALISABLE')
  assert.match(refusal.message, /^message\.debt/)
  const bad = errorOf(() => transfer(new Money(1, 'EUR'), sender, receiver))
  assert.is(bad.code, 'ERR_SKEIN_BAD_MESSAGE')
  assert.is((bad.cause as Error).message, 'not an amount')
})

test('what a type encodes to is judged like everything else', () => {
  const codec = codecOf(ALICE, BOB)
  codec.registerType({ ...MONEY, encode: (money) => ({ money }) })
  assert.match(errorOf(() => codec.encode([new Money(1, 'EUR')])).message, /nested deeper than|cycle/)
  const other = codecOf(ALICE, BOB)
  other.registerType({ ...MONEY, encode: () => ({ run: () => 1 }) })
  assert.match(
    errorOf(() => other.encode([new Money(1, 'EUR')])).message,
    /^message\[0\]\["<shop\/Money>"\]\.run is a function/,
  )
})

test('the functions of a type may use the codec themselves', () => {
  const sender = codecOf(ALICE, BOB)
  const receiver = codecOf(BOB, ALICE)
  sender.registerType({ ...MONEY, encode: (money) => Buffer.from(sender.encode([money.amount, money.currency])) })
  receiver.registerType({
    ...MONEY,
    decode: (value) => MONEY.decode(receiver.decode(value as Buffer, 0, (value as Buffer).length)),
  })
  const got = transfer([new Money(1, 'EUR'), 'between', new Money(2, 'CHF')], sender, receiver)
  assert.equal(got, [new Money(1, 'EUR'), 'between', new Money(2, 'CHF')])
})

test('registrations that cannot be', () => {
  const codec = codecOf(ALICE, BOB)
  codec.registerType(MONEY)
  class Other {}
  for (const type of [
    { ...MONEY, class: Other, encode: () => 1, decode: () => new Other() },
    { ...MONEY, id: 'shop/Again' },
    { ...MONEY, id: 'Money', class: Other },
    { ...MONEY, id: `shop/${'x'.repeat(64)}`, class: Other },
    { ...MONEY, id: 'shop/a b', class: Other },
    { ...MONEY, id: 'shop/Object', class: Object },
  ]) {
    assert.is(
      codeOf(() => codec.registerType(type as typeof MONEY)),
      'ERR_SKEIN_BAD_ARGUMENT',
      type.id,
    )
  }
})

test('a node registers a bounded number of types', () => {
  const codec = codecOf(ALICE, BOB)
  const register = (i: number): void => codec.registerType({ ...MONEY, id: `n/${i}`, class: class extends Money {} })
  for (let i = 0; i < 1024; i++) register(i)
  assert.is(
    codeOf(() => register(1024)),
    'ERR_SKEIN_LIMIT',
  )
})

test.run()
