/**
 * The rules by which items are kept and replaced, one by one, and all together against a model that is as plain as can be.
 */
import * as assert from 'uvu/assert'
import { encode } from '../../../discovery/dht/bencode.ts'
import { compareDistance, keyText } from '../../../discovery/dht/dht-id.ts'
import {
  ITEM_LIFETIME_MS,
  type ItemPut,
  ItemStore,
  MAX_ITEMS,
  MAX_ITEMS_PER_SOURCE,
} from '../../../discovery/dht/item-store.ts'
import type { DhtKey, ItemBody } from '../../../discovery/dht/message.ts'
import { makeImmutable, targetOf } from '../../../discovery/dht/signed-item.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'
import { keyOf, mutableItem, OWN_ID, signerOf, unsignedItem } from './storage-support.ts'

const test = suite('item store')
const KEY = new Uint8Array(32).fill(9)

const putOf = (item: ItemBody, source = 'a', compareAndSwap?: number): ItemPut => ({
  target: targetOf(item),
  item,
  source,
  compareAndSwap,
})

/** Puts as a responder does; the code of the refusal, or 0. */
const put = (store: ItemStore, request: ItemPut, nowMs = 0): number => {
  const refusal = store.refusal(request, nowMs)
  if (refusal === undefined) store.store(request, nowMs)
  return refusal?.code ?? 0
}

test('a mutable item gives way to a greater sequence number only', () => {
  const store = new ItemStore([OWN_ID])
  const at = (sequence: number, text: string): number => put(store, putOf(unsignedItem(KEY, sequence, text)))
  const target = targetOf(unsignedItem(KEY, 0, ''))
  assert.is(at(5, 'five'), 0)
  assert.is(at(4, 'four'), 302, 'rolled back')
  assert.is(at(0, 'null'), 302)
  assert.is(at(5, 'other'), 302, 'the same number with another value')
  assert.equal(store.get(target, 0), unsignedItem(KEY, 5, 'five'))
  assert.is(at(5, 'five'), 0, 'the same again')
  assert.is(at(6, 'six'), 0)
  assert.is(at(Number.MAX_SAFE_INTEGER, 'last'), 0)
  assert.equal(store.get(target, 0), unsignedItem(KEY, Number.MAX_SAFE_INTEGER, 'last'))
  assert.is(store.size, 1)
})

test('compare and swap asks for the stored number, where something is stored', () => {
  const store = new ItemStore([OWN_ID])
  const at = (sequence: number, text: string, cas: number): number =>
    put(store, putOf(unsignedItem(KEY, sequence, text), 'a', cas))
  assert.is(at(5, 'five', 77), 0, 'nothing was stored')
  assert.is(at(6, 'six', 4), 301)
  assert.is(at(6, 'six', 6), 301)
  assert.is(at(5, 'five', 4), 301, 'the same again, but expecting another')
  assert.is(at(4, 'four', 5), 302, 'the right number, but a rollback')
  assert.is(at(5, 'other', 5), 302)
  assert.is(at(6, 'six', 5), 0)
  assert.is(at(7, 'seven', 5), 301, 'somebody was faster')
})

test('items of a salt, a key and none are apart', () => {
  const store = new ItemStore([OWN_ID])
  const signer = signerOf(1)
  const salts = [undefined, Uint8Array.of(1), Uint8Array.of(2), new Uint8Array(64)]
  for (const [i, salt] of salts.entries()) {
    const item = mutableItem(signer, 1, `${i}`, salt)
    assert.is(put(store, { target: targetOf(item, salt), item, source: 'a' }), 0)
  }
  const immutable = makeImmutable(encode('0'))
  assert.is(put(store, putOf(immutable)), 0)
  assert.is(store.size, 5)
  for (const [i, salt] of salts.entries()) {
    const item = mutableItem(signer, 1, `${i}`, salt)
    assert.equal(store.get(targetOf(item, salt), 0), item)
  }
  assert.equal(store.get(targetOf(immutable), 0), immutable)
})

test('items of both kinds under one key do not replace each other', () => {
  const mutable = unsignedItem(KEY, 1, 'mutable')
  const immutable = { value: encode('immutable') }
  const target = keyOf(3)
  for (const [first, second] of [
    [mutable, immutable],
    [immutable, mutable],
  ] as const) {
    const store = new ItemStore([OWN_ID])
    assert.is(put(store, { target, item: first, source: 'a' }), 0)
    assert.is(put(store, { target, item: second, source: 'a' }), 202)
    assert.is(store.get(target, 0), first)
  }
})

test('only exactly the same item is one that was verified before', () => {
  const store = new ItemStore([OWN_ID])
  const item = unsignedItem(KEY, 1, 'value')
  const mutable = item.mutable!
  const signature = new Uint8Array(64).fill(1)
  assert.not(store.holds(putOf(item), 0))
  put(store, putOf(item))
  assert.ok(store.holds(putOf(structuredClone(item)), 0))
  assert.not(store.holds(putOf(unsignedItem(KEY, 1, 'valuf')), 0))
  assert.not(store.holds(putOf(unsignedItem(KEY, 2, 'value')), 0))
  assert.not(store.holds(putOf({ ...item, mutable: { ...mutable, signature } }), 0))
  assert.not(store.holds({ target: targetOf(item), item: { value: item.value }, source: 'a' }, 0), 'of the other kind')
  assert.not(store.holds(putOf(item), ITEM_LIFETIME_MS))
})

