/**
 * The store in SQLite: compliance and durability with each driver found on this machine, and what only databases can
 * suffer. With SKEIN_TEST_NEWER_NODE, the path of a Node that has node:sqlite, an older Node runs this file in that one too.
 */
import { execFile } from 'node:child_process'
import { stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as assert from 'uvu/assert'
import { isSkeinError } from '../../../../certs/errors.ts'
import { sqliteStore } from '../../../../src/behaviours/store/sqlite.ts'
import { loadSqlite, type OpenSqlite } from '../../../../src/behaviours/store/sqlite-driver.ts'
import { type Suite, suite } from '../../../support/suite.ts'
import { openStore, type SqliteDriverName, sqliteDriver } from './adapters.ts'
import { storeCompliance } from './compliance.ts'
import { storeDurability } from './durability.ts'
import { bytesOf, rejects, smallDisk, temporaryFolder } from './store-support.ts'

/** Undefined if the driver works here, else why it does not. */
const whyMissing = (name: SqliteDriverName): Promise<string | undefined> =>
  sqliteDriver(name).then(
    () => undefined,
    (error: unknown) => (isSkeinError(error) ? error.attempts.find(({ what }) => what === name)?.message : `${error}`),
  )
const missing = { 'node:sqlite': await whyMissing('node:sqlite'), 'better-sqlite3': await whyMissing('better-sqlite3') }

const withDriver = (test: Suite, name: SqliteDriverName): void => {
  storeCompliance(test, name)
  storeDurability(test, name)

  test('a file that is no database is an error', async (t) => {
    const path = join(await temporaryFolder(t), 'poem')
    await writeFile(path, 'no database '.repeat(1000))
    const store = openStore(name, path)
    t.defer(() => store.close())
    await rejects('ERR_SKEIN_STORE_CORRUPT', () => store.load('key'))
    const error = await rejects('ERR_SKEIN_STORE_CORRUPT', () => store.save('key', bytesOf('x')))
    assert.match(error.message, path)
  })

  test('something else in the table is an error, another shape of the table too', async (t) => {
    const path = join(await temporaryFolder(t), 'states.db')
    const store = openStore(name, path)
    t.defer(() => store.close())
    await store.save('key', bytesOf('x'))
    const database = (await sqliteDriver(name))(path)
    database.exec(`UPDATE skein_states SET bytes = 'text'`)
    await rejects('ERR_SKEIN_STORE_CORRUPT', () => store.load('key'))
    database.exec('DROP TABLE skein_states; CREATE TABLE skein_states (something TEXT)')
    database.close()
    await rejects('ERR_SKEIN_STORE', () => store.load('key'))
    await rejects('ERR_SKEIN_STORE', () => store.save('key', bytesOf('x')))
    const again = openStore(name, path)
    await rejects('ERR_SKEIN_STORE', () => again.load('key'))
    await again.close()
  })

  test('the files are closed to others', async (t) => {
    if (process.platform === 'win32') t.skip('Windows has no file modes')
    const folder = join(await temporaryFolder(t), 'made')
    const store = openStore(name, join(folder, 'states.db'))
    t.defer(() => store.close())
    await store.save('key', bytesOf('x'))
    const modes = ['', 'states.db', 'states.db-wal'].map(async (file) => (await stat(join(folder, file))).mode & 0o777)
    assert.equal(await Promise.all(modes), [0o700, 0o600, 0o600])
  })

  test('it commits in WAL mode and leaves other tables alone', async (t) => {
    const path = join(await temporaryFolder(t), 'states.db')
    const openSqlite = await sqliteDriver(name)
    const before = openSqlite(path)
    before.exec(`CREATE TABLE songs (title TEXT); INSERT INTO songs VALUES ('mine')`)
    before.close()
    const store = openStore(name, path)
    t.defer(() => store.close())
    await store.save('key', bytesOf('x'))
    const database = openSqlite(path)
    t.defer(() => database.close())
    assert.equal({ ...(database.prepare('PRAGMA journal_mode').get() as object) }, { journal_mode: 'wal' })
    assert.equal({ ...(database.prepare('SELECT title FROM songs').get() as object) }, { title: 'mine' })
  })

  test('a database that another connection holds is an error until it is let go, waited for once a turn', async (t) => {
    const path = join(await temporaryFolder(t), 'states.db')
    const openSqlite = await sqliteDriver(name)
    let begun = 0
    const counting: OpenSqlite = (place) => {
      const database = openSqlite(place)
      return {
        exec: (sql) => {
          if (sql.startsWith('BEGIN')) begun++
          return database.exec(sql)
        },
        prepare: (sql) => database.prepare(sql),
        close: () => database.close(),
      }
    }
    const store = sqliteStore(path, { driver: async () => counting })
    t.defer(() => store.close())
    await store.save('key', bytesOf('old'))
    const holder = openSqlite(path)
    t.defer(() => holder.close())
    holder.exec('BEGIN IMMEDIATE')
    begun = 0
    await Promise.all(['key', 'a', 'b'].map((key) => rejects('ERR_SKEIN_STORE', () => store.save(key, bytesOf('new')))))
    assert.is(begun, 1)
    assert.equal(await store.load('key'), bytesOf('old'))
    holder.exec('COMMIT')
    await Promise.all(['key', 'a', 'b'].map((key) => store.save(key, bytesOf('new'))))
    assert.is(begun, 2, 'the saves of one turn share a commit')
    assert.equal(await store.load('key'), bytesOf('new'))
  })

  test('a save that does not fit fails alone among those of its turn', async (t) => {
    const { folder } = await smallDisk(t)
    const store = openStore(name, join(folder, 'states.db'))
    t.defer(() => store.close())
    const sizes = { a: 10, big: 3 * 1024 * 1024, b: 20 }
    const results = await Promise.allSettled(
      Object.entries(sizes).map(([key, size]) => store.save(key, new Uint8Array(size))),
    )
    assert.equal(
      results.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    )
    assert.is((await store.load('a'))?.length, 10)
    assert.is(await store.load('big'), undefined)
    assert.is((await store.load('b'))?.length, 20)
  })
}

for (const name of ['node:sqlite', 'better-sqlite3'] as const) {
  const test = suite(`SQLite store, ${name}`)
  if (missing[name] === undefined) withDriver(test, name)
  else if (name === 'node:sqlite' && process.env.SKEIN_TEST_NEWER_NODE) {
    const node = process.env.SKEIN_TEST_NEWER_NODE
    test(
      `all of this in ${node}`,
      async () => {
        const args = ['--import', 'tsx', 'test/run.ts', fileURLToPath(import.meta.url)]
        const { stdout } = await promisify(execFile)(node, args)
        assert.not.match(stdout, 'cannot load node:sqlite')
      },
      { deadlineMs: 110_000 },
    )
  } else test('the driver is here', (t) => t.skip(`cannot load ${name}: ${missing[name]}`))
  test.run()
}

const drivers = suite('SQLite drivers')

class NoDatabase {
  constructor() {
    throw new Error('Could not locate the bindings file')
  }
}

drivers('without any driver the error says what was tried and what to install', async (t) => {
  const path = join(await temporaryFolder(t), 'states.db')
  const driver = () =>
    loadSqlite(async (name) => {
      if (name === 'better-sqlite3') return { default: NoDatabase }
      throw Object.assign(new Error(`No such built-in module: ${name}`), { code: 'ERR_UNKNOWN_BUILTIN_MODULE' })
    })
  const store = sqliteStore(path, { driver })
  for (const attempt of [() => store.load('key'), () => store.save('key', bytesOf('x')), () => store.remove('key')]) {
    const error = await rejects('ERR_SKEIN_NO_SQLITE', attempt)
    assert.match(error.hint, 'npm install better-sqlite3')
    assert.equal(error.attempts, [
      { what: 'node:sqlite', code: 'ERR_UNKNOWN_BUILTIN_MODULE', message: 'No such built-in module: node:sqlite' },
      { what: 'better-sqlite3', code: 'unknown', message: 'Could not locate the bindings file' },
    ])
  }
  await store.close()
})

drivers('the driver of Node comes first, and a module without a class of databases is none', async () => {
  const asked: string[] = []
  class Database {
    readonly path: string
    constructor(path: string) {
      this.path = path
    }
    exec(): void {}
    prepare(): never {
      throw new Error('not in this test')
    }
    close(): void {}
  }
  const open = await loadSqlite(async (name) => {
    asked.push(name)
    return name === 'node:sqlite' ? { somethingElse: 1 } : { default: Database }
  })
  assert.equal(asked, ['node:sqlite', 'better-sqlite3'])
  assert.is((open('x') as Database).path, 'x')
  asked.length = 0
  await loadSqlite(async (name) => {
    asked.push(name)
    return { DatabaseSync: Database }
  })
  assert.equal(asked, ['node:sqlite'])
})

drivers('a path is needed', () => {
  for (const bad of ['', undefined, 5]) assert.throws(() => sqliteStore(bad as string), /path of a file/)
})

drivers.run()
