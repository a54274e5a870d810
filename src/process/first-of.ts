/** The first members of a collection, at most so many, without a copy of all: it may be large, and asked for often. */
export const firstOf = <T>(members: Iterable<T>, atMost: number): T[] => {
  const first: T[] = []
  for (const member of members) if (first.push(member) === atMost) break
  return first
}
