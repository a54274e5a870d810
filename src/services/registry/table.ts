/**
 * The table of a registry: who stands under which key, with what value.
 *
 * Each entry is found by its key and by its process, so that entries of a process that ends go in one step each. Order
 * is that of registration. Under most keys stands one entry, and that costs no set of its own.
 */
import type { Process } from '../../process/process.ts'

/** What entries of a registry stand under. */
export type Key = string | number

export interface Row<V> {
  readonly key: Key
  readonly process: Process
  value: V
}

export class Table<V> {
  readonly #byKey = new Map<Key, Row<V> | Set<Row<V>>>()
  readonly #byProcess = new Map<Process, Set<Row<V>>>()
  #size = 0

  get size(): number {
    return this.#size
  }

  /** The oldest one. */
  first(key: Key): Row<V> | undefined {
    const found = this.#byKey.get(key)
    if (!(found instanceof Set)) return found
    for (const row of found) return row
    return undefined
  }

  /** As they are now. */
  under(key: Key): Row<V>[] {
    const found = this.#byKey.get(key)
    if (found === undefined) return []
    return found instanceof Set ? [...found] : [found]
  }

  of(process: Process): Row<V>[] {
    return [...(this.#byProcess.get(process) ?? [])]
  }

  *[Symbol.iterator](): Iterator<Row<V>> {
    for (const found of this.#byKey.values()) {
      if (found instanceof Set) yield* found
      else yield found
    }
  }

  add(row: Row<V>): void {
    const { key, process } = row
    const there = this.#byKey.get(key)
    if (there === undefined) this.#byKey.set(key, row)
    else if (there instanceof Set) there.add(row)
    else this.#byKey.set(key, new Set([there, row]))
    const own = this.#byProcess.get(process)
    if (own === undefined) this.#byProcess.set(process, new Set([row]))
    else own.add(row)
    this.#size++
  }

  remove(row: Row<V>): void {
    const own = this.#byProcess.get(row.process)
    if (own?.delete(row) !== true) return
    if (own.size === 0) this.#byProcess.delete(row.process)
    const there = this.#byKey.get(row.key)
    if (there === row) this.#byKey.delete(row.key)
    else if (there instanceof Set) {
      there.delete(row)
      if (there.size === 0) this.#byKey.delete(row.key)
    }
    this.#size--
  }

  /** False: nothing of that process is left here. */
  holds(process: Process): boolean {
    return this.#byProcess.has(process)
  }
}
