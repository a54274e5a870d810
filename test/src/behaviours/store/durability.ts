/** What stores outside the program's memory must do besides: outlive it, however it ends, and bear a disk that refuses. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { watch } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import * as assert from 'uvu/assert'
import { type Random, seededRandom } from '../../../../transport/random.ts'
import type { Suite } from '../../../support/suite.ts'
import { type AdapterName, openStore } from './adapters.ts'
import { SAVED_KEY, valueIn } from './saved-value.ts'
import { bytesOf, rejects, smallDisk, temporaryFolder } from './store-support.ts'

const SEED = 20261123
const KILLS = 12
const TOO_MUCH_BYTES = 3 * 1024 * 1024

export const storeDurability = (test: Suite, adapter: AdapterName): void => {
  test('a new store on the same place sees what the old one saved', async (t) => {
    const place = join(await temporaryFolder(t), 'place')
    const first = openStore(adapter, place)
    await Promise.all([first.save('kept', bytesOf('kept')), first.save('removed', bytesOf('removed'))])
    await first.remove('removed')
    await first.close()
    const second = openStore(adapter, place)
    t.defer(() => second.close())
    assert.equal(await second.load('kept'), bytesOf('kept'))
    assert.is(await second.load('removed'), undefined)
  })

  test(
    `kill -9 in the midst of a save leaves the old or the new state, whole (seed ${SEED})`,
    async (t) => {
      const place = join(await temporaryFolder(t), 'place')
      if (adapter === 'file') await mkdir(place)
      const random = seededRandom(SEED)
      for (let kill = 0; kill < KILLS; kill++) {
        const moment: Moment =
          kill % 2 === 0
            ? { kind: 'time', share: random.float() }
            : { kind: 'change', number: Math.floor(random.float() * 8) }
        const { begun, saved } = await saveUntilKilled(adapter, place, moment, random)
        const store = openStore(adapter, place)
        const state = await store.load(SAVED_KEY)
        await store.close()
        if (state === undefined) {
          assert.is(saved, undefined, `save ${saved} had resolved`)
          continue
        }
        const value = valueIn(state)
        assert.ok(value === begun || value === saved, `found ${value}, saved was ${saved}, begun ${begun}`)
      }
    },
    { deadlineMs: 90_000 },
  )

  test('a full disk is a coded error; the old state stays, and what fits is still saved', async (t) => {
    const { folder } = await smallDisk(t)
    const place = join(folder, 'place')
    const store = openStore(adapter, place)
    await store.save('key', bytesOf('old'))
    await rejects('ERR_SKEIN_STORE', () => store.save('key', new Uint8Array(TOO_MUCH_BYTES)))
    await rejects('ERR_SKEIN_STORE', () => store.save('other', new Uint8Array(TOO_MUCH_BYTES)))
    assert.equal(await store.load('key'), bytesOf('old'))
    assert.is(await store.load('other'), undefined)
    await store.save('other', bytesOf('fits'))
    await store.close()
    const again = openStore(adapter, place)
    assert.equal(await again.load('key'), bytesOf('old'))
    assert.equal(await again.load('other'), bytesOf('fits'))
    await again.close()
  })

  test('a place that cannot be written is a coded error', async (t) => {
    const { folder, readOnly } = await smallDisk(t)
    const place = join(folder, 'place')
    const before = openStore(adapter, place)
    await before.save('key', bytesOf('old'))
    await before.close()
    readOnly()
    const store = openStore(adapter, place)
    await rejects('ERR_SKEIN_STORE', () => store.save('key', bytesOf('new')))
    await rejects('ERR_SKEIN_STORE', () => store.remove('key'))
    await store.close()
    const elsewhere = openStore(adapter, join(folder, 'new', 'place'))
    await rejects('ERR_SKEIN_STORE', () => elsewhere.load('key'))
    await elsewhere.close()
  })

  test('a place that is of another kind is a coded error, and serves when it is put right', async (t) => {
    // A file is no folder, and no folder is a file.
    const place = adapter === 'file' ? fileURLToPath(import.meta.url) : await temporaryFolder(t)
    const store = openStore(adapter, place)
    t.defer(() => store.close())
    await rejects('ERR_SKEIN_STORE', () => store.load('key'))
    await rejects('ERR_SKEIN_STORE', () => store.save('key', bytesOf('x')))
  })
}

interface Saves {
  readonly begun: number
  /** The last that resolved, over all processes so far. */
  readonly saved: number | undefined
}

/** When, within the save, the process is killed: at a share of the time a save takes, or at one of its changes to the disk. */
type Moment = { readonly kind: 'time'; readonly share: number } | { readonly kind: 'change'; readonly number: number }

/** Runs a process that saves one value after the other, and kills it in the midst of a save. */
const saveUntilKilled = async (adapter: AdapterName, place: string, moment: Moment, random: Random): Promise<Saves> => {
  const script = fileURLToPath(new URL('fixtures/saver.ts', import.meta.url))
  const child = spawn(process.execPath, ['--import', 'tsx', script, adapter, place], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const stderr: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk))
  const ended = once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>

  // Not the first save: how long one takes must be known.
  let savesBefore = 1 + Math.floor(random.float() * 3)
  let begunAtMs = 0
  let saveTookMs = 0
  const killAt = (ms: number): void => {
    if (performance.now() < ms) setImmediate(killAt, ms)
    else child.kill('SIGKILL')
  }
  let changesBefore = moment.kind === 'change' ? moment.number : Number.POSITIVE_INFINITY
  const watcher = watch(adapter === 'file' ? place : dirname(place), () => {
    if (savesBefore < 0 && changesBefore-- === 0) child.kill('SIGKILL')
  })

  let begun = -1
  let saved: number | undefined
  for await (const line of createInterface({ input: child.stdout })) {
    const [what, number] = line.split(' ')
    if (what === 'begun') {
      begun = Number(number)
      begunAtMs = performance.now()
      if (savesBefore-- === 0 && moment.kind === 'time') killAt(begunAtMs + moment.share * saveTookMs)
    } else {
      saved = Number(number)
      saveTookMs = performance.now() - begunAtMs
      // The changes were fewer, or seen too late.
      if (savesBefore < 0) child.kill('SIGKILL')
    }
  }
  watcher.close()
  const [code, signal] = await ended
  if (signal !== 'SIGKILL') throw new Error(`the saver ended by itself (${code}): ${Buffer.concat(stderr)}`)
  return { begun, saved }
}
