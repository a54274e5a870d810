/**
 * The log of the observer: what happened in the cluster since it watches, the newest thousand entries.
 */
import type { LogEntry } from './messages.ts'

/** Entries kept. */
const MAX_ENTRIES = 1000
const MAX_TEXT = 500

export type NewEntry = Omit<LogEntry, 'id' | 'at'>

export class EventLog {
  #entries: LogEntry[] = []
  #last = 0
  readonly #heard: (entry: LogEntry) => void

  constructor(heard: (entry: LogEntry) => void) {
    this.#heard = heard
  }

  add({ text, ...entry }: NewEntry): void {
    const added = { ...entry, id: ++this.#last, at: Date.now(), text: text.slice(0, MAX_TEXT) }
    this.#entries.push(added)
    if (this.#entries.length > 2 * MAX_ENTRIES) this.#entries = this.#entries.slice(-MAX_ENTRIES)
    this.#heard(added)
  }

  /** Those with a greater id, oldest first. */
  after(id: number): readonly LogEntry[] {
    return this.#entries.slice(-MAX_ENTRIES).filter((entry) => entry.id > id)
  }
}
