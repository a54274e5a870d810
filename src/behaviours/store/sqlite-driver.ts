/**
 * Which SQLite there is: `node:sqlite` where Node has it (22.5 and up, without a flag since 22.13), else `better-sqlite3`
 * if the program has installed it. Both are synchronous and alike in the few calls used here.
 *
 * Loaded on first use, so that nobody needs either who does not keep states in SQLite.
 */
import { type Attempt, SkeinError } from '../../../certs/errors.ts'

type SqliteValue = string | Uint8Array

/** A prepared statement of a driver. */
export interface SqliteStatement {
  run(...values: SqliteValue[]): unknown
  /** The first row, undefined if there is none. */
  get(...values: SqliteValue[]): unknown
}

/** The part of a driver for SQLite that is used: node:sqlite and better-sqlite3 have it. */
export interface SqliteDatabase {
  exec(sql: string): unknown
  prepare(sql: string): SqliteStatement
  close(): unknown
}

/** Opens a database; throws what the driver throws. */
export type OpenSqlite = (path: string) => SqliteDatabase

type DatabaseClass = new (path: string) => SqliteDatabase

/** The module's name and where in it the class is. */
interface Driver {
  readonly name: string
  classIn(module: Readonly<Record<string, unknown>>): unknown
}

const DRIVERS: readonly Driver[] = [
  { name: 'node:sqlite', classIn: (module) => module.DatabaseSync },
  { name: 'better-sqlite3', classIn: (module) => module.default },
]

export type ImportModule = (name: string) => Promise<unknown>

/** Not a literal in the import: the compiler would ask for types of what may not be there. */
const importModule: ImportModule = (name) => import(name)

/** The first driver that works here. Throws ERR_SKEIN_NO_SQLITE with what was tried. */
export const loadSqlite = async (importer: ImportModule = importModule): Promise<OpenSqlite> => {
  const attempts: Attempt[] = []
  let cause: unknown
  for (const driver of DRIVERS) {
    try {
      return await openWith(driver, importer)
    } catch (error) {
      cause = error
      attempts.push({ what: driver.name, code: codeOf(error), message: error instanceof Error ? error.message : '' })
    }
  }
  throw new SkeinError('ERR_SKEIN_NO_SQLITE', 'neither node:sqlite nor better-sqlite3 can be loaded', {
    attempts,
    cause,
  })
}

const openWith = async (driver: Driver, importer: ImportModule): Promise<OpenSqlite> => {
  const module = await importer(driver.name)
  const found = typeof module === 'object' && module !== null ? driver.classIn({ ...module }) : undefined
  if (typeof found !== 'function') throw new TypeError(`${driver.name} has no class of databases`)
  const Database = found as DatabaseClass
  // better-sqlite3 looks for its binary only when a database is opened.
  new Database(':memory:').close()
  return (path) => new Database(path)
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
