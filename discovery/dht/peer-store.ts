/**
 * Who announced itself under which key (BEP 5).
 *
 * Bounds: keys, of which the farthest from this node's id go first; peers in all; peers of one key, of which the oldest
 * goes first; peers of one source, under one key and in all. Under one key a source beyond its share loses its own oldest
 * peer, in all it is refused: no source pushes out another one's peers but by filling a key together with many others.
 * No timers: who has not announced itself for a lifetime is not given out, and removed when something is announced.
 */
import { type Address, formatAddress } from '../../transport/address.ts'
import type { Random } from '../../transport/random.ts'
import { type Family, familyOf } from './compact-address.ts'
import type { DhtKey } from './message.ts'
import { NearestMap } from './nearest-map.ts'
import { SourceCounts } from './source-counts.ts'

/** Programs announce every 15 to 30 minutes; libtorrent forgets them after 45 as well (dht_storage.cpp). */
export const PEER_LIFETIME_MS = 45 * 60_000
/** As many as libtorrent keeps (settings_pack.cpp). */
export const MAX_KEYS = 2000
/** As many as libtorrent keeps of one key; enough for any sample. */
export const MAX_PEERS_PER_KEY = 500
/** About 200 bytes each. */
export const MAX_PEERS = 20_000
/** Peers behind one address differ by their ports. */
export const MAX_PEERS_PER_SOURCE_AND_KEY = 8
export const MAX_PEERS_PER_SOURCE = 256

interface Peer {
  readonly address: Address
  readonly source: string
  readonly announcedAtMs: number
}

/** By the text of the address, the oldest first. */
type Swarm = Map<string, Peer>

export class PeerStore {
  readonly #random: Random
  readonly #swarms: NearestMap<Swarm>
  readonly #bySource = new SourceCounts()
  #peers = 0

  /** `ids` are this node's own. */
  constructor(ids: readonly DhtKey[], random: Random) {
    this.#random = random
    this.#swarms = new NearestMap({
      ids,
      maxEntries: MAX_KEYS,
      lifetimeMs: PEER_LIFETIME_MS,
      onRemoved: (swarm) => {
        for (const text of swarm.keys()) this.#remove(swarm, text)
      },
    })
  }

  get size(): { readonly keys: number; readonly peers: number; readonly sources: number } {
    return { keys: this.#swarms.size, peers: this.#peers, sources: this.#bySource.size }
  }

  /** Stores a peer that `source` announces (see sourceOf). False if a bound forbids it. */
  announce(key: DhtKey, address: Address, source: string, nowMs: number): boolean {
    if (!this.#swarms.accepts(key, nowMs)) return false
    const swarm: Swarm = this.#swarms.get(key, nowMs) ?? new Map()
    const text = formatAddress(address)
    for (const [old, { announcedAtMs }] of swarm) {
      if (nowMs - announcedAtMs < PEER_LIFETIME_MS) break
      this.#remove(swarm, old)
    }
    this.#remove(swarm, text)
    const own = [...swarm].filter(([, peer]) => peer.source === source)
    if (own.length >= MAX_PEERS_PER_SOURCE_AND_KEY) this.#remove(swarm, own[0]![0])
    else if (this.#bySource.of(source) >= MAX_PEERS_PER_SOURCE) return false
    if (swarm.size >= MAX_PEERS_PER_KEY) this.#removeOldest(swarm)
    swarm.set(text, { address, source, announcedAtMs: nowMs })
    this.#bySource.add(source)
    this.#peers++
    this.#swarms.set(key, swarm, nowMs)
    while (this.#peers > MAX_PEERS) this.#swarms.removeFarthest()
    return swarm.size > 0
  }

  /** At most `count` peers of a key and family, by chance which and in which order. */
  sample(key: DhtKey, family: Family, count: number, nowMs: number): Address[] {
    const found: Address[] = []
    for (const { address, announcedAtMs } of this.#swarms.get(key, nowMs)?.values() ?? []) {
      if (nowMs - announcedAtMs < PEER_LIFETIME_MS && familyOf(address.host) === family) found.push(address)
    }
    return shuffled(found, Math.min(count, found.length), this.#random)
  }

  /** This node has other ids now. */
  moveTo(ids: readonly DhtKey[]): void {
    this.#swarms.moveTo(ids)
  }

  #removeOldest(swarm: Swarm): void {
    const [oldest] = swarm.keys()
    if (oldest !== undefined) this.#remove(swarm, oldest)
  }

  #remove(swarm: Swarm, text: string): void {
    const peer = swarm.get(text)
    if (peer === undefined) return
    swarm.delete(text)
    this.#bySource.remove(peer.source)
    this.#peers--
  }
}

/** The first `count` of a shuffle (Fisher and Yates). All its chance is drawn at once: a draw costs more than the rest. */
const shuffled = (all: Address[], count: number, random: Random): Address[] => {
  const chance = random.bytes(2 * count)
  for (let i = 0; i < count; i++) {
    const pick = i + ((chance[2 * i]! * 256 + chance[2 * i + 1]!) % (all.length - i))
    const picked = all[pick]!
    all[pick] = all[i]!
    all[i] = picked
  }
  return all.slice(0, count)
}
