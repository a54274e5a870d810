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

export class Catalogue {
  readonly #node: string
  readonly #limit: number
  readonly #behaviours = new Map<string, NamedBehaviour>()

  constructor(node: string, limit: number) {
    this.#node = node
    this.#limit = limit
  }

  /** Throws ERR_SKEIN_BAD_NAME, ERR_SKEIN_BAD_ARGUMENT, ERR_SKEIN_NAME_REGISTERED or ERR_SKEIN_LIMIT. */
  add<M, A extends unknown[]>(name: string, behaviour: Behaviour<M, A>): void {
    if (typeof name !== 'string' || !isShortName(name)) {
      throw new SkeinError('ERR_SKEIN_BAD_NAME', `"${String(name).slice(0, 100)}" cannot be the name of a behaviour.`)
    }
    checkBehaviour(behaviour)
    if (this.#behaviours.has(name)) {
      throw new SkeinError('ERR_SKEIN_NAME_REGISTERED', `"${name}" is the name of another behaviour.`)
    }
    if (this.#behaviours.size >= this.#limit) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node has ${this.#limit} behaviours, the limit "behaviours".`)
    }
    this.#behaviours.set(name, behaviour as unknown as NamedBehaviour)
  }

  names(): string[] {
    return [...this.#behaviours.keys()]
  }

  /** Throws ERR_SKEIN_UNKNOWN_BEHAVIOUR. */
  get(name: string): NamedBehaviour {
    const behaviour = this.#behaviours.get(name)
    if (behaviour !== undefined) return behaviour
    const nearest = nearestOf(name, firstOf(this.#behaviours.keys(), MAX_COMPARED_NAMES))
    const instead = nearest === undefined ? '' : `; the nearest name is "${nearest}"`
    const text = `No behaviour is called "${name.slice(0, 100)}" on ${this.#node}${instead}.`
    throw new SkeinError('ERR_SKEIN_UNKNOWN_BEHAVIOUR', text)
  }
}
