/**
 * Arguments that are JSON.
 */
import { InvalidArgumentError } from 'commander'

/** Throws what commander reports as a wrong argument. */
export const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new InvalidArgumentError(`It must be JSON, such as '"hi"' or '{"count": 1}'.`)
  }
}
