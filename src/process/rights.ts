/**
 * Rights: what other nodes may do here.
 *
 * For each subject the first rule that matches the asking node and says something about it decides; where none does, the
 * preset: everything (default) or nothing (strict). A node is known by its id, which its key proves, or by its name, which
 * it gives itself: what has the form of an id is never taken for a name. A pid is no secret, because numbers can be guessed;
 * so whoever may not address the names of a process does not reach it by its pid either. The system's own processes are
 * always reached by messages: they judge for themselves, and ask here. All of it is about what arrives at this node; what
 * was refused is counted and told in forbidden.ts.
 */
import { SkeinError } from '../../certs/errors.ts'
import { isNodeId } from '../../certs/node-id.ts'
import type { Origin } from '../pid.ts'
import type { Attempted, Forbidden } from './forbidden.ts'
import { GroupSet, matches, NameSet, type Names } from './name-set.ts'
import type { Process } from './process.ts'

/**
 * What this node tells of itself: all; what `skein nodes` and `skein ping` ask, which is who is connected and the time of
 * day; none.
 */
export type Observe = 'all' | 'nodes' | 'none'

/** What some nodes may do here. */
export interface AllowRule {
  /** Whom it is about: node ids, and patterns such as `web-*` or `*@host-1`. One without @ is about the part before it. */
  readonly nodes: string | readonly string[]
  /** Behaviours that they may start. */
  readonly spawn?: Names
  /** Registered names that they may address, and give to what they start. */
  readonly send?: Names
  /** Names of the whole cluster (`node.global`) that they may have, as this node sees it. */
  readonly register?: Names
  /** Groups, as `group` or `scope/group`, whose members on those nodes this node believes, and that they may publish to. */
  readonly groups?: Names
  /** Rooms whose sockets on those nodes this node believes, and that they may broadcast to. */
  readonly rooms?: Names
  /** What the process `skein` answers them. */
  readonly observe?: Observe
  /** Distributed supervisors that they may lead, run children of and give orders to. Covers their global names, too. */
  readonly supervise?: Names
  /** Processes without a name: all, or only those that the node had started itself. */
  readonly unnamed?: 'all' | 'none'
  /** Evaluate code here, where the option `attach` lets others do that. */
  readonly attach?: 'all' | 'none'
}

/** What holds where no rule says anything: default is everything, strict is nothing. */
export const PRESETS = ['default', 'strict'] as const
/** What the option `allow` lets others do where no rule says anything: everything (default), or nothing (strict). */
export type Preset = (typeof PRESETS)[number]

/** The option `allow`. A list alone has the preset default. */
export type Allow = Preset | readonly AllowRule[] | { readonly preset: Preset; readonly rules?: readonly AllowRule[] }

/** What a process is reached by in place of its names; a trait of some of the system's processes. */
export interface Guard {
  readonly subject: 'rooms' | 'supervise'
  readonly name: string
}

/** The scope of groups in which the processes of rooms are. */
export const ROOMS_SCOPE = 'skein.rooms'

/** Registered names that belong to Skein: `skein`, and all that begin with `skein.`. */
export const isSystemName = (name: string): boolean => name === 'skein' || name.startsWith('skein.')

/** Characters of a name in a message. */
const MAX_SHOWN = 100
/** Requests to the process `skein` that `observe: 'nodes'` allows. */
const LITTLE: readonly unknown[] = ['ping', 'nodes', 'time']
/** Global names of the leaders of distributed supervisors begin with that. */
export const LEADER = 'supervisor:'

export class Rights {
  readonly #rules: readonly AllowRule[]
  readonly #preset: Preset
  /** What was refused. */
  readonly forbidden: Forbidden
  /** By origin, of which each connection has its own: as many as there are connections. */
  readonly #grants = new WeakMap<Origin, Grants>()

  constructor(allow: Allow, forbidden: Forbidden) {
    const { preset, rules } = allowed(allow)
    this.#rules = rules
    this.#preset = preset
    this.forbidden = forbidden
  }

