/** Values as programs and liars send them, and what nodes are named by. */
import { Origin, Pid, Ref } from '../../src/pid.ts'
import { MessageCodec } from '../../src/wire/codec.ts'
import type { Chance } from './chance.ts'

export const HERE = new Origin('here@host', 'a'.repeat(32), '0000018f00000001')
export const THERE = new Origin('there@host', 'b'.repeat(32), '0000018f00000002')
const THIRD = new Origin('third@host', 'c'.repeat(32), '0000018f00000003')
/** As long as a name may be. */
const LONG = new Origin(`${'l'.repeat(250)}@host`, 'd'.repeat(32), '0000018f00000004')

class Money {
  readonly cents: number

  constructor(cents: number) {
    this.cents = cents
  }
}

/** The codec of one node for what it says to the other; both know one type. */
export const codecOf = (local: Origin, peer: Origin): MessageCodec => {
  const codec = new MessageCodec({ local, maxMessageBytes: 1 << 20 })
  codec.registerType<Money>({
    id: 'fuzz/Money',
    class: Money,
    encode: ({ cents }) => cents,
    decode: (cents) => {
      if (typeof cents !== 'number') throw new TypeError('no money')
      return new Money(cents)
    },
  })
  codec.peer = peer
  return codec
}

const NUMBERS: readonly number[] = [
  0,
  1,
  -1,
  2,
  127,
  128,
  255,
  65_535,
  65_536,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32,
  2 ** 53 - 1,
  -(2 ** 53) + 1,
  2 ** 53,
  0.5,
  -0,
  1e308,
  Number.NaN,
  Number.POSITIVE_INFINITY,
]

export const TEXTS: readonly string[] = [
  '',
  'a',
  'type',
  'name',
  'constructor',
  'toString',
  'hasOwnProperty',
  'length',
  'then',
  'é',
  '\u0000',
  '💥',
  '\uFFFD',
  'x'.repeat(65),
  'x'.repeat(300),
  'here@host',
  'a'.repeat(32),
  '0000018f00000001',
  '1970-01-01',
]

const leaf = (chance: Chance): unknown => {
  switch (chance.below(17)) {
    case 0:
      return undefined
    case 1:
      return null
    case 2:
      return chance.oneIn(2)
    case 3:
    case 4:
      return chance.pick(NUMBERS)
    case 5:
      return chance.below(1000) - 500
    case 6:
    case 7:
      return chance.pick(TEXTS)
    case 8:
      return Buffer.from(chance.bytes(chance.below(40)))
    case 9:
      return new Pid(chance.pick([HERE, THERE, THIRD, LONG]), 1 + chance.below(300))
    case 10:
      return new Ref(chance.pick([HERE, THERE, THIRD, LONG]), 1 + chance.below(300))
    case 11:
      return new Date(chance.pick(NUMBERS))
    case 12:
      return BigInt(chance.below(2 ** 31)) ** BigInt(chance.below(9)) * (chance.oneIn(2) ? 1n : -1n)
    case 13:
      return new RegExp(
        chance.pick(['a', '(b+)+', '[^c]', '\\d{2,}', '(?<n>x)']),
        chance.pick(['', 'g', 'u', 'gimsuy']),
      )
    case 14:
      return new Money(chance.below(100))
    case 15:
      return chance.pick([
        new Float64Array([1, 2]),
        new BigInt64Array([1n]),
        new Uint8ClampedArray(3),
        new DataView(new ArrayBuffer(5)),
        new ArrayBuffer(4),
      ])
    default:
      return Object.assign(new Error(chance.pick(TEXTS)), chance.oneIn(2) ? { code: 'E', more: [1] } : {})
  }
}

export const anyValue = (chance: Chance, depth = 3): unknown => {
  const shape = depth === 0 ? 9 : chance.below(8)
  const some = <T>(make: () => T): T[] => Array.from({ length: chance.below(5) }, make)
  const inner = (): unknown => anyValue(chance, depth - 1)
  if (shape === 0) return some(inner)
  if (shape === 1) return Object.fromEntries(some(() => [chance.pick(TEXTS), inner()]))
  if (shape === 2) return new Map(some(() => [inner(), inner()]))
  if (shape === 3) return new Set(some(inner))
  return leaf(chance)
}

/** The value with one thing in it changed into something that nobody expects, now and then. */
export const twisted = (chance: Chance, value: unknown): unknown => {
  if (chance.oneIn(5)) return anyValue(chance, 2)
  if (Array.isArray(value) && value.length > 0) {
    const at = chance.below(value.length)
    return value.map((one, i) => (i === at ? twisted(chance, one) : one))
  }
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value
  const entries = Object.entries(value)
  if (entries.length === 0) return value
  const at = chance.below(entries.length)
  if (chance.oneIn(6)) return Object.fromEntries(entries.filter((_, i) => i !== at))
  return Object.fromEntries(entries.map(([key, one], i) => [key, i === at ? twisted(chance, one) : one]))
}
