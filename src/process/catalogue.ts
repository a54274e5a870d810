/**
 * The catalogue: the behaviours of this node that may be started by name, from here and from other nodes.
 */
import { SkeinError } from '../../certs/errors.ts'
import { isShortName } from '../cluster/node-name.ts'
import { nearestOf } from '../nearest-name.ts'
import { type Behaviour, checkBehaviour } from './behaviour.ts'
import { firstOf } from './first-of.ts'

/** Names looked at for the nearest one: whoever asks may be another node, and asks often. */
const MAX_COMPARED_NAMES = 100

/** A behaviour whose arguments come from afar: it has to take what it gets. */
export type NamedBehaviour = Behaviour<unknown, unknown[]>

/** What `node.behaviour` takes beside name and behaviour. */
export interface BehaviourOptions {
  /** 1 to 64 letters, digits and `.+:~_-`, such as 2.1.0: told to the other nodes, who may ask for exactly this one. */
  readonly version?: string
  /**
   * What a process of it is called with when it is to go on elsewhere: its reply is the last argument of the next one. For
   * children of distributed supervisors; see docs/distributed-supervisor.md.
   */
  readonly handOver?: unknown
}

/** What can be started here. */
export interface CatalogueEntry {
  readonly name: string
  readonly version: string | undefined
}

interface Listed {
  readonly behaviour: NamedBehaviour
  readonly version: string | undefined
  readonly handOver: unknown
}

const VERSION = /^[\w.+:~-]{1,64}$/

export const isVersion = (value: unknown): value is string => typeof value === 'string' && VERSION.test(value)

export class Catalogue {
  readonly #node: string
  readonly #limit: number
  readonly #behaviours = new Map<string, Listed>()
  /** The node drains: nothing more is started here for others. */
  isClosed = false
  readonly #listeners = new Set<(added: CatalogueEntry) => void>()

  constructor(node: string, limit: number) {
    this.#node = node
    this.#limit = limit
  }

  /** Throws ERR_SKEIN_BAD_NAME, ERR_SKEIN_BAD_ARGUMENT, ERR_SKEIN_NAME_REGISTERED or ERR_SKEIN_LIMIT. */
  add<M, A extends unknown[]>(name: string, behaviour: Behaviour<M, A>, options: BehaviourOptions = {}): void {
    const { version, handOver } = options
    if (typeof name !== 'string' || !isShortName(name)) {
      throw new SkeinError('ERR_SKEIN_BAD_NAME', `"${String(name).slice(0, 100)}" cannot be the name of a behaviour.`)
    }
    checkBehaviour(behaviour)
    if (version !== undefined && !isVersion(version)) {
      const text = `"${String(version).slice(0, 100)}" cannot be a version: 1 to 64 letters, digits and .+:~_-`
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', text)
    }
    if (this.#behaviours.has(name)) {
      throw new SkeinError('ERR_SKEIN_NAME_REGISTERED', `"${name}" is the name of another behaviour.`)
    }
    if (this.#behaviours.size >= this.#limit) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node has ${this.#limit} behaviours, the limit "behaviours".`)
    }
    this.#behaviours.set(name, { behaviour: behaviour as unknown as NamedBehaviour, version, handOver })
    for (const listener of this.#listeners) listener({ name, version })
  }

  names(): string[] {
    return [...this.#behaviours.keys()]
  }

  list(): CatalogueEntry[] {
    return Array.from(this.#behaviours, ([name, { version }]) => ({ name, version }))
  }

  /** Undefined: processes of this behaviour do not give their state. */
  handOverOf(name: string): unknown {
    return this.#behaviours.get(name)?.handOver
  }

  /** Told of every behaviour that is added from now on. Returns how to be told no more. */
  onChange(listener: (added: CatalogueEntry) => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** In this version, unless that is ''. Throws ERR_SKEIN_UNKNOWN_BEHAVIOUR or ERR_SKEIN_BEHAVIOUR_VERSION. */
  get(name: string, wanted: string): NamedBehaviour {
    const known = this.#behaviours.get(name)
    if (known !== undefined) {
      const { behaviour, version } = known
      if (wanted === '' || wanted === version) return behaviour
      const is = version === undefined ? 'has no version' : `has version ${version}`
      const text = `"${name}" on ${this.#node} ${is}, not ${wanted.slice(0, 100)}.`
      throw new SkeinError('ERR_SKEIN_BEHAVIOUR_VERSION', text)
    }
    const nearest = nearestOf(name, firstOf(this.#behaviours.keys(), MAX_COMPARED_NAMES))
    const instead = nearest === undefined ? '' : `; the nearest name is "${nearest}"`
    const text = `No behaviour is called "${name.slice(0, 100)}" on ${this.#node}${instead}.`
    throw new SkeinError('ERR_SKEIN_UNKNOWN_BEHAVIOUR', text)
  }
}
