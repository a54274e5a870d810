/**
 * The names of this node: each belongs to one process, and is free again when that process ends.
 */
import { SkeinError } from '../../certs/errors.ts'
import { isShortName } from '../cluster/node-name.ts'
import type { Process } from './process.ts'
import { isSystemName } from './rights.ts'

export class Registry {
  readonly #processes = new Map<string, Process>()
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  get(name: string): Process | undefined {
    return this.#processes.get(name)
  }

  names(): string[] {
    return [...this.#processes.keys()]
  }

  /** Throws ERR_SKEIN_BAD_NAME, ERR_SKEIN_NAME_REGISTERED or ERR_SKEIN_LIMIT. A process may have several names. */
  register(name: string, process: Process): void {
    if (typeof name !== 'string' || !isShortName(name)) {
      throw new SkeinError('ERR_SKEIN_BAD_NAME', `"${String(name).slice(0, 100)}" cannot be the name of a process.`)
    }
    if (isSystemName(name) && process.traits.guarded !== true) {
      throw new SkeinError('ERR_SKEIN_BAD_NAME', `"${name}" is a name of Skein itself.`, {
        hint: 'Names that begin with "skein." are reserved, and so is "skein".',
      })
    }
    const holder = this.#processes.get(name)
    if (holder !== undefined) {
      throw new SkeinError('ERR_SKEIN_NAME_REGISTERED', `"${name}" is the name of ${holder.pid}.`)
    }
    if (this.#processes.size >= this.#limit) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node has ${this.#limit} registered names, the limit "names".`)
    }
    this.#processes.set(name, process)
    process.names ??= new Set()
    process.names.add(name)
  }

  /** Throws ERR_SKEIN_NOT_REGISTERED. */
  unregister(name: string): void {
    const process = this.#processes.get(name)
    if (process === undefined) throw new SkeinError('ERR_SKEIN_NOT_REGISTERED', `Nobody is registered as "${name}".`)
    this.#processes.delete(name)
    process.names?.delete(name)
  }

  ended(process: Process): void {
    for (const name of process.names ?? []) this.#processes.delete(name)
    process.names = undefined
  }
}
