/**
 * Cuts any value to plain data of a bounded size: for what services and other nodes tell of themselves. Sans-io, never
 * throws for what it is given: an accessor that throws, or a proxy that lets nobody look at it, gives undefined.
 */
import { types } from 'node:util'
import { Pid } from '../pid.ts'
import { safeText } from '../safe-text.ts'

const MAX_DEPTH = 6
/** Members of one array or object. */
const MAX_MEMBERS = 256
/** Members in all. */
const MAX_VALUES = 4096
const MAX_TEXT = 1024
/** Of a bigint: far more than anybody counts; to write out a long one takes long. */
const MAX_BIGINT_BITS = 1024

/** How much room there is, for several values together. */
export const plainRoom = (): { left: number } => ({ left: MAX_VALUES })

/** The value itself where it is small and plain; otherwise as much of it as fits. Functions and symbols become undefined. */
export const plain = (value: unknown, room = plainRoom()): unknown => cut(value, 0, room)

const cut = (value: unknown, depth: number, budget: { left: number }): unknown => {
  budget.left--
  try {
    return cutOne(value, depth, budget)
  } catch {
    return undefined
  }
}

const cutOne = (value: unknown, depth: number, budget: { left: number }): unknown => {
  if (typeof value === 'string') return value.slice(0, MAX_TEXT)
  if (typeof value === 'number' || typeof value === 'boolean' || value === null) return value
  if (typeof value === 'bigint') return BigInt.asIntN(MAX_BIGINT_BITS, value) === value ? value.toString() : '...'
  if (typeof value !== 'object') return undefined
  if (value instanceof Pid) return value.toString()
  if (depth >= MAX_DEPTH) return '...'
  // Also those of another realm, as code of `skein attach` makes them.
  if (Array.isArray(value) || types.isSet(value)) return list(value, depth, budget)
  if (types.isMap(value)) return record(value, depth, budget)
  if (value instanceof Error || types.isNativeError(value)) return safeText(value, MAX_TEXT)
  // Their members would be millions of bytes.
  if (ArrayBuffer.isView(value)) return `${value.byteLength} bytes`
  return record(entriesOf(value), depth, budget)
}

const list = (values: Iterable<unknown>, depth: number, budget: { left: number }): unknown[] => {
  const kept: unknown[] = []
  for (const value of values) {
    if (kept.length >= MAX_MEMBERS || budget.left <= 0) break
    kept.push(cut(value, depth + 1, budget))
  }
  return kept
}

const record = (entries: Iterable<[unknown, unknown]>, depth: number, budget: { left: number }): unknown => {
  const kept: [string, unknown][] = []
  for (const [key, value] of entries) {
    if (kept.length >= MAX_MEMBERS || budget.left <= 0) break
    kept.push([safeText(key, MAX_TEXT), cut(value, depth + 1, budget)])
  }
  return Object.fromEntries(kept.filter(([key]) => key !== '__proto__'))
}

const entriesOf = function* (value: object): Iterable<[string, unknown]> {
  for (const key of Object.keys(value)) {
    let member: unknown
    try {
      member = (value as Readonly<Record<string, unknown>>)[key]
    } catch {
      member = undefined
    }
    yield [key, member]
  }
}
