/**
 * Rights: which nodes may start what here, and reach whom.
 *
 * For each of the two questions the first rule that matches the asking node and says something about it decides; where
 * none does, everything is allowed. A node is known by its id, which its key proves, or by its name, which it gives itself:
 * what has the form of an id is never taken for a name. A pid is no secret, because numbers can be guessed; so whoever
 * may not address the names of a process does not reach it by its pid either. The system's own processes are always
 * reached: they judge for themselves.
 */
import { SkeinError } from '../../certs/errors.ts'
import { isNodeId } from '../../certs/node-id.ts'
import type { Origin } from '../pid.ts'

/** Patterns of names, in which `*` stands for any characters; or all, or none. */
export type Names = 'all' | 'none' | readonly string[]

/** What some nodes may do here. */
export interface AllowRule {
  /** Whom it is about: node ids, and patterns such as `web-*` or `*@host-1`. One without @ is about the part before it. */
  readonly nodes: string | readonly string[]
  /** Behaviours that they may start. */
  readonly spawn?: Names
  /** Registered names that they may address, and give to what they start. */
  readonly send?: Names
}

/** Registered names that belong to Skein: `skein`, and all that begin with `skein.`. */
export const isSystemName = (name: string): boolean => name === 'skein' || name.startsWith('skein.')

/** Characters of a name in a message. */
const MAX_SHOWN = 100

export class Rights {
  readonly #rules: readonly AllowRule[]
  /** By origin, of which each connection has its own: as many as there are connections. */
  readonly #grants = new WeakMap<Origin, Grants>()

  constructor(rules: readonly AllowRule[]) {
    this.#rules = rules
  }

  /** What this node may do; undefined: anything. */
  of(origin: Origin | undefined): Grants | undefined {
    if (this.#rules.length === 0) return undefined
    if (origin === undefined) return NOTHING
    let grants = this.#grants.get(origin)
    if (grants === undefined) {
      const own = this.#rules.filter(({ nodes }) => concerns(nodes, origin))
      const first = (subject: 'spawn' | 'send'): Names =>
        own.find((rule) => rule[subject] !== undefined)?.[subject] ?? 'all'
      grants = new Grants(first('spawn'), first('send'))
      this.#grants.set(origin, grants)
    }
    return grants
  }

  /** Throws ERR_SKEIN_FORBIDDEN unless this node may start that behaviour here, under that name; '' is none. */
  checkSpawn(origin: Origin | undefined, behaviour: string, name: string): void {
    const grants = this.of(origin)
    if (grants?.maySpawn(behaviour) === false) {
      throw forbidden(origin, `may not start "${behaviour.slice(0, MAX_SHOWN)}" here`)
    }
    const mayName = name === '' || (!isSystemName(name) && grants?.mayAddress(name) !== false)
    if (!mayName) throw forbidden(origin, `may not name a process "${name.slice(0, MAX_SHOWN)}" here`)
  }
}

export class Grants {
  readonly #spawn: NameSet
  readonly #send: NameSet

  constructor(spawn: Names, send: Names) {
    this.#spawn = new NameSet(spawn)
    this.#send = new NameSet(send)
  }

  maySpawn(behaviour: string): boolean {
    return this.#spawn.has(behaviour)
  }

  mayAddress(name: string): boolean {
    return isSystemName(name) || this.#send.has(name)
  }

  /** A process with these names, by its pid. */
  mayReach(names: ReadonlySet<string> | undefined): boolean {
    if (names === undefined || names.size === 0) return true
    for (const name of names) if (this.mayAddress(name)) return true
    return false
  }
}

class NameSet {
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

const forbidden = (origin: Origin | undefined, what: string): SkeinError =>
  new SkeinError('ERR_SKEIN_FORBIDDEN', `${origin?.name ?? 'The asking node'} ${what}.`)

const NOTHING = new Grants('none', 'none')

const concerns = (nodes: AllowRule['nodes'], { id, name }: Origin): boolean => {
  const short = name.slice(0, name.indexOf('@'))
  return (typeof nodes === 'string' ? [nodes] : nodes).some((node) => {
    const isId: boolean = isNodeId(node)
    return isId ? node === id : matches(node, node.includes('@') ? name : short)
  })
}

/** Never takes longer than the product of the lengths, whatever the pattern: on a mismatch only the last star gives way. */
const matches = (pattern: string, text: string): boolean => {
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
