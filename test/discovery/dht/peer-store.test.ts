import * as assert from 'uvu/assert'
import { compareDistance } from '../../../discovery/dht/dht-id.ts'
import {
  MAX_KEYS,
  MAX_PEERS,
  MAX_PEERS_PER_KEY,
  MAX_PEERS_PER_SOURCE,
  MAX_PEERS_PER_SOURCE_AND_KEY,
  PEER_LIFETIME_MS,
  PeerStore,
} from '../../../discovery/dht/peer-store.ts'
import type { Address } from '../../../transport/address.ts'
import { formatAddress } from '../../../transport/address.ts'
import { seededRandom } from '../../../transport/random.ts'
import { suite } from '../../support/suite.ts'
import { hostOf, keyOf, OWN_ID } from './storage-support.ts'

const test = suite('peer store')
const KEY = keyOf(10)
const make = (): PeerStore => new PeerStore([OWN_ID], seededRandom(1))
const peerOf = (number: number, port = 6881): Address => ({ host: hostOf(number), port })
const announce = (store: PeerStore, key: Uint8Array, peer: Address, nowMs = 0): boolean =>
  store.announce(key, peer, peer.host, nowMs)
const ports = (peers: readonly Address[]): number[] => peers.map(({ port }) => port).sort((a, b) => a - b)

test('a peer is found under its key until its lifetime ends', () => {
  const store = make()
  assert.equal(store.sample(KEY, 'ip4', 10, 0), [])
  assert.ok(announce(store, KEY, peerOf(1), 0))
  assert.ok(announce(store, KEY, peerOf(2), 1000))
  assert.ok(announce(store, KEY, peerOf(1), 2000), 'again')
  assert.is(store.size.peers, 2)
  assert.equal(store.sample(keyOf(11), 'ip4', 10, 2000), [])
  assert.is(store.sample(KEY, 'ip4', 10, PEER_LIFETIME_MS + 999).length, 2)
  assert.equal(store.sample(KEY, 'ip4', 10, PEER_LIFETIME_MS + 1000), [peerOf(1)])
  assert.equal(store.sample(KEY, 'ip4', 10, PEER_LIFETIME_MS + 2000), [])
  announce(store, keyOf(12), peerOf(3), PEER_LIFETIME_MS + 2000)
  assert.equal(store.size, { keys: 1, peers: 1, sources: 1 })
})

test('families are apart', () => {
  const store = make()
  const six = { host: '2001:db8::1', port: 1 }
  announce(store, KEY, six)
  announce(store, KEY, peerOf(1))
  assert.equal(store.sample(KEY, 'ip6', 10, 0), [six])
  assert.equal(store.sample(KEY, 'ip4', 10, 0), [peerOf(1)])
})

test('a sample is of different peers, and every peer has its turn', () => {
  const store = make()
  for (let i = 0; i < 200; i++) announce(store, KEY, peerOf(i))
  const seen = new Map<string, number>()
  const first = new Map<string, number>()
  for (let i = 0; i < 1000; i++) {
    const sample = store.sample(KEY, 'ip4', 20, 0)
    assert.is(new Set(sample.map(formatAddress)).size, 20)
    for (const peer of sample) seen.set(peer.host, (seen.get(peer.host) ?? 0) + 1)
    first.set(sample[0]!.host, (first.get(sample[0]!.host) ?? 0) + 1)
  }
  // 100 times each on average, with a deviation of 9.5.
  assert.is(seen.size, 200)
  assert.ok(Math.min(...seen.values()) > 50 && Math.max(...seen.values()) < 150)
  assert.ok(first.size > 150, 'the order is by chance too')
  assert.is(store.sample(KEY, 'ip4', 1000, 0).length, 200)
  assert.equal(store.sample(KEY, 'ip4', 0, 0), [])
})

test('a key has 500 peers, the newest', () => {
  const store = make()
  for (let i = 0; i < MAX_PEERS_PER_KEY + 100; i++) assert.ok(announce(store, KEY, peerOf(i), i))
  assert.is(store.size.peers, MAX_PEERS_PER_KEY)
  const hosts = new Set(store.sample(KEY, 'ip4', 1000, 600).map(({ host }) => host))
  for (let i = 0; i < MAX_PEERS_PER_KEY + 100; i++) assert.is(hosts.has(hostOf(i)), i >= 100)
})

