/**
 * Claims: what one node says of a name that one of its processes has. At most one per node and name.
 *
 * The older registration comes first, on all nodes alike. A claim travels as an entry of the node's board, as a list and
 * not as a record: a hundred thousand of them go to each node that joins.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { type Origin, Pid } from '../../pid.ts'
import { MAX_KEY_LENGTH, type Owner } from '../board.ts'
import { nonsense } from '../channel.ts'
import { isStamp, type Stamp } from './stamp.ts'

/**
 * Process, when it was registered, stamp of its token, and whether a callback decides conflicts. A list has a place for
 * each because names would be repeated with every entry.
 */
export type Entry = readonly [number: number, registeredAt: Stamp, token: Stamp, isJudged: boolean]

export interface Claim {
  readonly name: string
  /** Undefined: this node. */
  readonly owner: Owner
  readonly pid: Pid
  readonly registeredAt: Stamp
  /** Its stamp; see tokenOf. */
  readonly token: Stamp
  /** A callback decides conflicts, if all who claim the name say so. */
  readonly isJudged: boolean
}

export const claimOf = (name: string, entry: Entry, owner: Owner, origin: Origin): Claim => {
  const [number, registeredAt, token, isJudged] = entry
  return { name, owner, pid: new Pid(origin, number), registeredAt, token, isJudged }
}

/** Negative: `a` comes first. */
export const compareClaims = (a: Claim, b: Claim): number =>
  compare(a.registeredAt, b.registeredAt) || compare(a.pid.origin.key, b.pid.origin.key)

/** Checks what a peer wrote. Throws ERR_SKEIN_PROTOCOL. */
export const readEntry = (value: unknown): Entry => {
  if (!Array.isArray(value) || value.length !== 4) throw nonsense('a name without a registration')
  const [number, registeredAt, token, isJudged] = value as readonly unknown[]
  const isSound =
    isProcessNumber(number) &&
    isStamp(registeredAt) &&
    isStamp(token) &&
    token >= registeredAt &&
    typeof isJudged === 'boolean'
  if (!isSound) throw nonsense('a registration that is none')
  return [number, registeredAt, token, isJudged]
}

export const isProcessNumber = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) > 0

/** No control characters, no halves of characters. */
const NAME = /^[^\p{Cc}\p{Cs}]+$/u

export const isGlobalName = (name: unknown): name is string =>
  typeof name === 'string' && name.length <= MAX_KEY_LENGTH && NAME.test(name)

/** Throws ERR_SKEIN_BAD_NAME. */
export const checkGlobalName = (name: unknown): void => {
  if (isGlobalName(name)) return
  const hint = `Use 1 to ${MAX_KEY_LENGTH} characters, without control characters.`
  throw new SkeinError('ERR_SKEIN_BAD_NAME', `"${String(name).slice(0, 100)}" cannot be a global name.`, { hint })
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
