/** What every store must do, whichever it is. The suite knows only store.ts; it is told which adapter to open. */
import { join } from 'node:path'
import * as assert from 'uvu/assert'
import { MAX_STATE_BYTES, MAX_STORE_KEY_BYTES, type StateStore } from '../../../../src/behaviours/store/store.ts'
import { seededRandom } from '../../../../transport/random.ts'
import type { Suite, TestContext } from '../../../support/suite.ts'
import { type AdapterName, openStore } from './adapters.ts'
import { bytesOf, rejects, temporaryFolder } from './store-support.ts'

const SEED = 20261122
const BIG_BYTES = 9 * 1024 * 1024 + 1

/** Each must be a key of its own. */
const ODD_KEYS = [
  ...['a', 'A', 'a ', ' a', 'a.', 'ä', 'a\u0308', 'Ä', 'ß', 'SS', '😀', '鍵', '\u202e'],
  ...['.', '..', '../x', '../../x', '/x', 'x/', 'x/y', 'x\\y', 'C:x', 'con', 'NUL', '~', '%2e', '*', '?'],
  ...['\0', 'a\0', 'a\0b', '\n', '\r\n', '\t', '\u007f', '__proto__', 'constructor', '0', '-0', '1', '1.0', 'null'],
  ...["'; DROP TABLE skein_states; --", '?1', ':key', 'x'.repeat(300), 'x'.repeat(301), `${'é'.repeat(511)}xy`],
]

