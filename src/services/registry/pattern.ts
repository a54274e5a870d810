/**
 * Patterns: what a value has to look like, said by a value that holds only what matters.
 *
 * An object matches what has the same of each of its own properties and perhaps more; an array what has the same elements,
 * as many; a pid or reference the same one; dates, bytes and the rest only themselves, by `Object.is` or bytewise. A
 * function is no pattern but a predicate.
 */
import { Pid, Ref } from '../../pid.ts'

/** A part of what a value may be. */
export type Pattern<V> = V extends readonly (infer E)[]
  ? readonly Pattern<E>[]
  : V extends Pid | Ref | Date | Uint8Array
    ? V
    : V extends object
      ? { readonly [K in keyof V]?: Pattern<V[K]> }
      : V

/** Deeper than any pattern that somebody writes; one that holds itself ends here. */
const MAX_DEPTH = 100

export const fits = (pattern: unknown, value: unknown, depth = 0): boolean => {
  if (Object.is(pattern, value)) return true
  if (!isObject(pattern) || !isObject(value) || depth >= MAX_DEPTH) return false
  if (pattern instanceof Pid || pattern instanceof Ref) return pattern.equals(value)
  if (pattern instanceof Date) return value instanceof Date && pattern.getTime() === value.getTime()
  if (pattern instanceof Uint8Array) return value instanceof Uint8Array && Buffer.compare(pattern, value) === 0
  if (Array.isArray(pattern)) {
    if (!Array.isArray(value) || pattern.length !== value.length) return false
    return pattern.every((one, index) => fits(one, value[index], depth + 1))
  }
  if (!isPlain(pattern)) return false
  return Object.entries(pattern).every(
    ([name, one]) => Object.hasOwn(value, name) && fits(one, (value as Record<string, unknown>)[name], depth + 1),
  )
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
