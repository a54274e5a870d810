/**
 * The adapters under test, by a name that also a child process can be given.
 *
 * better-sqlite3 is looked for as the library does, or in the folder that SKEIN_TEST_BETTER_SQLITE3 names: it is native,
 * and not every machine that runs the tests can build it.
 */
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { fileStore } from '../../../../src/behaviours/store/file.ts'
import { memoryStore } from '../../../../src/behaviours/store/memory.ts'
import { sqliteStore } from '../../../../src/behaviours/store/sqlite.ts'
import { loadSqlite, type OpenSqlite } from '../../../../src/behaviours/store/sqlite-driver.ts'
import type { StateStore } from '../../../../src/behaviours/store/store.ts'

export type SqliteDriverName = 'node:sqlite' | 'better-sqlite3'
export type AdapterName = 'memory' | 'file' | SqliteDriverName

/** A new adapter on the place. */
export const openStore = (name: AdapterName, path: string): StateStore => {
  if (name === 'memory') return memoryStore()
  if (name === 'file') return fileStore(path)
  return sqliteStore(path, { driver: () => sqliteDriver(name) })
}

/** That driver and no other. */
export const sqliteDriver = (name: SqliteDriverName): Promise<OpenSqlite> =>
  loadSqlite(async (asked): Promise<unknown> => {
    if (asked !== name) throw new Error(`${asked} is not asked for`)
    const folder = name === 'better-sqlite3' ? process.env.SKEIN_TEST_BETTER_SQLITE3 : undefined
    return import(folder ? pathToFileURL(createRequire(join(folder, '/')).resolve(name)).href : asked)
  })