test('a source has 8 peers under a key, its newest, and takes no place of others', () => {
  const store = make()
  announce(store, KEY, peerOf(1))
  for (let port = 1; port <= 1000; port++) assert.ok(announce(store, KEY, peerOf(2, port)))
  const peers = store.sample(KEY, 'ip4', 1000, 0)
  assert.is(peers.length, 1 + MAX_PEERS_PER_SOURCE_AND_KEY)
  assert.equal(ports(peers.filter(({ host }) => host === hostOf(2))), [993, 994, 995, 996, 997, 998, 999, 1000])
})

test('a source has 256 peers in all', () => {
  const store = make()
  for (let i = 0; i < MAX_PEERS_PER_SOURCE; i++) assert.ok(announce(store, keyOf(i), peerOf(1)))
  assert.not(announce(store, keyOf(1000), peerOf(1)))
  assert.is(store.size.peers, MAX_PEERS_PER_SOURCE)
  assert.ok(announce(store, keyOf(5), peerOf(1)), 'again')
  assert.ok(announce(store, keyOf(1000), peerOf(2)))
  assert.not(announce(store, keyOf(1001), peerOf(1), PEER_LIFETIME_MS - 1))
  assert.ok(announce(store, keyOf(1001), peerOf(1), PEER_LIFETIME_MS))
})

test('keys and peers are bounded, the farthest key goes first', () => {
  const store = make()
  const keys = Array.from({ length: MAX_KEYS + 500 }, (_, i) => keyOf(i))
  for (const [i, key] of keys.entries()) announce(store, key, peerOf(i))
  assert.equal(store.size, { keys: MAX_KEYS, peers: MAX_KEYS, sources: MAX_KEYS })
  keys.sort((a, b) => compareDistance(OWN_ID, a, b))
  for (const [i, key] of keys.entries()) assert.is(store.sample(key, 'ip4', 1, 0).length, i < MAX_KEYS ? 1 : 0)

  const crowded = make()
  const near = Array.from({ length: 60 }, (_, i) => keyOf(i)).sort((a, b) => compareDistance(OWN_ID, a, b))
  for (const [i, key] of near.entries()) {
    for (let peer = 0; peer < MAX_PEERS_PER_KEY; peer++) {
      const isTaken = announce(crowded, key, peerOf(i * MAX_PEERS_PER_KEY + peer))
      assert.is(isTaken, i < MAX_PEERS / MAX_PEERS_PER_KEY)
    }
  }
  assert.equal(crowded.size, { keys: 40, peers: MAX_PEERS, sources: MAX_PEERS })
})

test('whatever is announced, the counts add up and expire to nothing', () => {
  const firstSeed = Math.floor(Math.random() * 2 ** 32)
  console.log(`seed ${firstSeed}`)
  for (let seed = firstSeed; seed < firstSeed + 20; seed++) {
    const random = seededRandom(seed)
    const below = (limit: number): number => Math.floor(random.float() * limit)
    const store = make()
    const model = new Map<string, { key: number; host: string; untilMs: number }>()
    let nowMs = 0
    for (let step = 0; step < 500; step++) {
      nowMs += below(PEER_LIFETIME_MS / 100)
      const key = below(5)
      // Few enough ports for the bound of a source never to count.
      const peer = peerOf(below(20), 1 + below(MAX_PEERS_PER_SOURCE_AND_KEY))
      assert.ok(announce(store, keyOf(key), peer, nowMs), `seed ${seed}`)
      model.set(`${key} ${formatAddress(peer)}`, { key, host: peer.host, untilMs: nowMs + PEER_LIFETIME_MS })
      const living = [...model.values()].filter((one) => one.untilMs > nowMs)
      for (let one = 0; one < 5; one++) {
        const found = store.sample(keyOf(one), 'ip4', 1000, nowMs)
        assert.is(found.length, living.filter(({ key: of }) => of === one).length, `seed ${seed}, step ${step}`)
      }
    }
    store.announce(keyOf(9), peerOf(99), 'z', nowMs + PEER_LIFETIME_MS)
    assert.equal(store.size, { keys: 1, peers: 1, sources: 1 }, `seed ${seed}`)
  }
})

test.run()
