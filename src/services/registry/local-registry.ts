/**
 * Registries of one node: processes under keys, each with a value, as in Elixir's Registry (hexdocs.pm/elixir, Registry).
 *
 * With unique keys a key belongs to one process; with duplicate keys any number of processes stand under it, in the order
 * in which they came, one perhaps several times. Only processes of this node can stand here, and an entry vanishes with
 * its process before anybody hears of the end, as names do. Everything is done at once and here: no other node is asked.
 */
import { SkeinError } from '../../../certs/errors.ts'
import type { Pid } from '../../pid.ts'
import type { AnyPid } from '../../process/directory.ts'
import type { Process, ProcessTable } from '../../process/process.ts'
import { fits, type Pattern } from './pattern.ts'
import { type Key, type Row, Table } from './table.ts'

/** What a registry needs of its node. */
export interface RegistryHost {
  /** Throws ERR_SKEIN_NOPROC unless it is a living process of this node. */
  process(pid: AnyPid): Process
  /** What cannot be sent is a dead letter. */
  send(pid: AnyPid, message: unknown): void
}

/** A process under a key. */
export interface RegistryEntry<V = unknown> {
  readonly pid: Pid
  readonly value: V
}

/** An entry with its key: what a registry iterates over, and what `select` gives. */
export interface KeyedEntry<V = unknown> extends RegistryEntry<V> {
  readonly key: Key
}

/** What a value has to look like, or a function that says so. */
export type Match<V> = Pattern<V> | ((value: V, pid: Pid) => boolean)

abstract class LocalRegistry<V> implements ProcessTable, Iterable<KeyedEntry<V>> {
  readonly name: string
  readonly maxEntries: number
  protected readonly table = new Table<V>()
  readonly #host: RegistryHost

  /** @internal Use node.registry. */
  constructor(name: string, maxEntries: number, host: RegistryHost) {
    this.name = name
    this.maxEntries = maxEntries
    this.#host = host
  }

  /** Entries. */
  get count(): number {
    return this.table.size
  }

  /** The keys of a process, as often as it stands under them. */
  keys(pid: AnyPid): Key[] {
    return this.#of(pid).map(({ key }) => key)
  }

  /** The entries under a key whose values match. */
  match(key: Key, wanted: Match<V>): RegistryEntry<V>[] {
    return this.table.under(key).map(entryOf).filter(matcher(wanted))
  }

  /** All entries whose values match. */
  select(wanted: Match<V>): KeyedEntry<V>[] {
    return [...this].filter(matcher(wanted))
  }

  /** Calls `use` with the entries under a key, if there are any; gives how many there are. What it throws is thrown here. */
  dispatch(key: Key, use: (entries: readonly RegistryEntry<V>[]) => void): number {
    const entries = this.table.under(key).map(entryOf)
    if (entries.length > 0) use(entries)
    return entries.length
  }

  /** Sends to every entry under a key; gives how many there are. What cannot be sent to one is a dead letter. */
  publish(key: Key, message: unknown): number {
    const rows = this.table.under(key)
    for (const { process } of rows) this.#host.send(process.pid, message)
    return rows.length
  }

  /** Everything that stands here, key by key. */
  *[Symbol.iterator](): Iterator<KeyedEntry<V>> {
    for (const row of this.table) yield { key: row.key, ...entryOf(row) }
  }

  /** @internal The process has ended. */
  ended(process: Process): void {
    for (const row of this.table.of(process)) this.table.remove(row)
  }

  protected add(key: Key, pid: AnyPid, value: V): void {
    checkKey(key)
    const process = this.#host.process(pid)
    if (this.table.size >= this.maxEntries) {
      const text = `The registry "${this.name}" has ${this.maxEntries} entries, its "maxEntries".`
      throw new SkeinError('ERR_SKEIN_LIMIT', text)
    }
    this.table.add({ key, process, value })
    process.tables ??= new Set()
    process.tables.add(this)
  }

