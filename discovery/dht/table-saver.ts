/**
 * Saves the routing table of a running node now and then, and once more when it stops.
 *
 * A table without contacts is not saved: that of an earlier run is worth more. A file that cannot be written is a fact to
 * tell (`failure`), never an error.
 */
import type { Clock } from '../../transport/clock.ts'
import { Chore } from '../chore.ts'
import type { Dht } from './dht.ts'
import { saveTable } from './table-file.ts'

const FIRST_SAVE_MS = 60_000
const SAVE_MS = 15 * 60_000

export class TableSaver {
  readonly #dht: Pick<Dht, 'id' | 'contacts'>
  readonly #file: string
  readonly #chore: Chore
  #failure: string | undefined

  constructor(dht: Pick<Dht, 'id' | 'contacts'>, file: string, clock: Clock) {
    this.#dht = dht
    this.#file = file
    this.#chore = new Chore({ clock, work: () => this.#save(), pauseMs: () => SAVE_MS })
    this.#chore.soon(FIRST_SAVE_MS)
  }

  /** Why it could not be saved last, if it could not. */
  get failure(): string | undefined {
    return this.#failure
  }

  /** To be called while the DHT still runs. Never rejects. */
  async stop(): Promise<void> {
    this.#chore.stop()
    await this.#save()
  }

  async #save(): Promise<void> {
    const contacts = this.#dht.contacts()
    if (contacts.length === 0) return
    try {
      await saveTable(this.#file, { id: this.#dht.id, contacts })
      this.#failure = undefined
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException
      this.#failure = `${this.#file} cannot be written (${code ?? message})`
    }
  }
}
