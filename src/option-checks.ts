/**
 * Checks of single values that users give: what is wrong becomes an error that names the option and what it may be.
 */
import { SkeinError } from '../certs/errors.ts'
import { nearestOf } from './nearest-name.ts'

export const bad = (what: string, expected: string, value: unknown): SkeinError => {
  const shown = typeof value === 'string' ? `"${value.slice(0, 100)}"` : typeof value
  return new SkeinError('ERR_SKEIN_BAD_OPTION', `${what} must be ${expected}, not ${shown}.`)
}

export const fail = (what: string, expected: string, value: unknown): never => {
  throw bad(what, expected, value)
}

export const isRecord = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const string = (what: string, value: unknown): string =>
  typeof value === 'string' ? value : fail(what, 'a string', value)

export const boolean = (what: string, value: unknown): boolean =>
  typeof value === 'boolean' ? value : fail(what, 'true or false', value)

export const oneOf = <T extends string>(what: string, allowed: readonly T[], value: unknown): T =>
  allowed.find((one) => one === value) ?? fail(what, allowed.join(', '), value)

export const within = (what: string, [least, most]: readonly [number, number], value: unknown): number => {
  const fits = typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most
  return fits ? value : fail(what, `a whole number, ${least} to ${most}`, value)
}

export const checkKeys = (value: object, known: readonly string[], what: string): void => {
  for (const key of Object.keys(value)) {
    if (known.includes(key)) continue
    const nearest = nearestOf(key, known)
    const hint = nearest === undefined ? {} : { hint: `Did you mean "${nearest}"?` }
    const separator = what.endsWith('.') ? '' : ' '
    throw new SkeinError('ERR_SKEIN_BAD_OPTION', `There is no ${what}${separator}${key.slice(0, 100)}.`, hint)
  }
}
