/**
 * Saves the routing table of a running node now and then, and once more when it stops.
 *
 * A table without contacts is not saved: that of an earlier run is worth more. A file that cannot be written is a fact to
 * tell (`failure`) once, and once more when it can be again, never an error: the table in memory stays, and is saved next time.
 */
import type { SkeinError } from '../../certs/errors.ts'
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
  readonly #changed: () => void
  #failure: string | undefined

  /** `changed`: what `failure` says is another now. */
  constructor(dht: Pick<Dht, 'id' | 'contacts'>, file: string, clock: Clock, changed: () => void = () => {}) {
    this.#dht = dht
    this.#file = file
    this.#changed = changed
    this.#chore = new Chore({ clock, work: () => this.#save(), pauseMs: () => SAVE_MS })
    this.#chore.soon(FIRST_SAVE_MS)
  }

  /** The error's code and text, if it could not be saved last. */
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
    const failure = await saveTable(this.#file, { id: this.#dht.id, contacts }).then(
      () => undefined,
      ({ code, message }: SkeinError) => `${code}: ${message}`,
    )
    if (failure === this.#failure) return
    this.#failure = failure
    this.#changed()
  }
}
