/**
 * Where in a message something is, for people: `message.items[3].callback`. Numbers count elements of arrays and entries
 * of Maps and Sets.
 */
import { SkeinError } from '../../certs/errors.ts'
import { MAX_DEPTH } from './codec-types.ts'

/** Thrown from the depths; `tooDeep` says what it means. */
export class TooDeep extends Error {}

/** Is it merely deep, or does it contain itself? Follows the path once more and looks for an object met before. */
export const tooDeep = (root: unknown, path: readonly (string | number)[]): SkeinError => {
  const met = new Map<unknown, number>()
  let value = root
  for (let depth = 0; depth <= MAX_DEPTH && typeof value === 'object' && value !== null; depth++) {
    const earlier = met.get(value)
    if (earlier !== undefined) {
      const where = printPath(path, depth)
      return new SkeinError('ERR_SKEIN_UNSERIALISABLE', `${where} is ${printPath(path, earlier)} again: a cycle`)
    }
    met.set(value, depth)
    value = (value as Record<string | number, unknown>)[path[depth]!]
  }
  const where = printPath(path, Math.min(8, path.length))
  return new SkeinError(
    'ERR_SKEIN_UNSERIALISABLE',
    `${where}... is nested deeper than ${MAX_DEPTH} levels, or contains itself`,
  )
}

/** As one would write it: message.items[3].callback */
export const printPath = (path: readonly (string | number)[], depth: number): string => {
  let text = 'message'
  for (let i = 0; i < depth; i++) {
    const step = path[i]!
    if (typeof step === 'number') text += `[${step}]`
    else if (/^[A-Za-z_$][\w$]*$/.test(step)) text += `.${step}`
    else text += `[${JSON.stringify(step.slice(0, 80))}]`
    if (text.length > 400) return `${text}...`
  }
  return text
}
