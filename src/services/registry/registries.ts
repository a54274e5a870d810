/**
 * The registries of one node, by their names.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { isShortName } from '../../cluster/node-name.ts'
import { bad, checkKeys, isRecord, within } from '../../option-checks.ts'
import { DuplicateRegistry, type RegistryHost, UniqueRegistry } from './local-registry.ts'

const MAX_REGISTRIES = 1000
const DEFAULT_MAX_ENTRIES = 1_000_000
const MAX_ENTRIES_RANGE: readonly [number, number] = [1, 10_000_000]

/** What `node.registry` takes. */
export interface RegistryOptions<K extends 'unique' | 'duplicate' = 'unique' | 'duplicate'> {
  /** Whether a key belongs to one process or to any number. */
  readonly keys: K
  /** What is beyond is refused with ERR_SKEIN_LIMIT. 1 to 10 000 000; default: 1 000 000. */
  readonly maxEntries?: number
}

export class Registries {
  readonly #host: RegistryHost
  readonly #registries = new Map<string, UniqueRegistry | DuplicateRegistry>()

  constructor(host: RegistryHost) {
    this.#host = host
  }

  /** Makes it, or gives the one of that name. Throws ERR_SKEIN_BAD_NAME, ERR_SKEIN_BAD_OPTION or ERR_SKEIN_LIMIT. */
  get(name: string, options: RegistryOptions): UniqueRegistry | DuplicateRegistry {
    const { keys, maxEntries } = checked(options)
    const known = this.#registries.get(name)
    if (known !== undefined) {
      const isOther = known.keyKind !== keys || (maxEntries !== undefined && known.maxEntries !== maxEntries)
      if (!isOther) return known
      const is = `{ keys: '${known.keyKind}', maxEntries: ${known.maxEntries} }`
      throw new SkeinError('ERR_SKEIN_BAD_OPTION', `The registry "${name}" was made with ${is}.`)
    }
    if (typeof name !== 'string' || !isShortName(name)) {
      throw new SkeinError('ERR_SKEIN_BAD_NAME', `"${String(name).slice(0, 100)}" cannot be the name of a registry.`)
    }
    if (this.#registries.size >= MAX_REGISTRIES) {
      throw new SkeinError('ERR_SKEIN_LIMIT', `This node has ${MAX_REGISTRIES} registries, the most it can have.`)
    }
    const Kind = keys === 'unique' ? UniqueRegistry : DuplicateRegistry
    const registry = new Kind(name, maxEntries ?? DEFAULT_MAX_ENTRIES, this.#host)
    this.#registries.set(name, registry)
    return registry
  }

  /** For those who look on: each with how much it holds. */
  list(): { readonly name: string; readonly keys: 'unique' | 'duplicate'; readonly count: number }[] {
    return Array.from(this.#registries.values(), ({ name, keyKind, count }) => ({ name, keys: keyKind, count }))
  }
}

const checked = (options: unknown): RegistryOptions => {
  if (!isRecord(options)) throw bad('the options of a registry', "an object such as { keys: 'unique' }", options)
  checkKeys(options, ['keys', 'maxEntries'], 'option registry.')
  const { keys, maxEntries }: { keys?: unknown; maxEntries?: unknown } = options
  if (keys !== 'unique' && keys !== 'duplicate') throw bad('keys', "'unique' or 'duplicate'", keys)
  return maxEntries === undefined ? { keys } : { keys, maxEntries: within('maxEntries', MAX_ENTRIES_RANGE, maxEntries) }
}