test('an item lives for two hours, and anew when it is stored again', () => {
  const store = new ItemStore([OWN_ID])
  const item = unsignedItem(KEY, 5, 'value')
  const target = targetOf(item)
  put(store, putOf(item), 0)
  assert.ok(store.get(target, ITEM_LIFETIME_MS - 1))
  assert.is(store.get(target, ITEM_LIFETIME_MS), undefined)
  assert.is(put(store, putOf(unsignedItem(KEY, 1, 'old')), ITEM_LIFETIME_MS), 0, 'the old number went with it')
  put(store, putOf(unsignedItem(KEY, 1, 'old'), 'b'), 1.5 * ITEM_LIFETIME_MS)
  assert.ok(store.get(target, 2.4 * ITEM_LIFETIME_MS), 'whoever brings it')
  assert.is(store.get(target, 2.5 * ITEM_LIFETIME_MS), undefined)
  put(store, putOf(unsignedItem(keyOf(5), 1, ''), 'c'), 3 * ITEM_LIFETIME_MS)
  assert.is(store.size, 1)
  assert.is(store.sources, 1)
})

test('a source has 64 items, and cannot push out any', () => {
  const store = new ItemStore([OWN_ID])
  const itemOf = (i: number): ItemBody => ({ value: encode(`item ${i}`) })
  for (let i = 0; i < MAX_ITEMS_PER_SOURCE; i++) assert.is(put(store, putOf(itemOf(i))), 0)
  assert.is(put(store, putOf(itemOf(100))), 202)
  assert.is(store.size, MAX_ITEMS_PER_SOURCE)
  for (let i = 0; i < MAX_ITEMS_PER_SOURCE; i++) assert.is(put(store, putOf(itemOf(i))), 0, 'its own may be renewed')
  assert.is(put(store, putOf(itemOf(100), 'b')), 0, 'others are not concerned')
  assert.is(put(store, putOf(itemOf(100))), 0, 'theirs may be renewed by it')
  assert.is(put(store, putOf(itemOf(0), 'b')), 0, 'who renews an item takes it over')
  assert.is(put(store, putOf(itemOf(101))), 0, 'which makes room')
  assert.is(put(store, putOf(itemOf(102))), 202)
  assert.is(put(store, putOf(itemOf(102)), ITEM_LIFETIME_MS), 0, 'as does their end')
})

test('a full store keeps the items nearest to its id', () => {
  const store = new ItemStore([OWN_ID])
  const random = seededRandom(5)
  const targets: DhtKey[] = []
  for (let i = 0; i < 2 * MAX_ITEMS; i++) {
    const target = random.bytes(20)
    targets.push(target)
    put(store, { target, item: { value: encode(i) }, source: `${i >> 5}` })
    assert.ok(store.size <= MAX_ITEMS)
  }
  assert.is(store.size, MAX_ITEMS)
  targets.sort((a, b) => compareDistance(OWN_ID, a, b))
  assert.ok(targets.slice(0, MAX_ITEMS).every((target) => store.get(target, 0) !== undefined))
  assert.is(put(store, { target: targets.at(-1)!, item: { value: encode(1) }, source: 'b' }), 202)
  assert.ok(store.sources <= (2 * MAX_ITEMS) / 32)
})

test('whatever is put in whatever order, the store does what the rules say', () => {
  const firstSeed = Math.floor(Math.random() * 2 ** 32)
  console.log(`seed ${firstSeed}`)
  for (let seed = firstSeed; seed < firstSeed + 60; seed++) {
    const random = seededRandom(seed)
    const below = (limit: number): number => Math.floor(random.float() * limit)
    const store = new ItemStore([OWN_ID])
    const model = new Map<string, { item: ItemBody; source: string; untilMs: number }>()
    const keys = Array.from({ length: 100 }, () => random.bytes(32))
    let nowMs = 0
    for (let step = 0; step < 400; step++) {
      nowMs += below(ITEM_LIFETIME_MS / 200)
      for (const [key, { untilMs }] of model) if (untilMs <= nowMs) model.delete(key)
      const item: ItemBody =
        below(3) === 0 ? { value: encode(below(80)) } : unsignedItem(keys[below(100)]!, below(4), `${below(2)}`)
      const source = 'ab'[below(2)]!
      const request = putOf(item, source, below(4) === 0 ? below(4) : undefined)
      const stored = model.get(keyText(request.target))
      const expected = expectedCode(
        stored?.item,
        request,
        [...model.values()].filter((one) => one.source === source).length,
      )
      assert.is(put(store, request, nowMs), expected, `seed ${seed}, step ${step}`)
      if (expected === 0) {
        const isFull = [...model.values()].filter((one) => one.source === source).length >= MAX_ITEMS_PER_SOURCE
        const owner = stored !== undefined && isFull ? stored.source : source
        model.set(keyText(request.target), { item, source: owner, untilMs: nowMs + ITEM_LIFETIME_MS })
      }
      assert.equal(store.get(request.target, nowMs)?.value, model.get(keyText(request.target))?.item.value)
    }
    assert.is(store.refusal(putOf({ value: encode('new') }, 'c'), nowMs), undefined, 'and what has expired is removed')
    assert.is(store.size, model.size, `seed ${seed}`)
    assert.is(store.sources, new Set([...model.values()].map(({ source }) => source)).size, `seed ${seed}`)
  }
})

const expectedCode = (stored: ItemBody | undefined, { item, compareAndSwap }: ItemPut, owned: number): number => {
  if (stored === undefined) return owned >= MAX_ITEMS_PER_SOURCE ? 202 : 0
  if (stored.mutable === undefined || item.mutable === undefined) return 0
  if (compareAndSwap !== undefined && compareAndSwap !== stored.mutable.sequence) return 301
  if (item.mutable.sequence > stored.mutable.sequence) return 0
  if (item.mutable.sequence < stored.mutable.sequence) return 302
  return Buffer.compare(item.value, stored.value) === 0 ? 0 : 302
}

test.run()
