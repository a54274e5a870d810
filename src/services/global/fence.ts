/**
 * Fences: how a resource tells the holder of a name from one that held it before.
 *
 * Whoever holds a global name shows its token with everything it asks of a resource, and the resource keeps the greatest
 * one it has admitted. So it never obeys two holders by turns, whatever the nodes believe meanwhile (Kleppmann, "How to do
 * distributed locking", 2016). A token tells who is newer, not who is honest.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Origin } from '../../pid.ts'
import type { Stamp } from './stamp.ts'

/** A stamp, an incarnation, a node id. */
const PATTERN = /^[0-9a-f]{32}[a-z2-7]{32}$/

/** The token of the registration that a node made at that moment: unique, and sorts by the moment first. */
export const tokenOf = (stamp: Stamp, { incarnation, id }: Origin): string => stamp + incarnation + id

/** One for each resource. Not shared between names: tokens of different names say nothing about each other. */
export class Fence {
  #greatest: string | undefined

  /** `greatest`: the token that was kept, where the resource outlives the program. */
  constructor(greatest?: string) {
    if (greatest !== undefined) check(greatest)
    this.#greatest = greatest
  }

  /** The greatest token admitted: to be kept with the resource. */
  get greatest(): string | undefined {
    return this.#greatest
  }

  /** False: a newer holder was here. Throws ERR_SKEIN_BAD_ARGUMENT for what is no token. */
  admits(token: string): boolean {
    check(token)
    if (this.#greatest !== undefined && token < this.#greatest) return false
    this.#greatest = token
    return true
  }
}

const check = (token: unknown): void => {
  if (typeof token !== 'string' || !PATTERN.test(token)) {
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A token is what node.global gave, a text of 64 characters.')
  }
}