  protected remove(rows: readonly Row<V>[]): number {
    for (const row of rows) {
      this.table.remove(row)
      if (!this.table.holds(row.process)) row.process.tables?.delete(this)
    }
    return rows.length
  }

  #of(pid: AnyPid): Row<V>[] {
    try {
      return this.table.of(this.#host.process(pid))
    } catch {
      // It has ended, or is of another node.
      return []
    }
  }
}

export class UniqueRegistry<V = unknown> extends LocalRegistry<V> {
  readonly keyKind = 'unique'

  /** Throws ERR_SKEIN_NAME_REGISTERED, ERR_SKEIN_NOPROC, ERR_SKEIN_LIMIT or ERR_SKEIN_BAD_ARGUMENT. */
  register(key: Key, pid: AnyPid, ...value: Value<V>): void {
    const holder = this.table.first(key)
    if (holder !== undefined) {
      const text = `"${String(key).slice(0, MAX_SHOWN)}" of "${this.name}" belongs to ${holder.process.pid}.`
      throw new SkeinError('ERR_SKEIN_NAME_REGISTERED', text)
    }
    this.add(key, pid, value[0] as V)
  }

  /** With a pid only if it is that process's. False: there was no such entry. */
  unregister(key: Key, pid?: AnyPid): boolean {
    return this.remove(heldBy(this.table.under(key), pid)) > 0
  }

  lookup(key: Key): RegistryEntry<V> | undefined {
    const row = this.table.first(key)
    return row && entryOf(row)
  }

  /** Puts another value in place of the one that is there. Undefined: there is no such entry; else the new value. */
  update(key: Key, change: (value: V) => V): V | undefined {
    const row = this.table.first(key)
    if (row === undefined) return undefined
    row.value = change(row.value)
    return row.value
  }
}

export class DuplicateRegistry<V = unknown> extends LocalRegistry<V> {
  readonly keyKind = 'duplicate'

  /** Throws ERR_SKEIN_NOPROC, ERR_SKEIN_LIMIT or ERR_SKEIN_BAD_ARGUMENT. */
  register(key: Key, pid: AnyPid, ...value: Value<V>): void {
    this.add(key, pid, value[0] as V)
  }

  /** All entries under a key, or those of one process, or those of it that match. Gives how many there were. */
  unregister(key: Key, pid?: AnyPid, wanted?: Match<V>): number {
    const rows = heldBy(this.table.under(key), pid)
    return this.remove(wanted === undefined ? rows : rows.filter((row) => matcher(wanted)(entryOf(row))))
  }

  lookup(key: Key): RegistryEntry<V>[] {
    return this.table.under(key).map(entryOf)
  }

  /** Changes the values of a process under a key; gives how many there are. */
  update(key: Key, pid: AnyPid, change: (value: V) => V): number {
    const rows = heldBy(this.table.under(key), pid)
    for (const row of rows) row.value = change(row.value)
    return rows.length
  }
}

/** A value may be left out where it may be undefined. */
type Value<V> = undefined extends V ? [value?: V] : [value: V]

/** Characters of a key in a message. */
const MAX_SHOWN = 100

const checkKey = (key: unknown): void => {
  if (typeof key === 'string' || typeof key === 'number') return
  throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'A key of a registry is a string or a number.')
}

const entryOf = <V>({ process, value }: Row<V>): RegistryEntry<V> => ({ pid: process.pid, value })

const heldBy = <V>(rows: Row<V>[], pid: AnyPid | undefined): Row<V>[] =>
  pid === undefined ? rows : rows.filter(({ process }) => process.pid.equals(pid))

const matcher =
  <V>(wanted: Match<V>) =>
  ({ pid, value }: RegistryEntry<V>): boolean =>
    typeof wanted === 'function' ? (wanted as (value: V, pid: Pid) => boolean)(value, pid) : fits(wanted, value)