  /** What this node may do; undefined: anything. */
  of(origin: Origin | undefined): Grants | undefined {
    if (this.#rules.length === 0 && this.#preset === 'default') return undefined
    if (origin === undefined) return NOTHING
    let grants = this.#grants.get(origin)
    if (grants === undefined) {
      const own = this.#rules.filter(({ nodes }) => concerns(nodes, origin))
      grants = new Grants(origin.id, own, this.#preset)
      this.#grants.set(origin, grants)
    }
    return grants
  }

  /** Throws ERR_SKEIN_FORBIDDEN unless this node may start that behaviour here, under that name; '' is none. */
  checkSpawn(origin: Origin | undefined, behaviour: string, name: string): void {
    const grants = this.of(origin)
    if (grants?.maySpawn(behaviour) === false) {
      throw this.refuse(origin, 'spawn', `start "${shown(behaviour)}"`)
    }
    const mayName = name === '' || (!isSystemName(name) && grants?.mayAddress(name) !== false)
    if (!mayName) throw this.refuse(origin, 'spawn', `name a process "${shown(name)}"`)
  }

  /** Throws ERR_SKEIN_FORBIDDEN unless this node may have that name of the whole cluster, as seen here. */
  checkRegister(origin: Origin, name: string): void {
    if (this.mayRegister(origin, name)) return
    throw this.refuse(origin, 'register', `have the global name "${shown(name)}"`)
  }

  mayRegister(origin: Origin, name: string): boolean {
    return this.of(origin)?.mayRegister(name) !== false
  }

  /** Throws ERR_SKEIN_FORBIDDEN unless this node may have members in that group, as seen here. */
  checkGroup(origin: Origin, scope: string, group: string): void {
    if (this.of(origin)?.mayJoin(scope, group) !== false) return
    if (scope === ROOMS_SCOPE) throw this.refuse(origin, 'rooms', `have sockets in the room "${shown(group)}"`)
    throw this.refuse(origin, 'groups', `have members in the group "${shown(group)}"`)
  }

  /** Throws ERR_SKEIN_FORBIDDEN unless this node may have a part in that distributed supervisor, as seen here. */
  checkSupervise(origin: Origin, supervisor: string): void {
    if (this.of(origin)?.may({ subject: 'supervise', name: supervisor }) !== false) return
    throw this.refuse(origin, 'supervise', `have a part in the supervisor "${shown(supervisor)}"`)
  }

  /** Counts it, and gives ERR_SKEIN_FORBIDDEN. */
  refuse(origin: Origin | undefined, attempt: Attempted, what: string): SkeinError {
    this.forbidden.note(origin, attempt)
    return new SkeinError('ERR_SKEIN_FORBIDDEN', `${origin?.name ?? 'The asking node'} may not ${what} here.`)
  }
}

/** What one node may do. */
export class Grants {
  readonly #id: string
  readonly #spawn: NameSet
  readonly #send: NameSet
  readonly #register: NameSet
  readonly #groups: GroupSet
  readonly #rooms: NameSet
  readonly #supervise: NameSet
  readonly #observe: Observe
  readonly #unnamed: boolean
  /** Evaluate code here (`skein attach`). */
  readonly mayAttach: boolean
  /** Only where a rule says so: it then comes beside `send` and `register`. */
  readonly #publish: GroupSet | undefined
  readonly #supervised: NameSet | undefined

  /** `rules` are those about this node. */
  constructor(id: string, rules: readonly AllowRule[], preset: Preset) {
    const usual = preset === 'strict' ? 'none' : 'all'
    const said = <S extends keyof AllowRule>(subject: S): AllowRule[S] | undefined =>
      rules.find((rule) => rule[subject] !== undefined)?.[subject]
    const [groups, supervise] = [said('groups'), said('supervise')]
    this.#id = id
    this.#spawn = new NameSet(said('spawn') ?? usual)
    this.#send = new NameSet(said('send') ?? usual)
    this.#register = new NameSet(said('register') ?? usual)
    this.#groups = new GroupSet(groups ?? usual)
    this.#rooms = new NameSet(said('rooms') ?? usual)
    this.#supervise = new NameSet(supervise ?? usual)
    this.#observe = said('observe') ?? usual
    this.#unnamed = (said('unnamed') ?? usual) === 'all'
    this.mayAttach = (said('attach') ?? usual) === 'all'
    this.#publish = groups && this.#groups
    this.#supervised = supervise && this.#supervise
  }

  maySpawn(behaviour: string): boolean {
    return this.#spawn.has(behaviour)
  }

  mayAddress(name: string): boolean {
    return isSystemName(name) || this.#send.has(name)
  }

  /** Names of leaders and children go with the supervisor; whoever has that of a leader leads. */
  mayRegister(name: string): boolean {
    if (name.startsWith(LEADER) && !this.#supervise.has(name.slice(LEADER.length))) return false
    if (this.#register.has(name)) return true
    if (this.#supervised === undefined) return false
    if (name.startsWith(LEADER)) return true
    const slash = name.indexOf('/')
    return slash > 0 && this.#supervised.has(name.slice(0, slash))
  }

  mayJoin(scope: string, group: string): boolean {
    return scope === ROOMS_SCOPE ? this.#rooms.has(group) : this.#groups.has(scope, group)
  }

  /** There are groups of which `mayPublish` is true. */
  get publishes(): boolean {
    return this.#publish !== undefined
  }

  /** Publish to it, although its members are not to be reached otherwise. */
  mayPublish(scope: string, group: string): boolean {
    return scope !== ROOMS_SCOPE && this.#publish?.has(scope, group) === true
  }

  may({ subject, name }: Guard): boolean {
    return (subject === 'rooms' ? this.#rooms : this.#supervise).has(name)
  }

  /** Ask the process `skein` that. */
  mayAsk(request: unknown): boolean {
    return this.#observe === 'all' || (this.#observe === 'nodes' && LITTLE.includes(request))
  }

  /** A process, by its pid or a name of the system. */
  mayReach(process: Pick<Process, 'names' | 'traits' | 'tables' | 'startedFor'>, attempt: Attempted): boolean {
    const { names, traits, tables, startedFor } = process
    if (traits.guard !== undefined) return this.may(traits.guard)
    // Whoever asked for it in vain takes it back, whatever it calls itself.
    if (attempt === 'exit' && startedFor === this.#id) return true
    if (names === undefined || names.size === 0) {
      if (this.#unnamed || startedFor === this.#id) return true
    } else {
      for (const name of names) {
        if (isSystemName(name) ? attempt in MESSAGES || this.#observe === 'all' : this.#send.has(name)) return true
      }
    }
    for (const table of tables ?? []) if (table.isOpen?.(process as Process, this, attempt) === true) return true
    return false
  }
}

/** To a process of the system anybody may say something; to hold on to it or look at it, `observe` is needed. */
const MESSAGES: Partial<Record<Attempted, true>> = { send: true, cast: true, call: true, exit: true }

const allowed = (allow: Allow): { readonly preset: Preset; readonly rules: readonly AllowRule[] } => {
  if (typeof allow === 'string') return { preset: allow, rules: [] }
  return 'preset' in allow ? { preset: allow.preset, rules: allow.rules ?? [] } : { preset: 'default', rules: allow }
}

const shown = (name: string): string => name.slice(0, MAX_SHOWN)

const NOTHING = new Grants('', [], 'strict')

const concerns = (nodes: AllowRule['nodes'], { id, name }: Origin): boolean => {
  const short = name.slice(0, name.indexOf('@'))
  return (typeof nodes === 'string' ? [nodes] : nodes).some((node) => {
    const isId: boolean = isNodeId(node)
    return isId ? node === id : matches(node, node.includes('@') ? name : short)
  })
}