export const storeCompliance = (test: Suite, adapter: AdapterName): void => {
  const open = async (t: TestContext): Promise<StateStore> => {
    const store = openStore(adapter, join(await temporaryFolder(t), 'made', 'place'))
    t.defer(() => store.close())
    return store
  }
  const textOf = async (store: StateStore, key: string): Promise<string | undefined> => {
    const bytes = await store.load(key)
    return bytes && new TextDecoder().decode(bytes)
  }

  test('what was saved is loaded', async (t) => {
    const store = await open(t)
    const bytes = Uint8Array.from({ length: 256 }, (_, index) => index)
    await store.save('counter', bytes)
    const loaded = await store.load('counter')
    assert.instance(loaded, Uint8Array)
    assert.not(Buffer.isBuffer(loaded), 'a Buffer would behave differently from adapter to adapter')
    assert.equal(loaded, bytes)
  })

  test('an unknown key has no bytes, and removing it is no error', async (t) => {
    const store = await open(t)
    assert.is(await store.load('nobody'), undefined)
    await store.remove('nobody')
    assert.is(await store.load('nobody'), undefined)
  })

  test('a state of no bytes is a state', async (t) => {
    const store = await open(t)
    await store.save('empty', new Uint8Array(0))
    assert.equal(await store.load('empty'), new Uint8Array(0))
  })

  test('a later save replaces an earlier one, also by a shorter state', async (t) => {
    const store = await open(t)
    for (const text of ['first', 'the second one', '3']) {
      await store.save('key', bytesOf(text))
      assert.is(await textOf(store, 'key'), text)
    }
  })

  test('what was removed is gone, and can be saved again', async (t) => {
    const store = await open(t)
    await store.save('gone', bytesOf('gone'))
    await store.save('kept', bytesOf('kept'))
    await store.remove('gone')
    assert.is(await store.load('gone'), undefined)
    assert.is(await textOf(store, 'kept'), 'kept')
    await store.save('gone', bytesOf('back'))
    assert.is(await textOf(store, 'gone'), 'back')
  })

  test('odd keys are keys like any other, each its own', async (t) => {
    const store = await open(t)
    assert.is(new Set(ODD_KEYS).size, ODD_KEYS.length)
    await Promise.all(ODD_KEYS.map((key, index) => store.save(key, bytesOf(`${index}`))))
    for (const [index, key] of ODD_KEYS.entries()) assert.is(await textOf(store, key), `${index}`, JSON.stringify(key))
    for (const key of ODD_KEYS.slice(1)) await store.remove(key)
    for (const key of ODD_KEYS.slice(1)) assert.is(await store.load(key), undefined, JSON.stringify(key))
    assert.is(await textOf(store, 'a'), '0')
  })

  test('the longest key is taken, a longer one refused', async (t) => {
    const store = await open(t)
    const longest = 'é'.repeat(MAX_STORE_KEY_BYTES / 2)
    await store.save(longest, bytesOf('long'))
    assert.is(await textOf(store, longest), 'long')
    await rejects('ERR_SKEIN_BAD_ARGUMENT', () => store.save(`${longest}.`, bytesOf('longer')))
  })

  test('what is no key is refused by every operation', async (t) => {
    const store = await open(t)
    for (const bad of ['', '\ud800', 'x\udc00', undefined, null, 5, {}, ['a']]) {
      const key = bad as string
      await rejects('ERR_SKEIN_BAD_ARGUMENT', () => store.load(key))
      await rejects('ERR_SKEIN_BAD_ARGUMENT', () => store.save(key, bytesOf('x')))
      await rejects('ERR_SKEIN_BAD_ARGUMENT', () => store.remove(key))
    }
  })

  test('what is no state is refused and leaves the old one', async (t) => {
    const store = await open(t)
    await store.save('key', bytesOf('old'))
    for (const bad of [undefined, null, 'text', {}, [1], new ArrayBuffer(1), new Uint16Array(1)]) {
      await rejects('ERR_SKEIN_BAD_ARGUMENT', () => store.save('key', bad as Uint8Array))
    }
    await rejects('ERR_SKEIN_LIMIT', () => store.save('key', new Uint8Array(MAX_STATE_BYTES + 1)))
    assert.is(await textOf(store, 'key'), 'old')
  })

  test(`a big state comes back unchanged (seed ${SEED})`, async (t) => {
    const store = await open(t)
    const big = seededRandom(SEED).bytes(BIG_BYTES)
    await store.save('big', big)
    const loaded = await store.load('big')
    assert.is(loaded?.length, BIG_BYTES)
    assert.ok(loaded && Buffer.from(loaded).equals(big))
  })

  test('the buffer of a save belongs to the caller as soon as save has returned', async (t) => {
    const store = await open(t)
    const whole = Buffer.from('..mine..')
    const saved = store.save('key', whole.subarray(2, 6))
    whole.fill('x')
    await saved
    assert.is(await textOf(store, 'key'), 'mine')
  })

  test('loaded bytes belong to the caller', async (t) => {
    const store = await open(t)
    await store.save('key', bytesOf('kept'))
    const loaded = await store.load('key')
    loaded?.fill(0)
    assert.is(await textOf(store, 'key'), 'kept')
  })

  test('saves of one key that do not wait for each other: the last wins, and loads see what was called before them', async (t) => {
    const store = await open(t)
    const saves: Promise<void>[] = []
    const loads: Promise<void>[] = []
    for (let value = 0; value < 200; value++) {
      saves.push(store.save('key', bytesOf(`${value}`)))
      if (value % 10 === 0) {
        loads.push(
          textOf(store, 'key').then((text) => {
            assert.ok(Number(text) >= value, `a load after save ${value} saw ${text}`)
          }),
        )
      }
      // Some saves find nothing under way, some a write that has begun, some one that waits.
      if (value % 7 === 0) await saves[value]
    }
    await Promise.all([...saves, ...loads])
    assert.is(await textOf(store, 'key'), '199')
  })

  test('each save that resolved is there', async (t) => {
    const store = await open(t)
    const seen: number[] = []
    await Promise.all(
      Array.from({ length: 50 }, async (_, value) => {
        await store.save('key', bytesOf(`${value}`))
        const now = Number(await textOf(store, 'key'))
        assert.ok(now >= value, `save ${value} resolved, but ${now} is there`)
        seen.push(now)
      }),
    )
    assert.is(seen.length, 50)
  })

  test('saves and removes that do not wait for each other take effect in their order', async (t) => {
    const store = await open(t)
    await Promise.all([store.save('a', bytesOf('1')), store.remove('a'), store.save('b', bytesOf('1'))])
    assert.is(await store.load('a'), undefined)
    await Promise.all([
      store.remove('b'),
      store.save('b', bytesOf('2')),
      store.remove('a'),
      store.save('a', bytesOf('3')),
    ])
    assert.is(await textOf(store, 'b'), '2')
    assert.is(await textOf(store, 'a'), '3')
  })

  test('many keys at once', async (t) => {
    const store = await open(t)
    const keys = Array.from({ length: 300 }, (_, index) => `key ${index}`)
    await Promise.all(keys.map((key) => store.save(key, bytesOf(key))))
    assert.equal(await Promise.all(keys.map((key) => textOf(store, key))), keys)
  })

  test('two stores on different places know nothing of each other', async (t) => {
    const [one, other] = [await open(t), await open(t)]
    await one.save('key', bytesOf('mine'))
    assert.is(await other.load('key'), undefined)
  })

  test('after close everything is refused, and closing again is no error', async (t) => {
    const store = await open(t)
    await store.save('key', bytesOf('x'))
    await Promise.all([store.close(), store.close()])
    await store.close()
    await rejects('ERR_SKEIN_STORE_CLOSED', () => store.load('key'))
    await rejects('ERR_SKEIN_STORE_CLOSED', () => store.save('key', bytesOf('y')))
    await rejects('ERR_SKEIN_STORE_CLOSED', () => store.remove('key'))
  })

  test('close waits for what was begun', async (t) => {
    const store = await open(t)
    await store.save('key', bytesOf('old'))
    const ended: string[] = []
    const begun = [
      store.save('key', bytesOf('new')).then(() => ended.push('save')),
      textOf(store, 'key').then((text) => ended.push(`load ${text}`)),
      store.remove('other').then(() => ended.push('remove')),
    ]
    const late = rejects('ERR_SKEIN_STORE_CLOSED', () => {
      const closed = store.close().then(() => ended.push('close'))
      begun.push(closed)
      return store.load('key')
    })
    await Promise.all([...begun, late])
    assert.is(ended.at(-1), 'close')
    assert.equal(ended.slice(0, -1).sort(), ['load new', 'remove', 'save'])
  })

  test('a store that was never used can be closed', async (t) => {
    await (await open(t)).close()
  })
}
