/**
 * A set that usually has one member at most, or none: then it costs no memory of its own. A process has one of these for
 * each kind of thing it has under way.
 */
export type Handful<T extends object> = T | Set<T> | undefined

export const withMember = <T extends object>(handful: Handful<T>, member: T): Handful<T> => {
  if (handful === undefined) return member
  return handful instanceof Set ? handful.add(member) : new Set([handful, member])
}

/** A set once made is kept: whoever had several at once will have them again. */
export const withoutMember = <T extends object>(handful: Handful<T>, member: T): Handful<T> => {
  if (handful instanceof Set) handful.delete(member)
  return handful === member ? undefined : handful
}

/** The members as they are now. */
export const members = <T extends object>(handful: Handful<T>): readonly T[] => {
  if (handful === undefined) return []
  return handful instanceof Set ? [...handful] : [handful]
}
