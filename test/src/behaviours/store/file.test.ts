/** The store in a folder: compliance, durability, and what only files can suffer. */
import { createHash } from 'node:crypto'
import { chmod, mkdir, readdir, readFile, rename, stat, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { fileStore } from '../../../../src/behaviours/store/file.ts'
import { MAX_RECORD_BYTES } from '../../../../src/behaviours/store/record.ts'
import type { StateStore } from '../../../../src/behaviours/store/store.ts'
import { suite, type TestContext } from '../../../support/suite.ts'
import { storeCompliance } from './compliance.ts'
import { storeDurability } from './durability.ts'
import { bytesOf, rejects, temporaryFolder } from './store-support.ts'

const test = suite('file store')
const windows = process.platform === 'win32'
storeCompliance(test, 'file')
storeDurability(test, 'file')

const fileName = (key: string): string => `${createHash('sha256').update(key).digest('hex')}.state`
const permissions = async (path: string): Promise<string> => ((await stat(path)).mode & 0o777).toString(8)

interface Place {
  readonly folder: string
  readonly store: StateStore
  /** The file of the key. */
  file(key: string): string
}

const openPlace = async (t: TestContext): Promise<Place> => {
  const folder = join(await temporaryFolder(t), 'states')
  const store = fileStore(folder)
  t.defer(() => store.close())
  return { folder, store, file: (key) => join(folder, fileName(key)) }
}

test('a folder is needed', () => {
  for (const bad of ['', undefined, 5]) assert.throws(() => fileStore(bad as string), /path of a folder/)
})

test('one closed file for each key, in the folder and nowhere else, and nothing besides', async (t) => {
  const { folder, store } = await openPlace(t)
  const keys = ['a', '../x', '/tmp/x', '..']
  await Promise.all(keys.map((key) => store.save(key, bytesOf(key))))
  assert.equal((await readdir(folder)).sort(), keys.map(fileName).sort())
  assert.equal(await readdir(join(folder, '..')), ['states'])
  await store.remove('a')
  assert.is((await readdir(folder)).length, keys.length - 1)
  if (windows) return
  assert.is(await permissions(folder), '700')
  assert.is(await permissions(join(folder, fileName('..'))), '600')
})

test('a torn file is an error and not half a state; a save puts it right', async (t) => {
  const { store, file } = await openPlace(t)
  await store.save('key', bytesOf('whole'))
  const whole = await readFile(file('key'))
  for (const length of [0, 1, 20, whole.length - 1]) {
    await writeFile(file('key'), whole.subarray(0, length))
    const error = await rejects('ERR_SKEIN_STORE_CORRUPT', () => store.load('key'))
    assert.match(error.message, file('key'))
  }
  await store.save('key', bytesOf('new'))
  assert.equal(await store.load('key'), bytesOf('new'))
})

test('a foreign, changed or swapped file is an error', async (t) => {
  const { store, file } = await openPlace(t)
  await store.save('foreign', bytesOf('x'))
  await writeFile(file('foreign'), 'a poem, long enough to be taken for a header and then some')
  await rejects('ERR_SKEIN_STORE_CORRUPT', () => store.load('foreign'))

  await store.save('changed', bytesOf('balance: 100'))
  const changed = (await readFile(file('changed'))).toString('latin1').replace('100', '900')
  await writeFile(file('changed'), changed, 'latin1')
  await rejects('ERR_SKEIN_STORE_CORRUPT', () => store.load('changed'))

  await store.save('mine', bytesOf('mine'))
  await store.save('theirs', bytesOf('theirs'))
  await rename(file('theirs'), file('mine'))
  await rejects('ERR_SKEIN_STORE_CORRUPT', () => store.load('mine'))
  assert.is(await store.load('theirs'), undefined)
})

test('a file beyond all bounds is not read, a folder in its place neither', async (t) => {
  const { store, file } = await openPlace(t)
  await store.save('huge', bytesOf('x'))
  await truncate(file('huge'), MAX_RECORD_BYTES + 1)
  await rejects('ERR_SKEIN_STORE', () => store.load('huge'))
  await mkdir(file('folder'))
  await rejects('ERR_SKEIN_STORE', () => store.load('folder'))
  await rejects('ERR_SKEIN_STORE', () => store.save('folder', bytesOf('x')))
  await rejects('ERR_SKEIN_STORE', () => store.remove('folder'))
})

test('a state that others can read is refused', async (t) => {
  if (windows) t.skip('Windows has no file modes')
  const { store, file } = await openPlace(t)
  await store.save('key', bytesOf('x'))
  await chmod(file('key'), 0o644)
  await rejects('ERR_SKEIN_INSECURE_FILE', () => store.load('key'))
})

test('what a dead process left half written is cleared; the rest of the folder is left alone', async (t) => {
  const { folder, store } = await openPlace(t)
  await mkdir(folder, { recursive: true })
  const old = new Date(Date.now() - 120_000)
  const put = async (name: string, time?: Date): Promise<string> => {
    await writeFile(join(folder, name), 'half', { mode: 0o600 })
    if (time) await utimes(join(folder, name), time, time)
    return name
  }
  await put(`.${fileName('key')}.0123456789abcdef`, old)
  const kept = [
    await put(`.${fileName('key')}.fedcba9876543210`), // perhaps a save that another process has begun
    await put(`.${fileName('key')}.bak`, old),
    await put('.notes.0123456789abcdef', old),
    await put('readme.txt', old),
  ]
  assert.is(await store.load('key'), undefined)
  assert.equal((await readdir(folder)).sort(), kept.sort())
})

test('one save that fails does not fail those of other keys, nor later ones', async (t) => {
  const { store, file } = await openPlace(t)
  await mkdir(join(file('bad'), 'inside'), { recursive: true })
  const results = await Promise.allSettled(['a', 'bad', 'b'].map((key) => store.save(key, bytesOf(key))))
  assert.equal(
    results.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  await rename(file('bad'), `${file('bad')}.moved`)
  await store.save('bad', bytesOf('good'))
  assert.equal(await store.load('bad'), bytesOf('good'))
})

test('two stores on one folder each read whole states', async (t) => {
  const { folder, store } = await openPlace(t)
  const other = fileStore(folder)
  t.defer(() => other.close())
  await store.save('key', new Uint8Array(50_000).fill(0))
  await Promise.all(
    Array.from({ length: 40 }, async (_, value) => {
      await (value % 2 ? store : other).save('key', new Uint8Array(50_000).fill(value))
      const loaded = await (value % 3 ? store : other).load('key')
      assert.ok(loaded?.every((byte) => byte === loaded[0]))
    }),
  )
})

test.run()
