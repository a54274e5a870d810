/**
 * A store in one table of an SQLite database, which may hold other tables of the program.
 *
 * SQLite runs on Node's main thread, and a commit waits for the disk. So all saves of one turn share one commit; a program
 * whose states are large or whose disk is slow is better served by the file store. WAL with synchronous=FULL: what was
 * committed survives also a loss of power (sqlite.org/pragma.html#pragma_synchronous).
 */
import { mkdir, open } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { SkeinError } from '../../../certs/errors.ts'
import { type Clock, systemClock } from '../../../transport/clock.ts'
import { GuardedStore } from './guarded-store.ts'
import { type PendingWrite, PendingWrites, type Written } from './pending-writes.ts'
import { loadSqlite, type OpenSqlite, type SqliteDatabase, type SqliteStatement } from './sqlite-driver.ts'
import type { StateStore } from './store.ts'

/** How long another connection may hold the database. The whole program stands still meanwhile. */
const BUSY_TIMEOUT_MS = 250

/** Primary result codes (sqlite.org/rescode.html): SQLITE_CORRUPT and SQLITE_NOTADB. */
const DAMAGED_CODES: readonly unknown[] = [11, 26, 'SQLITE_CORRUPT', 'SQLITE_NOTADB']

/** What `sqliteStore` takes beside its file. */
export interface SqliteStoreOptions {
  /** Instead of the driver that is found on this machine. */
  readonly driver?: () => Promise<OpenSqlite>
  readonly clock?: Clock
}

export const sqliteStore = (path: string, options: SqliteStoreOptions = {}): StateStore => {
  if (typeof path !== 'string' || path === '') {
    throw new SkeinError('ERR_SKEIN_BAD_ARGUMENT', 'an SQLite store needs the path of a file')
  }
  return new GuardedStore(new SqliteStore(resolve(path), options))
}

interface Opened {
  readonly database: SqliteDatabase
  readonly select: SqliteStatement
  readonly upsert: SqliteStatement
  readonly delete: SqliteStatement
}

class SqliteStore implements StateStore {
  readonly #path: string
  readonly #driver: () => Promise<OpenSqlite>
  readonly #clock: Clock
  readonly #pending = new PendingWrites()
  #opened: Promise<Opened> | undefined

  constructor(path: string, { driver = loadSqlite, clock = systemClock }: SqliteStoreOptions) {
    this.#path = path
    this.#driver = driver
    this.#clock = clock
  }

  async load(key: string): Promise<Uint8Array | undefined> {
    const opened = await this.#open()
    this.#commit(opened)
    const row = this.#named(() => opened.select.get(key))
    if (row === undefined) return undefined
    const bytes = typeof row === 'object' && row !== null && 'bytes' in row ? row.bytes : undefined
    if (bytes instanceof Uint8Array) return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    throw new SkeinError('ERR_SKEIN_STORE_CORRUPT', `${this.#path} holds something that is not a blob`)
  }

  save(key: string, bytes: Uint8Array): Promise<void> {
    return this.#write(key, bytes)
  }

  remove(key: string): Promise<void> {
    return this.#write(key, undefined)
  }

  async close(): Promise<void> {
    const opened = await this.#opened?.catch(() => undefined)
    opened?.database.close()
  }

  async #write(key: string, value: Written): Promise<void> {
    const isFirst = this.#pending.size === 0
    const done = this.#pending.put(key, value)
    if (isFirst) this.#commitSoon()
    return done
  }

  /** Never rejects. */
  async #commitSoon(): Promise<void> {
    try {
      const opened = await this.#open()
      this.#clock.endOfTurn(() => this.#commit(opened))
    } catch (error) {
      failAll(this.#pending.takeAll(), error)
    }
  }

  #commit(opened: Opened): void {
    const writes = this.#pending.takeAll()
    if (writes.length > 0) this.#transact(opened, writes)
  }

  /**
   * Settles the writes, all in one transaction. If that fails, a full disk for instance, each is tried alone, so
   * that none fails for the sake of another. Gives false if no transaction could begin: then further ones would only wait in vain.
   */
  #transact(opened: Opened, writes: readonly PendingWrite[]): boolean {
    const { database } = opened
    try {
      this.#named(() => database.exec('BEGIN IMMEDIATE'))
    } catch (error) {
      failAll(writes, error)
      return false
    }
    try {
      this.#named(() => {
        runAll(opened, writes)
        database.exec('COMMIT')
      })
    } catch (error) {
      rollBack(database)
      if (writes.length > 1) return this.#transactEach(opened, writes)
      failAll(writes, error)
      return true
    }
    for (const write of writes) write.succeed()
    return true
  }

  #transactEach(opened: Opened, writes: readonly PendingWrite[]): boolean {
    for (const [index, write] of writes.entries()) {
      if (this.#transact(opened, [write])) continue
      failAll(writes.slice(index + 1), new Error(`${this.#path} is held by another connection`))
      return false
    }
    return true
  }

  #open(): Promise<Opened> {
    this.#opened ??= this.#openFile().catch((error) => {
      this.#opened = undefined
      throw error
    })
    return this.#opened
  }

  async #openFile(): Promise<Opened> {
    const openSqlite = await this.#driver()
    await makeFile(this.#path)
    return this.#named(() => {
      const database = openSqlite(this.#path)
      try {
        return prepare(database)
      } catch (error) {
        database.close()
        throw error
      }
    })
  }

  /** Runs what may meet a damaged or foreign file, and says so with a code of its own. */
  #named<T>(body: () => T): T {
    try {
      return body()
    } catch (error) {
      if (!isDamage(error)) throw error
      throw new SkeinError('ERR_SKEIN_STORE_CORRUPT', `${this.#path} is damaged or no SQLite database`, {
        cause: error,
      })
    }
  }
}

/** SQLite makes files that everybody can read, and gives its WAL the mode of the database: so the file is made here. */
const makeFile = async (path: string): Promise<void> => {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const handle = await open(path, 'a', 0o600)
  await handle.close()
}

const prepare = (database: SqliteDatabase): Opened => {
  database.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL`)
  database.exec('CREATE TABLE IF NOT EXISTS skein_states (key TEXT NOT NULL PRIMARY KEY, bytes BLOB NOT NULL)')
  return {
    database,
    select: database.prepare('SELECT bytes FROM skein_states WHERE key = ?'),
    upsert: database.prepare(
      'INSERT INTO skein_states (key, bytes) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET bytes = excluded.bytes',
    ),
    delete: database.prepare('DELETE FROM skein_states WHERE key = ?'),
  }
}

const runAll = (opened: Opened, writes: readonly PendingWrite[]): void => {
  for (const { key, value } of writes) {
    if (value === undefined) opened.delete.run(key)
    else opened.upsert.run(key, value)
  }
}

const failAll = (writes: readonly PendingWrite[], error: unknown): void => {
  for (const write of writes) write.fail(error)
}

/** SQLite may have rolled back by itself already, on a full disk for instance; then this fails and nothing is lost. */
const rollBack = (database: SqliteDatabase): void => {
  try {
    database.exec('ROLLBACK')
  } catch {
    // The error that led here is the one to tell.
  }
}

/** better-sqlite3 puts the name of the result into `code`, node:sqlite its number into `errcode`. */
const isDamage = (error: unknown): boolean => {
  if (!(error instanceof Error)) return false
  if ('errcode' in error) return DAMAGED_CODES.includes(Number(error.errcode) & 0xff)
  return 'code' in error && DAMAGED_CODES.includes(String(error.code).split('_').slice(0, 2).join('_'))
}
