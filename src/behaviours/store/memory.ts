/**
 * A store in memory: state outlives its process, not the program. For tests, and for supervised processes that only need
 * to survive their own crashes. It does not let go of anything by itself; what does not fit is refused.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { GuardedStore } from './guarded-store.ts'
import type { StateStore } from './store.ts'

const MAX_MEMORY_STORE_KEYS = 1_000_000
const MAX_MEMORY_STORE_BYTES = 256 * 1024 * 1024

/** Bounds of a `memoryStore`. What is beyond rejects with ERR_SKEIN_LIMIT. */
export interface MemoryStoreOptions {
  /** Default 1 000 000. */
  readonly maxKeys?: number
  /** All states together. Default 256 MiB. */
  readonly maxBytes?: number
}

export const memoryStore = (options: MemoryStoreOptions = {}): StateStore => new GuardedStore(new MemoryStore(options))

class MemoryStore implements StateStore {
  readonly #maxKeys: number
  readonly #maxBytes: number
  readonly #states = new Map<string, Uint8Array>()
  #heldBytes = 0

  constructor({ maxKeys = MAX_MEMORY_STORE_KEYS, maxBytes = MAX_MEMORY_STORE_BYTES }: MemoryStoreOptions) {
    this.#maxKeys = maxKeys
    this.#maxBytes = maxBytes
  }

  async load(key: string): Promise<Uint8Array | undefined> {
    return this.#states.get(key)?.slice()
  }

  async save(key: string, bytes: Uint8Array): Promise<void> {
    const old = this.#states.get(key)
    if (old === undefined && this.#states.size >= this.#maxKeys) throw full(`${this.#maxKeys} keys`)
    const heldBytes = this.#heldBytes - (old?.length ?? 0) + bytes.length
    if (heldBytes > this.#maxBytes) throw full(`${this.#maxBytes} bytes`)
    this.#heldBytes = heldBytes
    this.#states.set(key, bytes)
  }

  async remove(key: string): Promise<void> {
    this.#heldBytes -= this.#states.get(key)?.length ?? 0
    this.#states.delete(key)
  }

  async close(): Promise<void> {
    this.#states.clear()
  }
}

const full = (limit: string): SkeinError =>
  new SkeinError('ERR_SKEIN_LIMIT', `the memory store holds at most ${limit}`, {
    hint: 'Remove states that nobody needs, raise the option, or use a store on disk.',
  })
