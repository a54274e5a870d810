/**
 * Sets of names as rules give them: exact ones, and patterns in which `*` stands for any characters.
 */

/** Patterns of names; or all, or none. */
export type Names = 'all' | 'none' | readonly string[]

/** The scope of the groups whose names stand alone. */
const DEFAULT_SCOPE = 'skein'

export class NameSet {
  readonly #isAll: boolean
  readonly #exact = new Set<string>()
  readonly #patterns: string[] = []

  constructor(names: Names) {
    this.#isAll = names === 'all'
    for (const name of typeof names === 'string' ? [] : Array.from(names)) {
      if (name.includes('*')) this.#patterns.push(name)
      else this.#exact.add(name)
    }
  }

  has(name: string): boolean {
    return this.#isAll || this.#exact.has(name) || this.#patterns.some((pattern) => matches(pattern, name))
  }
}

/**
 * Groups: `scope/group`, or `group` alone for one of the usual scope. What stands before the first `/` is matched with the
 * scope, and the rest with the group, so that no choice of names makes one group look like another.
 */
export class GroupSet {
  readonly #isAll: boolean
  readonly #groups: (readonly [scope: string, group: string])[] = []

  constructor(names: Names) {
    this.#isAll = names === 'all'
    for (const name of typeof names === 'string' ? [] : Array.from(names)) {
      const slash = name.indexOf('/')
      this.#groups.push(slash < 0 ? [DEFAULT_SCOPE, name] : [name.slice(0, slash), name.slice(slash + 1)])
    }
  }

  has(scope: string, group: string): boolean {
    return this.#isAll || this.#groups.some((pattern) => matches(pattern[0], scope) && matches(pattern[1], group))
  }
}

/** Never takes longer than the product of the lengths, whatever the pattern: on a mismatch only the last star gives way. */
export const matches = (pattern: string, text: string): boolean => {
  let [at, star, resume] = [0, -1, 0]
  for (let i = 0; i < text.length; ) {
    if (pattern[at] === '*') {
      star = at++
      resume = i
    } else if (at < pattern.length && pattern[at] === text[i]) {
      at++
      i++
    } else if (star >= 0) {
      at = star + 1
      i = ++resume
    } else return false
  }
  while (pattern[at] === '*') at++
  return at === pattern.length
}
