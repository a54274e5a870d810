/**
 * The state of a GenServer in its store: loaded before the server starts, written when it changes.
 *
 * With no interval a change is durable before anybody hears of it. With one the latest state is written at most so often,
 * and once more when the process ends, except after an error: what made a function fail shall not come back. States are
 * encoded as messages are, with pids in full. A write that fails ends the server.
 */
import { SkeinError } from '../../certs/errors.ts'
import type { Timer } from '../../transport/clock.ts'
import { Notice } from '../process/behaviour.ts'
import type { Process } from '../process/process.ts'
import { INSIDE, type Self, type Services } from '../process/self.ts'
import type { Codec } from '../wire/codec.ts'
import type { Persistence } from './gen-server-spec.ts'
import type { StateStore } from './store/store.ts'

/** In the mailbox of a server: a write failed behind its back. */
export class StoreFailure extends Notice {
  readonly error: unknown

  constructor(error: unknown) {
    super()
    this.error = error
  }
}

export class KeptState {
  readonly #store: StateStore
  readonly #key: string
  readonly #intervalMs: number
  readonly #codec: Codec
  readonly #process: Process
  readonly #services: Services
  /** Changed, and not handed to the store. */
  #unsaved: { readonly state: unknown } | undefined
  /** A write is due, or under way. */
  #writing = false
  #timer: Timer | undefined

  /** Throws what the user's function for the key throws, or ERR_SKEIN_BAD_ARGUMENT. */
  constructor(persist: Persistence<unknown, unknown[]>, args: unknown[], self: Self) {
    const { process, services } = self[INSIDE]
    const key: unknown = typeof persist.key === 'function' ? persist.key(...args) : persist.key
    if (typeof key !== 'string') throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'persist.key did not give a text.')
    if (services.stateCodec === undefined) {
      throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'This node has no codec for states.')
    }
    this.#store = persist.store
    this.#key = key
    this.#intervalMs = persist.intervalMs ?? 0
    this.#codec = services.stateCodec
    this.#process = process
    this.#services = services
    if (this.#intervalMs > 0) process.signal.addEventListener('abort', () => this.#ended())
  }

  async load(): Promise<{ readonly state: unknown } | undefined> {
    const bytes = await this.#store.load(this.#key)
    return bytes && { state: this.#codec.decode(bytes, 0, bytes.length) }
  }

  /** The promise, if there is one, is to be waited for before anybody hears of the change. */
  changed(state: unknown): Promise<void> | undefined {
    if (this.#intervalMs === 0) return this.#write(state)
    this.#unsaved = { state }
    if (!this.#writing) this.#writeLater()
    return undefined
  }

  /** Writes what is still to be written. */
  async flush(): Promise<void> {
    const unsaved = this.#unsaved
    this.#unsaved = undefined
    if (unsaved !== undefined) await this.#write(unsaved.state)
  }

  /** What was not written never will be. */
  discard(): void {
    this.#unsaved = undefined
  }

  /** If it was ended from outside nobody waits for this last write, and nobody can be told if it fails. */
  #ended(): void {
    this.#timer?.cancel()
    this.flush().catch(() => {})
  }

  #writeLater(): void {
    this.#writing = true
    this.#timer = this.#services.clock.after(this.#intervalMs, () => {
      this.flush().then(
        () => {
          this.#writing = false
          if (this.#unsaved !== undefined && this.#process.ended === undefined) this.#writeLater()
        },
        (error: unknown) => this.#services.post.put(this.#process, new StoreFailure(error)),
      )
    })
  }

  async #write(state: unknown): Promise<void> {
    const { buffer, byteOffset, length } = this.#codec.encode(state)
    // No Buffer: its slice does not copy, and a store has to.
    await this.#store.save(this.#key, new Uint8Array(buffer, byteOffset, length))
  }
}
