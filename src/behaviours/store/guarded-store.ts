/**
 * What all adapters have in common, in one place before them: keys and sizes are checked, bytes copied, errors coded, and
 * nothing reaches an adapter once it is closing. An adapter behind it sees only valid input, and is closed exactly once,
 * when nothing runs in it any more.
 */
import { SkeinError } from '../../../certs/errors.ts'
import { MAX_STATE_BYTES, MAX_STORE_KEY_BYTES, type StateStore } from './store.ts'

/** As much of a key as an error message shows. */
const SHOWN_KEY_CHARACTERS = 64

/** A surrogate without its other half: UTF-8 has no bytes for it, so two such keys would become one. */
const LONE_SURROGATE = /\p{Surrogate}/u

export class GuardedStore implements StateStore {
  readonly #adapter: StateStore
  readonly #running = new Set<Promise<unknown>>()
  #closed: Promise<void> | undefined

  constructor(adapter: StateStore) {
    this.#adapter = adapter
  }

  async load(key: string): Promise<Uint8Array | undefined> {
    return this.#run('load', key, () => this.#adapter.load(key))
  }

  async save(key: string, bytes: Uint8Array): Promise<void> {
    return this.#run('save', key, () => {
      checkBytes(bytes)
      return this.#adapter.save(key, new Uint8Array(bytes))
    })
  }

  async remove(key: string): Promise<void> {
    return this.#run('remove', key, () => this.#adapter.remove(key))
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #run<T>(verb: string, key: string, body: () => Promise<T>): Promise<T> {
    if (this.#closed !== undefined)
      throw new SkeinError('ERR_SKEIN_STORE_CLOSED', `cannot ${verb}: the store is closed`)
    checkKey(key)
    const running = body()
    this.#running.add(running)
    try {
      return await running
    } catch (error) {
      throw coded(error, `cannot ${verb} ${shown(key)}`)
    } finally {
      this.#running.delete(running)
    }
  }

  async #close(): Promise<void> {
    await Promise.allSettled(this.#running)
    try {
      await this.#adapter.close()
    } catch (error) {
      throw coded(error, 'cannot close the store')
    }
  }
}

const checkKey = (key: unknown): void => {
  if (typeof key !== 'string' || key === '') throw badArgument('a key of a store is a string that is not empty')
  if (Buffer.byteLength(key) > MAX_STORE_KEY_BYTES) {
    throw badArgument(`a key of a store has at most ${MAX_STORE_KEY_BYTES} bytes of UTF-8: ${shown(key)}`)
  }
  if (LONE_SURROGATE.test(key)) throw badArgument(`a key of a store is well-formed Unicode: ${shown(key)}`)
}

const checkBytes = (bytes: unknown): void => {
  if (!(bytes instanceof Uint8Array)) throw badArgument('a store keeps a Uint8Array')
  if (bytes.length > MAX_STATE_BYTES) {
    throw new SkeinError('ERR_SKEIN_LIMIT', `a state of ${bytes.length} bytes, a store takes ${MAX_STATE_BYTES}`, {
      hint: 'Keep less in one state: divide it among processes or keys.',
    })
  }
}

const badArgument = (message: string): SkeinError => new SkeinError('ERR_SKEIN_BAD_ARGUMENT', message)

const shown = (key: string): string =>
  JSON.stringify(key.length > SHOWN_KEY_CHARACTERS ? `${key.slice(0, SHOWN_KEY_CHARACTERS)}...` : key)

const coded = (error: unknown, message: string): SkeinError =>
  error instanceof SkeinError
    ? error
    : new SkeinError('ERR_SKEIN_STORE', `${message}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      })
