import * as assert from 'uvu/assert'
import { compareDistance, roughDistance } from '../../../discovery/dht/dht-id.ts'
import type { DhtKey } from '../../../discovery/dht/message.ts'
import { NearestMap } from '../../../discovery/dht/nearest-map.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'
import { keyOf } from './storage-support.ts'

const test = suite('nearest map')
const LIFETIME_MS = 1000

const make = (ids: readonly DhtKey[], maxEntries: number) => {
  const removed: number[] = []
  const map = new NearestMap<number>({
    ids,
    maxEntries,
    lifetimeMs: LIFETIME_MS,
    onRemoved: (value) => removed.push(value),
  })
  return { map, removed }
}

test('the rough distance sorts as the exact one', () => {
  const random = seededRandom(1)
  for (let i = 0; i < 1000; i++) {
    const [target, a, b] = [random.bytes(20), random.bytes(20), random.bytes(20)]
    if (i % 2 === 0) a.set(target.subarray(0, 5))
    if (i % 4 === 0) b.set(target.subarray(0, 5))
    const rough = roughDistance(target, a) - roughDistance(target, b)
    assert.is(Math.sign(rough), Math.sign(compareDistance(target, a, b)))
  }
  assert.is(roughDistance(new Uint8Array(20), new Uint8Array(20).fill(255)), 2 ** 48 - 1)
})

test('what is set is there until its lifetime ends', () => {
  const { map, removed } = make([keyOf(0)], 10)
  assert.ok(map.set(keyOf(1), 1, 0))
  assert.ok(map.set(keyOf(2), 2, 500))
  assert.is(map.get(keyOf(1), LIFETIME_MS - 1), 1)
  assert.is(map.get(keyOf(1), LIFETIME_MS), undefined)
  assert.ok(map.set(keyOf(2), 22, 900), 'again')
  assert.is(map.get(keyOf(2), 1800), 22)
  assert.ok(map.set(keyOf(3), 3, 1800))
  assert.equal(removed, [1])
  assert.is(map.size, 2)
})

test('a full map keeps the nearest, of whatever came in whatever order', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = seededRandom(seed)
    const ids = seed % 2 === 0 ? [random.bytes(20)] : [random.bytes(20), random.bytes(20)]
    const { map, removed } = make(ids, 50)
    const keys = Array.from({ length: 300 }, () => random.bytes(20))
    const distance = (key: DhtKey): number => Math.min(...ids.map((id) => roughDistance(id, key)))
    let refused = 0
    for (const [i, key] of keys.entries()) {
      const accepted = map.accepts(key, 0)
      assert.is(map.set(key, i, 0), accepted)
      if (!accepted) refused++
      assert.ok(map.size <= 50)
    }
    const nearest = keys.toSorted((a, b) => distance(a) - distance(b)).slice(0, 50)
    for (const key of nearest) assert.is(map.get(key, 0), keys.indexOf(key))
    assert.is(removed.length + refused, 250)
  }
})

test('a node with another id keeps what is near to that', () => {
  const { map } = make([keyOf(0)], 20)
  const keys = Array.from({ length: 100 }, (_, i) => keyOf(i + 1))
  for (const [i, key] of keys.entries()) map.set(key, i, 0)
  const held = keys.filter((key) => map.get(key, 0) !== undefined)
  const id = keyOf(777)
  map.moveTo([id])
  held.sort((a, b) => compareDistance(id, a, b))
  map.removeFarthest()
  assert.is(map.get(held.at(-1)!, 0), undefined)
  assert.ok(held.slice(0, -1).every((key) => map.get(key, 0) !== undefined))
  assert.ok(map.set(id, 1, 0))
  assert.ok(map.set(keyOf(778), 1, 0) === compareDistance(id, keyOf(778), held.at(-2)!) < 0)
})

test('removing from an empty map is harmless', () => {
  const { map, removed } = make([keyOf(0)], 1)
  map.removeFarthest()
  assert.equal(removed, [])
})

test.run()
