/**
 * A place in a group, as it is told to other nodes: which process, of which group, in which scope.
 *
 * It is the key of a board's entry, and names the process by its number alone: whose process it is, is whose entry it is,
 * so that no node can put another's process anywhere.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { isKey, MAX_KEY_LENGTH } from '../board.ts'

/** Characters. */
export const MAX_SCOPE_LENGTH = 64
/** Characters: what a key leaves beside a scope, two numbers and two signs between them. */
export const MAX_GROUP_LENGTH = 160

export interface Place {
  readonly scope: string
  readonly group: string
  readonly number: number
}

/** Throws ERR_SKEIN_BAD_NAME. */
export const checkName = (what: 'scope' | 'group', name: unknown): void => {
  const longest = what === 'scope' ? MAX_SCOPE_LENGTH : MAX_GROUP_LENGTH
  if (typeof name === 'string' && name.length <= longest && isKey(name)) return
  throw new SkeinError('ERR_SKEIN_BAD_NAME', `The name of a ${what} has 1 to ${longest} whole characters.`)
}

/** 17:4:mainlobby is process 17 in the group lobby of the scope main. */
export const keyOf = ({ scope, group, number }: Place): string => `${number}:${scope.length}:${scope}${group}`

const KEY = /^([1-9]\d{0,15}):([1-9]\d?):/

/** Undefined for what no `keyOf` has made. */
export const placeOf = (key: string): Place | undefined => {
  const [head, first, second] = KEY.exec(key) ?? []
  if (head === undefined || key.length > MAX_KEY_LENGTH) return undefined
  const number = Number(first)
  const length = Number(second)
  const scope = key.slice(head.length, head.length + length)
  const group = key.slice(head.length + length)
  const fits = scope.length === length && length <= MAX_SCOPE_LENGTH
  const isSound = fits && group.length > 0 && group.length <= MAX_GROUP_LENGTH && Number.isSafeInteger(number)
  return isSound ? { scope, group, number } : undefined
}
