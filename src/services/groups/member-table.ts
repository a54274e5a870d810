/**
 * Who is in which group, here and on other nodes.
 *
 * What is asked for often is kept ready (the lists of members, and where to send what is published) and made again after a
 * change of that group, so asking for the members of a large group costs nothing as long as nobody comes or goes.
 */
import type { Origin } from '../../pid.ts'
import { Pid } from '../../pid.ts'
import type { Targets } from '../../process/multicast.ts'
import type { Place } from './place.ts'

const NOBODY: readonly Pid[] = Object.freeze([])
const NOWHERE: readonly Targets[] = Object.freeze([])

/** Members on one incarnation of a node. */
class Branch {
  readonly pids = new Map<number, Pid>()
  #targets: Targets | undefined
  #list: readonly Pid[] | undefined
  readonly #origin: Origin

  constructor(origin: Origin) {
    this.#origin = origin
  }

  get targets(): Targets {
    this.#targets ??= { origin: this.#origin, numbers: [...this.pids.keys()].sort((a, b) => a - b) }
    return this.#targets
  }

  get list(): readonly Pid[] {
    this.#list ??= Object.freeze([...this.pids.values()])
    return this.#list
  }

  changed(): void {
    this.#targets = undefined
    this.#list = undefined
  }
}

class Group {
  /** By the key of the origin. */
  readonly branches = new Map<string, Branch>()
  #list: readonly Pid[] | undefined
  #targets: readonly Targets[] | undefined

  get list(): readonly Pid[] {
    this.#list ??= Object.freeze([...this.branches.values()].flatMap(({ list }) => list))
    return this.#list
  }

  get targets(): readonly Targets[] {
    this.#targets ??= [...this.branches.values()].map(({ targets }) => targets)
    return this.#targets
  }

  changed(): void {
    this.#list = undefined
    this.#targets = undefined
  }
}

export class MemberTable {
  readonly #self: Origin
  readonly #scopes = new Map<string, Map<string, Group>>()

  constructor(self: Origin) {
    this.#self = self
  }

  /** Gives the process, which must not be there yet. */
  add({ scope, group: name, number }: Place, origin: Origin): Pid {
    let groups = this.#scopes.get(scope)
    if (groups === undefined) {
      groups = new Map()
      this.#scopes.set(scope, groups)
    }
    let group = groups.get(name)
    if (group === undefined) {
      group = new Group()
      groups.set(name, group)
    }
    let branch = group.branches.get(origin.key)
    if (branch === undefined) {
      branch = new Branch(origin)
      group.branches.set(origin.key, branch)
    }
    const pid = new Pid(origin, number)
    branch.pids.set(number, pid)
    branch.changed()
    group.changed()
    return pid
  }

  /** Undefined: it was not there. */
  remove({ scope, group: name, number }: Place, origin: Origin): Pid | undefined {
    const groups = this.#scopes.get(scope)
    const group = groups?.get(name)
    const branch = group?.branches.get(origin.key)
    const pid = branch?.pids.get(number)
    if (groups === undefined || group === undefined || branch === undefined || pid === undefined) return undefined
    branch.pids.delete(number)
    branch.changed()
    group.changed()
    if (branch.pids.size === 0) group.branches.delete(origin.key)
    if (group.branches.size === 0) groups.delete(name)
    if (groups.size === 0) this.#scopes.delete(scope)
    return pid
  }

  groups(scope: string): string[] {
    return [...(this.#scopes.get(scope)?.keys() ?? [])]
  }

  members(scope: string, group: string): readonly Pid[] {
    return this.#group(scope, group)?.list ?? NOBODY
  }

  localMembers(scope: string, group: string): readonly Pid[] {
    return this.#group(scope, group)?.branches.get(this.#self.key)?.list ?? NOBODY
  }

  targets(scope: string, group: string, localOnly: boolean): readonly Targets[] {
    const found = this.#group(scope, group)
    if (found === undefined) return NOWHERE
    if (!localOnly) return found.targets
    const branch = found.branches.get(this.#self.key)
    return branch === undefined ? NOWHERE : [branch.targets]
  }

  #group(scope: string, group: string): Group | undefined {
    return this.#scopes.get(scope)?.get(group)
  }
}
